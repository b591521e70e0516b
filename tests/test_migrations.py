"""A database from before a rule is migrated: the same lesions, with outcomes by the rule."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts.models import Clinic, User
from screening.models import Correction, DoctorVisit, Lesion, LesionImage, Prediction
from screening.predictions import outcomes
from screening.records import queries as record_queries

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def old_models(request):
    """The models as they were at the migration that the test is parametrized with; afterwards the
    database is current again.
    """
    before = [("screening", request.param)]
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes("screening")
    executor = MigrationExecutor(connection)
    executor.migrate(before)
    yield executor.loader.project_state(before).apps.get_model
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


@pytest.mark.parametrize("old_models", ["0008_identifiers_and_retries"], indirect=True)
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


@pytest.mark.parametrize("old_models", ["0039_announcements"], indirect=True)
def test_what_only_a_persons_visit_closed_for_a_clinic_is_open_again(old_models):
    """Visits that could settle when they were entered still do: those of a record of one's own."""
    owner = User.objects.create(email="old@example.org")
    clinic = Clinic.objects.create(name="North")
    own, shared = (
        old_models("screening", "Patient").objects.create(label=label, **of)
        for label, of in (
            ("Own", {"owner_id": owner.pk}),
            ("Shared", {"owner_id": owner.pk, "clinic_id": clinic.pk}),
        )
    )
    on = date(2026, 2, 1)
    closed = {"closed_on": on, "closed_because": "excised", "closed_by_id": owner.pk}
    said = {"recorded_by_id": owner.pk, "visited_on": on, "finding": "removed"}
    for patient, label in ((own, "Own"), (shared, "By a visit"), (shared, "By tissue, too")):
        lesion = old_models("screening", "Lesion").objects.create(
            patient=patient, label=label, **closed
        )
        old_models("screening", "DoctorVisit").objects.create(lesion=lesion, **said)
    old_models("screening", "Histology").objects.create(
        lesion=lesion, diagnosis="nv", examined_on=on, excised=True, recorded_by_id=owner.pk
    )
    to_now()

    assert {one.label: one.is_closed for one in Lesion.objects.all()} == {
        "Own": True,
        "By a visit": False,
        "By tissue, too": True,
    }
    assert [one.lesion.label for one in DoctorVisit.objects.filter(settles=True)] == ["Own"]
    opened = Correction.objects.get()
    assert (opened.kind, opened.lesion.label) == ("reopened", "By a visit")
    assert opened.before == {"closed_on": "2026-02-01"} and "the clinic decides" in opened.reason
