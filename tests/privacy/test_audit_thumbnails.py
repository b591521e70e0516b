"""A page's thumbnails belong to its entry; without its mark, a thumbnail is an entry of its own."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from screening.privacy import thumbnails
from tests.clients import Browser
from tests.factories import LesionFactory, LesionImageFactory
from tests.privacy.entries import close, looks_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion=LesionFactory(patient=personas.patient))


@pytest.fixture
def viewer(personas):
    client = Browser()
    client.force_login(personas.viewer)
    return client


def found(client, address: str) -> bytes:
    response = client.get(address)
    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    return response.getvalue()


def test_those_of_a_page_add_nothing(viewer, personas, image):
    page = viewer.get(reverse("patient", args=[personas.patient.pk])).text
    plain = reverse("media", args=[image.pk, "thumbnail"])
    addresses = re.findall(rf'src="({plain}[^"]+)"', page)
    assert addresses
    for address in addresses:
        assert found(viewer, address)
    (entry,) = looks_at(image)
    assert entry.what == "patient"


def test_without_the_mark_each_is_an_entry(viewer, image):
    address = reverse("media", args=[image.pk, "thumbnail"])
    for _ in range(2):
        found(viewer, address)
    close(viewer.head(address))
    response = viewer.get(address)
    response.getvalue()
    etag = response["ETag"]
    assert viewer.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert len(looks_at(image, what="media")) == 5


@pytest.mark.parametrize("mark", ["", "0" * 16, "\u00e4", "0" * 15])
def test_a_wrong_mark_is_none(viewer, image, mark):
    found(viewer, f"{reverse('media', args=[image.pk, 'thumbnail'])}?shown={mark}")
    assert len(looks_at(image)) == 1


def test_a_mark_is_for_one_person_one_picture_and_two_days(viewer, personas, image, monkeypatch):
    other = LesionImageFactory(lesion=image.lesion)
    of_another_person = thumbnails.address_of(image.pk, personas.admin.pk)
    of_another_picture = thumbnails.address_of(other.pk, personas.viewer.pk)
    mark = of_another_picture.partition("?")[2]
    found(viewer, of_another_person)
    found(viewer, f"{reverse('media', args=[image.pk, 'thumbnail'])}?{mark}")
    assert len(looks_at(image)) == 2
    now = timezone.now()
    for days, more in ((0, 0), (1, 0), (2, 1)):
        with monkeypatch.context() as patched:
            patched.setattr(thumbnails.timezone, "now", lambda ago=days: now - timedelta(days=ago))
            own = thumbnails.address_of(image.pk, personas.viewer.pk)
        found(viewer, own)
        assert len(looks_at(image)) == 2 + more


def test_a_mark_does_not_hide_a_picture(viewer, personas, image):
    mark = thumbnails.address_of(image.pk, personas.viewer.pk).partition("?")[2]
    for _ in range(2):
        found(viewer, f"{reverse('media', args=[image.pk, 'image'])}?{mark}")
    ranged = viewer.get(reverse("media", args=[image.pk, "image"]), headers={"Range": "bytes=0-9"})
    ranged.getvalue()
    assert len(looks_at(image)) == 3
