"""A picture as DICOM: valid, pseudonymous, and unchanged when it is imported again."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from io import BytesIO

import numpy as np
import pytest
from django.core.files.base import ContentFile
from PIL import Image
from pydicom import dcmread, uid
from pydicom.pixels import pixel_array

from screening.interop.dicom.metadata import body_site, read_metadata
from screening.interop.dicom.services import add_image
from screening.models import ImageScale, LesionPosition
from tests.factories import LesionFactory, LesionImageFactory, PatientFactory
from tests.interop.dicoms import encoded, picture
from tests.privacy.entries import looks_at

needs_dciodvfy = pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dicom3tools")


@pytest.fixture
def image(personas):
    """Of a lesion on the left of the back, with a scale."""
    lesion = LesionFactory(patient=personas.patient, label="Erika's mole")
    image = LesionImageFactory(lesion=lesion, camera_model="Acme Lens 4")
    ImageScale.objects.create(
        image=image, set_by=personas.clinician, source="ruler", mm_per_pixel=0.0213
    )
    LesionPosition.objects.create(
        lesion=lesion,
        placed_by=personas.clinician,
        view="back",
        x=0.4,
        y=0.3,
        region="back",
        side="left",
    )
    return image


@pytest.fixture
def browser(client, personas):
    client.force_login(personas.clinician)
    return client


def exported(browser, image) -> bytes:
    response = browser.get(f"/images/{image.pk}/dicom/")
    assert response.status_code == 200
    return bytes(response.content)


def as_png(image, size=(300, 225)):
    data = encoded(picture(size), "PNG")
    image.file.save("image.png", ContentFile(data), save=False)
    image.width, image.height = size
    image.save()
    return image


def complaints(data: bytes, folder) -> list[str]:
    path = folder / "image.dcm"
    path.write_bytes(data)
    done = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.endswith("Image") for line in lines), lines
    return [line for line in lines if line.startswith(("Error", "Abort"))]


@needs_dciodvfy
@pytest.mark.parametrize("modality", ["dermatoscopic", "clinical"])
@pytest.mark.parametrize("kind", ["jpeg", "png", "bare"])
def test_it_is_valid(browser, image, tmp_path, modality, kind):
    image.modality = modality
    image.save()
    if kind == "png":
        as_png(image, (301, 225))  # an odd number of bytes
    if kind == "bare":
        image = LesionImageFactory(
            modality=modality,
            is_synthetic=False,
            lesion=LesionFactory(
                body_site="",
                patient=PatientFactory(clinic=image.lesion.patient.clinic, sex="", birth_year=None),
            ),
        )
    assert complaints(exported(browser, image), tmp_path) == []


@needs_dciodvfy
def test_the_check_would_notice(browser, image, tmp_path):
    dataset = dcmread(BytesIO(exported(browser, image)))
    del dataset.RecognizableVisualFeatures
    buffer = BytesIO()
    dataset.save_as(buffer)
    assert "RecognizableVisualFeatures" in complaints(buffer.getvalue(), tmp_path)[0]


def test_it_says_what_is_known_and_nobodys_name(browser, image):
    data = exported(browser, image)
    dataset = dcmread(BytesIO(data))
    patient = image.lesion.patient
    assert dataset.SOPClassUID == uid.DermoscopicPhotographyImageStorage
    assert dataset.PatientID == str(patient.pk)
    assert str(dataset.PatientName) == f"SkinCheck^{patient.pk.hex[-8:].upper()}"
    assert (dataset.PatientIdentityRemoved, dataset.PatientBirthDate) == ("YES", "")
    assert (dataset.PatientSex, dataset.PatientAge) == ("F", "066Y")
    assert (dataset.AcquisitionDate, dataset.Laterality) == ("20260301", "L")
    assert [float(part) for part in dataset.PixelSpacing] == [0.0213, 0.0213]
    assert dataset.AnatomicRegionSequence[0].CodeValue == "66643007"
    for secret in (patient.label, "Erika", patient.clinic.name):
        assert secret.encode() not in data


def test_a_clinical_photograph_is_a_vl_photograph(browser, image):
    image.modality = "clinical"
    image.save()
    dataset = dcmread(BytesIO(exported(browser, image)))
    assert (dataset.SOPClassUID, dataset.Modality) == (uid.VLPhotographicImageStorage, "XC")


@pytest.mark.parametrize(("site", "recognisable"), [("back", "NO"), ("acral", "YES"), ("", "YES")])
def test_skin_with_ridges_may_be_recognised(browser, image, site, recognisable):
    image.lesion.body_site = site
    image.lesion.save()
    dataset = dcmread(BytesIO(exported(browser, image)))
    assert dataset.RecognizableVisualFeatures == recognisable
    assert ("AnatomicRegionSequence" in dataset) == (site == "back")


def test_without_a_scale_no_spacing_is_told(browser, image):
    image.scales.all().delete()
    assert "PixelSpacing" not in dcmread(BytesIO(exported(browser, image)))


def test_uids_are_the_same_each_time_and_tell_what_belongs_together(browser, image):
    first, again = (dcmread(BytesIO(exported(browser, image))) for _ in range(2))
    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert uid.UID(first.SOPInstanceUID).is_valid
    same_day = dcmread(BytesIO(exported(browser, LesionImageFactory(lesion=image.lesion))))
    assert same_day.SOPInstanceUID != first.SOPInstanceUID
    assert same_day.SeriesInstanceUID == first.SeriesInstanceUID
    other = LesionImageFactory(lesion=LesionFactory(patient=image.lesion.patient))
    other_lesion = dcmread(BytesIO(exported(browser, other)))
    assert other_lesion.StudyInstanceUID == first.StudyInstanceUID
    assert other_lesion.SeriesInstanceUID != first.SeriesInstanceUID
    later = LesionImageFactory(lesion=image.lesion, captured_on=date(2026, 4, 1))
    assert dcmread(BytesIO(exported(browser, later))).StudyInstanceUID != first.StudyInstanceUID


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_it_comes_back_as_it_went(browser, personas, image, kind):
    if kind == "png":
        as_png(image, (301, 225))
    with image.file.open() as file:
        stored = np.asarray(Image.open(file).convert("RGB")).astype(int)
    data = exported(browser, image)
    # JPEG decoders differ by rounding.
    assert np.abs(pixel_array(dcmread(BytesIO(data))).astype(int) - stored).max() <= 3
    said = read_metadata(BytesIO(data))
    assert said.taken_on == image.captured_on
    assert (body_site(said), said.mm_per_pixel) == ("back", pytest.approx(0.0213))
    lesion = LesionFactory(patient=personas.patient, body_site="")
    back = add_image(user=personas.clinician, lesion=lesion, file=BytesIO(data)).image
    lesion.refresh_from_db()
    assert (back.captured_on, back.camera_model) == (image.captured_on, "Acme Lens 4")
    assert (back.width, back.height, lesion.body_site) == (image.width, image.height, "back")
    assert back.scales.get().mm_per_pixel == pytest.approx(0.0213)
    with back.file.open() as file:
        returned = np.asarray(Image.open(file).convert("RGB")).astype(int)
    assert np.abs(returned - stored).mean() <= (2 if kind == "jpeg" else 0)


def test_each_look_is_logged(browser, personas, image):
    response = browser.get(f"/images/{image.pk}/dicom/")
    assert response["Content-Type"] == "application/dicom"
    assert response["Content-Disposition"] == f'attachment; filename="{image.pk}.dcm"'
    (entry,) = looks_at(image)
    assert entry.actor == personas.clinician.pk


def test_a_lost_file_is_not_found(browser, image):
    image.file.storage.delete(image.file.name)
    assert browser.get(f"/images/{image.pk}/dicom/").status_code == 404


def test_the_images_page_leads_there(browser, image):
    page = browser.get(f"/images/{image.pk}/").content.decode()
    assert f'href="/images/{image.pk}/dicom/"' in page
