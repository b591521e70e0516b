"""Requesting, confirming and undoing an erasure, and what is hidden meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import agreements
from accounts import services as account_services
from accounts.models import Membership, User
from accounts.roles import Role
from ml import reader
from screening.erasure import eraser, receipts, services
from screening.images import services as image_services
from screening.models import (
    Announcement,
    Erasure,
    ErasureState,
    LesionImage,
    Patient,
    Prediction,
    Share,
    State,
)
from screening.predictions import queue
from screening.privacy import sharing
from screening.reminders import emails
from tests.access import MATRIX
from tests.clients import Browser, Program
from tests.factories import (
    PASSWORD,
    ErasureFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
    picture,
)
from tests.test_access_matrix import reverse, world_of
from tests.test_withdrawn import told

pytestmark = pytest.mark.django_db
MARK = "zqxout"


@pytest.fixture
def short(settings):
    settings.RETENTION_YEARS = 0


def ask(personas: Any, by: str = "clinician") -> Erasure:
    return services.ask_for_record(
        user=getattr(personas, by), patient=personas.patient, ground="person_asks"
    )


def test_two_people_erase_a_clinics_patient(personas, short):
    asked = ask(personas)
    assert Patient.objects.visible_to(personas.viewer).contains(personas.patient)
    with pytest.raises(ValidationError, match="Someone else"):
        services.confirm(user=personas.clinician, erasure=asked)
    for nobody in (personas.assistant, personas.viewer, personas.colleague, personas.stranger):
        with pytest.raises(PermissionDenied):
            services.confirm(user=nobody, erasure=asked)
    services.confirm(user=personas.admin, erasure=asked)
    assert not Patient.objects.visible_to(personas.clinician).contains(personas.patient)
    with pytest.raises(ValidationError):
        services.confirm(user=personas.admin, erasure=asked)


def test_the_database_wants_two_people_too(personas):
    with pytest.raises(IntegrityError), transaction.atomic():
        ErasureFactory(clinic=personas.clinic, asked_by=personas.admin, confirmed_by=personas.admin)
    with pytest.raises(IntegrityError), transaction.atomic():
        ErasureFactory(clinic=personas.clinic, asked_by=personas.admin)


@pytest.mark.parametrize("by", ["assistant", "viewer", "colleague", "stranger"])
def test_others_ask_for_nothing(personas, short, by):
    with pytest.raises(PermissionDenied):
        ask(personas, by)


def test_a_clinic_gives_a_ground(personas, short):
    with pytest.raises(ValidationError) as error:
        services.ask_for_record(user=personas.admin, patient=personas.patient, ground="why not")
    assert error.value.error_dict.keys() == {"ground"}


def test_a_record_must_be_kept_until_the_years_are_over(personas, settings):
    settings.RETENTION_YEARS = 10
    image = LesionImageFactory(lesion__patient=personas.patient)
    with pytest.raises(ValidationError, match="must keep this record until"):
        ask(personas)
    long_ago = timezone.now() - timedelta(days=3654)
    Patient.objects.filter(pk=personas.patient.pk).update(created=long_ago)
    personas.patient.lesions.update(created=long_ago)
    with pytest.raises(ValidationError):  # the picture is younger
        ask(personas)
    LesionImage.objects.filter(pk=image.pk).update(created=long_ago)
    asked = ask(personas)
    # An entry made since: the years begin again.
    LesionImageFactory(lesion=image.lesion, captured_on=image.captured_on)
    with pytest.raises(ValidationError):
        services.confirm(user=personas.admin, erasure=asked)


def test_retention_does_not_bind_a_person(personas, settings):
    settings.RETENTION_YEARS = 10
    LesionImageFactory(lesion__patient=personas.own_patient)
    services.ask_for_record(user=personas.self_tracker, patient=personas.own_patient)


def events_for(user: User) -> list[str]:
    return [one.event for one in Announcement.objects.visible_to(user)]


def test_other_systems_are_told_that_a_record_is_hidden_and_there_again(personas, short):
    erasure = services.confirm(user=personas.admin, erasure=ask(personas))
    assert not Patient.everything.visible_to(personas.viewer).contains(personas.patient)
    assert events_for(personas.viewer) == ["patient.withdrawn"]
    assert events_for(personas.stranger) == []
    services.undo(user=personas.admin, erasure=erasure)
    assert events_for(personas.viewer) == ["patient.withdrawn", "patient.changed"]


def test_a_clinic_that_leaves_a_record_is_told_that_it_is_gone(personas, short):
    personas.patient.owner = personas.self_tracker
    personas.patient.save()
    services.confirm(user=personas.admin, erasure=ask(personas))
    assert events_for(personas.viewer) == ["patient.withdrawn"]
    assert events_for(personas.self_tracker) == ["patient.withdrawn", "patient.changed"]
    (gone, _) = Announcement.objects.all()
    assert gone.data == {"clinic": str(personas.clinic.pk), "patient": str(personas.patient.pk)}


def test_it_is_not_erased_before_its_day(personas):
    services.ask_for_record(user=personas.self_tracker, patient=personas.own_patient)
    Erasure.objects.update(erased_from=timezone.now() + timedelta(minutes=1))
    assert eraser.erase_due() == 0
    assert Patient.everything.filter(pk=personas.own_patient.pk).exists()


def test_undo_brings_everything_back(personas, short):
    image = LesionImageFactory(lesion__patient=personas.patient)
    before = _rows(personas.patient)
    asked = ask(personas)
    services.confirm(user=personas.admin, erasure=asked)
    services.undo(user=personas.clinician, erasure=asked)
    assert LesionImage.objects.visible_to(personas.viewer).contains(image)
    assert _rows(personas.patient) == before
    asked.refresh_from_db()
    assert (asked.state, asked.is_open) == (ErasureState.UNDONE, False)
    with pytest.raises(ValidationError, match="too late"):
        services.undo(user=personas.clinician, erasure=asked)
    ask(personas)  # and once more


def _rows(patient: Patient) -> Any:
    rows = Patient.everything.filter(pk=patient.pk).values()[0]
    return {name: value for name, value in rows.items() if name != "modified"}


def test_a_withdrawn_record_is_withdrawn_again_after_the_undo(personas):
    image = LesionImageFactory(lesion__patient=personas.own_patient)
    Patient.objects.filter(pk=personas.own_patient.pk).update(
        withdrawn_at=timezone.now(),
        withdrawn_by=personas.self_tracker,
        withdrawn_because="A slip.",
    )
    asked = services.ask_for_account(user=personas.self_tracker)
    services.undo(user=personas.self_tracker, erasure=asked)
    patient = Patient.everything.get(pk=personas.own_patient.pk)
    assert (patient.withdrawn_because, patient.erased_from) == ("A slip.", None)
    assert LesionImage.objects.filter(pk=image.pk).exists()


def test_undo_says_if_the_name_is_taken(personas, short):
    asked = ask(personas)
    services.confirm(user=personas.admin, erasure=asked)
    PatientFactory(clinic=personas.clinic, label=personas.patient.label)
    with pytest.raises(ValidationError, match="name"):
        services.undo(user=personas.admin, erasure=asked)
    asked.refresh_from_db()
    assert asked.state == ErasureState.PENDING


def test_only_who_may_see_it_undoes_it(personas, short):
    asked = ask(personas)
    own = services.ask_for_record(user=personas.self_tracker, patient=personas.own_patient)
    for nobody in (personas.viewer, personas.assistant, personas.colleague, personas.stranger):
        for erasure in (asked, own):
            with pytest.raises(PermissionDenied):
                services.undo(user=nobody, erasure=erasure)
    with pytest.raises(PermissionDenied):
        services.undo(user=personas.admin, erasure=own)


def test_an_owner_leaves_a_shared_record_and_may_come_back(personas):
    patient = PatientFactory(clinic=personas.clinic, owner=personas.self_tracker)
    _, secret = sharing.share(user=personas.self_tracker, patient=patient, recipient="Dr", days=7)
    asked = services.ask_for_record(user=personas.self_tracker, patient=patient)
    assert not Patient.objects.visible_to(personas.self_tracker).contains(patient)
    assert Patient.objects.visible_to(personas.viewer).contains(patient)
    with pytest.raises(Share.DoesNotExist):
        sharing.opened(secret)
    services.undo(user=personas.self_tracker, erasure=asked)
    assert Patient.objects.visible_to(personas.self_tracker).contains(patient)


# Meanwhile


def test_no_address_shows_what_is_to_be_erased(personas, short):
    """Neither to the clinic nor, of their own record, to the person, except on one page."""
    Patient.objects.filter(pk=personas.patient.pk).update(label=f"{MARK} patient")
    world = world_of(personas, "clinician")
    Erasure.objects.all().delete()
    rows = (world.patient, world.lesion, world.image, world.prediction, world.review, world.visit)
    words = {MARK} | {str(row.pk) for row in rows}
    visitor = Browser()
    visitor.force_login(personas.clinician)
    assert any(word in told(visitor.get("/patients/")) for word in words)
    services.confirm(user=personas.admin, erasure=ask(personas))
    lists = [
        reverse(name, args=())
        for name, line in MATRIX.items()
        if "GET" in line.methods and not line.args(world)
    ]
    found = []
    for url in [*lists, "/worklist/?reviewed=all", "/reminders/?whose=own"]:
        text = told(visitor.get(url)) if url != "/erasures/" else ""
        found += [(url, word) for word in words if word in text]
    assert len(lists) > 40
    assert not found
    for name, line in MATRIX.items():
        if "GET" in line.methods and line.args(world) and str(line.args(world)[0]) in words:
            url = reverse(name, args=line.args(world))
            assert visitor.get(url).status_code in (302, 404), url
    assert MARK in told(visitor.get("/erasures/"))
    answer = visitor.get(f"/patients/{world.patient.pk}/")
    assert answer["Location"] == "/erasures/"


def test_nothing_is_read_reminded_or_added_meanwhile(personas):
    patient = personas.own_patient
    image = LesionImageFactory(lesion__patient=patient)
    waiting = PredictionFactory(image=image, queued=True, model_version=reader.DEFAULT_VERSION)
    ReminderFactory(lesion=image.lesion, set_by=personas.self_tracker)
    assert emails.addressees()
    asked = services.ask_for_record(user=personas.self_tracker, patient=patient)
    assert emails.addressees() == {}
    assert queue.claim(waiting.pk) is None
    assert not Prediction.objects.claimable().exists()
    with pytest.raises((ValidationError, PermissionDenied)):
        image_services.add_image(
            user=personas.self_tracker, lesion=image.lesion, file=BytesIO(picture(3))
        )
    services.undo(user=personas.self_tracker, erasure=asked)
    claimed = queue.claim(waiting.pk)
    assert claimed is not None
    assert claimed.state == State.RUNNING


def test_access_ends_at_once_for_an_account(personas, client, django_capture_on_commit_callbacks):
    user = personas.self_tracker
    MembershipFactory(clinic=personas.clinic, user=user, role=Role.CLINICIAN)
    _, secret = account_services.create_api_key(user=user, name="K")
    _, link = sharing.share(user=user, patient=personas.own_patient, recipient="Dr", days=7)
    agreements.agree(user=user)
    elsewhere = Browser()
    elsewhere.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    assert elsewhere.get("/account/").status_code == 200
    client.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post("/account/erase/", {"typed": user.email.upper()})
    assert answer["Location"] == "/erasures/"
    assert Program(secret).get("/api/v1/patients/").status_code == 401
    assert Browser().get(f"/shared/{link}/").status_code == 404
    assert not Membership.objects.filter(user=user).exists()
    assert elsewhere.get("/account/")["Location"].startswith("/accounts/login/")
    # Who logs in can undo it, and nothing else.
    for path in ("/", "/account/", "/patients/", f"/patients/{personas.own_patient.pk}/"):
        assert client.get(path)["Location"] == "/erasures/"
    assert client.get("/api/v1/patients/").status_code == 403
    assert client.get("/privacy/").status_code == 200
    page = told(client.get("/erasures/"))
    assert "Your account is to be erased" in page
    erasure = Erasure.objects.get()
    assert client.post(f"/erasures/{erasure.pk}/undo/").status_code == 302
    assert client.get(f"/patients/{personas.own_patient.pk}/").status_code == 200
    assert not User.objects.exclude(erased_from=None).exists()
    assert "What you asked to erase is hidden now" in [one.subject for one in mail.outbox]


def test_the_word_must_be_typed(personas, client):
    client.force_login(personas.self_tracker)
    answer = client.post("/account/erase/", {"typed": "yes"})
    assert "typed" in answer.context["form"].errors
    assert not Erasure.objects.exists()


def test_a_recent_log_in_is_asked_for(personas, client, settings):
    client.force_login(personas.self_tracker)
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": 1.0}]
    session.save()
    for path in ("/account/erase/", f"/patients/{personas.own_patient.pk}/erase/"):
        for answer in (client.get(path), client.post(path, {"typed": "x"})):
            assert answer["Location"].startswith("/accounts/reauthenticate/")


def test_the_last_admin_hands_over_first(personas):
    with pytest.raises(ValidationError, match="only admin"):
        services.ask_for_account(user=personas.admin)
    assert personas.admin.memberships.exists()
    MembershipFactory(clinic=personas.clinic, role=Role.ADMIN)
    services.ask_for_account(user=personas.admin)
    assert not personas.admin.memberships.exists()


# The receipt


def test_the_list_of_what_will_go_can_be_saved_before(personas, client):
    LesionImageFactory(lesion__patient=personas.own_patient)
    asked = services.ask_for_account(user=personas.self_tracker)
    assert Browser().get(f"/erasures/receipt/{asked.token}/").status_code == 200
    saved = json.loads(Browser().get(f"/erasures/receipt/{asked.token}/receipt.json").content)
    assert saved["to_be_erased"]["pictures"] == 1
    assert receipts.is_genuine(saved)
    Erasure.objects.update(erased_from=timezone.now())
    eraser.erase_due()
    page = Browser().get(f"/erasures/receipt/{asked.token}/")
    assert "This site signed it" in page.content.decode()
    receipt = json.loads(Browser().get(f"/erasures/receipt/{asked.token}/receipt.json").content)
    assert receipts.is_genuine(receipt)
    assert receipt["erased"]["lesion images"] == 1
    assert Browser().get("/erasures/receipt/forged/").status_code == 404


def test_a_changed_receipt_is_told(personas):
    erasure = ErasureFactory(erased=True)
    page = Browser().get(f"/erasures/receipt/{erasure.token}/").content.decode()
    assert "The signature does not hold" in page


def test_the_pages_say_when_a_record_must_be_kept(personas, client, settings):
    settings.RETENTION_YEARS = 10
    client.force_login(personas.clinician)
    page = told(client.get(f"/patients/{personas.patient.pk}/erase/"))
    assert "must be kept until" in page
    assert "Ask for a second person" not in page
