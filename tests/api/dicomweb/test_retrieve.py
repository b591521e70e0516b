"""WADO-RS: by dicomweb-client over HTTP; what is retrieved in which form."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread, uid
from pydicom.pixels import pixel_array
from requests import HTTPError

from accounts import services
from screening.interop.dicom import uids
from screening.records import services as records
from tests.api.dicomweb.conftest import BASE, KEPT, LATER, value
from tests.clients import Program
from tests.factories import PredictionFactory, PredictionMapsFactory
from tests.interop.dicoms import picture
from tests.privacy.entries import entries, looks_at

pytestmark = pytest.mark.any_database

JPEG = "1.2.840.10008.1.2.4.50"
MULTIPART = 'multipart/related; type="{}"'
DICOM = MULTIPART.format("application/dicom")


def names(image) -> tuple[str, str, str]:
    """The UIDs of its study and series, and its own."""
    own = KEPT if str(image.file.name).endswith(".png") else uids.uid_of(image.pk)
    return (
        uids.study_uid(image.lesion.patient_id, image.captured_on),
        uids.series_uid(image.lesion_id, image.captured_on, image.modality),
        own,
    )


def address(image, rest: str = "") -> str:
    study, series, own = names(image)
    return f"{BASE}/studies/{study}/series/{series}/instances/{own}{rest}"


def test_a_client_retrieves_a_study(peer, record):
    files = peer.retrieve_study(names(record.jpeg)[0])
    assert {one.SOPInstanceUID for one in files} == {
        names(image)[2] for image in (record.jpeg, record.phone, record.png)
    }
    assert {one.file_meta.TransferSyntaxUID for one in files} == {uid.ExplicitVRLittleEndian}
    [late] = list(peer.iter_study(names(record.late)[0]))
    assert late.StudyDate == f"{LATER:%Y%m%d}"


def test_a_client_retrieves_a_series(peer, record):
    study, series, own = names(record.jpeg)
    [one] = peer.retrieve_series(study, series)
    assert (one.SOPInstanceUID, one.Modality) == (own, "DMS")
    [told] = peer.retrieve_series_metadata(study, series)
    assert value(told, "0020000E") == series


def test_a_client_retrieves_an_instance_with_the_uid_that_was_kept(peer, record):
    one = peer.retrieve_instance(*names(record.png))
    assert one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID == KEPT
    assert np.array_equal(pixel_array(one), np.asarray(picture()))


def test_a_jpeg_is_retrieved_as_it_is_stored_or_plain(peer, record):
    with record.jpeg.file.open() as file:
        stored = file.read()
    for syntax, is_jpeg in (("*", True), (JPEG, True), ("1.2.840.10008.1.2.1", False)):
        media = (("application/dicom", syntax),)
        one = peer.retrieve_instance(*names(record.jpeg), media_types=media)
        assert (one.file_meta.TransferSyntaxUID == JPEG) is is_jpeg
        assert (stored in one.PixelData) is is_jpeg
        assert one.LossyImageCompression == "01"
        shown = np.asarray(Image.open(BytesIO(stored)).convert("RGB")).astype(int)
        assert np.abs(pixel_array(one).astype(int) - shown).mean() < 1.5


def test_a_client_retrieves_frames(peer, record):
    [plain] = peer.retrieve_instance_frames(*names(record.png), [1])
    assert plain == picture().tobytes()
    [jpeg] = peer.retrieve_instance_frames(
        *names(record.jpeg), [1], media_types=(("image/jpeg", JPEG),)
    )
    with record.jpeg.file.open() as file:
        assert jpeg == file.read()
    with pytest.raises(HTTPError, match="404"):
        peer.retrieve_instance_frames(*names(record.png), [2])
    with pytest.raises(HTTPError, match="406"):
        peer.retrieve_instance_frames(*names(record.png), [1], media_types=("image/jpeg",))


def test_a_client_retrieves_renderings(peer, record):
    for media_type, format in (("image/jpeg", "JPEG"), ("image/png", "PNG")):
        media = (media_type,)
        data = peer.retrieve_instance_rendered(*names(record.png), media_types=media)
        shown = Image.open(BytesIO(data))
        assert (shown.format, shown.size) == (format, (300, 225))
        data = peer.retrieve_instance_frames_rendered(*names(record.png), [1], media_types=media)
        assert Image.open(BytesIO(data)).format == format


def test_a_client_retrieves_metadata(peer, record):
    told = [Dataset.from_json(one) for one in peer.retrieve_study_metadata(names(record.jpeg)[0])]
    assert len(told) == 3
    [one] = [
        Dataset.from_json(one) for one in [peer.retrieve_instance_metadata(*names(record.jpeg))]
    ]
    assert one.SOPClassUID == uid.DermoscopicPhotographyImageStorage
    assert one.AnatomicRegionSequence[0].CodeValue == "66643007"
    assert "PixelData" not in one
    media = (("application/dicom", "1.2.840.10008.1.2.1"),)  # the default; the client's is *
    whole = peer.retrieve_instance(*names(record.jpeg), media_types=media)
    assert whole.PhotometricInterpretation == "RGB"
    del whole.PixelData
    assert one.to_json_dict() == whole.to_json_dict()


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("", 200, "multipart/related"),
        ("*/*", 200, "multipart/related"),
        ("application/dicom", 200, "application/dicom"),
        ("application/dicom; transfer-syntax=*", 200, "application/dicom"),
        (f"text/html, {DICOM}; q=0.5", 200, "multipart/related"),
        (f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.90", 406, "application/problem+json"),
        (f"{DICOM}; q=0", 406, "application/problem+json"),
        ("text/html", 406, "application/problem+json"),
        (MULTIPART.format("application/dicom+xml"), 406, "application/problem+json"),
        ('"', 406, "application/problem+json"),
        (";;,,;q=x", 406, "application/problem+json"),
    ],
)
def test_what_a_client_accepts(clinician, record, accept, status, kind):
    options = {"HTTP_ACCEPT": accept} if accept else {}
    response = clinician.get(address(record.jpeg), **options)
    assert response.status_code == status
    assert response["Content-Type"].partition(";")[0] == kind


def test_the_parameter_goes_before_the_header(clinician, record):
    response = clinician.get(address(record.jpeg, "?accept=application/dicom"), HTTP_ACCEPT="x/y")
    assert dcmread(BytesIO(response.content)).Rows == record.jpeg.height


def test_a_rendering_fits_into_the_viewport(clinician, record):
    shown = clinician.get(address(record.png, "/rendered?viewport=150,400&quality=30"))
    assert shown["Content-Type"] == "image/jpeg"
    assert Image.open(BytesIO(shown.content)).size == (150, 112)
    shown = clinician.get(address(record.png, "/rendered?viewport=10000,10000"))
    assert Image.open(BytesIO(shown.content)).size == (300, 225)


@pytest.mark.parametrize(
    "rest",
    [
        "/rendered?viewport=0,1",
        "/rendered?viewport=1",
        "/rendered?viewport=100000,1",
        "/rendered?quality=101",
        "/rendered?quality=x",
        "/rendered?annotation=patient",
        "/rendered?window=1,2,linear",
    ],
)
def test_a_rendering_that_cannot_be_is_a_problem(clinician, record, rest):
    response = clinician.get(address(record.png, rest))
    assert response.status_code == 400
    assert response["Content-Type"] == "application/problem+json"


def test_what_is_not_there_or_not_to_be_seen_is_404(client_of, clinician, record, personas):
    study, series, own = names(record.jpeg)
    for wrong in (
        "/studies/1.2.3",
        f"/studies/{study}/series/{names(record.png)[1]}/instances/{own}",
        f"/studies/{names(record.late)[0]}/series/{series}",
        f"/studies/{study}/",
        "/nothing",
        f"/studies/{'9' * 5000}",
        "/studies/2.25.x",
    ):
        response = clinician.get(f"{BASE}{wrong}")
        assert response.status_code == 404, wrong
        assert response["Content-Type"] == "application/problem+json"
    for rest in ("", "/metadata", "/rendered", "/frames/1", "/frames/1/rendered"):
        assert clinician.get(address(record.jpeg, rest)).status_code == 200
        for somebody in (personas.colleague, personas.stranger):
            assert client_of(somebody).get(address(record.jpeg, rest)).status_code == 404


def test_what_is_withdrawn_is_gone(clinician, record):
    clinician.post(
        f"/api/v1/images/{record.late.pk}/withdraw/", {"reason": "A finger."}, format="json"
    )
    for rest in ("", "/metadata", "/rendered", "/frames/1"):
        assert clinician.get(address(record.late, rest)).status_code == 404


def test_a_lost_file_is_404_and_no_empty_picture(clinician, record):
    record.jpeg.file.storage.delete(record.jpeg.file.name)
    for rest in ("/metadata", "/rendered", "/frames/1", "?accept=application/dicom"):
        assert clinician.get(address(record.jpeg, rest)).status_code == 404


def test_the_scope_is_that_of_images_and_others_tell_more(personas, record):
    personas.patient.sex = "female"
    personas.patient.save()
    told = []
    for scopes in (["lesions:read"], ["images:read"], ["images:read", "patients:read"]):
        _, secret = services.create_api_key(user=personas.clinician, name="k", scopes=scopes)
        response = Program(secret).get(address(record.jpeg, "/metadata"))
        told.append(
            response.json()[0]["00100040"].get("Value")
            if response.status_code == 200
            else response.json()["scope"]
        )
    assert told == ["images:read", None, ["F"]]


def test_who_reviews_blind_learns_nothing_from_it(client_of, record, personas):
    """A picture holds no finding: with or without one, the answer is the same."""
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    clinician = client_of(personas.clinician)
    before = clinician.get(address(record.jpeg, "/metadata")).json()
    PredictionFactory(image=record.jpeg, outcome="urgent")
    assert clinician.get(address(record.jpeg, "/metadata")).json() == before


def test_each_look_is_logged(clinician, record):
    for n, rest in enumerate(("", "/metadata", "/rendered", "/frames/1"), start=1):
        response = clinician.get(address(record.jpeg, rest))
        if response.streaming:
            response.getvalue()
        told = entries(what__startswith="dicomweb:")[-1]
        assert told.request == response["X-Request-ID"]
        assert len(looks_at(record.jpeg)) == n
    assert {one.what for one in entries(what__startswith="dicomweb:")} == {
        "dicomweb:instance",
        "dicomweb:instance-metadata",
        "dicomweb:rendered",
        "dicomweb:frames",
    }


@pytest.fixture
def read(record):
    """The reading of ``record.jpeg``, with a mask."""
    return PredictionMapsFactory(prediction__image=record.jpeg).prediction


def test_a_client_retrieves_the_reading_with_its_study(peer, peer_of, personas, record, read):
    study, _, picture = names(record.jpeg)
    files = {one.Modality: one for one in peer.retrieve_study(study)}
    assert set(files) == {"DMS", "XC", "SR", "SEG"}
    for kind in ("SR", "SEG"):
        [alone] = peer.retrieve_series(study, files[kind].SeriesInstanceUID)
        own = (study, alone.SeriesInstanceUID, alone.SOPInstanceUID)
        assert peer.retrieve_instance(*own) == alone == files[kind]
        told = Dataset.from_json(peer.retrieve_instance_metadata(*own))
        assert told.SOPInstanceUID == alone.SOPInstanceUID
        assert "PixelData" not in told
    [source] = files["SEG"].SourceImageSequence
    assert source.ReferencedSOPInstanceUID == picture
    told = peer.retrieve_study_metadata(study)
    assert len(told) == 5
    pictures_only = peer_of(personas.clinician, ["images:read"])
    assert {one.Modality for one in pictures_only.retrieve_study(study)} == {"DMS", "XC"}


def test_a_series_of_readings_is_in_the_study_of_its_day_only(peer, record, read):
    PredictionFactory(image=record.late)
    day, lesion = record.jpeg.captured_on, record.late.lesion_id
    series = uids.document_series_uid(lesion, day, uids.Document.REPORT)
    assert len(peer.retrieve_series(names(record.jpeg)[0], series)) == 1
    with pytest.raises(HTTPError, match="404"):
        peer.retrieve_series(names(record.late)[0], series)


def test_a_reading_is_gone_with_what_it_told(peer, personas, record, read):
    study = names(record.jpeg)[0]
    before = next(one for one in peer.retrieve_study(study) if one.Modality == "SR")
    own = (study, before.SeriesInstanceUID, before.SOPInstanceUID)
    records.edit_lesion(user=personas.clinician, lesion=record.jpeg.lesion, bleeding=True)
    with pytest.raises(HTTPError, match="404"):
        peer.retrieve_instance(*own)
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    assert {one.Modality for one in peer.retrieve_study(study)} == {"DMS", "XC"}
    with pytest.raises(HTTPError, match="404"):
        peer.retrieve_series(*own[:2])
