"""DICOM over the API: by the normal upload, and as a download."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import (
    DermoscopicPhotographyImageStorage,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
)

from tests.api.conftest import pointers, upload
from tests.factories import LesionFactory
from tests.interop.dicoms import dicom


def test_a_dicom_file_is_taken_with_what_it_says(clinician, personas):
    lesion = LesionFactory(patient=personas.patient, body_site="")
    response = upload(clinician, lesion, dicom())
    assert response.status_code == 202
    body = response.json()
    assert (body["captured_on"], body["camera_model"]) == ("2026-01-12", "Acme Lens 4")
    lesion.refresh_from_db()
    assert lesion.body_site == "back"
    assert lesion.images.get().scales.get().mm_per_pixel == 0.02
    again = upload(clinician, lesion, dicom())
    assert (again.status_code, again.json()["id"]) == (200, body["id"])


def test_the_day_that_is_sent_stands_above_the_files(clinician, lesion):
    body = upload(clinician, lesion, dicom(), captured_on="2026-02-02").json()
    assert body["captured_on"] == "2026-02-02"


@pytest.mark.parametrize(
    ("stated", "kept"), [({}, "clinical"), ({"modality": "dermatoscopic"}, "dermatoscopic")]
)
def test_a_photograph_is_no_dermatoscopic_picture_unless_that_is_sent(
    clinician, lesion, stated, kept
):
    data = dicom(SOPClassUID=VLPhotographicImageStorage)
    first, again = (upload(clinician, lesion, data, **stated).json() for _ in range(2))
    assert first["modality"] == again["modality"] == kept
    for body in (first, again):
        assert ("not read for a class: correct its kind" in body["remark"]) is not bool(stated)


@pytest.mark.parametrize(
    ("kind", "stated", "words"),
    [
        (DermoscopicPhotographyImageStorage, "clinical", "calls it dermoscopic"),
        (DermoscopicPhotographyImageStorage, "dermatoscopic", ""),
        (VLPhotographicImageStorage, "dermatoscopic", "calls it an ordinary photograph"),
        (VLPhotographicImageStorage, "clinical", ""),
        (SecondaryCaptureImageStorage, "clinical", ""),
    ],
)
def test_a_kind_that_the_file_contradicts_is_kept_with_a_remark(
    clinician, lesion, kind, stated, words
):
    data, sent = dicom(SOPClassUID=kind), {"modality": stated, "allow_capture": "true"}
    for body in (upload(clinician, lesion, data, **sent).json() for _ in range(2)):
        assert body["modality"] == stated
        assert words in body["remark"]
        assert bool(body["remark"]) is bool(words)


def test_its_uid_is_kept_only_where_that_is_asked_for(clinician, personas):
    for asked, kept in (("false", []), ("true", ["urn:oid:1.2.3.4"])):
        lesion = LesionFactory(patient=personas.patient)
        fields = {"keep_identifiers": asked, "allow_duplicate": "true"}
        body = upload(clinician, lesion, dicom(), **fields).json()
        assert [one["value"] for one in body["identifiers"]] == kept
    assert upload(clinician, lesion, keep_identifiers="true").json()["identifiers"] == []


def test_what_cannot_be_kept_is_refused_with_a_word(clinician, lesion):
    response = upload(clinician, lesion, dicom(NumberOfFrames="2"))
    assert response.status_code == 400
    assert "several frames" in pointers(response)["/file"]


def test_a_picture_is_retrieved_as_dicom(clinician, lesion):
    image = upload(clinician, lesion).json()["id"]
    response = clinician.get(f"/api/v1/images/{image}/dicom", HTTP_ACCEPT="application/dicom")
    assert response["Content-Type"] == "application/dicom"
    assert dcmread(BytesIO(response.content)).Rows == 225
