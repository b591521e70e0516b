"""The change feed: complete, without repetition, and only what the caller may see."""

from __future__ import annotations

from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import services as account_services
from screening.corrections import merges, moves
from screening.corrections import services as corrections
from screening.images import services as images
from screening.models import Announcement, Delivery, Event, Histology
from screening.records import services as records
from screening.reviews import services as reviews
from screening.webhooks import delivery, outbox
from screening.webhooks.outbox import announce_about
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    WebhookFactory,
    picture,
)

FEED = "/api/v1/events/"
EVERYTHING = [*Event.values]


def client(user: Any, scopes: list[str] | None = None) -> Program:
    return Program(account_services.create_api_key(user=user, name="x", scopes=scopes)[1])


def settle(**ago: int) -> None:
    """Make all events look as if they had happened a while ago, one after the other."""
    for number, one in enumerate(Announcement.objects.order_by("created", "pk")):
        moment = timezone.now() - timedelta(**ago or {"seconds": 60}) + number * timedelta(0, 0, 1)
        Announcement.objects.filter(pk=one.pk).update(created=moment)


def told(program: Program, **query: Any) -> list[str]:
    response = program.get(FEED, query)
    assert response.status_code == 200, response.content
    return [one["type"] for one in response.json()["results"]]


def happened() -> list[str]:
    found = [one.event for one in Announcement.objects.order_by("created", "pk")]
    Announcement.objects.all().delete()
    return found


def test_each_write_of_a_record_is_announced(personas):
    user = personas.clinician
    patient = records.register_patient(user=user, clinic=personas.clinic, label="A")
    assert happened() == ["patient.created"]
    records.edit_patient(user=user, patient=patient, label="B")
    assert happened() == ["patient.changed"]
    lesion = records.open_lesion(user=user, patient=patient)
    assert happened() == ["lesion.created"]
    records.edit_lesion(user=user, lesion=lesion, itching=True)
    assert happened() == ["lesion.changed"]
    image = images.add_image(user=user, lesion=lesion, file=BytesIO(picture())).image
    assert happened() == ["image.created"]
    corrections.correct_image(user=user, image=image, captured_on=date(2026, 1, 1))
    assert happened() == ["image.changed", "lesion.changed"]
    other = LesionFactory(patient=patient)
    moves.move_image(user=user, image=image, lesion=other)
    assert sorted(happened()) == ["image.changed", "lesion.changed", "lesion.changed"]
    image.refresh_from_db()
    corrections.withdraw(user=user, record=image, reason="Twice.")
    assert happened() == ["image.withdrawn", "patient.changed", "lesion.changed"]
    corrections.restore(user=user, record=image)
    assert happened() == ["image.changed", "patient.changed", "lesion.changed"]
    merges.merge_lesions(user=user, lesion=other, into=lesion, acknowledged=True)
    assert "lesion.withdrawn" in happened()
    first = reviews.record_histology(
        user=user, lesion=lesion, diagnosis="nv", examined_on=date(2026, 1, 2)
    )
    assert happened() == ["histology.created"]
    second = reviews.record_histology(
        user=user, lesion=lesion, diagnosis="mel", examined_on=date(2026, 1, 2), supersedes=first
    )
    assert happened() == ["histology.created", "histology.changed"]
    corrections.withdraw(user=user, record=second, reason="Another's.")
    assert happened()[0] == "histology.withdrawn"
    corrections.withdraw(user=user, record=lesion, reason="Wrong.")
    assert happened() == ["lesion.withdrawn", "patient.changed"]
    corrections.withdraw(user=user, record=patient, reason="Wrong.")
    assert happened() == ["patient.withdrawn"]
    twin = records.register_patient(user=user, clinic=personas.clinic, label="C")
    corrections.restore(user=user, record=patient)
    happened()
    merges.merge_patients(user=user, patient=patient, into=twin)
    assert "patient.withdrawn" in happened()


def test_what_is_rolled_back_did_not_happen(personas):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        records.register_patient(user=personas.clinician, clinic=personas.clinic, label="A")
        raise ZeroDivisionError
    assert not Announcement.objects.exists()


def test_webhooks_are_told_too(personas):
    WebhookFactory(clinic=personas.clinic, events=["patient.changed"])
    records.edit_patient(user=personas.clinician, patient=personas.patient, label="N")
    (one,) = Delivery.objects.all()
    assert one.event == "patient.changed"
    assert one.data == {"clinic": str(personas.clinic.pk), "patient": str(personas.patient.pk)}


def test_the_cursor_goes_on_where_it_was(personas):
    program = client(personas.clinician)
    assert program.get(FEED).json() == {"cursor": "", "has_more": False, "results": []}
    for event in EVERYTHING * 2:
        announce_about(personas.patient, Event(event))
    settle()
    Announcement.objects.update(created=timezone.now() - timedelta(minutes=5))  # at one moment
    found, cursor, pages = [], "", 0
    while True:
        query = {"page_size": 7} | ({"cursor": cursor} if cursor else {})
        page = program.get(FEED, query).json()
        found += [one["id"] for one in page["results"]]
        cursor, pages = page["cursor"], pages + 1
        if not page["has_more"]:
            break
    assert len(found) == len(set(found)) == len(EVERYTHING) * 2
    assert pages == -(-len(found) // 7)
    empty = program.get(FEED, {"cursor": cursor}).json()
    assert empty == {"cursor": cursor, "has_more": False, "results": []}
    announce_about(personas.patient, Event.LESION_CREATED)
    Announcement.objects.filter(event=Event.LESION_CREATED).exclude(pk__in=found).update(
        created=timezone.now() - timedelta(seconds=30)
    )
    assert told(program, cursor=cursor) == ["lesion.created"]


def test_what_just_happened_waits_until_it_is_settled(personas):
    announce_about(personas.patient, Event.PATIENT_CHANGED)
    program = client(personas.clinician)
    assert told(program) == []
    settle(seconds=11)
    assert told(program) == ["patient.changed"]


@pytest.mark.parametrize("cursor", ["x", "eA==", "MjAyNg==", "%00", "é", "MjAyNi0wMS0wMSB4"])
def test_what_is_no_cursor_is_refused(personas, cursor):
    answer = client(personas.clinician).get(FEED, {"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["parameter"] == "cursor"


def test_a_cursor_ends_with_its_thirty_days(personas):
    announce_about(personas.patient, Event.PATIENT_CHANGED)
    settle(days=29)
    program = client(personas.clinician)
    cursor = program.get(FEED).json()["cursor"]
    assert program.get(FEED, {"cursor": cursor}).status_code == 200
    settle(days=31)
    cursor = program.get(FEED).json()["cursor"]
    assert "30 days" in str(program.get(FEED, {"cursor": cursor}).json()["errors"])
    delivery.forget_old()
    assert not Announcement.objects.exists()


def test_each_sees_what_is_of_their_patients(personas):
    announce_about(personas.patient, Event.PATIENT_CHANGED)
    announce_about(personas.own_patient, Event.PATIENT_CREATED)
    outbox.announce(Event.BATCH_FINISHED, clinic_id=personas.clinic.pk, owner_id=None)
    outbox.announce(Event.BATCH_FINISHED, clinic_id=None, owner_id=personas.self_tracker.pk)
    settle()
    for user in (personas.admin, personas.clinician, personas.assistant, personas.viewer):
        assert told(client(user)) == ["patient.changed", "batch.finished"]
    assert told(client(personas.self_tracker)) == ["patient.created", "batch.finished"]
    for user in (personas.colleague, personas.stranger):
        assert told(client(user)) == []


def test_a_withdrawn_patient_is_still_told_of(personas):
    corrections.withdraw(user=personas.clinician, record=personas.patient, reason="Wrong.")
    settle()
    assert told(client(personas.viewer)) == ["patient.withdrawn"]
    assert told(client(personas.stranger)) == []


def test_a_key_for_a_clinic_sees_the_clinics(personas):
    announce_about(personas.own_patient, Event.PATIENT_CHANGED)
    outbox.announce(Event.BATCH_FINISHED, clinic_id=None, owner_id=personas.admin.pk)
    personas.own_patient.owner = personas.admin
    personas.own_patient.save()
    settle()
    _, secret = account_services.create_api_key(
        user=personas.admin, name="x", clinic=personas.clinic
    )
    assert told(client(personas.admin)) == ["patient.changed", "batch.finished"]
    assert told(Program(secret)) == []


@pytest.mark.parametrize("event", EVERYTHING)
def test_each_type_needs_its_scope(personas, event):
    announce_about(personas.patient, Event(event))
    settle()
    word = event.partition(".")[0]
    needed = {"histology": "histologies", "batch": "batches"}.get(word, f"{word}s")
    assert told(client(personas.clinician, ["events:read"])) == []
    assert told(client(personas.clinician, ["events:read", f"{needed}:read"])) == [event]
    assert client(personas.clinician, [f"{needed}:read"]).get(FEED).status_code == 403


def test_whoever_concludes_first_is_told_of_no_findings(personas):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    LesionImageFactory(lesion=LesionFactory(patient=personas.patient))
    for event in EVERYTHING:
        announce_about(personas.patient, Event(event))
    settle()
    seen = set(told(client(personas.clinician)))
    assert not {one.partition(".")[0] for one in seen} & {
        "prediction",
        "alert",
        "review",
        "histology",
    }
    assert {"patient.changed", "lesion.changed", "image.created"} <= seen
    assert set(told(client(personas.assistant))) == set(EVERYTHING)


def test_whoever_concludes_first_is_not_told_what_follows_from_a_finding(personas):
    """Whatever a colleague does with findings, their feed does not change."""
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    colleague, lesion = personas.admin, LesionFactory(patient=personas.patient)
    image = LesionImageFactory(lesion=lesion)
    program = client(personas.clinician)
    said = {"user": colleague, "lesion": lesion, "diagnosis": "nv"}
    for act in (
        lambda: reviews.record_review(
            user=colleague, image=image, conclusion="mel", management="done"
        ),
        lambda: reviews.record_review(
            user=colleague, image=image, conclusion="mel", management="excise"
        ),
        lambda: reviews.record_histology(examined_on=date(2026, 3, 2), excised=True, **said),
        lambda: corrections.withdraw(user=colleague, record=Histology.objects.get(), reason="No."),
        lambda: corrections.restore(user=colleague, record=Histology.everything.get()),
        lambda: reviews.record_histology(
            examined_on=date(2026, 3, 1), supersedes=Histology.objects.get(), **said
        ),
    ):
        Announcement.objects.all().delete()
        act()
        settle()
        assert told(client(personas.assistant))
        assert told(program) == []
    Announcement.objects.all().delete()
    records.edit_lesion(user=colleague, lesion=lesion, itching=True)
    settle()
    assert told(program) == ["lesion.changed"]


def test_only_identifiers_are_told(personas):
    patient = PatientFactory(clinic=personas.clinic, label="Ada of the ward")
    records.edit_patient(user=personas.clinician, patient=patient, birth_year=1961)
    settle()
    page = client(personas.clinician).get(FEED).json()
    assert page["results"][0]["data"] == {
        "clinic": str(personas.clinic.pk),
        "patient": str(patient.pk),
    }


def test_a_page_costs_the_same_however_long(personas, django_assert_max_num_queries):
    for event in EVERYTHING * 2:
        announce_about(personas.patient, Event(event))
    settle()
    program = client(personas.clinician)
    told(program)
    with django_assert_max_num_queries(4):  # the key, its use, whether they review blind, the rows
        assert len(told(program)) == len(EVERYTHING) * 2
