"""A reading as DICOM: valid, visible only to those who may see it, and in the same words as
elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom import seg, sr
from PIL import Image
from pydicom import Dataset, dcmread

from accounts import services
from screening.corrections import services as corrections
from screening.models import Outcome, PredictionMaps
from screening.predictions.advice import DISCLAIMER
from screening.records import services as records
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    PredictionMapsFactory,
)
from tests.interop.test_dicom_out import needs_dciodvfy
from tests.privacy.entries import entries

BOX = (75, 60, 140, 100)
"""The lesion in the mask, of half the picture's size: left, top, right, bottom."""


def png(size: tuple[int, int]) -> bytes:
    mask, buffer = Image.new("L", size), BytesIO()
    mask.paste(255, BOX)
    mask.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def reading(personas):
    """Urgent, of a picture of the back; its mask is half as large as the picture."""
    lesion = LesionFactory(patient=personas.patient, label="Erika's mole", body_site="back")
    image = LesionImageFactory(lesion=lesion)
    found = PredictionFactory(image=image, outcome=Outcome.URGENT, p_malignant=0.8123)
    PredictionMapsFactory(prediction=found, mask=png((image.width // 2, image.height // 2)))
    return found


@pytest.fixture
def browser(client, personas):
    client.force_login(personas.clinician)
    return client


def fetched(browser, reading, what: str) -> bytes:
    response = browser.get(f"/images/{reading.image_id}/dicom/{what}/")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/dicom"
    return bytes(response.content)


def errors(data: bytes, path: Path) -> list[str]:
    path.write_bytes(data)
    done = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, check=False, timeout=60
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert {"ComprehensiveSR", "Segmentation"}.intersection(lines), lines
    return [line for line in lines if line.startswith(("Error", "Abort"))]


def words(report: Dataset) -> list[str]:
    group = sr.srread(BytesIO(written(report))).content.get_planar_roi_measurement_groups()[0]
    return [
        one.TextValue
        for one in group[0].ContentSequence
        if one.ConceptNameCodeSequence[0].CodeMeaning == "Comment"
    ]


def written(report: Dataset) -> bytes:
    buffer = BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@needs_dciodvfy
@pytest.mark.parametrize("what", ["report", "mask"])
@pytest.mark.parametrize("kind", ["dermatoscopic", "clinical"])
def test_it_is_valid(browser, reading, tmp_path, what, kind):
    reading.image.modality = kind
    reading.image.save()
    path = tmp_path / "image.dcm"
    assert errors(fetched(browser, reading, what), path) == []


@needs_dciodvfy
def test_a_report_without_a_mask_is_valid(browser, reading, tmp_path):
    PredictionMaps.objects.all().delete()
    assert errors(fetched(browser, reading, "report"), tmp_path / "image.dcm") == []
    assert browser.get(f"/images/{reading.image_id}/dicom/mask/").status_code == 404


@needs_dciodvfy
def test_the_check_would_notice(browser, reading, tmp_path):
    for what, name in (("report", "CompletionFlag"), ("mask", "SegmentSequence")):
        told = dcmread(BytesIO(fetched(browser, reading, what)))
        del told[name]
        assert any(name in one for one in errors(written(told), tmp_path / "image.dcm"))


def test_a_report_tells_what_the_page_tells(browser, reading):
    told = dcmread(BytesIO(fetched(browser, reading, "report")))
    report = sr.srread(BytesIO(written(told)))
    [group] = report.content.get_planar_roi_measurement_groups()
    shares = {one.name.value: one.value for one in group.get_measurements()}
    assert (shares["111047"], shares["p-nv"], len(shares)) == (81.23, 94.0, 8)
    [outcome] = group.get_qualitative_evaluations()
    assert (outcome.value.value, outcome.value.meaning) == ("urgent", "Urgent")
    assert (told.PreliminaryFlag, told.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    said = words(told)
    assert (said[0], said[-1]) == ("Research, not a diagnosis", DISCLAIMER)
    assert "from another picture of the spot still stands" in said[-2]
    assert "See a doctor this week" in said


def test_it_names_nobody(browser, reading):
    for what in ("report", "mask"):
        data = fetched(browser, reading, what)
        patient = reading.image.lesion.patient
        assert dcmread(BytesIO(data)).PatientID == str(patient.pk)
        for secret in (patient.label, "Erika", patient.clinic.name):
            assert secret.encode() not in data


def test_a_mask_lies_where_the_lesion_is(browser, reading):
    told = seg.segread(BytesIO(fetched(browser, reading, "mask")))
    image = reading.image
    assert (told.Rows, told.Columns) == (image.height, image.width)
    rows, columns = np.nonzero(told.pixel_array)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(np.array(edges) - 2 * np.array(BOX)).max() <= 1
    report = dcmread(BytesIO(fetched(browser, reading, "report")))
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    named = {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in series}
    assert told.SOPInstanceUID in named


def test_what_is_not_assessable_has_no_figures(browser, reading):
    reading.outcome, reading.reason = Outcome.NOT_ASSESSABLE, "blurred"
    reading.save()
    told = sr.srread(BytesIO(fetched(browser, reading, "report")))
    [group] = told.content.get_image_measurement_groups()
    assert group.get_measurements() == []
    assert group.get_qualitative_evaluations()[0].value.value == "not_assessable"
    assert browser.get(f"/images/{reading.image_id}/dicom/mask/").status_code == 404


def test_it_is_the_same_until_what_is_told_changes(browser, personas, reading):
    """An archive keeps what it has under a UID, so a more severe outcome needs another one."""
    reading.outcome = Outcome.MONITOR
    reading.save()
    for what in ("report", "mask"):
        assert fetched(browser, reading, what) == fetched(browser, reading, what)
    before = dcmread(BytesIO(fetched(browser, reading, "report")))
    records.edit_lesion(user=personas.clinician, lesion=reading.image.lesion, bleeding=True)
    after = dcmread(BytesIO(fetched(browser, reading, "report")))
    assert before.SOPInstanceUID != after.SOPInstanceUID
    assert before.SeriesInstanceUID == after.SeriesInstanceUID
    assert "Keep watching this spot" in words(before)
    assert "See a doctor within two weeks" in words(after)


def test_only_the_reading_that_counts_is_told(browser, reading):
    other = PredictionFactory(image=reading.image, model_version="other-1")
    assert not other.counts
    told = dcmread(BytesIO(fetched(browser, reading, "report")))
    assert told.ManufacturerModelName == reading.model_version


def test_who_must_conclude_first_gets_none(browser, personas, reading):
    page = f"/images/{reading.image_id}/"
    assert f"{page}dicom/report/" in browser.get(page).content.decode()
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    for what in ("report", "mask"):
        assert browser.get(f"{page}dicom/{what}/").status_code == 404
    assert f"{page}dicom/report/" not in browser.get(page).content.decode()


def test_a_withdrawn_picture_has_none(browser, personas, reading):
    corrections.withdraw(user=personas.clinician, record=reading.image, reason="another person")
    for what in ("report", "mask"):
        assert browser.get(f"/images/{reading.image_id}/dicom/{what}/").status_code == 404


def test_a_program_needs_the_scope_for_each_thing_told(personas, reading):
    def told(*scopes: str):
        _, secret = services.create_api_key(
            user=personas.clinician, name="p", scopes=[f"{one}:read" for one in scopes]
        )
        return Program(secret).get(f"/api/v1/images/{reading.image_id}/dicom/report")

    assert told("images").status_code == 403
    bare = dcmread(BytesIO(told("predictions").content))
    assert bare.PatientSex == "" and "PatientAge" not in bare
    assert b"Skin structure of back" not in told("predictions").content
    whole = told("predictions", "patients", "lesions")
    assert dcmread(BytesIO(whole.content)).PatientAge == "066Y"
    assert b"Skin structure of back" in whole.content


def test_each_look_is_logged(browser, personas, reading):
    fetched(browser, reading, "report")
    entry = entries(act="read")[-1]
    assert (entry.what, entry.actor) == ("image_dicom_report", personas.clinician.pk)
    assert str(reading.pk) in entry.details["records"]["prediction"]


def test_pages_do_not_load_the_library():
    """Few ever need it."""
    code = "import django; django.setup(); import skincheck_site.urls, screening.web.urls, sys; "
    code += "sys.exit('highdicom' in sys.modules)"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "skincheck_site.settings"}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
