"""Links for a doctor without an account: opened, ended, guarded by a code; opinions; and who can
see a record.
"""

from __future__ import annotations

import re
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from accounts import services
from screening.corrections import merges, moves
from screening.models import Opinion, Share, ShareOpening
from screening.predictions.outcomes import NOTHING
from screening.privacy import sharing
from screening.records import queries
from screening.reminders.services import make_calendar_link
from tests.clients import Browser
from tests.factories import (
    DicomDeliveryFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    WebhookFactory,
)
from tests.privacy.entries import entries

pytestmark = pytest.mark.django_db


@pytest.fixture
def lesion(personas):
    found = LesionFactory(patient=personas.patient, label="Left shoulder")
    PredictionFactory(image=LesionImageFactory(lesion=found), outcome="urgent")
    return found


def link(personas, **options) -> str:
    """The address of a new link to the clinic's patient."""
    fields = {"recipient": "Dr", "days": 7} | options
    _, secret = sharing.share(user=personas.clinician, patient=personas.patient, **fields)
    return reverse("shared", args=[secret])


def status(client, address: str) -> int:
    """Read to the end, which closes the file."""
    response = client.get(address)
    if response.streaming:
        response.getvalue()
    return response.status_code


def test_a_doctor_without_an_account_looks_and_each_opening_is_noted(client, personas, lesion):
    path = link(personas)
    page = client.get(path)
    text = page.content.decode()
    assert page.status_code == 200
    assert "Left shoulder" in text
    assert "Urgent" in text or "urgent" in text
    picture = re.search(r'src="(/shared/[^"]+)"', text)[1]
    assert status(client, picture) == 200
    report = client.get(f"{path}report.pdf")
    assert b"".join(report.streaming_content).startswith(b"%PDF")
    noted = ShareOpening.objects.order_by("created").values_list("what", flat=True)
    assert list(noted) == ["page", "picture", "report"]


def test_an_opening_is_noted_once_an_hour(client, personas, lesion, clock):
    path, other = link(personas), link(personas)
    images = [lesion.images.get(), LesionImageFactory(lesion=lesion)]

    def noted() -> int:
        for _ in range(3):
            for address in (path, *(f"{path}pictures/{one.pk}/" for one in images)):
                assert status(client, address) == 200
        return ShareOpening.objects.count()

    assert noted() == 3
    assert status(client, other) == 200
    assert ShareOpening.objects.count() == 4
    clock.ahead = timedelta(minutes=61)
    assert noted() == 7
    clock.ahead = timedelta(0)  # the clock was ahead, and is set back
    ShareOpening.objects.filter(created__lt=timezone.now() + timedelta(minutes=1)).delete()
    assert noted() == 6
    assert len(entries(what="shared")) == 10, "the audit log notes each"


ASKS = "Please look at the left shoulder <b>soon</b>."


def words(response) -> list[str]:
    """Of each page of a PDF."""
    file = BytesIO(response.getvalue())
    return [" ".join(page.extract_text().split()) for page in PdfReader(file).pages]


@pytest.mark.parametrize("of_lesion", [True, False])
def test_a_message_stands_above_the_record_and_before_the_report(
    client, personas, lesion, of_lesion
):
    path = link(personas, message=ASKS, recipient="Dr Away", lesion=lesion if of_lesion else None)
    page = client.get(path).content.decode()
    assert "Please look at the left shoulder &lt;b&gt;soon" in page
    assert "To Dr Away" in page
    printed = Browser()
    printed.force_login(personas.assistant)
    letter = reverse("share_letter", args=[Share.objects.get().pk])
    for first, *rest in (words(client.get(f"{path}report.pdf")), words(printed.get(letter))):
        assert "To: Dr Away" in first
        assert f"From: {personas.clinician}" in first
        assert ASKS in first
        assert ("Left shoulder" in first) == of_lesion
        assert "Left shoulder" in " ".join(rest)
    (entry,) = entries(what="share_letter")
    assert entry.actor == personas.assistant.pk
    assert entry.details["patients"] == [str(personas.patient.pk)]


def test_a_report_without_a_message_has_no_letter_but_one_is_printed(client, personas, lesion):
    path = link(personas)
    assert "To: Dr" not in " ".join(words(client.get(f"{path}report.pdf")))
    client.force_login(personas.clinician)
    letter = reverse("share_letter", args=[Share.objects.get().pk])
    assert "To: Dr" in words(client.get(letter))[0]
    sharing.revoke(user=personas.clinician, share=Share.objects.get())
    assert client.get(letter).status_code == 404


def test_a_link_to_one_lesion_shows_no_other(client, personas, lesion):
    other = LesionImageFactory(lesion=LesionFactory(patient=personas.patient, label="Elsewhere"))
    path = link(personas, lesion=lesion)
    assert "Elsewhere" not in client.get(path).content.decode()
    assert client.get(f"{path}pictures/{other.pk}/").status_code == 404
    assert status(client, f"{path}pictures/{lesion.images.get().pk}/") == 200


def test_only_a_digest_of_the_secret_is_kept(personas):
    _, secret = sharing.share(
        user=personas.clinician, patient=personas.patient, recipient="Dr", days=1, code="a secret"
    )
    row = str(Share.objects.values().get())
    assert secret not in row
    assert "a secret" not in row


def ends(how: str, personas, share: Share) -> None:
    if how == "revoked":
        sharing.revoke(user=personas.assistant, share=share)
    elif how == "expired":
        Share.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "the sharer left":
        personas.clinician.memberships.all().delete()
    elif how == "the sharer may only look":
        personas.clinician.memberships.update(role="viewer")
    elif how == "the sharer's account is closed":
        type(personas.clinician).objects.filter(pk=personas.clinician.pk).update(is_active=False)


@pytest.mark.parametrize(
    "how",
    [
        "revoked",
        "expired",
        "the sharer left",
        "the sharer may only look",
        "the sharer's account is closed",
    ],
)
def test_an_ended_link_opens_nothing(client, personas, lesion, how):
    path = link(personas)
    picture = f"{path}pictures/{lesion.images.get().pk}/"
    paths = (path, picture, f"{path}report.pdf")
    assert {status(client, address) for address in paths} == {200}
    ends(how, personas, Share.objects.get())
    assert {client.get(address).status_code for address in paths} == {404}
    assert client.post(path, {"name": "Dr", "text": "x"}).status_code == 404


def test_a_code_is_asked_for_before_anything_is_shown(client, personas, lesion):
    path = link(personas, code="open sesame")
    picture = f"{path}pictures/{lesion.images.get().pk}/"
    assert "Left shoulder" not in client.get(path).content.decode()
    assert client.get(picture).status_code == client.get(f"{path}report.pdf").status_code == 404
    client.post(path, {"name": "Dr", "text": "Harmless."})
    assert not Opinion.objects.exists()
    assert client.post(path, {"code": "open sesame"}).status_code == 302
    assert "Left shoulder" in client.get(path).content.decode()
    assert status(client, picture) == 200
    assert "Left shoulder" not in Browser().get(path).content.decode()


def test_who_has_no_code_has_not_looked_at_the_record(client, personas, lesion):
    path = link(personas, code="open sesame", lesion=lesion)
    client.get(path)
    client.post(path, {"code": "guessed"})
    looked = [kind for entry in entries() for kind in entry.details.get("records", {})]
    assert "share" in looked
    assert not {"patient", "lesion"} & set(looked)


def test_a_lesions_page_leads_to_a_link_to_it_alone(client, personas, lesion):
    client.force_login(personas.clinician)
    page = client.get(reverse("lesion", args=[lesion.pk])).content.decode()
    sharing_page = re.search(r'href="([^"]+)">Share this lesion by a link<', page)[1]
    client.post(sharing_page, {"recipient": "Dr", "days": "7"})
    assert Share.objects.get().lesion == lesion


def test_wrong_codes_close_the_link(client, personas):
    path = link(personas, code="open sesame")
    for _ in range(5):
        assert client.post(path, {"code": "guessed"}).status_code == 200
    assert client.post(path, {"code": "open sesame"}).status_code == 404


def test_whoever_made_a_link_is_told_that_wrong_codes_closed_it(personas, lesion, mailoutbox):
    path, other = (link(personas, code="open sesame", recipient=name) for name in ("Dr A", "Dr B"))
    guessing, owner = Browser(), Browser()
    owner.force_login(personas.clinician)
    page = reverse("patient_access", args=[personas.patient.pk])
    for _ in range(4):
        guessing.post(path, {"code": "guessed"})
    assert not mailoutbox
    assert "too many wrong codes" not in owner.get(page).text
    for _ in range(3):
        guessing.post(path, {"code": "guessed"})
    [mail] = mailoutbox
    assert mail.to == [personas.clinician.email]
    assert page in mail.body
    assert not re.search("urgent|shoulder|N-1", mail.subject + mail.body, re.I)
    closed = re.compile(r"<li>(?:(?!</li>).)*too many wrong codes.*?</li>", re.S)
    [row] = closed.findall(owner.get(page).text)
    assert "Dr A" in row
    owner.post(re.search(r'action="([^"]+)"', row)[1])
    assert not closed.findall(owner.get(page).text)
    assert Browser().post(other, {"code": "open sesame"}).status_code == 302


def test_a_code_gives_the_session_another_key(personas):
    path = link(personas, code="open sesame")
    guest, member = Browser(), Browser()
    guest.get(path)
    session = guest.session
    session["before"] = True
    session.save()
    guest.cookies["sessionid"] = session.session_key
    member.force_login(personas.colleague)
    for browser in (guest, member):
        before = browser.cookies["sessionid"].value
        assert browser.post(path, {"code": "open sesame"}).status_code == 302
        assert browser.cookies["sessionid"].value != before
        stale = Browser()
        stale.cookies["sessionid"] = before
        assert "Code" in stale.get(path).text
        assert browser.get(path).templates[0].name == "sharing/shared.html"
    assert member.get("/").wsgi_request.user == personas.colleague


def test_an_opinion_is_unverified_unless_signed_in_and_settles_nothing(client, personas, lesion):
    path = link(personas)
    client.post(path, {"name": "Dr Away", "text": "It is harmless."})
    client.force_login(personas.colleague)
    client.post(path, {"name": "Dr Here", "text": "Harmless."})
    page = client.get(reverse("patient_access", args=[personas.patient.pk]))
    assert page.status_code == 404  # a link gives a colleague elsewhere no more
    client.force_login(personas.clinician)
    text = client.get(reverse("patient_access", args=[personas.patient.pk])).content.decode()
    assert re.search(r"Dr Away</strong> <span[^>]*>unverified", text)
    assert re.search(r"Dr Here</strong> <span[^>]*>logged in as", text)
    found = queries.with_latest(type(lesion).objects.filter(pk=lesion.pk), personas.clinician)
    (shown,) = queries.attach_latest_images(list(found), personas.clinician)
    assert shown.standing.outcome == "urgent" != NOTHING


def test_an_opinion_goes_with_what_it_is_about(client, personas, lesion):
    def told(patient):
        text = client.get(reverse("patient_access", args=[patient.pk])).content.decode()
        return [said for said in ("Of the spot", "Of all of it") if said in text]

    for text, about in (("Of the spot", lesion), ("Of all of it", None)):
        link(personas, lesion=about)
        sharing.leave_opinion(share=Share.objects.get(lesion=about), name="Dr", text=text)
    into, third = (PatientFactory(clinic=personas.clinic) for _ in range(2))
    client.force_login(personas.admin)
    by = {"user": personas.admin, "acknowledged": True}
    merges.merge_patients(patient=personas.patient, into=into, **by)
    assert told(into) == ["Of the spot", "Of all of it"]
    lesion.refresh_from_db()
    moves.move_lesion(lesion=lesion, patient=third, **by)
    assert (told(into), told(third)) == (["Of all of it"], ["Of the spot"])


def test_who_may_only_look_shares_and_ends_nothing(personas):
    link(personas)
    with pytest.raises(PermissionDenied):
        sharing.share(user=personas.viewer, patient=personas.patient, recipient="Dr", days=1)
    with pytest.raises(PermissionDenied):
        sharing.revoke(user=personas.viewer, share=Share.objects.get())


@pytest.mark.parametrize("wrong", [{"days": 0}, {"days": 91}, {"code": "short"}, {"recipient": ""}])
def test_what_a_link_cannot_be(personas, wrong):
    with pytest.raises(ValidationError):
        link(personas, **wrong)


def test_the_page_shows_everyone_with_access_and_ends_a_link(client, personas):
    services.create_api_key(user=personas.assistant, name="Scanner")
    WebhookFactory(clinic=personas.clinic, name="Practice system")
    MembershipFactory(clinic=personas.clinic, user__email="fifth@example.org")
    calendars = [make_calendar_link(user=one) for one in (personas.admin, personas.viewer)]
    client.force_login(personas.admin)
    path = reverse("patient_access", args=[personas.patient.pk])
    made = client.post(path, {"recipient": "Dermatology", "days": "7"}).content.decode()
    address = re.search(r'id="share-link">[^<]*(/shared/[^<]+)<', made)[1]
    assert "data:image/svg+xml;base64," in made
    text = client.get(path).content.decode()
    for name in ("Dermatology", "Scanner", "Practice system", "fifth@example.org"):
        assert name in text, name
    for user in (personas.admin, personas.viewer):
        assert f"Calendar of {user}" in text
    assert text.count(reverse("calendar_revoke")) == 1, "one's own"
    client.post(reverse("calendar_revoke"))
    statuses = [Browser().get(reverse("calendar", args=[one])).status_code for one in calendars]
    assert statuses == [404, 200]
    assert address not in text  # shown once
    assert Browser().get(address).status_code == 200
    client.post(reverse("share_revoke", args=[Share.objects.get().pk]))
    assert Browser().get(address).status_code == 404


def test_each_row_without_a_switch_says_who_ends_it_and_how(client, personas, lesion):
    make_calendar_link(user=personas.viewer)
    node = DicomDeliveryFactory(image=lesion.images.get(), delivered=True, instance_uid="1.2").node
    path = reverse("patient_access", args=[personas.patient.pk])

    def told(user) -> str:
        client.force_login(user)
        return " ".join(client.get(path).text.split())

    text = told(personas.clinician)
    assert f"{personas.viewer} can end the link, under Reminders; it also ends" in text
    assert f"when an admin removes them from {personas.clinic}" in text
    assert f"An admin of {personas.clinic} can remove it" in text
    assert reverse("dicom_node", args=[node.pk]) not in text
    text = told(personas.admin)
    assert f"when you remove them from {personas.clinic}" in text
    assert reverse("dicom_node", args=[node.pk]) in text
    assert "Only whoever runs the archive can delete what is there" in text
    client.post(reverse("dicom_node_remove", args=[node.pk]))
    text = told(personas.admin)
    assert "Removed: nothing more is sent there" in text
    assert reverse("dicom_node", args=[node.pk]) not in text


def test_an_admin_ends_keys_that_are_bound_to_the_clinic_and_no_others(client, personas):
    """One that is not bound acts for its owner elsewhere too: whoever is removed takes it along."""
    owner = personas.assistant
    bound, secret = services.create_api_key(user=owner, name="Scanner", clinic=personas.clinic)
    free, _ = services.create_api_key(user=owner, name="Phone")
    client.force_login(personas.admin)
    text = client.get(reverse("patient_access", args=[personas.patient.pk])).content.decode()
    addresses = [reverse("api_key_revoke", args=[key.pk]) for key in (bound, free)]
    assert [address in text for address in addresses] == [True, False]
    headers = {"Authorization": f"Bearer {secret}"}
    assert Browser().get("/api/v1/patients/", headers=headers).status_code == 200
    assert [client.post(address).status_code for address in addresses] == [302, 404]
    assert Browser().get("/api/v1/patients/", headers=headers).status_code == 401
    free.refresh_from_db()
    assert free.revoked_at is None
    client.force_login(personas.clinician)
    assert client.post(addresses[0]).status_code == 404
