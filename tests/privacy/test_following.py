"""A person invites a clinic to their record, which follows it until they end it."""

from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts import services as accounts
from screening.erasure import services as erasure
from screening.interop import identifiers
from screening.models import (
    Announcement,
    Erasure,
    Event,
    ExternalIdentifier,
    Following,
    Patient,
)
from screening.privacy import consents, sharing
from screening.privacy import following as followings
from screening.privacy import services as audit
from screening.records import visits
from screening.reviews import services as reviews
from screening.reviews.worklist import Worklist
from tests.clients import Browser
from tests.factories import (
    ErasureFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
)
from tests.predictions.test_outcomes import standing_in_python
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic(personas):
    return accounts.renew_code(user=personas.admin, clinic=personas.clinic)


@pytest.fixture
def record(personas):
    return personas.own_patient


@pytest.fixture
def invited(personas, clinic, record):
    return followings.invite(user=personas.self_tracker, patient=record, code=clinic.written_code)


@pytest.fixture
def followed(personas, invited):
    return followings.accept(user=personas.clinician, following=invited, label="Row 7")


def sees(user, record) -> bool:
    return Patient.objects.visible_to(user).contains(record)


def page(user, name, *args):
    client = Browser()
    client.force_login(user)
    return client.get(reverse(name, args=args))


def test_nothing_is_seen_before_the_clinic_accepts(personas, clinic, record, invited):
    assert not sees(personas.clinician, record)
    text = page(personas.clinician, "clinic_followings", clinic.pk).content.decode()
    assert str(personas.self_tracker) in text
    assert str(record.pk) not in text
    assert f">{record.label}<" not in text
    assert page(personas.clinician, "patient", record.pk).status_code == 404


def test_both_see_it_once_it_is_accepted(personas, clinic, record, followed):
    assert all(sees(user, record) for user in (personas.viewer, personas.self_tracker))
    assert Patient.objects.get(pk=record.pk).label == "Row 7"
    assert "Row 7" in page(personas.clinician, "clinic_followings", clinic.pk).content.decode()
    for user, ends in ((personas.self_tracker, True), (personas.clinician, False)):
        text = page(user, "patient_access", record.pk).content.decode()
        assert "Has followed this record since" in text
        assert (reverse("following_end", args=[followed.pk]) in text) == ends


def test_its_end_works_at_once_and_leaves_what_was_concluded(personas, record, followed):
    image = LesionImageFactory(lesion=LesionFactory(patient=record))
    PredictionFactory(image=image, outcome="urgent")
    review = reviews.record_review(
        user=personas.clinician,
        image=image,
        conclusion="mel",
        management="excise",
        shown_at=timezone.now(),
    )
    _, secret = sharing.share(user=personas.clinician, patient=record, recipient="Dr", days=7)
    own, _ = sharing.share(user=personas.self_tracker, patient=record, recipient="Dr", days=7)
    asked = ErasureFactory(
        patient=record, clinic=personas.clinic, asked_by=personas.clinician, asked=True
    )
    _, token = accounts.create_api_key(user=personas.assistant, name="Scanner")
    client = Browser()
    client.force_login(personas.self_tracker)
    client.post(reverse("following_end", args=[followed.pk]))
    assert not any(sees(getattr(personas, who), record) for who in ("admin", "clinician", "viewer"))
    answer = Browser().get(
        reverse("api:patient-detail", args=[record.pk]),
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 404
    assert Browser().get(reverse("shared", args=[secret])).status_code == 404
    own.refresh_from_db()
    assert own.revoked_at is None
    assert Erasure.objects.get(pk=asked.pk).state == "undone"
    text = page(personas.self_tracker, "image", image.pk).content.decode()
    assert str(review.reviewer) in text
    told = Announcement.objects.filter(event=Event.PATIENT_WITHDRAWN, clinic=personas.clinic)
    assert told.count() == 1
    # Another invitation does not bring the clinic's links back.
    accounts.renew_code(user=personas.admin, clinic=personas.clinic)
    personas.clinic.refresh_from_db()
    again = followings.invite(user=personas.self_tracker, patient=record, code=personas.clinic.code)
    followings.accept(user=personas.clinician, following=again)
    assert sees(personas.clinician, record)
    assert Browser().get(reverse("shared", args=[secret])).status_code == 404


@pytest.mark.parametrize(("while_followed", "told"), [(True, "urgent"), (False, "")])
def test_its_end_settles_no_warning(personas, clinic, record, while_followed, told):
    """A visit settles if it did when it was entered; while the clinic follows, none does."""
    lesion = LesionFactory(patient=record)
    PredictionFactory(image=LesionImageFactory(lesion=lesion), outcome="urgent")
    own = {"user": personas.self_tracker}
    visit = {"visited_on": timezone.localdate(), "finding": "harmless"}

    def enter() -> None:
        lesion.refresh_from_db()
        visits.record_visit(**own, lesion=lesion, shown_at=timezone.now(), **visit)

    def standing() -> str:
        lesion.refresh_from_db()
        return standing_in_python(lesion, personas.self_tracker).outcome

    if not while_followed:
        enter()
        assert standing() == ""
    made = followings.invite(**own, patient=record, code=clinic.code)
    followings.accept(user=personas.clinician, following=made)
    if while_followed:
        enter()
    assert standing() == "urgent"
    followings.end(**own, following=made)
    assert standing() == told


def test_declined_or_withdrawn_it_opens_nothing(personas, clinic, record, invited):
    followings.decline(user=personas.admin, following=invited)
    with pytest.raises(ValidationError):
        followings.accept(user=personas.clinician, following=invited)
    second = followings.invite(user=personas.self_tracker, patient=record, code=clinic.code)
    followings.end(user=personas.self_tracker, following=second)
    with pytest.raises(ValidationError):
        followings.accept(user=personas.clinician, following=second)
    assert not sees(personas.clinician, record)


def test_who_may_not(personas, clinic, record, invited):
    for who in ("assistant", "viewer", "colleague", "self_tracker"):
        with pytest.raises(PermissionDenied):
            followings.accept(user=getattr(personas, who), following=invited)
        with pytest.raises(PermissionDenied):
            followings.decline(user=getattr(personas, who), following=invited)
    followings.accept(user=personas.clinician, following=invited)
    for who in ("admin", "colleague"):
        with pytest.raises(PermissionDenied):
            followings.end(user=getattr(personas, who), following=invited)
    with pytest.raises(PermissionDenied):
        followings.invite(user=personas.admin, patient=personas.patient, code=clinic.code)
    assert sees(personas.clinician, record)


def test_clinics_are_found_by_their_code_alone(personas, clinic, record):
    invite = {"user": personas.self_tracker, "patient": record}
    for wrong in ("", "-", clinic.name, str(clinic.pk), "0000-0000-0000"):
        with pytest.raises(ValidationError, match="No clinic has this code"):
            followings.invite(**invite, code=wrong)
    former = clinic.code
    accounts.renew_code(user=personas.admin, clinic=clinic)
    with pytest.raises(ValidationError, match="No clinic"):
        followings.invite(**invite, code=former)
    written = clinic.written_code.lower().replace("0", "o").replace("1", "l")
    assert followings.invite(**invite, code=f" {written} ").clinic == clinic
    accounts.remove_code(user=personas.admin, clinic=clinic)
    with pytest.raises(ValidationError, match="No clinic"):
        followings.invite(
            user=personas.stranger,
            patient=PatientFactory(clinic=None, owner=personas.stranger),
            code="",
        )


def test_a_record_has_one_clinic_at_a_time(personas, clinic, record, invited):
    again = {"user": personas.self_tracker, "patient": record, "code": clinic.code}
    with pytest.raises(ValidationError, match="waits"):
        followings.invite(**again)
    followings.accept(user=personas.clinician, following=invited)
    with pytest.raises(ValidationError, match="follows this record already"):
        followings.invite(**again)


def test_a_label_that_the_clinic_has_is_asked_for_anew(personas, record, invited):
    PatientFactory(clinic=personas.clinic, label=record.label)
    client = Browser()
    client.force_login(personas.clinician)
    path = reverse("following_accept", args=[invited.pk])
    assert "Another record of this clinic has this name" in client.post(path).content.decode()
    assert not sees(personas.clinician, record)
    assert client.post(path, {"label": "Another"}).status_code == 302
    assert sees(personas.clinician, record)


def test_invitations_have_a_limit(personas, clinic, record):
    for _ in range(followings.INVITATIONS_A_DAY):
        made = followings.invite(user=personas.self_tracker, patient=record, code=clinic.code)
        followings.end(user=personas.self_tracker, following=made)
    with pytest.raises(ValidationError, match="Too many"):
        followings.invite(user=personas.self_tracker, patient=record, code=clinic.code)


def test_a_record_that_the_clinic_began_is_not_ended_by_its_owner(personas, record, followed):
    Following.objects.all().delete()
    text = page(personas.self_tracker, "patient_clinic", record.pk).content.decode()
    assert "you did not invite it" in text


def test_only_the_person_consents_to_research(personas, record, followed):
    with pytest.raises(PermissionDenied):
        consents.give(user=personas.clinician, patient=record)
    consents.give(user=personas.self_tracker, patient=record)
    text = page(personas.assistant, "patient", record.pk).content.decode()
    assert "Withdraw the consent" in text
    consents.withdraw(user=personas.assistant, patient=record)
    text = page(personas.assistant, "patient", record.pk).content.decode()
    assert 'name="consents"' not in text


def test_mail_names_no_patient_and_can_be_switched_off(
    personas, clinic, record, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        made = followings.invite(user=personas.self_tracker, patient=record, code=clinic.code)
        followings.accept(user=personas.clinician, following=made, label="Row 7")
        followings.end(user=personas.self_tracker, following=made)
    assert [one.to for one in mail.outbox] == [
        [personas.admin.email],
        [personas.self_tracker.email],
        [personas.admin.email],
    ]
    for one in mail.outbox:
        text = f"{one.subject} {one.body}"
        for said in ("Row 7", record.label, personas.self_tracker.email, "urgent"):
            assert said not in text
        assert one.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        path = re.search(r"http://[^/]+(/\S+)", one.body)[1]
        client = Browser()
        client.force_login(
            personas.self_tracker if one.to == [personas.self_tracker.email] else personas.admin
        )
        assert client.get(path).status_code == 200
    mail.outbox.clear()
    accounts.set_reminder_mail(user=personas.admin, mails_reminders=False)
    with django_capture_on_commit_callbacks(execute=True):
        followings.invite(user=personas.self_tracker, patient=record, code=clinic.code)
    assert mail.outbox == []


def test_the_person_finds_it_in_their_log(personas, clinic, record, invited):
    audit.chain_all()
    client = Browser()
    client.force_login(personas.clinician)
    client.post(reverse("following_accept", args=[invited.pk]), {"label": "Row 7"})
    client.force_login(personas.self_tracker)
    client.post(reverse("following_end", args=[invited.pk]))
    audit.chain_all()
    accepted, ended = (
        one for one in entries() if one.what in ("following_accept", "following_end")
    )
    assert accepted.actor == personas.clinician.pk
    assert ended.actor == personas.self_tracker.pk
    for one in (accepted, ended):
        assert one.details["patients"] == [str(record.pk)]
        changed = one.details["changes"]
        assert "clinic_id" in changed[f"patient:{record.pk}"]
        assert f"following:{invited.pk}" in changed


def test_a_withdrawn_record_waits_for_nobody(personas, clinic, record, invited):
    Patient.objects.filter(pk=record.pk).update(
        withdrawn_at=timezone.now(), withdrawn_by=personas.self_tracker, withdrawn_because="A slip."
    )
    assert not Following.objects.answerable_by(personas.clinician).exists()
    with pytest.raises(ValidationError):
        followings.accept(user=personas.clinician, following=invited)


def test_what_the_owners_visit_closed_is_the_clinics_to_decide(personas, invited, record):
    image = LesionImageFactory(lesion__patient=record)
    PredictionFactory(image=image, outcome="urgent")
    visits.record_visit(
        user=personas.self_tracker,
        lesion=image.lesion,
        visited_on=image.captured_on,
        finding="removed",
    )
    image.lesion.refresh_from_db()
    assert image.lesion.is_closed
    followings.accept(user=personas.clinician, following=invited)
    image.lesion.refresh_from_db()
    assert not image.lesion.is_closed
    assert [lesion.pk for lesion in Worklist(personas.clinician)] == [image.lesion_id]


def test_its_end_takes_the_clinics_identifiers(personas, record, followed):
    """The owner's program finds its spot after the end too; the clinic's number is free."""
    tracker, clinician = personas.self_tracker, personas.clinician
    seven, eight = ([{"system": "urn:x", "value": value}] for value in "78")
    record.refresh_from_db()
    mine = identifiers.open_lesion(user=tracker, patient=record, identifiers=seven).record
    theirs = identifiers.open_lesion(user=clinician, patient=record, identifiers=eight).record
    followings.end(user=tracker, following=followed)
    assert [row.value for row in ExternalIdentifier.objects.all()] == ["7"]
    record.refresh_from_db()
    again = identifiers.open_lesion(user=tracker, patient=record, identifiers=seven)
    assert (again.record, again.is_new) == (mine, False)
    own = PatientFactory(clinic=personas.clinic)
    opened = identifiers.open_lesion(user=clinician, patient=own, identifiers=eight)
    assert opened.is_new
    assert opened.record != theirs


def test_a_spot_known_to_the_owner_is_not_opened_twice(personas, record, invited):
    seven = [{"system": "urn:x", "value": "7"}]
    known = identifiers.open_lesion(
        user=personas.self_tracker, patient=record, identifiers=seven
    ).record
    followings.accept(user=personas.clinician, following=invited)
    record.refresh_from_db()
    for user in (personas.self_tracker, personas.clinician):
        again = identifiers.open_lesion(user=user, patient=record, identifiers=seven)
        assert (again.record, again.is_new) == (known, False)


def test_a_clinic_that_left_does_not_undo_its_end(personas, clinic, record, followed):
    """It left, was invited again, and the owner ended that: undoing the first end brings nothing
    back.
    """
    Patient.objects.filter(pk=record.pk).update(clinic=None)
    other = PatientFactory(clinic=personas.clinic)
    left = ErasureFactory(
        patient=None,
        clinic=personas.clinic,
        asked_by=personas.clinician,
        confirmed_by=personas.admin,
        parted=[str(record.pk), str(other.pk)],
    )
    again = followings.invite(user=personas.self_tracker, patient=record, code=clinic.code)
    followings.accept(user=personas.clinician, following=again)
    followings.end(user=personas.self_tracker, following=again)
    left.refresh_from_db()
    assert left.parted == [str(other.pk)]
    erasure.undo(user=personas.clinician, erasure=left)
    assert not sees(personas.clinician, record)


def test_a_record_that_the_clinic_withdrew_is_ended(personas, clinic, record, followed):
    Patient.objects.filter(pk=record.pk).update(
        withdrawn_at=timezone.now(), withdrawn_by=personas.clinician, withdrawn_because="A slip."
    )
    text = page(personas.clinician, "clinic_followings", clinic.pk).content.decode()
    assert "Row 7" not in text
    client = Browser()
    client.force_login(personas.self_tracker)
    path = reverse("following_end", args=[followed.pk])
    assert path in client.get(reverse("withdrawn")).content.decode()
    answer = client.post(path, follow=True)
    assert answer.status_code == 200
    assert "no longer sees your record" in answer.content.decode()
    assert Patient.everything.get(pk=record.pk).clinic is None


def test_a_refused_end_is_told(personas, followed, monkeypatch):
    """The record is erased between the page's look and the end."""

    def refuse(**fields):
        raise ValidationError("This record is gone.")

    monkeypatch.setattr(followings, "end", refuse)
    client = Browser()
    client.force_login(personas.self_tracker)
    answer = client.post(reverse("following_end", args=[followed.pk]), follow=True)
    assert "This record is gone." in answer.content.decode()
