"""A clinic's DICOM nodes: who manages them, their credentials, and testing whether they answer."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import reverse

from accounts import services as account_services
from screening.interop.dicomweb import nodes, sending
from screening.models import DicomDelivery, DicomNode
from tests.factories import (
    DicomDeliveryFactory,
    DicomNodeFactory,
    LesionImageFactory,
)

FORM = {
    "name": "Hospital archive",
    "address": "https://archive.example.org/dicom-web/",
    "authorization": "basic",
    "credentials": "us:secret-word",
}


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"address": "https://10.0.0.1/"}, "address", "not on the public internet"),
        ({"address": "https://pacs/dicom-web"}, "address", "not on the public internet"),
        ({"address": "http://archive.example.org/"}, "address", "begins with https"),
        ({"address": "https://archive.example.org:8042/"}, "address", "port 443 or 8443"),
        ({"address": "https://us:x@archive.example.org/"}, "address", "Leave out"),
        ({"address": "https://archive.example.org/?a=b"}, "address", "question mark"),
        ({"address": "https://archive.example.org/dicom-web/studies/"}, "address", "/studies"),
        ({"credentials": ""}, "credentials", "Enter the user name"),
        ({"credentials": "no colon"}, "credentials", "colon"),
        ({"credentials": "us:a\nHost: x"}, "credentials", "one line"),
        ({"authorization": "none"}, "credentials", "Choose how"),
        ({"authorization": "bearer", "credentials": "a b"}, "credentials", "no spaces"),
        ({"authorization": "bearer", "credentials": "ä"}, "credentials", "ASCII"),
        ({"authorization": "ntlm"}, "authorization", "not a valid choice"),
        ({"name": ""}, "name", "blank"),
    ],
)
def test_what_a_node_cannot_be(personas, wrong, field, message):
    with pytest.raises(ValidationError, match=message) as refused:
        nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM | wrong)
    assert field in refused.value.error_dict
    assert not DicomNode.objects.exists()


def test_credentials_are_encrypted_and_shown_to_nobody(client, personas):
    client.force_login(personas.admin)
    added = client.post(reverse("dicom_node_new", args=[personas.clinic.pk]), FORM)
    node = DicomNode.objects.get()
    assert added["Location"] == f"/dicom-nodes/{node.pk}/"
    assert node.address == "https://archive.example.org/dicom-web"
    assert node.credentials == FORM["credentials"]
    assert "secret" not in str(DicomNode.objects.values_list())
    paths = (f"/dicom-nodes/{node.pk}/", f"/dicom-nodes/{node.pk}/edit/")
    api = f"/api/v1/dicom-nodes/{node.pk}/"
    for path in (*paths, api):
        shown = client.get(path)
        assert shown.status_code == 200
        assert "secret" not in shown.content.decode()


def test_credentials_stay_unless_the_address_changes(personas):
    node = nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM)
    nodes.edit_node(user=personas.admin, node=node, name="Other")
    assert node.credentials == FORM["credentials"]
    with pytest.raises(ValidationError, match="Enter them again"):
        nodes.edit_node(user=personas.admin, node=node, address="https://thief.example.org")
    node.refresh_from_db()
    nodes.edit_node(user=personas.admin, node=node, authorization="none")
    assert node.encrypted_credentials == ""


def test_a_password_is_never_sent_as_a_token(personas):
    node = nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM)
    with pytest.raises(ValidationError, match="Enter them again"):
        nodes.edit_node(user=personas.admin, node=node, authorization="bearer")
    nodes.edit_node(user=personas.admin, node=node, authorization="bearer", credentials="token")
    assert node.credentials == "token"


def test_the_address_stays_once_something_is_sent_there(personas, node, image):
    """Else records would say that it went elsewhere."""
    [one] = sending.send(user=personas.clinician, lesion=image.lesion, node=node)
    changes = {"address": "https://other.example.org/dicom-web", "credentials": "us:word"}
    with pytest.raises(ValidationError, match="Add another DICOM node") as refused:
        nodes.edit_node(user=personas.admin, node=node, **changes)
    assert "address" in refused.value.error_dict
    assert DicomNode.objects.get().address == sending.claim(one.pk).node.address
    nodes.edit_node(user=personas.admin, node=node, name="Other")


def test_who_edits_a_node_that_is_removed_meanwhile_does_not_bring_it_back(personas):
    node = nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM)
    nodes.remove_node(user=personas.admin, node=DicomNode.objects.get())
    with pytest.raises(PermissionDenied):
        nodes.edit_node(user=personas.admin, node=node, name="Other")
    assert DicomNode.objects.get().encrypted_credentials == ""


def test_a_new_key_of_the_site_keeps_them_and_a_lost_one_is_told(personas, settings):
    node = nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM)
    former = settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, [former]
    assert node.credentials == FORM["credentials"]
    settings.SECRET_KEY_FALLBACKS = []
    told = nodes.test_node(user=personas.admin, node=node)
    assert not told.answers
    assert "Enter them again" in told.message


def test_a_removed_node_is_gone_with_its_credentials(client, personas):
    node = nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM)
    client.force_login(personas.admin)
    client.post(reverse("dicom_node_remove", args=[node.pk]))
    node.refresh_from_db()
    assert node.removed_at
    assert node.encrypted_credentials == ""
    assert client.get(f"/dicom-nodes/{node.pk}/").status_code == 404
    assert node.name not in client.get(f"/clinics/{personas.clinic.pk}/").content.decode()


def test_there_is_a_bound(personas):
    DicomNodeFactory.create_batch(nodes.MAX_NODES, clinic=personas.clinic)
    with pytest.raises(ValidationError, match="10 DICOM nodes already"):
        nodes.add_node(user=personas.admin, clinic=personas.clinic, **FORM)


@pytest.mark.parametrize("persona", ["clinician", "colleague", "self_tracker"])
def test_only_an_admin_of_the_clinic_manages(personas, persona):
    user = getattr(personas, persona)
    node = DicomNodeFactory(clinic=personas.clinic)
    with pytest.raises(PermissionDenied):
        nodes.add_node(user=user, clinic=personas.clinic, **FORM)
    for write in (nodes.edit_node, nodes.remove_node, nodes.test_node):
        with pytest.raises(PermissionDenied):
            write(user=user, node=node)


@pytest.mark.parametrize(
    ("status", "body", "answers", "message"),
    [
        (200, b"[]", True, "answers a search"),
        (200, json.dumps([{"0020000D": {}}]).encode(), True, "answers a search"),
        (204, b"", True, "answers a search"),
        (200, b"<html>", False, "not as DICOMweb does (status 200)"),
        (200, b"{}", False, "not as DICOMweb does"),
        (302, b"", False, "redirect"),
        (401, b"", False, "refuses the authorisation (status 401)"),
        (403, b"", False, "refuses the authorisation (status 403)"),
        (404, b"", False, "no DICOMweb at this address"),
        (500, b"", False, "status 500"),
        (200, b"[" + b" " * 1_000_001 + b"]", False, "more than"),
    ],
)
def test_what_came_back_is_told(client, personas, node, archive, status, body, answers, message):
    archive.status, archive.answer = status, body
    told = nodes.test_node(user=personas.admin, node=node)
    assert told.answers == answers
    assert message in told.message
    assert archive.got[0][0] == "/dicom-web/studies?limit=1"


def test_the_button_shows_it(client, personas, node, archive):
    archive.answer = b"[]"
    client.force_login(personas.admin)
    page = client.post(reverse("dicom_node_test", args=[node.pk]), follow=True)
    assert "It answers a search for studies" in page.content.decode()


def test_one_node_is_tested_at_a_time(client, personas, node, archive):
    """One that hangs takes one thread of the web server, however often the button is pressed."""
    client.force_login(personas.admin)
    button = reverse("dicom_node_test", args=[node.pk])
    with nodes._tests:
        page = client.post(button, follow=True)
        by_api = client.post(
            f"/api/v1/dicom-nodes/{node.pk}/test/", content_type="application/json"
        )
    assert "Another node is being tested" in page.content.decode()
    assert (by_api.status_code, archive.got) == (503, [])
    client.post(button)
    assert len(archive.got) == 1


def test_the_page_of_a_lesion_sends_and_shows_what_became_of_it(client, personas, node, image):
    client.force_login(personas.clinician)
    path = reverse("lesion", args=[image.lesion_id])
    assert "Send the pictures" in client.get(path).content.decode()
    sent = client.post(
        reverse("lesion_send", args=[image.lesion_id]), {"node": str(node.pk)}, follow=True
    ).content.decode()
    assert "1 picture is on the way." in sent
    assert "Waiting" in sent
    again = client.post(
        reverse("lesion_send", args=[image.lesion_id]), {"node": str(node.pk)}, follow=True
    )
    assert "on its way there already" in again.content.decode()
    node.deliveries.all().delete()
    failed = DicomDeliveryFactory(node=node, image=image, failed=True)
    page = client.get(path).content.decode()
    assert "The node answered with status 503." in page
    button = reverse("dicom_delivery_send_again", args=[failed.pk])
    assert button in page
    assert "It is being sent again." in client.post(button, follow=True).content.decode()
    wrong = client.post(reverse("lesion_send", args=[image.lesion_id]), {"node": "x"}, follow=True)
    assert "valid" in wrong.content.decode()


def test_who_may_only_look_sees_what_was_sent_and_no_button(client, personas, node, image):
    DicomDeliveryFactory(node=node, image=image, failed=True)
    client.force_login(personas.viewer)
    page = client.get(reverse("lesion", args=[image.lesion_id])).content.decode()
    assert "status 503" in page
    assert "Send again" not in page
    assert "Send the pictures" not in page


def test_a_clinic_without_nodes_shows_nothing_of_it(client, personas):
    lesion = LesionImageFactory(lesion__patient=personas.patient).lesion
    client.force_login(personas.clinician)
    page = client.get(reverse("lesion", args=[lesion.pk])).content.decode()
    assert "archive" not in page


def test_by_the_api(client, personas, node, archive, image):
    client.force_login(personas.clinician)
    [listed] = client.get("/api/v1/dicom-nodes/").json()["results"]
    assert (listed["id"], listed["address"]) == (str(node.pk), node.address)
    address = f"/api/v1/lesions/{image.lesion_id}/send/"
    sent = client.post(address, {"node": listed["id"]}, content_type="application/json")
    assert sent.status_code == 202
    [waiting] = sent.json()["deliveries"]
    assert (waiting["state"], waiting["image"]) == ("waiting", str(image.pk))
    sending.deliver(sending.claim(waiting["id"]))
    [done] = client.get(f"/api/v1/dicom-deliveries/?lesion={image.lesion_id}").json()["results"]
    assert done["state"] == "delivered"
    assert done["instance_uid"].startswith("2.25.")
    refused = client.post(
        f"/api/v1/dicom-deliveries/{done['id']}/resend/", content_type="application/json"
    )
    assert refused.status_code == 400
    foreign = DicomNodeFactory()
    unknown = client.post(address, {"node": str(foreign.pk)}, content_type="application/json")
    assert unknown.status_code == 400


@pytest.mark.parametrize("missing", ["images:read", "predictions:read"])
def test_a_key_sends_away_only_what_it_may_read(client, personas, node, image, missing):
    """Whoever sends to a node of their own could read it there."""
    held = {"dicom_deliveries:write", "images:read", "predictions:read"} - {missing}
    _, key = account_services.create_api_key(
        user=personas.admin, clinic=personas.clinic, name="x", scopes=sorted(held)
    )
    headers = {"Authorization": f"Bearer {key}"}

    def status(path: str, **body: object) -> int:
        sent = client.post(path, body, content_type="application/json", headers=headers)
        return sent.status_code

    path = f"/api/v1/lesions/{image.lesion_id}/send/"
    assert status(path, node=str(node.pk), with_readings=True) == 403
    failed = DicomDeliveryFactory(node=node, image=image, failed=True, with_readings=True)
    assert status(f"/api/v1/dicom-deliveries/{failed.pk}/resend/") == 403
    assert not DicomDelivery.objects.active().exists()
    allowed = 403 if missing == "images:read" else 202
    assert status(path, node=str(node.pk)) == allowed


def test_the_log_of_a_node_costs_the_same_however_long(
    client,
    personas,
    node,
    django_assert_max_num_queries,
):
    client.force_login(personas.admin)
    path = reverse("dicom_node", args=[node.pk])
    for _ in range(5):
        DicomDeliveryFactory(
            node=node, image=LesionImageFactory(lesion__patient=personas.patient), failed=True
        )
    with django_assert_max_num_queries(14):
        assert "status 503" in client.get(path).content.decode()
