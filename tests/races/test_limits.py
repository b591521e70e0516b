"""Limits that are counted, and unique values, hold against threads as well: each attempt either
counts or is rejected with a message.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection

from accounts import invitations, services
from accounts.models import Clinic, Invitation, User
from accounts.roles import Role
from screening.exports import services as export_services
from screening.images import services as image_services
from screening.models import Export, LesionImage, Opinion, Patient, Share, Webhook
from screening.models.share import WRONG_CODES
from screening.privacy import following, sharing
from screening.records import services as record_services
from screening.webhooks import services as webhook_services
from tests.accounts.test_log_in import AGREED
from tests.clients import Browser
from tests.factories import (
    PASSWORD,
    ClinicFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    picture,
)
from tests.races.test_races import at_once, faults

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]


def let_through(results, most):
    """``most`` succeeded, and the others were refused with a message."""
    refused = faults(results)
    assert all(isinstance(one, ValidationError) for one in refused), results
    assert len(results) - len(refused) == most, results


@pytest.fixture
def link(personas):
    return sharing.share(
        user=personas.admin, patient=personas.patient, recipient="Dr. X", days=3, code="123456"
    )


def test_sixteen_codes_are_guessed(link, monkeypatch):
    checked = []
    check = sharing.check_password
    monkeypatch.setattr(
        sharing, "check_password", lambda *told: checked.append(told) or check(*told)
    )
    share, secret = link
    results = at_once(*[lambda: sharing.is_code(sharing.opened(secret), "999999")] * 16)
    assert all(one is False or isinstance(one, Share.DoesNotExist) for one in results)
    assert len(checked) == WRONG_CODES
    share.refresh_from_db()
    assert share.wrong_codes == WRONG_CODES
    assert not sharing.is_code(share, "123456")


def test_the_right_code_costs_nothing(link):
    share, _ = link
    assert at_once(*[lambda: sharing.is_code(share, "123456")] * 4) == [True] * 4
    share.refresh_from_db()
    assert share.wrong_codes == 0


def test_a_link_takes_so_many_opinions(link, monkeypatch):
    monkeypatch.setattr(sharing, "OPINIONS", 3)
    share, _ = link
    results = at_once(*[lambda: sharing.leave_opinion(share=share, name="X", text="Y")] * 8)
    let_through(results, 3)
    assert Opinion.objects.count() == 3


def test_twelve_clinics_are_founded(personas):
    works = [
        lambda name=name: services.found_clinic(user=personas.stranger, name=f"Clinic {name}")
        for name in "ABCDEFGHIJKL"
    ]
    let_through(at_once(*works), services.CLINICS_A_DAY)
    assert Clinic.objects.filter(memberships__user=personas.stranger).count() == 3


def test_ten_clinics_invite_one_address(personas):
    admins = MembershipFactory.create_batch(10, role=Role.ADMIN)
    works = [
        lambda one=one: invitations.invite(
            user=one.user, clinic=one.clinic, email="new@example.org", role="viewer"
        )
        for one in admins
    ]
    let_through(at_once(*works), invitations.TO_ONE_ADDRESS)
    assert Invitation.objects.count() == invitations.TO_ONE_ADDRESS


def test_an_admin_of_twelve_clinics_invites(personas):
    mine = MembershipFactory.create_batch(12, role=Role.ADMIN, user=personas.stranger)
    works = [
        lambda one=one, number=number: invitations.invite(
            user=one.user, clinic=one.clinic, email=f"{number}@{one.pk.hex}.org", role="viewer"
        )
        for one in mine
        for number in range(2)
    ]
    let_through(at_once(*works), invitations.BY_ONE_PERSON)
    assert Invitation.objects.count() == invitations.BY_ONE_PERSON


def test_one_person_invites_clinics_to_many_records(personas, monkeypatch):
    monkeypatch.setattr(following, "INVITATIONS_A_DAY", 3)
    clinic = services.renew_code(user=personas.admin, clinic=personas.clinic)
    records = PatientFactory.create_batch(8, clinic=None, owner=personas.self_tracker)
    works = [
        lambda record=record: following.invite(
            user=personas.self_tracker, patient=record, code=clinic.code
        )
        for record in records
    ]
    let_through(at_once(*works), 3)


@pytest.mark.parametrize("of_clinic", [True, False])
def test_webhooks_are_added(personas, monkeypatch, of_clinic):
    monkeypatch.setattr(webhook_services, "MAX_WEBHOOKS", 3)
    fields = {"name": "X", "target": "https://93.184.215.14/", "events": ["image.created"]}
    clinic = personas.clinic if of_clinic else None
    results = at_once(
        *[
            lambda: webhook_services.add_webhook(user=personas.admin, clinic=clinic, **fields),
        ]
        * 8
    )
    let_through(results, 3)
    assert Webhook.objects.count() == 3


def test_one_picture_is_added_to_four_lesions(personas, settings):
    data = picture(77)
    works = [
        lambda lesion=lesion: image_services.add_image(
            user=personas.admin, lesion=lesion, file=BytesIO(data)
        )
        for lesion in LesionFactory.create_batch(4, patient=personas.patient)
    ]
    let_through(at_once(*works), 1)
    image = LesionImage.objects.get()
    files = {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}
    assert files == {Path(file.path) for file in image.stored_files}


def test_one_address_signs_up_at_once(personas):
    cache.clear()  # sign-ups of other tests count against the same address
    data = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD, **AGREED}
    results = at_once(*[lambda: Browser().post("/accounts/signup/", data).status_code] * 4)
    assert set(results) <= {200, 302}, results
    assert User.objects.filter(email="new@example.org").count() == 1


@pytest.mark.parametrize("of_clinic", [True, False])
def test_pictures_fill_the_last_room(personas, settings, of_clinic):
    user, owner = personas.admin, {} if of_clinic else {"clinic": None, "owner": personas.admin}
    patients = [PatientFactory(**owner or {"clinic": personas.clinic}) for _ in range(6)]
    lesions = [LesionFactory(patient=patient) for patient in patients]
    setattr(settings, "CLINIC_STORAGE_MB" if of_clinic else "ACCOUNT_STORAGE_MB", 1)
    size = max(
        len(clean.data) + len(clean.thumbnail)
        for clean in (image_services.cleaned(BytesIO(picture(n))) for n in range(80, 86))
    )
    LesionImageFactory(lesion=lesions[0], stored_bytes=10**6 - 2 * size)
    before = {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()}
    works = [
        lambda lesion=lesion, n=n: image_services.add_image(
            user=user, lesion=lesion, file=BytesIO(picture(n))
        )
        for n, lesion in enumerate(lesions, 80)
    ]
    let_through(at_once(*works), 2)
    added = LesionImage.objects.exclude(stored_bytes=10**6 - 2 * size)
    files = {path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()} - before
    assert files == {Path(file.path) for image in added for file in image.stored_files}


def test_one_picture_is_added_to_one_lesion(personas):
    lesion, data = LesionFactory(patient=personas.patient), picture(78)
    results = at_once(
        *[lambda: image_services.add_image(user=personas.admin, lesion=lesion, file=BytesIO(data))]
        * 6
    )
    assert not faults(results)
    assert len({added.image.pk for added in results}) == 1
    assert sum(added.is_new for added in results) == 1


@pytest.mark.parametrize("of_account", [True, False])
def test_one_export_is_asked_for_eight_times(personas, of_account):
    patient = None if of_account else personas.patient
    results = at_once(
        *[lambda: export_services.request_export(user=personas.admin, patient=patient)] * 8
    )
    assert not faults(results)
    assert {export.pk for export in results} == {Export.objects.get().pk}


def test_many_exports_are_asked_for(personas, monkeypatch):
    monkeypatch.setattr(export_services, "A_DAY", 3)
    works = [
        lambda patient=patient: export_services.request_export(user=personas.admin, patient=patient)
        for patient in PatientFactory.create_batch(8, clinic=personas.clinic)
    ]
    let_through(at_once(*works), 3)


def test_six_patients_get_one_label(personas):
    results = at_once(
        *[
            lambda: record_services.register_patient(
                user=personas.clinician, clinic=personas.clinic, label="One"
            )
        ]
        * 6
    )
    let_through(results, 1)
    assert {str(one) for one in faults(results)} == {str(faults(results)[0])}
    assert "has this name" in str(faults(results)[0])


def test_three_patients_are_given_one_label(personas):
    works = [
        lambda patient=patient: record_services.edit_patient(
            user=personas.admin, patient=patient, label="One"
        )
        for patient in PatientFactory.create_batch(3, clinic=personas.clinic)
    ]
    let_through(at_once(*works), 1)


def test_clinics_are_followed_under_one_label(personas):
    """Two records that the clinic calls the same when it accepts both."""
    clinic = services.renew_code(user=personas.admin, clinic=personas.clinic)
    invited = [
        following.invite(user=record.owner, patient=record, code=clinic.code)
        for record in PatientFactory.create_batch(3, clinic=None, owner=personas.self_tracker)
    ]
    works = [
        lambda one=one: following.accept(user=personas.admin, following=one, label="One")
        for one in invited
    ]
    let_through(at_once(*works), 1)
    assert Patient.objects.filter(clinic=personas.clinic, label="One").count() == 1


def test_the_page_answers_with_its_message(personas):
    """Five clinicians send the form at the same moment."""
    browsers = [Browser() for _ in range(5)]
    for browser in browsers:
        browser.force_login(personas.clinician)
    sent = {"label": "One", "clinic": str(personas.clinic.pk), "place": str(personas.clinic.pk)}
    sent["consents"] = sent["confirms"] = "on"
    answers = at_once(
        *[lambda browser=browser: browser.post("/patients/new/", sent) for browser in browsers]
    )
    assert not faults(answers)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 302]
    for answer in answers:
        assert answer.status_code == 302 or "has this name" in answer.content.decode()


def test_two_clinics_use_one_label(personas):
    other = MembershipFactory(clinic=ClinicFactory(), role=Role.ADMIN)
    results = at_once(
        *[
            lambda user=user, clinic=clinic: record_services.register_patient(
                user=user, clinic=clinic, label="One", confirms=True
            )
            for user, clinic in ((personas.clinician, personas.clinic), (other.user, other.clinic))
        ]
    )
    assert not faults(results)
