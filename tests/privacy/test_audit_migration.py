"""What the log of shown pictures held is in the audit log."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.models import User
from screening.models import Through
from screening.privacy import services as audit
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = [("screening", "0033_exports")]


def test_shown_pictures_become_entries():
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("screening")
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    old = executor.loader.project_state(BEFORE).apps.get_model
    try:
        user = User.objects.create(email="old@example.org")
        patient = old("screening", "Patient").objects.create(owner_id=user.pk, label="Old")
        lesion = old("screening", "Lesion").objects.create(patient=patient, label="Calf")
        image = old("screening", "LesionImage").objects.create(
            lesion=lesion,
            uploaded_by_id=user.pk,
            captured_on=date(2026, 1, 1),
            file="a.jpg",
            thumbnail="b.jpg",
            width=1,
            height=1,
            sha256="0" * 64,
        )
        shown_at = timezone.now() - timedelta(days=3)
        for rendition in ("image", "report"):
            old("screening", "AccessLog").objects.create(
                user_id=user.pk, image=image, rendition=rendition, created=shown_at
            )
    finally:
        MigrationExecutor(connection).migrate(latest)
    found = entries()
    assert [one.what for one in found] == ["image", "report"]
    for one in found:
        assert (one.through, one.actor, one.at) == (Through.MIGRATED, user.pk, shown_at)
        assert one.details["records"] == {"lesionimage": [str(image.pk)]}
        assert one.details["patients"] == [str(patient.pk)]
    assert not list(audit.broken())
