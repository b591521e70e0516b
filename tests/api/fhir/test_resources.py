"""What each FHIR resource says, and that all of them are valid R4."""

from __future__ import annotations

import base64
from datetime import date

import pytest
from django.utils import timezone
from pydantic import ValidationError as InvalidResource

from ml import reader
from screening.interop.fhir.resources import KINDS
from screening.models import Prediction
from screening.predictions.advice import DISCLAIMER
from screening.records import closing
from screening.records import services as record_services
from tests.api.fhir.conftest import BASE, check, fetched, references, resources
from tests.factories import (
    DoctorVisitFactory,
    LesionFactory,
    PredictionFactory,
    ReviewFactory,
    UserFactory,
    picture,
)
from tests.privacy.entries import looks_at

pytestmark = pytest.mark.any_database

AIAST = [
    {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "AIAST",
        "display": "Artificial Intelligence asserted",
    }
]


def of(client, kind, pk):
    return fetched(client, f"{kind}/{pk}")


def components(observation):
    return {
        part["code"]["coding"][0]["code"]: part.get("valueQuantity", {}).get("value")
        for part in observation["component"]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_resource_is_valid_alone_and_in_its_bundle(clinician, record, kind):
    found = resources(fetched(clinician, kind))
    assert found
    for one in found:
        assert one["resourceType"] == kind
        assert of(clinician, kind, one["id"]) == one


def test_the_check_would_notice():
    with pytest.raises(InvalidResource):
        check({"resourceType": "Observation", "status": "final"})
    with pytest.raises(AssertionError, match=r"Patient\.gender is f"):
        check({"resourceType": "Patient", "gender": "f"})
    with pytest.raises(AssertionError, match="empty"):
        check({"resourceType": "Patient", "active": True, "name": []})


def test_a_patient_has_no_name(clinician, record):
    found = of(clinician, "Patient", record.patient.pk)
    assert found["name"] == [{"use": "anonymous", "text": "N-1"}]
    assert (found["birthDate"], found["gender"]) == ("1960", "female")
    assert found["managingOrganization"] == {"display": "North clinic"}
    assert found["identifier"][1]["system"].endswith(f"/patient-label/{record.patient.clinic_id}")


def test_what_is_not_known_of_a_patient_is_left_out(clinician, personas):
    personas.patient.sex, personas.patient.birth_year = "", None
    personas.patient.save()
    found = of(clinician, "Patient", personas.patient.pk)
    assert found["gender"] == "unknown"
    assert "birthDate" not in found


def test_a_lesion_lies_where_the_body_map_says(clinician, record):
    found = of(clinician, "BodyStructure", record.lesion.pk)
    (place,) = found["location"]["coding"]
    assert (place["code"], place["display"]) == ("66643007", "Skin structure of back")
    assert found["locationQualifier"][0]["coding"][0]["code"] == "7771000"
    assert "Marked as bleeding." in found["description"]
    assert found["image"][0]["url"].endswith(f"{BASE}/Binary/{record.reviewed.image_id}")


def test_a_site_without_a_verified_code_is_told_in_words(clinician, record):
    found = resources(fetched(clinician, f"BodyStructure?patient={record.patient.pk}"))
    acral = next(one for one in found if "coding" not in one["location"])
    assert acral["location"] == {"text": "Palm, sole or nail fold (acral)"}
    unknown = LesionFactory(patient=record.patient, body_site="")
    assert "location" not in of(clinician, "BodyStructure", unknown.pk)


def test_a_picture_comes_as_media_and_binary(clinician, record):
    image = record.reviewed.image
    found = of(clinician, "Media", image.pk)
    assert found["modality"]["coding"][0]["code"] == "DMS"
    assert (found["createdDateTime"], found["deviceName"]) == ("2026-03-01", "Lens 4")
    assert (found["width"], found["height"]) == (300, 225)
    assert f"BodyStructure/{record.lesion.pk}" in set(references(found))
    address = found["content"]["url"].removeprefix("http://testserver")
    raw = clinician.get(address)
    assert raw["Content-Type"] == found["content"]["contentType"] == "image/jpeg"
    assert raw.getvalue() == picture()
    wrapped = fetched(clinician, f"Binary/{image.pk}", HTTP_ACCEPT="application/fhir+json")
    assert base64.b64decode(wrapped["data"]) == picture()
    assert wrapped["securityContext"] == {"reference": f"Media/{image.pk}"}
    assert len(looks_at(image, what="fhir:binary")) == 2


def test_a_lost_file_is_not_found(clinician, record):
    image = record.reviewed.image
    image.file.storage.delete(image.file.name)
    for headers in ({}, {"HTTP_ACCEPT": "application/fhir+json"}):
        response = clinician.get(f"{BASE}/Binary/{image.pk}", **headers)
        assert response.status_code == 404
        check(response.json())


def test_a_reading_stays_preliminary_and_a_review_is_final(clinician, record):
    reading = of(clinician, "Observation", record.reviewed.pk)
    review = of(clinician, "Observation", record.review.pk)
    assert (reading["status"], review["status"]) == ("preliminary", "final")
    assert reading["meta"]["security"] == AIAST
    assert "security" not in review["meta"]
    assert reading["device"] == {"reference": f"Device/{reader.DEFAULT_VERSION}"}
    assert review["performer"][0]["display"] == str(record.review.reviewer)
    assert review["valueCodeableConcept"]["coding"][0]["code"] == "mel"
    for one in (reading, review):
        assert one["effectiveDateTime"] == "2026-03-01"
        assert one["focus"][0]["reference"] == f"BodyStructure/{record.lesion.pk}"
        assert one["derivedFrom"] == [{"reference": f"Media/{record.reviewed.image_id}"}]


def test_a_review_that_was_superseded_says_so_and_by_which(clinician, record):
    before = of(clinician, "Observation", record.review.pk)
    later = ReviewFactory(image=record.review.image, supersedes=record.review, conclusion="nv")
    earlier = of(clinician, "Observation", record.review.pk)
    assert earlier["status"] == "amended"
    assert earlier["meta"]["lastUpdated"] > before["meta"]["lastUpdated"]
    found = of(clinician, "Observation", later.pk)
    assert found["status"] == "final"
    assert found["extension"][0]["valueReference"] == {"reference": f"Observation/{earlier['id']}"}
    amended = resources(fetched(clinician, "Observation?status=amended"))
    assert [one["id"] for one in amended] == [earlier["id"]]
    report = of(clinician, "DiagnosticReport", record.lesion.pk)
    assert {"reference": f"Observation/{later.pk}"} in report["result"]
    assert {"reference": f"Observation/{earlier['id']}"} not in report["result"]


def test_a_reading_tells_what_the_person_is_told(clinician, record):
    """``monitor`` is never shown for a lesion that bleeds."""
    found = of(clinician, "Observation", record.reviewed.pk)
    assert found["valueCodeableConcept"]["coding"][0]["code"] == "see_doctor"
    assert found["note"][-1] == {"text": DISCLAIMER}
    assert len(found["note"]) >= 3
    assert components(found) == {"p-malignant": 0.03} | record.reviewed.probabilities


def test_what_could_not_be_assessed_has_no_numbers_and_no_risk(clinician, record):
    found = resources(fetched(clinician, "Observation?code=model-reading"))
    by_reason = {
        one["dataAbsentReason"]["coding"][0]["code"]: one
        for one in found
        if "dataAbsentReason" in one
    }
    assert by_reason.keys() == {"not-performed", "error", "temp-unknown"}
    assert by_reason["error"]["status"] == "cancelled"
    assert by_reason["temp-unknown"]["status"] == "registered"
    for one in by_reason.values():
        assert "valueCodeableConcept" not in one
        assert "component" not in one
        assert clinician.get(f"{BASE}/RiskAssessment/{one['id']}").status_code == 404


def test_a_risk_is_a_percentage_of_the_same_reading(clinician, record):
    found = of(clinician, "RiskAssessment", record.reviewed.pk)
    assert found["prediction"][0]["probabilityDecimal"] == 3.0
    assert (found["status"], found["meta"]["security"]) == ("preliminary", AIAST)
    assert {"reference": f"Observation/{record.reviewed.pk}"} in found["basis"]


def test_histology_is_final_with_its_thickness(clinician, record):
    found = of(clinician, "Observation", record.histology.pk)
    assert (found["status"], found["effectiveDateTime"]) == ("final", "2026-03-20")
    assert found["component"][0]["valueQuantity"]["value"] == 0.4
    assert found["component"][0]["valueQuantity"]["code"] == "mm"


def test_what_is_none_of_the_seven_is_told_in_words(clinician, record):
    found = resources(fetched(clinician, "Observation?code=histology"))
    other = next(one for one in found if "note" in one)
    assert other["valueCodeableConcept"] == {"text": "Something else (see note)"}
    assert other["note"] == [{"text": "A wart."}]


def test_a_report_says_first_what_the_pathologist_said(clinician, record):
    found = of(clinician, "DiagnosticReport", record.lesion.pk)
    assert found["status"] == "final"
    assert "security" not in found["meta"]
    assert found["conclusion"].startswith("Histology: Melanoma.")
    assert found["conclusionCode"][0]["coding"][0]["code"] == "mel"
    assert found["result"][0] == {"reference": f"Observation/{record.histology.pk}"}
    assert len(found["result"]) == 6
    assert len(found["media"]) == 2
    pdf = clinician.get(found["presentedForm"][0]["url"].removeprefix("http://testserver"))
    assert pdf.getvalue().startswith(b"%PDF")


def test_a_report_without_a_conclusion_is_preliminary(clinician, lesion):
    reading = PredictionFactory(image__lesion=lesion, outcome="urgent")
    found = of(clinician, "DiagnosticReport", lesion.pk)
    assert (found["status"], found["meta"]["security"]) == ("preliminary", AIAST)
    assert "not yet by a clinician" in found["conclusion"]
    assert codes(found) == ["urgent"]
    ReviewFactory(image=reading.image, conclusion="bcc")
    assert of(clinician, "DiagnosticReport", lesion.pk)["status"] == "final"
    PredictionFactory(image__lesion=lesion, image__captured_on="2026-04-01", queued=True)
    assert of(clinician, "DiagnosticReport", lesion.pk)["status"] == "preliminary"


def codes(report):
    return [one["coding"][0]["code"] for one in report.get("conclusionCode", [])]


def test_a_lesion_without_an_image_has_a_report_once_a_symptom_is_marked(
    clinician, personas, lesion
):
    assert clinician.get(f"{BASE}/DiagnosticReport/{lesion.pk}").status_code == 404
    record_services.edit_lesion(user=personas.clinician, lesion=lesion, bleeding=True)
    lesion.refresh_from_db()
    found = of(clinician, "DiagnosticReport", lesion.pk)
    assert (found["status"], codes(found)) == ("preliminary", ["see_doctor"])
    assert "See a doctor" in found["conclusion"]
    assert "bleeding" in found["conclusion"]
    assert "model" not in found["conclusion"]
    assert "security" not in found["meta"]
    assert found["effectiveDateTime"].startswith(str(lesion.symptoms_at.date()))


def test_of_a_photograph_no_model_is_said_to_have_read_it(clinician, lesion):
    PredictionFactory(
        image__lesion=lesion,
        image__modality="clinical",
        outcome="not_assessable",
        reason="clinical_photograph",
    )
    found = of(clinician, "DiagnosticReport", lesion.pk)
    assert found["conclusion"]
    assert "Read by a model" not in found["conclusion"]


def test_a_harmless_conclusion_never_stands_alone_beside_a_warning(clinician, lesion):
    reading = PredictionFactory(image__lesion=lesion, image__captured_on="2026-03-01")
    ReviewFactory(image=reading.image, conclusion="nv", management="none")
    assert codes(of(clinician, "DiagnosticReport", lesion.pk)) == ["nv"]
    PredictionFactory(image__lesion=lesion, image__captured_on="2026-02-01", outcome="urgent")
    found = of(clinician, "DiagnosticReport", lesion.pk)
    assert (found["status"], codes(found)) == ("preliminary", ["urgent", "nv"])


def test_a_visit_on_a_clinics_record_is_told_and_settles_nothing(clinician, lesion):
    PredictionFactory(image__lesion=lesion, outcome="urgent")
    DoctorVisitFactory(
        lesion=lesion,
        recorded_by=UserFactory(),
        visited_on=timezone.localdate(),
        finding="harmless",
    )
    found = of(clinician, "DiagnosticReport", lesion.pk)
    assert "settled" not in found["conclusion"]
    assert "Doctor's visit on" in found["conclusion"]
    assert "it is harmless" in found["conclusion"]
    assert codes(found) == ["urgent"]


def test_which_reading_counts_is_said(clinician, lesion):
    counting = PredictionFactory(image__lesion=lesion, outcome="urgent")
    beside = PredictionFactory(image=counting.image, outcome="monitor", model_version="gone-1")
    for reading, counts in ((counting, True), (beside, False)):
        assert Prediction.objects.get(pk=reading.pk).counts is counts
        for kind in ("Observation", "RiskAssessment"):
            found = of(clinician, kind, reading.pk)
            (said,) = found["extension"]
            assert said["url"].endswith("/fhir/R4/StructureDefinition/reading-counts")
            assert said["valueBoolean"] is counts
            notes = " ".join(note["text"] for note in found["note"])
            assert ("Another reading of this image counts" in notes) is not counts


def test_a_lesion_that_was_removed_says_so(clinician, personas, lesion):
    PredictionFactory(image__lesion=lesion)
    assert of(clinician, "BodyStructure", lesion.pk)["active"] is True
    closing.close(user=personas.clinician, lesion=lesion, on=date(2026, 11, 3))
    found = of(clinician, "BodyStructure", lesion.pk)
    assert found["active"] is False
    assert "Removed on 3 Nov 2026." in found["description"]
    assert "Removed on 3 Nov 2026." in of(clinician, "DiagnosticReport", lesion.pk)["conclusion"]


def test_provenance_leads_to_the_model_its_weights_and_its_card(clinician, record):
    found = of(clinician, "Provenance", record.reviewed.pk)
    version = reader.DEFAULT_VERSION
    assert {"reference": f"DocumentReference/{version}", "display": "Model card"} in [
        part["what"] for part in found["entity"]
    ]
    assert found["agent"][0]["who"] == {"reference": f"Device/{version}"}
    weights = found["entity"][1]["what"]["identifier"]
    assert weights["value"] == record.reviewed.weights_sha256
    card = of(clinician, "DocumentReference", version)["content"][0]["attachment"]
    page = clinician.get(card["url"].removeprefix("http://testserver"))
    assert page.json()["version"] == version


def test_a_version_that_is_gone_is_still_a_device(clinician, record):
    found = of(clinician, "Device", "gone-1")
    assert found["status"] == "inactive"
    assert clinician.get(f"{BASE}/DocumentReference/gone-1").status_code == 404


def test_a_devices_weights_are_those_of_its_card(clinician, record):
    found = of(clinician, "Device", reader.DEFAULT_VERSION)
    assert found["status"] == "active"
    assert found["identifier"][0]["value"] == reader.card()["weights_sha256"]
