"""Storage quotas of accounts and clinics: usage is shown, and more is rejected in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from screening.images import quota
from screening.images.services import give_screen
from screening.models import Batch, LesionImage
from tests.api.conftest import upload
from tests.batches.uploads import batch_of, drawn
from tests.factories import LesionFactory, LesionImageFactory, picture
from tests.images.test_screen import jpeg


def send(program, data: bytes):
    archive = SimpleUploadedFile("batch.zip", data, "application/zip")
    return program.post("/api/v1/batches/", {"archive": archive}, format="multipart")


def files() -> set[Path]:
    return {path for path in Path(django_settings.MEDIA_ROOT).rglob("*") if path.is_file()}


@pytest.fixture
def own_lesion(personas):
    return LesionFactory(patient=personas.own_patient)


def test_what_is_stored_is_counted_where_it_belongs(client_of, personas, lesion, own_lesion):
    assert upload(client_of(personas.clinician), lesion).status_code == 202
    assert upload(client_of(personas.self_tracker), own_lesion, picture(1)).status_code == 202
    for image, storage in (
        (lesion.images.get(), quota.of_clinic(personas.clinic.pk)),
        (own_lesion.images.get(), quota.of_account(personas.self_tracker.pk)),
    ):
        assert image.stored_bytes == image.file.size + image.thumbnail.size
        assert storage.used == image.stored_bytes
    assert quota.of_account(personas.clinician.pk).used == 0


@pytest.mark.parametrize(
    ("name", "who", "of"),
    [
        ("ACCOUNT_STORAGE_MB", "self_tracker", "own_lesion"),
        ("CLINIC_STORAGE_MB", "clinician", "lesion"),
    ],
)
def test_more_is_refused_and_leaves_nothing(request, client_of, personas, settings, name, who, of):
    lesion = request.getfixturevalue(of)
    LesionImageFactory(lesion=lesion, stored_bytes=999_000)
    setattr(settings, name, 1)
    before = files()
    refused = upload(client_of(getattr(personas, who)), lesion)
    assert refused.status_code == 400
    assert "no room left" in refused.content.decode()
    assert "show it to a doctor" in refused.content.decode()
    assert LesionImage.objects.count() == 1
    assert files() == before
    setattr(settings, name, 2)
    assert upload(client_of(getattr(personas, who)), lesion).status_code == 202


def test_a_page_says_so_by_the_name_of_the_file(client, personas, own_lesion, settings):
    settings.ACCOUNT_STORAGE_MB = 0
    client.force_login(personas.self_tracker)
    sent = {"modality": "dermatoscopic", "file": ContentFile(picture(), "mole.jpg")}
    response = client.post(
        reverse("image_new", args=[own_lesion.pk]), sent, headers={"accept": "application/json"}
    )
    [result] = response.json()["results"]
    assert result["name"] == "mole.jpg"
    assert "no room left" in result["message"]


def test_withdrawn_pictures_and_those_of_before_count(personas, lesion):
    LesionImageFactory(lesion=lesion, width=2000, height=1000)
    assert quota.of_clinic(personas.clinic.pk).used == 500_000
    LesionImage.everything.update(
        withdrawn_at=timezone.now(), withdrawn_by=personas.clinician, withdrawn_because="wrong"
    )
    assert quota.of_clinic(personas.clinic.pk).used == 500_000


def test_archives_count_while_they_are_kept(client_of, personas, settings):
    data = batch_of([{"image": "a.jpg", "lesion_id": "L"}], {"a.jpg": drawn(1)})
    program = client_of(personas.self_tracker)
    assert send(program, data).status_code == 202
    assert quota.of_account(personas.self_tracker.pk).used == len(data)
    settings.ACCOUNT_STORAGE_MB = 0
    refused = send(program, data)
    assert refused.status_code == 400
    assert "no room left" in refused.content.decode()
    Batch.objects.update(archive="")
    assert quota.of_account(personas.self_tracker.pk).used == 0


def test_the_pages_show_what_is_used(client, personas, lesion, own_lesion):
    LesionImageFactory(lesion=lesion, stored_bytes=3_000_000)
    LesionImageFactory(lesion=own_lesion, stored_bytes=7_000_000)
    client.force_login(personas.self_tracker)
    assert "7 MB of 5 GB" in client.get(reverse("account")).content.decode()
    client.force_login(personas.viewer)
    page = client.get(reverse("clinic", args=[personas.clinic.pk])).content.decode()
    assert "3 MB of 200 GB" in page


def test_an_upload_sums_what_is_stored_once(client_of, personas, lesion):
    client = client_of(personas.clinician)
    with CaptureQueriesContext(connection) as asked:
        assert upload(client, lesion).status_code == 202
    sums = [one["sql"] for one in asked if 'SUM(COALESCE("screening_lesionimage"' in one["sql"]]
    assert len(sums) == 1


def test_a_smaller_copy_takes_room_or_is_not_made(personas, settings):
    data = jpeg((2000, 1500))
    image = LesionImageFactory(
        lesion__patient=personas.patient,
        file=ContentFile(data, name="image.jpg"),
        width=2000,
        height=1500,
        stored_bytes=999_999,
    )
    settings.CLINIC_STORAGE_MB = 1
    before = files()
    with pytest.raises(ValidationError, match="no room left"):
        give_screen(image)
    assert files() == before
    assert not LesionImage.objects.get(pk=image.pk).screen
    settings.CLINIC_STORAGE_MB = 100
    give_screen(LesionImage.objects.get(pk=image.pk))
    assert LesionImage.objects.get(pk=image.pk).stored_bytes > 999_999
