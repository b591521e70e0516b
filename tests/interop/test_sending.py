"""Pictures to DICOM nodes: sent, retried, refused, and never those that may not leave."""

from __future__ import annotations

import errno
import json
import re
from contextlib import suppress
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from pydicom import dcmread

from accounts import services as account_services
from accounts.models import Membership
from screening import sweeper, tasks
from screening.corrections import services as corrections
from screening.erasure import eraser
from screening.erasure import services as erasure_services
from screening.errors import Busy, Damaged, KeyMissing
from screening.interop.dicom import uids
from screening.interop.dicomweb import nodes, sending, stow
from screening.models import (
    AuditEntry,
    DicomDelivery,
    DicomNode,
    Erasure,
    ExternalIdentifier,
    LesionImage,
    Patient,
)
from screening.privacy import services as audit
from tests.factories import (
    AgreementFactory,
    ClinicFactory,
    DicomDeliveryFactory,
    DicomNodeFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    UserFactory,
)
from tests.interop.conftest import STORED

REFUSED = json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": {"Value": [290]}}]}}).encode()


def send(user, image, node, **options) -> DicomDelivery:
    sending.send(user=user, lesion=image.lesion, node=node, **options)
    return work(image)


def work(image: LesionImage) -> DicomDelivery:
    """What a courier does of what is due."""
    for pk in sending.due(rung_before=timezone.now()):
        tasks.store_in_node_task(str(pk))
    return image.dicom_deliveries.first()


def let_time_pass(**by: float) -> None:
    ago = timedelta(**by)
    for one in DicomDelivery.objects.all():
        DicomDelivery.objects.filter(pk=one.pk).update(
            due_at=one.due_at - ago, given_up_at=one.given_up_at - ago
        )
    DicomNode.objects.update(rests_until=None)


def instances(body: bytes, content_type: str) -> list[bytes]:
    boundary = re.search("boundary=(.+)", content_type)[1].encode()
    parts = body.split(b"\r\n--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    return [one.partition(b"\r\n\r\n")[2] for one in parts[1:-1]]


def test_a_picture_is_stored_as_the_standard_says(personas, node, archive, image):
    delivery = send(personas.assistant, image, node)
    assert (delivery.state, delivery.status_code, delivery.message) == ("delivered", 200, "")
    [(path, headers, body)] = archive.got
    assert path == "/dicom-web/studies"
    assert headers["content-type"].startswith('multipart/related; type="application/dicom"; b')
    assert headers["accept"] == "application/dicom+json"
    assert headers["authorization"] == "Basic dXM6cMOkc3N3b3Jk"
    [file] = instances(body, headers["content-type"])
    sent = dcmread(BytesIO(file))
    assert sent.SOPInstanceUID == delivery.instance_uid == uids.instance_uid(image)
    assert (sent.StudyInstanceUID, sent.SeriesInstanceUID) == (
        delivery.study_uid,
        delivery.series_uid,
    )
    assert sent.PatientID == str(personas.patient.pk)
    assert personas.patient.label not in str(sent)


def test_the_readings_go_along_if_so_wished(personas, node, archive, image):
    PredictionFactory(image=image)
    send(personas.clinician, image, node, with_readings=True)
    [(_, headers, body)] = archive.got
    picture, report = map(dcmread, map(BytesIO, instances(body, headers["content-type"])))
    assert report.Modality == "SR"
    assert report.StudyInstanceUID == picture.StudyInstanceUID


def test_it_is_told_if_no_reading_went_along(personas, node, archive, image):
    delivery = send(personas.clinician, image, node, with_readings=True)
    assert (delivery.state, delivery.message) == ("delivered", sending._NO_READING)
    archive.status, archive.answer = 503, b""
    delivery = send(personas.clinician, image, node, with_readings=True)
    assert delivery.message == "The node answered with status 503."


def test_a_token_is_sent_as_one(personas, archive, image):
    node = nodes.add_node(
        user=personas.admin,
        clinic=personas.clinic,
        name="A",
        address=archive.url,
        authorization="bearer",
        credentials="abc.def",
    )
    send(personas.clinician, image, node)
    assert archive.got[0][1]["authorization"] == "Bearer abc.def"


def test_every_picture_is_sent_one_after_the_other(personas, node, archive, image):
    LesionImageFactory.create_batch(2, lesion=image.lesion)
    assert len(sending.send(user=personas.clinician, lesion=image.lesion, node=node)) == 3
    for sent in (1, 2, 3):
        assert len(sending.due(rung_before=timezone.now())) == 1
        work(image)
        assert len(archive.got) == sent
    assert sending.send(user=personas.clinician, lesion=image.lesion, node=node), "sent again"


def test_what_is_on_its_way_is_not_sent_twice(personas, node, image):
    [one] = sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    assert sending.send(user=personas.clinician, lesion=image.lesion, node=node) == []
    assert DicomDelivery.objects.get() == one


def test_only_one_courier_gets_it(personas, node, image):
    [one] = sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    assert sending.claim(one.pk) is not None
    assert sending.claim(one.pk) is None


@pytest.mark.parametrize("to_the_same", [True, False])
def test_one_picture_is_sent_at_a_time(personas, node, image, monkeypatch, to_the_same):
    """A node that hangs leaves a courier free for webhooks. The next delivery starts when it is
    over.
    """
    (one,) = sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    second = node if to_the_same else DicomNodeFactory(clinic=node.clinic)
    other = DicomDeliveryFactory(node=second, image=LesionImageFactory(lesion=image.lesion))
    claimed = sending.claim(one.pk)
    assert sending.claim(other.pk) is None
    assert sending.due(rung_before=timezone.now()) == []
    monkeypatch.setattr(stow, "store", lambda *_: stow.Verdict(stow.Result.TRY_AGAIN, "Away."))
    sending.deliver(claimed)
    assert sending.claim(other.pk) == (None if to_the_same else other), "a node that is away rests"


def test_a_refused_picture_is_not_sent_again_by_itself(personas, node, archive, image):
    archive.status, archive.answer = 409, REFUSED
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.tries, delivery.status_code) == ("failed", 1, 409)
    assert "does not store this kind of instance (0122)" in delivery.message
    let_time_pass(days=1)
    work(image)
    assert len(archive.got) == 1

    archive.status, archive.answer = 200, STORED
    sending.send_again(user=personas.assistant, delivery=delivery)
    again = work(image)
    assert again == delivery
    assert (again.state, again.tries, again.message) == ("delivered", 2, "")
    assert again.sent_by == personas.assistant


def test_partly_stored_is_a_failure_that_says_which(personas, node, archive, image):
    archive.status, archive.answer = 202, REFUSED
    delivery = send(personas.clinician, image, node)
    assert delivery.state == "failed"
    assert "Not stored: the picture" in delivery.message


def test_a_busy_node_is_tried_again_with_growing_pauses_for_a_day(personas, node, archive, image):
    archive.status = 503
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.tries) == ("waiting", 1)
    assert delivery.due_at > timezone.now() + timedelta(seconds=7)
    node.refresh_from_db()
    assert node.failures == 1
    assert node.rests_until > timezone.now()
    assert work(image).tries == 1, "it rests"
    pauses = []
    while delivery.state == "waiting":
        pauses.append(delivery.due_at - timezone.now())
        let_time_pass(seconds=pauses[-1].total_seconds() + 1)
        delivery = work(image)
    assert delivery.state == "failed"
    assert "status 503" in delivery.message
    assert len(archive.got) == delivery.tries > 8
    assert pauses[4] > pauses[2] > pauses[0]


def test_the_pause_that_a_node_asks_for_is_kept(personas, node, archive, image):
    archive.status, archive.headers = 429, {"Retry-After": "600"}
    delivery = send(personas.clinician, image, node)
    assert delivery.due_at > timezone.now() + timedelta(seconds=590)


def test_a_node_that_hangs_is_left(personas, node, archive, image, monkeypatch):
    archive.drip = 0.3
    monkeypatch.setattr(stow, "SECONDS", 1)
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.status_code) == ("waiting", None)
    assert delivery.message == "No answer within 1 seconds."


def test_a_node_that_is_away_is_tried_again(personas, node, image):
    DicomNode.objects.update(address="http://127.0.0.1:9/dicom-web")
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.status_code) == ("waiting", None)
    assert "nothing answers" in delivery.message


@pytest.mark.parametrize(
    "error", [KeyMissing(errno.ENOKEY, "No key."), Busy(), ZeroDivisionError()]
)
def test_a_fault_of_ours_is_not_counted_as_the_nodes(personas, node, image, monkeypatch, error):
    def packed(*args: object) -> bytes:
        raise error

    monkeypatch.setattr(sending, "to_dicom", packed)
    with suppress(ZeroDivisionError):
        send(personas.clinician, image, node)
    assert DicomDelivery.objects.get().state == "waiting"
    node.refresh_from_db()
    assert (node.failures, node.rests_until) == (0, None)


def test_what_was_refused_here_says_nothing_about_the_node(personas, node, archive, image):
    """A node that is away is not taken for back because a picture was withdrawn."""
    archive.status = 503
    send(personas.clinician, image, node)
    let_time_pass(minutes=1)
    corrections.withdraw(user=personas.clinician, record=image, reason="A finger.")
    assert work(image).state == "failed"
    node.refresh_from_db()
    assert node.failures == 1


def test_a_picture_that_is_encrypted_anew_meanwhile_is_tried_again(
    personas, node, archive, image, monkeypatch
):
    def packed(picture: LesionImage, *args: object) -> bytes:
        LesionImage.objects.filter(pk=picture.pk).update(file="images/new.jpg")
        raise Http404

    monkeypatch.setattr(sending, "to_dicom", packed)
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.message) == ("waiting", sending._SEALED_MEANWHILE)


def test_no_attempt_is_made_after_the_day_is_over(personas, node, archive, image):
    """If we were down then, and there was one before; else there is still a full day of them."""
    archive.status = 503
    delivery = send(personas.clinician, image, node)
    let_time_pass(days=2)
    delivery = work(image)
    assert (delivery.state, len(archive.got)) == ("failed", 1)
    assert delivery.message == (
        "Given up after a day. The last attempt: The node answered with status 503."
    )

    DicomDelivery.objects.all().delete()
    sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    let_time_pass(days=2)
    delivery = work(image)
    assert (delivery.state, delivery.tries, len(archive.got)) == ("waiting", 1, 2)


def test_a_courier_that_is_killed_counts_as_an_attempt(personas, node, image):
    [one] = sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    sending.claim(one.pk)
    DicomDelivery.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert sending.due(rung_before=timezone.now()) == []
    one.refresh_from_db()
    assert (one.state, one.tries, one.message) == ("waiting", 1, "The sending was cut off here.")


def test_a_private_address_is_never_connected_to(personas, node, archive, image, settings):
    """Whatever the address was when it was entered: a name may resolve differently since."""
    settings.WEBHOOK_ALLOW_PRIVATE = False
    DicomNode.objects.update(address=archive.url.replace("http:", "https:"))
    delivery = send(personas.clinician, image, node)
    assert "Only port 443" in delivery.message
    DicomNode.objects.update(address="https://127.0.0.1/dicom-web", rests_until=None)
    let_time_pass(minutes=1)
    assert "not on the public internet" in work(image).message
    assert archive.got == []


def test_no_redirect_is_followed(personas, node, archive, image):
    archive.status, archive.headers = 307, {"Location": f"{archive.url}/elsewhere/studies"}
    assert send(personas.clinician, image, node).state == "failed"
    assert len(archive.got) == 1


@pytest.mark.parametrize("what", ["withdrawn", "left", "viewer", "removed", "inactive", "lost"])
def test_what_may_not_be_sent_any_more_is_not_sent(personas, node, archive, image, what):
    user = MembershipFactory(clinic=personas.clinic, role="clinician").user
    sending.send(user=user, lesion=image.lesion, node=node)
    held = Membership.objects.filter(user=user)
    if what == "withdrawn":
        corrections.withdraw(user=personas.clinician, record=image, reason="A finger.")
    elif what == "left":
        held.delete()
    elif what == "viewer":
        held.update(role="viewer")
    elif what == "removed":
        nodes.remove_node(user=personas.admin, node=node)
    elif what == "inactive":
        user.is_active = False
        user.save()
    else:
        image.file.storage.delete(image.file.name)
    work(image)
    delivery = DicomDelivery.objects.get()
    assert delivery.state == "failed"
    assert delivery.message
    assert archive.got == []


def test_what_was_never_sent_is_not_told_as_sent(client, personas, node, image):
    sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    corrections.withdraw(user=personas.clinician, record=image, reason="A finger.")
    work(image)
    client.force_login(personas.clinician)
    page = client.get(reverse("patient_access", args=[personas.patient.pk])).content.decode()
    assert node.address not in page


def test_the_person_who_is_no_member_sends_nothing_to_a_node_of_the_clinic(
    personas, node, archive, image
):
    """The clinic sends to its nodes, even if the person may change the record."""
    owner = UserFactory()
    Patient.objects.update(owner=owner)
    failed = DicomDeliveryFactory(node=node, image=image, failed=True)
    failed = DicomDelivery.objects.get(pk=failed.pk)
    with pytest.raises(PermissionDenied):
        sending.send_again(user=owner, delivery=failed)
    DicomDeliveryFactory(node=node, image=image, sent_by=owner)
    assert work(image).state == "failed"
    assert archive.got == []


def test_a_picture_that_is_erased_while_it_is_packed_is_not_sent(
    personas, node, archive, image, monkeypatch
):
    def packed(*args: object) -> bytes:
        DicomDelivery.objects.all().delete()
        return b"DICM"

    monkeypatch.setattr(sending, "to_dicom", packed)
    send(personas.clinician, image, node)
    assert archive.got == []


def test_a_key_that_is_missing_delays_and_a_lost_mask_is_told(
    personas, node, archive, image, monkeypatch
):
    def unreadable(error: Exception) -> None:
        def raised(*args: object) -> bytes:
            raise error

        monkeypatch.setattr(sending, "to_dicom", raised)

    unreadable(KeyMissing(errno.ENOKEY, "No key."))
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.message) == ("waiting", sending._NO_KEY)
    unreadable(Damaged("The mask."))
    let_time_pass(minutes=1)
    assert "cannot be opened" in work(image).message
    assert archive.got == []


def test_what_nobody_foresaw_counts_as_an_attempt_at_once(personas, node, image, monkeypatch):
    monkeypatch.setattr(sending, "to_dicom", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        send(personas.clinician, image, node)
    delivery = DicomDelivery.objects.get()
    assert (delivery.state, delivery.tries) == ("waiting", 1)
    assert delivery.message == "An error occurred here."


def test_a_moved_picture_that_the_node_has_of_another_person_is_no_success(
    personas, node, archive, image
):
    first = send(personas.clinician, image, node)
    LesionImage.objects.update(lesion=LesionFactory(patient=PatientFactory(clinic=personas.clinic)))
    image = LesionImage.objects.get()
    archive.status, archive.answer = 409, REFUSED.replace(b"290", b"273")
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.study_uid) == ("failed", first.study_uid)
    assert "in another study" in delivery.message
    sending.send_again(user=personas.clinician, delivery=delivery)
    delivery = work(image)
    assert delivery.state == "failed"

    archive.status, archive.answer = 200, STORED
    sending.send_again(user=personas.clinician, delivery=delivery)
    delivery = work(image)
    assert delivery.state == "delivered"
    assert delivery.study_uid == uids.study_uid(image.lesion.patient_id, image.captured_on)
    archive.status, archive.answer = 409, REFUSED.replace(b"290", b"273")
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.message) == ("delivered", "The node had it already.")


def test_withdrawn_pictures_are_left_out(personas, node, image):
    gone = LesionImageFactory(lesion=image.lesion)
    corrections.withdraw(user=personas.clinician, record=gone, reason="A finger.")
    [one] = sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    assert one.image == image


def test_a_node_for_research_gets_those_who_consented_alone(personas, node, archive, image):
    nodes.edit_node(user=personas.admin, node=node, for_research=True)
    other = LesionImageFactory(lesion__patient=PatientFactory(clinic=personas.clinic))
    with pytest.raises(ValidationError, match="has not consented"):
        sending.send(user=personas.clinician, lesion=other.lesion, node=node)
    sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    personas.patient.consents.update(withdrawn_at=timezone.now(), withdrawn_by=personas.clinician)
    assert work(image).state == "failed", "withdrawn meanwhile"
    assert archive.got == []


def test_a_lesion_without_pictures_has_nothing_to_send(personas, node):
    lesion = LesionFactory(patient=personas.patient)
    with pytest.raises(ValidationError, match="no picture"):
        sending.send(user=personas.clinician, lesion=lesion, node=node)


def test_who_may_not_write_or_is_elsewhere_sends_nothing(personas, node, image):
    for user in (personas.viewer, personas.colleague, personas.stranger):
        with pytest.raises(PermissionDenied):
            sending.send(user=user, lesion=image.lesion, node=node)
    foreign = DicomNodeFactory(clinic=ClinicFactory())
    with pytest.raises(ValidationError, match="of the clinic"):
        sending.send(user=personas.clinician, lesion=image.lesion, node=foreign)
    failed = DicomDeliveryFactory(node=node, image=image, failed=True)
    with pytest.raises(PermissionDenied):
        sending.send_again(user=personas.viewer, delivery=failed)


def test_only_what_failed_is_sent_again(personas, node, image):
    done = DicomDeliveryFactory(node=node, image=image, delivered=True)
    with pytest.raises(ValidationError, match="Only what failed"):
        sending.send_again(user=personas.clinician, delivery=done)
    failed = DicomDeliveryFactory(node=node, image=image, failed=True)
    DicomDeliveryFactory(node=node, image=image)
    with pytest.raises(ValidationError, match="on its way"):
        sending.send_again(user=personas.clinician, delivery=failed)


def test_without_a_courier_the_sweep_sends(personas, node, archive, image):
    sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    sweeper.deliver_where_nobody_does()
    assert len(archive.got) == 1


def test_without_a_courier_a_node_that_hangs_does_not_hold_the_sweep(
    personas, node, archive, image, monkeypatch
):
    archive.drip = 0.3
    monkeypatch.setattr(sweeper, "LONGEST_STORE", 1)
    sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    sweeper.deliver_where_nobody_does()
    assert image.dicom_deliveries.get().message == "No answer within 1 seconds."


def test_the_audit_log_has_who_sent_it_and_that_it_left(client, personas, node, archive, image):
    client.force_login(personas.clinician)
    client.post(reverse("lesion_send", args=[image.lesion_id]), {"node": str(node.pk)})
    work(image)
    audit.chain_all()
    found = [one for one in AuditEntry.objects.all() if "dicomdelivery" in str(one.details)]
    assert {(one.act, one.actor) for one in found} >= {("write", personas.clinician.pk)}
    assert all(str(personas.patient.pk) in one.details["patients"] for one in found)
    assert all(one.details["records"]["dicomnode"] == [str(node.pk)] for one in found), "where to"


def test_erasure_says_where_copies_are(personas, node, archive, image, settings):
    send(personas.clinician, image, node)
    settings.RETENTION_YEARS = 0
    erasure = erasure_services.ask_for_record(
        user=personas.clinician, patient=personas.patient, ground="person_asks"
    )
    erasure_services.confirm(user=personas.admin, erasure=erasure)
    Erasure.objects.update(erased_from=timezone.now())
    eraser.erase_due()
    kept = Erasure.objects.get().receipt["kept"]
    [told] = [one for one in kept if "pictures sent to" in one["what"]]
    assert (told["what"], told["count"]) == ("pictures sent to 127.0.0.1", 1)
    assert not DicomDelivery.objects.exists()


def test_erasure_says_where_copies_of_moved_pictures_are(personas, node, archive, image, settings):
    """The node has them as pictures of the person whose record is erased."""
    delivery = send(personas.clinician, image, node)
    LesionImage.objects.update(lesion=LesionFactory(patient=PatientFactory(clinic=personas.clinic)))
    settings.RETENTION_YEARS = 0
    erasure = erasure_services.ask_for_record(
        user=personas.clinician, patient=personas.patient, ground="person_asks"
    )
    erasure_services.confirm(user=personas.admin, erasure=erasure)
    Erasure.objects.update(erased_from=timezone.now())
    eraser.erase_due()
    kept = Erasure.objects.get().receipt["kept"]
    assert [one["count"] for one in kept if "pictures sent to" in one["what"]] == [1]
    delivery.refresh_from_db()
    assert (delivery.study_uid, delivery.instance_uid) == ("", uids.instance_uid(image))


def test_the_page_about_access_lists_where_pictures_went(client, personas, node, archive, image):
    client.force_login(personas.clinician)
    path = reverse("patient_access", args=[personas.patient.pk])
    assert node.address not in client.get(path).content.decode()
    send(personas.clinician, image, node)
    nodes.remove_node(user=personas.admin, node=node)
    assert node.address in client.get(path).content.decode(), "also of a removed one"


def test_our_own_server_is_a_node(personas, image, live_server, settings):
    """Sent from one clinic to another, which knows neither the patient nor the lesion."""
    settings.WEBHOOK_ALLOW_PRIVATE = True
    there = MembershipFactory(clinic=ClinicFactory(), role="admin")
    AgreementFactory(user=there.user, clinic=there.clinic)
    _, key = account_services.create_api_key(user=there.user, clinic=there.clinic, name="x")
    node = nodes.add_node(
        user=personas.admin,
        clinic=personas.clinic,
        name="Other",
        address=f"{live_server.url}/dicomweb/",
        authorization="bearer",
        credentials=key,
    )
    assert nodes.test_node(user=personas.admin, node=node).answers
    delivery = send(personas.clinician, image, node)
    assert (delivery.state, delivery.status_code) == ("delivered", 202)
    assert delivery.message == "Stored, but: it changed data elements (B000)."
    [stored] = LesionImage.objects.filter(lesion__patient__clinic=there.clinic)
    kept = ExternalIdentifier.objects.get(image=stored)
    assert kept.value == f"urn:oid:{delivery.instance_uid}"
