"""STOW-RS: by dicomweb-client over HTTP; what becomes of each instance."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import numpy as np
import pytest
from django.http import HttpRequest
from pydicom import Dataset, dcmread, uid
from pydicom.pixels import pixel_array
from requests import HTTPError

from accounts import agreements, services
from screening.api.dicomweb.multipart import Instances
from screening.corrections import services as corrections
from screening.errors import Busy
from screening.images import sandbox
from screening.images.quota import Storage
from screening.interop import identifiers
from screening.interop.dicomweb import storage
from screening.models import BodySite, ExternalIdentifier, Lesion, LesionImage, Patient
from tests.api.dicomweb.conftest import BASE
from tests.clients import Program
from tests.factories import LesionFactory, PatientFactory
from tests.interop.dicoms import NAME, NUMBER, dicom, picture
from tests.privacy.entries import entries

STUDY, SERIES, INSTANCE = "1.2.826.1", "1.2.826.1.1", "1.2.826.1.1.1"
WORDS, REASON, WARNING = "0040A160", "00081197", "00081196"
ALL = ["images:read", "images:write", "patients:write", "lesions:write"]


def sent(image=None, **elements) -> bytes:
    own = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "SOPInstanceUID": INSTANCE,
    }
    return dicom(image=image or picture(), **(own | elements))


def multipart(*files: bytes, kind: str = "application/dicom") -> bytes:
    parts = [f"--b\r\nContent-Type: {kind}\r\n\r\n".encode() + one + b"\r\n" for one in files]
    return b"".join(parts) + b"--b--"


MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'


def post(client, body: bytes, kind: str = MULTIPART, study: str = ""):
    address = f"{BASE}/studies/{study}" if study else f"{BASE}/studies"
    return client.post(address, body, content_type=kind)


def items(response, tag: str) -> list[dict]:
    return response.json().get(tag, {}).get("Value", [])


def failure(response) -> tuple[int, str]:
    assert response.status_code == 409, response.content
    [one] = items(response, "00081198") or items(response, "0008119A")
    return one[REASON]["Value"][0], one[WORDS]["Value"][0]


@pytest.fixture
def known(personas) -> Patient:
    """The patient with the number that the files name."""
    ExternalIdentifier.objects.create(
        clinic=personas.clinic,
        kind="patient",
        patient=personas.patient,
        system="urn:x",
        value=NUMBER,
    )
    return personas.patient


@pytest.fixture
def system(personas) -> Program:
    """Bound to the clinic, as a registered system is."""
    _, secret = services.create_api_key(
        user=personas.clinician, name="s", scopes=ALL, clinic=personas.clinic
    )
    return Program(secret)


def test_a_client_stores_finds_and_retrieves(peer_of, personas, known):
    peer = peer_of(personas.clinician)
    other = picture((320, 240))
    told = peer.store_instances(
        [
            dcmread(BytesIO(sent())),
            dcmread(BytesIO(sent(other, SOPInstanceUID=f"{INSTANCE}.2"))),
            dcmread(
                BytesIO(
                    sent(
                        picture((200, 200)),
                        SeriesInstanceUID=f"{SERIES}.2",
                        SOPInstanceUID=f"{INSTANCE}.3",
                    )
                )
            ),
        ]
    )
    stored = [one.ReferencedSOPInstanceUID for one in told.ReferencedSOPSequence]
    assert stored == [INSTANCE, f"{INSTANCE}.2", f"{INSTANCE}.3"]
    assert {one.WarningReason for one in told.ReferencedSOPSequence} == {storage.COERCED}
    assert "FailedSOPSequence" not in told
    assert Lesion.objects.filter(patient=known).count() == 2
    [found] = peer.search_for_instances(search_filters={"SOPInstanceUID": INSTANCE})
    found = Dataset.from_json(found)
    again = peer.retrieve_instance(
        found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID
    )
    assert again.SOPInstanceUID == INSTANCE
    assert np.array_equal(pixel_array(again), np.asarray(picture()))
    assert again.PatientID == str(known.pk)
    assert NAME not in str(again)
    assert told.ReferencedSOPSequence[0].RetrieveURL.endswith(
        f"/studies/{found.StudyInstanceUID}/series/{found.SeriesInstanceUID}/instances/{INSTANCE}"
    )


def test_what_it_says_is_taken_over(clinician, known):
    response = post(clinician, sent(), "application/dicom")
    assert response.status_code == 202
    assert response["Content-Type"] == "application/dicom+json"
    image = LesionImage.objects.get()
    assert (image.captured_on, image.modality) == (date(2026, 1, 12), "dermatoscopic")
    assert image.lesion.body_site == BodySite.BACK
    assert image.scales.get().mm_per_pixel == 0.02
    assert image.predictions.count() == 1


def test_a_photograph_is_stored_as_one(clinician, known):
    data = sent(SOPClassUID=uid.VLPhotographicImageStorage)
    assert post(clinician, data, "application/dicom").status_code == 202
    assert LesionImage.objects.get().modality == "clinical"


def test_sending_it_again_changes_nothing(clinician, known):
    for _ in range(2):
        assert post(clinician, multipart(sent())).status_code == 202
    assert LesionImage.objects.count() == Lesion.objects.filter(patient=known).count() == 1


def test_what_we_gave_comes_back_to_its_lesion(clinician, personas):
    lesion = LesionFactory(patient=personas.patient)
    response = post(
        clinician,
        sent(
            PatientID=str(personas.patient.pk),
            SeriesInstanceUID=f"2.25.{lesion.pk.int}.20250101.1",
        ),
        "application/dicom",
    )
    assert response.status_code == 202
    assert LesionImage.objects.get().lesion == lesion


@pytest.mark.filterwarnings("ignore:The value length")  # of who writes the file
@pytest.mark.parametrize("number", ["M" * 65, "A\\B"])
def test_no_number_is_cut_or_bent(system, number):
    reason, words = failure(post(system, multipart(sent(PatientID=number))))
    assert reason == storage.Reason.UNREADABLE
    assert "64 characters" in words


@pytest.mark.parametrize("syntax", ["*", "1.2.840.10008.1.2.1"])
def test_what_is_fetched_and_sent_back_is_known(clinician, known, syntax):
    post(clinician, multipart(sent()))
    image = LesionImage.objects.get()
    image.identifiers.all().delete()
    [found] = clinician.get(f"{BASE}/instances").json()
    address = "/".join(
        f"{level}/{found[tag]['Value'][0]}"
        for level, tag in (
            ("studies", "0020000D"),
            ("series", "0020000E"),
            ("instances", "00080018"),
        )
    )
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    fetched = clinician.get(f"{BASE}/{address}", HTTP_ACCEPT=accept)
    body = b"".join(fetched.streaming_content)
    again = post(clinician, body, kind=fetched["Content-Type"])
    assert again.status_code == 202, again.content
    assert LesionImage.everything.get() == image


def test_a_system_of_a_clinic_adds_patients(system, personas):
    assert post(system, multipart(sent())).status_code == 202
    image = LesionImage.objects.get()
    assert (image.lesion.patient.label, image.lesion.patient.clinic) == (NUMBER, personas.clinic)
    assert image.lesion.patient.identifiers.get().system == storage.PATIENT_ID
    assert post(system, multipart(sent(), sent(picture((90, 90)), SOPInstanceUID="1.2"))).json()
    assert Patient.objects.filter(label=NUMBER).count() == 1
    assert LesionImage.objects.count() == 2


def test_the_issuer_tells_patients_apart(clinician, known, personas):
    other = PatientFactory(clinic=personas.clinic)
    ExternalIdentifier.objects.create(
        clinic=personas.clinic, kind="patient", patient=other, system="urn:y", value=NUMBER
    )
    reason, words = failure(post(clinician, multipart(sent())))
    assert (reason, words) == (storage.Reason.PATIENT, storage.SEVERAL_PATIENTS)
    assert post(clinician, multipart(sent(IssuerOfPatientID="urn:y"))).status_code == 202
    assert LesionImage.objects.get().lesion.patient == other


def identified(patient, system, value=NUMBER, **side) -> None:
    side = side or {"clinic": patient.clinic}
    ExternalIdentifier.objects.create(
        kind="patient", patient=patient, system=system, value=value, **side
    )


@pytest.mark.parametrize("issuer", [None, identifiers.MANIFEST])
def test_a_name_in_a_manifest_is_no_patient_id(system, clinician, personas, issuer):
    identified(personas.patient, identifiers.MANIFEST)
    issued = {"IssuerOfPatientID": issuer} if issuer else {}
    assert failure(post(clinician, multipart(sent(**issued))))[0] == storage.Reason.PATIENT
    if issuer:
        assert failure(post(system, multipart(sent(**issued))))[0] == storage.Reason.PATIENT
    else:
        assert post(system, multipart(sent())).status_code == 202
        assert LesionImage.objects.get().lesion.patient != personas.patient


def test_a_number_that_the_owner_gave_is_not_the_clinics(clinician, personas):
    identified(personas.patient, "urn:x", owner=personas.stranger)
    for issued in ({}, {"IssuerOfPatientID": "urn:x"}):
        assert failure(post(clinician, multipart(sent(**issued))))[0] == storage.Reason.PATIENT


def test_the_owner_finds_the_own_record_by_number(client_of, personas):
    own = PatientFactory(clinic=None, owner=personas.stranger)
    identified(own, "urn:x", owner=personas.stranger)
    assert post(client_of(personas.stranger), multipart(sent())).status_code == 202
    assert LesionImage.objects.get().lesion.patient == own


GONE = {
    "picture": lambda image: image,
    "lesion": lambda image: image.lesion,
    "patient": lambda image: image.lesion.patient,
}


@pytest.mark.parametrize("what", GONE)
def test_what_was_withdrawn_is_not_made_anew(system, personas, what):
    assert post(system, multipart(sent())).status_code == 202
    image = LesionImage.objects.get()
    record = GONE[what](image)
    counted = (Patient.everything, Lesion.everything, LesionImage.everything)
    before = [rows.count() for rows in counted]
    corrections.withdraw(user=personas.clinician, record=record, reason="Somebody else.")
    reason, words = failure(post(system, multipart(sent())))
    assert (reason, words) == (storage.Reason.REFUSED, f"This {what} {storage.WITHDRAWN}")
    assert [rows.count() for rows in counted] == before
    corrections.restore(user=personas.clinician, record=record)
    assert post(system, multipart(sent())).status_code == 202
    assert LesionImage.objects.get() == image


@pytest.mark.parametrize(
    "again",
    [
        {"image": picture((90, 90))},
        {"SeriesInstanceUID": "1.2.8"},
    ],
)
def test_a_withdrawn_picture_is_known_by_its_uid(system, personas, again):
    assert post(system, multipart(sent())).status_code == 202
    image = LesionImage.objects.get()
    corrections.withdraw(user=personas.clinician, record=image, reason="A finger.")
    assert failure(post(system, multipart(sent(**again))))[0] == storage.Reason.REFUSED
    assert Lesion.everything.count() == 1


def test_a_withdrawn_picture_is_known_by_its_bytes(system, personas):
    assert post(system, multipart(sent())).status_code == 202
    image = LesionImage.objects.get()
    image.identifiers.all().delete()
    corrections.withdraw(user=personas.clinician, record=image, reason="A finger.")
    assert failure(post(system, multipart(sent())))[0] == storage.Reason.REFUSED


def test_out_of_resources_is_tried_again_with_the_same_key(clinician, known, monkeypatch):
    def again():
        return clinician.post(
            f"{BASE}/studies",
            multipart(sent()),
            content_type=MULTIPART,
            HTTP_IDEMPOTENCY_KEY="k",
        )

    with monkeypatch.context() as patch:
        patch.setattr("screening.images.quota.of_clinic", lambda clinic: Storage(1, 1))
        assert failure(again())[0] == storage.Reason.NO_RESOURCES
    first, second = again(), again()
    assert (first.status_code, second.status_code) == (202, 202)
    assert second["Idempotent-Replayed"] == "true"
    assert second.content == first.content
    assert second["Content-Type"] == first["Content-Type"] == "application/dicom+json"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: sent(SOPClassUID=uid.SecondaryCaptureImageStorage), "CLASS"),
        (lambda: sent(SOPClassUID=uid.CTImageStorage), "CLASS"),
        (lambda: dicom(syntax=uid.MPEG2MPML, frame=b"x" * 10), "SYNTAX"),
        (lambda: sent(PatientID="somebody else"), "PATIENT"),
        (lambda: sent(PatientID=None), "UNREADABLE"),
        (lambda: sent(PatientID="A\0B"), "UNREADABLE"),
        (lambda: sent(IssuerOfPatientID="A\0B"), "UNREADABLE"),
        (lambda: sent(StudyInstanceUID=""), "UNREADABLE"),
        (lambda: sent()[:140], "UNREADABLE"),
        (lambda: b"\xff\xd8\xff", "UNREADABLE"),
        (lambda: b"", "UNREADABLE"),
        (lambda: sent()[:5000], "REFUSED"),
        (lambda: sent(Rows=4000), "REFUSED"),
        (lambda: sent(BurnedInAnnotation="YES"), "REFUSED"),
        (lambda: sent(AcquisitionDateTime="20990101"), "REFUSED"),
        (lambda: sent(NumberOfFrames="2"), "REFUSED"),
    ],
)
def test_a_failure_has_its_reason_and_leaves_nothing(clinician, known, data, reason):
    assert failure(post(clinician, multipart(data())))[0] == storage.Reason[reason]
    assert not LesionImage.objects.exists()
    assert not Lesion.objects.filter(patient=known).exists()


def test_some_may_be_stored_and_others_fail(clinician, known):
    bad = sent(SOPClassUID=uid.CTImageStorage, SOPInstanceUID=f"{INSTANCE}.9")
    response = post(clinician, multipart(sent(), bad, b"nothing"))
    assert response.status_code == 202
    assert len(items(response, "00081199")) == 1
    [failed] = items(response, "00081198")
    assert failed["00081155"]["Value"] == [f"{INSTANCE}.9"]
    assert len(items(response, "0008119A")) == 1


def test_the_study_of_the_address_is_the_only_one(clinician, known):
    assert failure(post(clinician, multipart(sent()), study="1.2"))[0] == storage.Reason.OTHER_STUDY
    assert post(clinician, multipart(sent()), study=STUDY).status_code == 202


@pytest.mark.parametrize(
    ("persona", "reason"),
    [("viewer", "NOT_AUTHORIZED"), ("colleague", "PATIENT"), ("stranger", "PATIENT")],
)
def test_who_may_not_write_does_not(client_of, personas, known, persona, reason):
    response = post(client_of(getattr(personas, persona)), multipart(sent()))
    assert failure(response)[0] == storage.Reason[reason]
    assert not LesionImage.objects.exists()


@pytest.mark.parametrize(
    ("scopes", "clinic", "words"),
    [
        (["images:write"], True, "patients:write"),
        (["images:write", "patients:write"], True, "lesions:write"),
        (["images:write"], False, storage.UNKNOWN_PATIENT),
    ],
)
def test_what_is_added_needs_its_scope(personas, scopes, clinic, words):
    of = {"clinic": personas.clinic} if clinic else {}
    _, secret = services.create_api_key(user=personas.clinician, name="k", scopes=scopes, **of)
    before = Patient.objects.count()
    assert words in failure(post(Program(secret), multipart(sent())))[1]
    assert Patient.objects.count() == before


def test_a_clinics_first_record_needs_its_confirmation(personas, system):
    personas.clinic.agreements.all().delete()
    assert agreements.CONFIRMATION in failure(post(system, multipart(sent())))[1]
    assert not LesionImage.objects.exists()
    agreements.agree(user=personas.admin, clinic=personas.clinic)
    post(system, multipart(sent()))
    assert LesionImage.objects.get().lesion.patient.clinic == personas.clinic


def test_without_the_scope_of_images_it_is_403(personas, known):
    _, secret = services.create_api_key(user=personas.clinician, name="k", scopes=["images:read"])
    response = post(Program(secret), multipart(sent()))
    assert (response.status_code, response.json()["scope"]) == (403, "images:write")


def test_no_room_and_no_hands_are_out_of_resources(clinician, known, monkeypatch):
    monkeypatch.setattr("screening.images.quota.of_clinic", lambda clinic: Storage(1, 1))
    assert failure(post(clinician, multipart(sent())))[0] == storage.Reason.NO_RESOURCES
    monkeypatch.setattr(sandbox, "PATIENCE", 0)
    turns = [sandbox._turns.acquire(blocking=False) for _ in range(sandbox.AT_ONCE)]
    assert all(turns)
    try:
        with pytest.raises(Busy):
            storage._identity(sent())
        assert failure(post(clinician, multipart(sent())))[0] == storage.Reason.NO_RESOURCES
    finally:
        sandbox._turns.release(len(turns))


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (multipart(b"x"), "multipart/form-data; boundary=b", 415),
        (b"{}", "application/json", 415),
        (multipart(b"x"), MULTIPART.replace("application/dicom", "application/dicom+json"), 400),
        (multipart(b"x"), 'multipart/related; type="application/dicom"', 400),
        (multipart(b"x", kind="image/jpeg"), MULTIPART, 400),
        (multipart(b"x")[:-4], MULTIPART, 400),
        (b"", MULTIPART, 400),
        (b"--b--", MULTIPART, 400),
        (b"--b\r\n--b--", MULTIPART, 400),
        (b"\r\n--b" * 200, MULTIPART, 400),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(clinician, known, body, kind, status):
    response = post(clinician, body, kind)
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"


def test_a_client_learns_why(peer_of, personas, known):
    bad = dcmread(BytesIO(sent(SOPClassUID=uid.CTImageStorage)))
    with pytest.raises(HTTPError, match="409"):
        peer_of(personas.clinician).store_instances([bad])


def test_it_is_logged_once(clinician, known):
    assert post(clinician, multipart(sent())).status_code == 202
    [entry] = entries(what="dicomweb:studies")
    assert str(known.pk) in entry.details["patients"]
    assert NUMBER not in str(entry.details)


def test_parts_share_the_memory_of_the_body():
    """Ninety megabytes are not held three times."""
    context = {"request": HttpRequest()}
    body = b"a preamble\r\n" + multipart(b"one", b"", b"t\r\n-wo")
    parts = Instances().parse(BytesIO(body), MULTIPART, context)["instances"]
    assert [bytes(one) for one in parts] == [b"one", b"", b"t\r\n-wo"]
    assert len({id(one.obj) for one in parts}) == 1
