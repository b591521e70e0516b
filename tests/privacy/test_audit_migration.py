"""What the log of shown pictures held is in the audit log."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

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
    # Containers of the version before write to the table until they are replaced. A row of theirs
    # keeps nobody from being erased.
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM screening_accesslog")
        assert cursor.fetchone() == (0,)
        assert not connection.introspection.get_relations(cursor, "screening_accesslog")
        now = timezone.now()
        ids = [uuid4().hex if connection.vendor == "sqlite" else uuid4() for _ in range(3)]
        cursor.execute(
            "INSERT INTO screening_accesslog (id, created, modified, rendition, user_id, image_id)"
            " VALUES (%s, %s, %s, 'image', %s, %s)",
            [ids[0], now, now, *ids[1:]],
        )
        cursor.execute("DELETE FROM screening_accesslog")
