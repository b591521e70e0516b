"""Adding pictures, with and without the page's script; the media view; error pages."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import date
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from ml.opening.limits import MAX_BYTES
from screening.models import LesionImage
from screening.web.uploads import CappedUploadHandler
from tests.factories import LesionFactory, LesionImageFactory, picture
from tests.privacy.entries import looks_at

pytestmark = pytest.mark.django_db


def file(name="mole.jpg", content=None):
    return SimpleUploadedFile(name, picture() if content is None else content)


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient)


@pytest.fixture
def send(client, personas, lesion):
    client.force_login(personas.assistant)
    url = reverse("image_new", args=[lesion.pk])

    def post(*files, json=False, **fields):
        data = {"captured_on": "2026-03-12", "modality": "dermatoscopic", "file": list(files)}
        headers = {"accept": "application/json"} if json else {"accept": "text/html"}
        return client.post(url, data | fields, headers=headers)

    return post


def test_one_picture_leads_to_its_result(send):
    response = send(file())
    image = LesionImage.objects.get()
    assert response.url == reverse("image", args=[image.pk])
    assert str(image.captured_on) == "2026-03-12"
    assert image.predictions.get().state == "queued"


def test_several_pictures_lead_to_the_lesion(send, lesion):
    response = send(file("a.jpg"), file("b.jpg", picture(1)), modality="clinical")
    assert response.url == reverse("lesion", args=[lesion.pk])
    assert set(lesion.images.values_list("modality", flat=True)) == {"clinical"}
    assert lesion.images.count() == 2


def test_a_bad_file_is_named_and_the_rest_is_kept(send, lesion):
    response = send(file("good.jpg"), file("notes.pdf", b"%PDF-1.7"), file("none.jpg", b""))
    text = response.content.decode()
    assert response.status_code == 200
    assert (
        "notes.pdf: This is a PDF file, not a JPEG, PNG, WebP, HEIC, AVIF or DICOM picture." in text
    )
    assert "none.jpg: The file is empty." in text
    assert reverse("image", args=[lesion.images.get().pk]) in text


def test_the_script_is_answered_by_file(send, lesion):
    added = send(file(), json=True).json()["results"]
    url = reverse("image", args=[lesion.images.get().pk])
    assert added == [{"name": "mole.jpg", "url": url, "is_new": True, "message": ""}]
    again = send(file("copy.jpg"), json=True).json()["results"][0]
    assert (again["url"], again["is_new"]) == (url, False)
    today = timezone.localdate()
    words = f"{today.day} {today:%b %Y}"
    assert again["message"] == f"Already here: taken on 12 Mar 2026, added {words}."
    refused = send(file("x.txt", b"text"), json=True).json()["results"][0]
    assert (refused["name"], refused["url"]) == ("x.txt", None)
    assert refused["message"].startswith("This is not a JPEG")


def test_a_known_picture_leads_to_where_it_is(client, send, lesion):
    send(file())
    response = client.get(send(file("copy.jpg")).url)
    assert "copy.jpg: Already here: taken on" in response.content.decode()
    assert lesion.images.count() == 1


def test_a_known_picture_with_another_day_says_its_own_and_how_to_correct_it(send, lesion):
    send(file(), captured_on="2026-03-12")
    same = send(file(), json=True, captured_on="2026-03-12").json()["results"][0]["message"]
    assert "taken on 12 Mar 2026" in same
    assert "You gave" not in same
    other = send(file(), json=True, captured_on="2020-01-01").json()["results"][0]
    assert "taken on 12 Mar 2026" in other["message"]
    assert "You gave 1 Jan 2020: open the picture and correct its day" in other["message"]
    image = lesion.images.get()
    assert other["url"] == reverse("image", args=[image.pk])
    assert str(image.captured_on) == "2026-03-12"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"file": []}, "Choose at least one picture."),
        ({"captured_on": "yesterday"}, "Enter a valid date."),
        ({"modality": "x-ray"}, "Select a valid choice"),
    ],
)
def test_what_is_missing_is_said(send, fields, message):
    assert message in send(file(), **fields).content.decode()
    response = send(file(), json=True, **fields)
    assert response.status_code == 400
    assert message in " ".join(response.json()["errors"])
    assert not LesionImage.objects.exists()


def test_a_day_in_the_future_is_refused_by_name(send):
    text = send(file("soon.jpg"), captured_on="2999-01-01").content.decode()
    assert "soon.jpg: The day of capture, " in text
    assert ", lies in the future." in text
    assert 'value="2999-01-01"' in text


def test_only_those_who_may_write_add(client, personas, lesion):
    url = reverse("image_new", args=[lesion.pk])
    for user, status in ((personas.viewer, 403), (personas.colleague, 404)):
        client.force_login(user)
        assert client.post(url, {"file": file()}).status_code == status
    assert not LesionImage.objects.exists()


def test_a_file_without_end_does_not_fill_the_disk():
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="x.jpg"\r\n\r\n'
    body += b"x" * (MAX_BYTES + 5_000_000) + b"\r\n--B--\r\n"
    request = RequestFactory().post("/", data=body, content_type="multipart/form-data; boundary=B")
    request.upload_handlers = [CappedUploadHandler(request), TemporaryFileUploadHandler(request)]
    with request.FILES["file"] as stored:
        assert MAX_BYTES < stored.size < MAX_BYTES + 1_000_000


def test_a_large_picture_passes_the_cap_whole(send, lesion):
    """Larger than one chunk and than what is kept in memory."""
    noise = Image.effect_noise((2400, 2400), 90).convert("RGB")
    buffer = BytesIO()
    noise.save(buffer, "PNG")
    assert 5_000_000 < len(buffer.getvalue()) < MAX_BYTES
    send(file("noise.png", buffer.getvalue()))
    assert lesion.images.get().width == 2400


@pytest.mark.parametrize("rendition", ["image", "thumbnail"])
def test_a_picture_is_delivered_to_those_who_may_see_it_and_logged(client, personas, rendition):
    image = LesionImageFactory(lesion__patient=personas.patient)
    url = reverse("media", args=[image.pk, rendition])
    client.force_login(personas.viewer)
    response = client.get(url)
    assert b"".join(response.streaming_content) == picture()
    assert response["Content-Type"] == "image/jpeg"
    assert response["Cache-Control"] == "private, no-cache"
    assert response["X-Content-Type-Options"] == "nosniff"
    again = client.get(url, headers={"if-none-match": response["ETag"]})
    assert again.status_code == 304
    logged = looks_at(image, actor=personas.viewer.pk)
    assert len(logged) == 2
    client.force_login(personas.colleague)
    assert client.get(url).status_code == 404
    assert not looks_at(image, actor=personas.colleague.pk)


def test_an_unknown_rendition_is_not_there(client, personas):
    image = LesionImageFactory(lesion__patient=personas.patient)
    client.force_login(personas.viewer)
    assert client.get(f"/media/{image.pk}/original").status_code == 404
    with closing(client.head(reverse("media", args=[image.pk, "image"]))) as response:
        assert response.status_code == 200


def test_error_pages_are_ours(client, personas):
    client.force_login(personas.viewer)
    assert "Page not found" in client.get("/no-such-page").content.decode()
    refused = client.post(reverse("patient_new"), {}, HTTP_X_CSRFTOKEN="")
    assert refused.status_code == 403
    assert "This page has been open too long" in refused.content.decode()


def test_a_bug_shows_a_calm_page(client, personas, monkeypatch):
    client.force_login(personas.viewer)
    client.raise_request_exception = False
    monkeypatch.setattr("screening.records.queries.patients_overview", lambda user: 1 / 0)
    response = client.get(reverse("patients"))
    assert response.status_code == 500
    assert "Something went wrong on our side" in response.content.decode()


def test_no_page_of_ours_has_inline_script_or_style(client, personas, lesion):
    image = LesionImageFactory(lesion=lesion)
    client.force_login(personas.clinician)
    for name, args in (
        ("home", []),
        ("patient", [personas.patient.pk]),
        ("lesion", [lesion.pk]),
        ("image", [image.pk]),
        ("image_new", [lesion.pk]),
    ):
        response = client.get(reverse(name, args=args))
        html = response.content.decode()
        assert " style=" not in html
        assert "onclick" not in html
        inline = len(re.findall(r"<script(?![^>]* src=)", html))
        assert inline == html.count('type="application/json"')
        assert "default-src 'self'" in response["Content-Security-Policy"]


def test_the_picture_captured_last_stands_beside_the_form(client, personas, lesion):
    client.force_login(personas.assistant)
    url = reverse("image_new", args=[lesion.pk])
    assert "The last picture" not in client.get(url).content.decode()
    last = LesionImageFactory(lesion=lesion, captured_on=date(2026, 5, 1))
    LesionImageFactory(lesion=lesion, captured_on=date(2025, 5, 1))
    response = client.get(url)
    assert response.context["guide"] == last
    text = response.content.decode()
    assert reverse("media", args=[last.pk, "image"]) in text
    assert "The last picture, <span" in text
