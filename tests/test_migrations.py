"""A database from before a rule is migrated: the same lesions, with outcomes by the rule."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.models import User
from screening.models import Lesion, LesionImage, Prediction
from screening.predictions import outcomes
from screening.records import queries as record_queries

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = [("screening", "0008_identifiers_and_retries")]


@pytest.fixture
def old_models():
    """The models as they were; afterwards the database is current again."""
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("screening")
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor.loader.project_state(BEFORE).apps.get_model
    MigrationExecutor(connection).migrate(latest)


def to_now() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("screening"))


def read(model, image, version, outcome, minutes, **fields):
    at = timezone.now() - timedelta(minutes=minutes)
    return model("screening", "Prediction").objects.create(
        image=image,
        requested_by_id=image.uploaded_by_id,
        model_version=version,
        state="succeeded",
        outcome=outcome,
        weights_sha256="0" * 64,
        created=at,
        finished_at=at,
        **fields,
    )


def test_an_old_database_tells_what_the_rule_says(old_models):
    owner = User.objects.create(email="old@example.org")
    patient = old_models("screening", "Patient").objects.create(owner_id=owner.pk, label="Old")
    lesion = old_models("screening", "Lesion").objects.create(patient=patient, label="Calf")
    itching = old_models("screening", "Lesion").objects.create(
        patient=patient, label="Arm", itching=True
    )
    images = [
        old_models("screening", "LesionImage").objects.create(
            lesion=lesion,
            uploaded_by_id=owner.pk,
            captured_on=date(2026, 1, day),
            file="a.jpg",
            thumbnail="b.jpg",
            width=1,
            height=1,
            sha256=uuid4().hex * 2,
        )
        for day in (1, 2, 3)
    ]
    told = read(old_models, images[0], "2026.11.4", "urgent", 30)
    read(old_models, images[0], "2026.11.2", "monitor", 20)  # rescreened with an older version
    read(old_models, images[1], "2026.11.3", "monitor", 10)
    read(old_models, images[2], "2026.11.4", "not_assessable", 5, reason="blurred")
    to_now()

    assert set(Lesion.objects.values_list("label", flat=True)) == {"Calf", "Arm"}
    counting = Prediction.objects.counting().order_by("image__captured_on")
    assert [one.model_version for one in counting] == ["2026.11.4", "2026.11.3", "2026.11.4"]
    assert counting[0].pk == told.pk and counting[0].told_from == counting[0].finished_at
    assert all(image.placed_at == image.created for image in LesionImage.objects.all())
    found = {one.label: one for one in record_queries.with_latest(Lesion.objects.all(), owner)}
    assert outcomes.of_rank(found["Calf"].standing_rank) == "urgent"
    assert outcomes.of_rank(found["Arm"].standing_rank) == "see_doctor"
    assert Lesion.objects.get(pk=itching.pk).symptoms_at is not None
