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


def picture(model, lesion, owner, day=1, **fields):
    return model("screening", "LesionImage").objects.create(
        lesion=lesion,
        uploaded_by_id=owner.pk,
        captured_on=date(2026, 1, day),
        file="a.jpg",
        thumbnail="b.jpg",
        width=1,
        height=1,
        sha256=uuid4().hex * 2,
        **fields,
    )


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


def conclude(model, image, user, **fields):
    reviews = model("screening", "Review").objects
    said = {"conclusion": "nv", "management": "monitor", **fields}
    number, signature = reviews.count() + 1, "0" * 64
    reviews.create(image=image, reviewer_id=user.pk, number=number, signature=signature, **said)


def standing(user):
    """What is told of each lesion, by its label, in SQL."""
    found = record_queries.with_latest(Lesion.objects.all(), user)
    return {one.label: outcomes.of_rank(one.standing_rank) for one in found}


@pytest.mark.parametrize("old_models", ["0008_identifiers_and_retries"], indirect=True)
def test_an_old_database_tells_what_the_rule_says(old_models):
    owner = User.objects.create(email="old@example.org")
    patient = old_models("screening", "Patient").objects.create(owner_id=owner.pk, label="Old")
    lesion = old_models("screening", "Lesion").objects.create(patient=patient, label="Calf")
    itching = old_models("screening", "Lesion").objects.create(
        patient=patient, label="Arm", itching=True
    )
    images = [picture(old_models, lesion, owner, day) for day in (1, 2, 3)]
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
    assert standing(owner) == {"Calf": "urgent", "Arm": "see_doctor"}
    assert Lesion.objects.get(pk=itching.pk).symptoms_at is not None


@pytest.mark.parametrize("old_models", ["0008_identifiers_and_retries"], indirect=True)
def test_what_was_concluded_in_an_old_database_settles_what_it_settled(old_models):
    owner = User.objects.create(email="old@example.org")
    patient = old_models("screening", "Patient").objects.create(owner_id=owner.pk, label="Old")
    lesions = {
        label: old_models("screening", "Lesion").objects.create(patient=patient, label=label)
        for label in ("Reviewed", "Reviewed before", "Examined", "Examined before", "Milder now")
    }
    first, second = (
        {label: picture(old_models, lesion, owner, day) for label, lesion in lesions.items()}
        for day in (1, 9)
    )
    for label, image in first.items():
        read(old_models, image, "2026.11.3", "urgent", 30)
        read(old_models, image, "2026.11.4", "monitor" if label == "Milder now" else "urgent", 20)
    for label in ("Reviewed before", "Examined before"):
        read(old_models, second[label], "2026.11.4", "see_doctor", 10)
    for label in ("Reviewed", "Reviewed before"):
        conclude(old_models, first[label], owner)
    for label in ("Examined", "Examined before"):
        old_models("screening", "Histology").objects.create(
            lesion=lesions[label],
            recorded_by_id=owner.pk,
            diagnosis="nv",
            examined_on=date(2026, 1, 5),
        )
    to_now()

    assert standing(owner) == {
        "Reviewed": "",
        "Reviewed before": "see_doctor",
        "Examined": "",
        "Examined before": "see_doctor",
        "Milder now": "monitor",
    }
    found = record_queries.with_latest(Lesion.objects.filter(label="Milder now"), owner).get()
    assert outcomes.earlier_of(found) == "urgent"  # by 2026.11.3


@pytest.mark.parametrize("old_models", ["0018_size_of_what_is_stored"], indirect=True)
def test_corrections_of_an_old_database_hold(old_models):
    owner = User.objects.create(email="old@example.org")
    patient = old_models("screening", "Patient").objects.create(owner_id=owner.pk, label="Old")
    now, made = timezone.now(), old_models("screening", "Lesion").objects
    out = {"withdrawn_at": now, "withdrawn_by_id": owner.pk, "withdrawn_because": "Wrong spot"}
    closed = {"closed_on": date(2026, 1, 5), "closed_by_id": owner.pk, "closed_because": "excised"}
    kept = {
        "Warned": made.create(patient=patient, label="Warned"),
        "Visited": made.create(patient=patient, label="Visited"),
        "Withdrawn picture": made.create(patient=patient, label="Withdrawn picture"),
        "Removed": made.create(patient=patient, label="Removed", **closed),
        "Grown back": made.create(patient=patient, label="Grown back", **closed),
    }
    made.create(patient=patient, label="Merged", merged_into=kept["Warned"], **out)
    for label, lesion in kept.items():
        image = picture(
            old_models,
            lesion,
            owner,
            9 if label == "Grown back" else 1,
            **(out if label == "Withdrawn picture" else {}),
        )
        reading = read(old_models, image, "2026.11.4", "urgent", 30)
        counts = old_models("screening", "Prediction").objects.filter(pk=reading.pk)
        counts.update(told_from=reading.finished_at)
    old_models("screening", "DoctorVisit").objects.create(
        lesion=kept["Visited"],
        recorded_by_id=owner.pk,
        visited_on=date(2026, 1, 5),
        finding="harmless",
    )
    to_now()

    assert standing(owner) == {
        "Warned": "urgent",
        "Visited": "",
        "Withdrawn picture": "",
        "Removed": "",
        "Grown back": "urgent",
    }
    assert Lesion.everything.get(label="Merged").merged_into.label == "Warned"


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


@pytest.mark.parametrize("old_models", ["0045_dicom_nodes"], indirect=True)
def test_a_picture_put_back_unseen_on_a_closed_lesion_warns_again(old_models):
    """Closings that somebody decided on with the picture in sight stay."""
    owner = User.objects.create(email="old@example.org")
    patient = old_models("screening", "Patient").objects.create(owner_id=owner.pk, label="Old")
    now = timezone.now()
    told = {"Unseen": "urgent", "Mild": "monitor", "Seen": "urgent", "Closed since": "urgent"}
    for label, outcome in told.items():
        lesion = old_models("screening", "Lesion").objects.create(
            patient=patient,
            label=label,
            closed_on=date(2026, 2, 1),
            closed_by_id=owner.pk,
            closed_because="excised",
        )
        image = picture(old_models, lesion, owner)
        reading = read(old_models, image, "2026.11.5", outcome, 60)
        counts = old_models("screening", "Prediction").objects.filter(pk=reading.pk)
        counts.update(told_from=reading.finished_at)
        closed = {"Seen": [50], "Closed since": [30, 10]}.get(label, [30])
        acts = [("withdrawn", 40), ("restored", 20), *(("closed", minutes) for minutes in closed)]
        for kind, minutes in acts:
            old_models("screening", "Correction").objects.create(
                kind=kind,
                created=now - timedelta(minutes=minutes),
                made_by_id=owner.pk,
                patient=patient,
                lesion=lesion,
                image=None if kind == "closed" else image,
            )
    to_now()

    assert standing(owner) == {"Unseen": "urgent", "Mild": "", "Seen": "", "Closed since": ""}
    opened = Correction.objects.get(kind="reopened")
    assert opened.lesion.label == "Unseen" and "nobody had been shown it" in opened.reason
