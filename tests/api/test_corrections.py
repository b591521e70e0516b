"""Corrections over the API."""

from __future__ import annotations

from datetime import date

import pytest

from accounts.services import create_api_key
from screening.corrections import services
from screening.models import Correction, Lesion, LesionImage, Patient
from screening.models.correction import OF
from screening.records import closing
from tests import clients
from tests.clients import Program
from tests.factories import (
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
)

API = "/api/v1"


@pytest.fixture
def image(lesion):
    return LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))


def address(kind, record, act=""):
    return f"{API}/{kind}/{record.pk}/{act and act + '/'}"


class TestImages:
    def test_the_day_is_corrected(self, clinician, image):
        before = clinician.get(address("images", image)).json()
        body = {"captured_on": "2025-12-24", "captured_time": "09:30", "reason": "The clock."}
        response = clinician.patch(address("images", image), body)
        assert response.status_code == 200
        after = response.json()
        assert (after["captured_on"], after["captured_time"]) == ("2025-12-24", "09:30:00")
        assert after["modified"] > before["modified"]
        (correction,) = clinician.get(address("images", image, "corrections")).json()["results"]
        assert correction["kind"] == "edited"
        assert correction["before"]["captured_on"] == "2026-03-01"
        assert correction["is_standing"]

    def test_not_over_what_another_has_changed(self, clinician, image):
        seen = clinician.get(address("images", image))["ETag"]
        body = {"captured_on": "2025-12-24"}
        for expected in (200, 412):
            response = clinician.patch(address("images", image), body, HTTP_IF_MATCH=seen)
            assert response.status_code == expected
        response = clinician.post(
            address("images", image, "withdraw"), {"reason": "x"}, HTTP_IF_MATCH=seen
        )
        assert response.status_code == 412

    def test_it_is_withdrawn_and_put_back(self, clinician, image):
        url = address("images", image, "withdraw")
        assert clinician.post(url, {}).status_code == 400
        withdrawn = clinician.post(url, {"reason": "A finger."})
        assert withdrawn.status_code == 200
        assert withdrawn.json()["text"] == "The picture of 1 Mar 2026 was withdrawn."
        assert clinician.get(address("images", image)).status_code == 404
        history = clinician.get(address("images", image, "corrections")).json()
        assert history["results"][0]["reason"] == "A finger."
        back = clinician.post(address("images", image, "restore"), {})
        assert back.json()["id"] == str(image.pk)
        assert LesionImage.objects.get() == image

    def test_it_is_moved_knowingly(self, clinician, personas, image):
        PredictionFactory(image=image)
        other = LesionFactory(patient=personas.patient)
        url = address("images", image, "move")
        refused = clinician.post(url, {"lesion": str(other.pk)})
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["pointer"] == "/acknowledged"
        moved = clinician.post(url, {"lesion": str(other.pk), "acknowledged": True})
        assert moved.json()["lesion"] == str(other.pk)
        hidden = clinician.post(url, {"lesion": str(LesionFactory().pk), "acknowledged": True})
        assert hidden.json()["errors"][0]["pointer"] == "/lesion"

    def test_a_repeated_request_is_done_once(self, clinician, image):
        url, key = address("images", image, "withdraw"), {"HTTP_IDEMPOTENCY_KEY": "once"}
        first = clinician.post(url, {"reason": "A finger."}, **key)
        again = clinician.post(url, {"reason": "A finger."}, **key)
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json()


class TestUndo:
    """Whatever a page can undo, the API can: the same operation, reversed."""

    def undo(self, client, kind, record, **body):
        history = client.get(address(kind, record, "corrections")).json()["results"]
        below = {"patients": ("lesion", "image"), "lesions": ("image",), "images": ()}[kind]
        of_it = [one for one in history if not any(one[name] for name in below)]
        last = next(one for one in of_it if one["is_standing"])
        return client.post(f"{API}/corrections/{last['id']}/undo/", body)

    def test_of_an_edit(self, clinician, image):
        ReviewFactory(image=image)
        placed_at = image.placed_at
        clinician.patch(address("images", image), {"captured_on": "2025-12-24"})
        undone = self.undo(clinician, "images", image)
        assert undone.status_code == 200
        assert (undone.json()["kind"], undone.json()["is_standing"]) == ("edited", False)
        image.refresh_from_db()
        assert (image.captured_on, image.placed_at) == (date(2026, 3, 1), placed_at)
        again = clinician.post(f"{API}/corrections/{undone.json()['id']}/undo/", {})
        assert again.status_code == 400

    def test_of_a_move(self, clinician, personas, image):
        other = LesionFactory(patient=personas.patient)
        clinician.post(address("images", image, "move"), {"lesion": str(other.pk)})
        PredictionFactory(image=image)
        refused = self.undo(clinician, "images", image)
        assert refused.json()["errors"][0]["pointer"] == "/acknowledged"
        undone = self.undo(clinician, "images", image, acknowledged=True)
        assert undone.status_code == 200, undone.json()
        assert clinician.get(address("images", image)).json()["lesion"] == str(image.lesion_id)

    def test_of_a_move_to_another_patient(self, clinician, personas, lesion):
        to = PatientFactory(clinic=personas.clinic)
        clinician.post(address("lesions", lesion, "move"), {"patient": str(to.pk)})
        assert self.undo(clinician, "lesions", lesion).status_code == 200
        assert Lesion.objects.get().patient == personas.patient

    def test_of_details(self, clinician, personas, lesion):
        """Details used by the model, and a symptom that was unticked."""
        patient, born = personas.patient, personas.patient.birth_year
        clinician.patch(address("patients", patient), {"birth_year": 1931})
        clinician.patch(address("lesions", lesion), {"bleeding": True})
        clinician.patch(address("lesions", lesion), {"bleeding": False, "body_site": "ear"})
        assert self.undo(clinician, "patients", patient).status_code == 200
        assert self.undo(clinician, "lesions", lesion).status_code == 200
        patient.refresh_from_db()
        told = clinician.get(address("lesions", lesion)).json()
        assert (patient.birth_year, told["bleeding"], told["body_site"]) == (born, True, "back")
        assert told["standing_outcome"] == "see_doctor"
        history = clinician.get(address("lesions", lesion, "corrections")).json()["results"]
        noted = {name: value for one in history[:2] for name, value in one["after"].items()}
        assert noted == {"bleeding": True, "body_site": "back"}

    def test_of_a_withdrawal(self, clinician, personas):
        patient = personas.patient
        clinician.post(address("patients", patient, "withdraw"), {"reason": "A test."})
        PatientFactory(clinic=personas.clinic, label=patient.label)
        assert self.undo(clinician, "patients", patient).json()["errors"][0]["pointer"] == "/label"
        assert self.undo(clinician, "patients", patient, label="N-1b").status_code == 200
        assert Patient.objects.get(pk=patient.pk).label == "N-1b"

    def test_it_needs_the_scope_of_the_record(self, personas, image):
        services.withdraw(user=personas.clinician, record=image, reason="A finger.")
        url = f"{API}/corrections/{Correction.objects.get().pk}/undo/"
        for resource, allowed in {"lesions": False, "images": True}.items():
            scopes = ["corrections:write", f"{resource}:write"]
            _, secret = create_api_key(user=personas.clinician, name="k", scopes=scopes)
            answer = Program(secret).post(url, {})
            assert answer.status_code == (200 if allowed else 403), answer.json()
        assert LesionImage.objects.get() == image

    def test_a_visit_is_for_whose_record_it_is(self, client_of, personas):
        patient = personas.patient
        patient.owner = personas.self_tracker
        patient.save()
        visit = DoctorVisitFactory(lesion=LesionFactory(patient=patient))
        services.withdraw(user=personas.self_tracker, record=visit, reason="Another spot.")
        url = f"{API}/corrections/{Correction.objects.get().pk}/undo/"
        assert client_of(personas.clinician).post(url, {}).status_code == 403
        assert client_of(personas.self_tracker).post(url, {}).status_code == 200


class TestLesions:
    def test_a_merged_one_leads_on(self, clinician, personas, image):
        into = LesionFactory(patient=personas.patient)
        merged = clinician.post(
            address("lesions", image.lesion, "merge"), {"into": str(into.pk), "reason": "Twice."}
        )
        assert merged.json()["id"] == str(into.pk)
        assert merged.json()["image_count"] == 1
        assert merged["ETag"] == clinician.get(address("lesions", into))["ETag"]
        old = clinician.get(address("lesions", image.lesion))
        assert (old.status_code, old["Cache-Control"]) == (301, "private, no-cache")
        assert old["Location"].endswith(address("lesions", into))
        assert clinician.patch(address("lesions", image.lesion), {"notes": "x"}).status_code == 404
        back = clinician.post(address("lesions", image.lesion, "restore"), {})
        assert back.json()["image_count"] == 1

    def test_it_goes_to_another_patient(self, clinician, personas, lesion):
        to = PatientFactory(clinic=personas.clinic)
        moved = clinician.post(address("lesions", lesion, "move"), {"patient": str(to.pk)})
        assert moved.json()["patient"] == str(to.pk)
        assert Lesion.objects.get().patient == to


class TestPatients:
    def test_a_merged_one_leads_on(self, clinician, personas, lesion):
        into = PatientFactory(clinic=personas.clinic)
        url = address("patients", personas.patient, "merge")
        assert clinician.post(url, {"into": str(into.pk)}).json()["id"] == str(into.pk)
        old = clinician.get(address("patients", personas.patient))
        assert old.status_code == 301
        assert old["Location"].endswith(address("patients", into))

    def test_one_is_put_back_under_another_label(self, clinician, personas):
        patient = personas.patient
        clinician.post(address("patients", patient, "withdraw"), {"reason": "A test."})
        PatientFactory(clinic=personas.clinic, label=patient.label)
        url = address("patients", patient, "restore")
        refused = clinician.post(url, {})
        assert refused.json()["errors"][0]["pointer"] == "/label"
        assert clinician.post(url, {"label": "N-1b"}).json()["label"] == "N-1b"
        assert Patient.objects.filter(pk=patient.pk).exists()


def test_each_is_told_to_who_may_read_what_was_corrected(personas, image):
    """One rule for all kinds of records, at every URL that lists corrections."""
    patient, lesion = image.lesion.patient, image.lesion
    patient.owner = personas.clinician
    patient.save()
    visit = DoctorVisitFactory(lesion=lesion, recorded_by=personas.clinician)
    histology = HistologyFactory(lesion=lesion)
    entries = {"visits": visit, "histologies": histology}
    records = {"images": image, **entries, "lesions": lesion, "patients": patient}
    for resource, record in records.items():
        services.withdraw(user=personas.clinician, record=record, reason=f"Of {resource}.")
    for record in (patient, lesion):
        services.restore(user=personas.clinician, record=record, reason=f"Of {record._meta}.")
    assert records.keys() == OF.keys()
    listing = {"patients": set(records), "lesions": {*records} - {"patients"}, "images": {"images"}}
    for kind, shown in listing.items():
        for also in records:
            scopes = sorted({f"{kind}:read", f"{also}:read"})
            _, secret = create_api_key(user=personas.clinician, name="k", scopes=scopes)
            found = Program(secret).get(address(kind, records[kind], "corrections")).json()
            told = {one["reason"] for one in found["results"] if one["kind"] == "withdrawn"}
            assert told == {f"Of {one}." for one in {kind, also} & shown}


def test_histology_is_corrected_by_a_new_one(clinician, lesion):
    said = {"lesion": str(lesion.pk), "examined_on": "2026-03-20"}
    url = f"{API}/histologies/"
    wrong = clinician.post(url, {**said, "diagnosis": "nv"}).json()
    right = clinician.post(url, {**said, "diagnosis": "mel", "supersedes": wrong["id"]}).json()
    assert clinician.get(f"{url}{wrong['id']}/").json()["superseded_by"] == right["id"]
    again = clinician.post(url, {**said, "diagnosis": "bcc", "supersedes": wrong["id"]})
    assert again.json()["errors"][0]["pointer"] == "/supersedes"
    told = clinician.get(f"/fhir/R4/Observation/{wrong['id']}").json()
    assert told["status"] == "amended"
    found = clinician.get("/fhir/R4/Observation?code=histology&status=final").json()
    assert [one["resource"]["id"] for one in found["entry"]] == [right["id"]]


class TestIdentifiers:
    def test_one_of_a_withdrawn_record_is_given_to_the_next(self, clinician, lesion):
        body = {
            "patient": str(lesion.patient_id),
            "identifiers": [{"system": "urn:x", "value": "1"}],
        }
        first = clinician.post(f"{API}/lesions/", body).json()
        clinician.post(f"{API}/lesions/{first['id']}/withdraw/", {"reason": "Twice."})
        second = clinician.post(f"{API}/lesions/", body)
        assert second.status_code == 201
        assert second.json()["id"] != first["id"]
        back = clinician.post(f"{API}/lesions/{first['id']}/restore/", {}).json()
        assert back["identifiers"] == []

    def test_one_of_a_merged_record_names_the_one_that_stays(self, clinician, personas, lesion):
        body = {
            "patient": str(lesion.patient_id),
            "identifiers": [{"system": "urn:x", "value": "1"}],
        }
        first = clinician.post(f"{API}/lesions/", body).json()
        clinician.post(f"{API}/lesions/{first['id']}/merge/", {"into": str(lesion.pk)})
        again = clinician.post(f"{API}/lesions/", body)
        assert (again.status_code, again.json()["id"]) == (200, str(lesion.pk))


class TestVisits:
    def test_one_is_taken_back_and_put_back(self, client_of, personas):
        lesion = LesionFactory(patient=personas.own_patient)
        image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))
        PredictionFactory(image=image, outcome="urgent")
        visit = DoctorVisitFactory(lesion=lesion, finding="removed")
        closing.close(user=personas.self_tracker, lesion=lesion, on=visit.visited_on)
        person, of_lesion = client_of(personas.self_tracker), address("lesions", lesion)
        assert person.get(of_lesion).json()["closed_on"] == "2026-03-15"
        url = address("visits", visit, "withdraw")
        assert person.post(url, {}).status_code == 400
        taken = person.post(url, {"reason": "Another spot."}).json()
        assert taken["text"] == "The visit to a doctor of 15 Mar 2026 was withdrawn."
        assert person.get(address("visits", visit)).status_code == 404
        told = person.get(of_lesion).json()
        assert (told["standing_outcome"], told["closed_on"]) == ("urgent", None)
        history = person.get(address("visits", visit, "corrections")).json()["results"]
        assert [one["reason"] for one in history] == ["Another spot."]
        back = person.post(address("visits", visit, "restore"), {})
        assert back.json()["id"] == str(visit.pk)
        told = person.get(of_lesion).json()
        assert (told["standing_outcome"], told["closed_on"]) == (None, "2026-03-15")

    def test_one_is_corrected_by_a_new_one(self, client_of, personas):
        visit = DoctorVisitFactory(lesion__patient=personas.own_patient)
        person, url = client_of(personas.self_tracker), f"{API}/visits/"
        said = {"lesion": str(visit.lesion_id), "visited_on": "2026-03-18", "finding": "watch"}
        later = person.post(url, {**said, "supersedes": str(visit.pk)}).json()
        assert later["supersedes"] == str(visit.pk)
        assert person.get(address("visits", visit)).json()["superseded_by"] == later["id"]
        again = person.post(url, {**said, "supersedes": str(visit.pk)})
        assert again.json()["errors"][0]["pointer"] == "/supersedes"
        refused = person.post(address("visits", visit, "withdraw"), {"reason": "A slip."})
        assert refused.status_code == 400 and "later entry corrects it" in refused.text


class TestHistologies:
    def test_one_is_withdrawn_and_put_back(self, clinician, client_of, personas, image):
        PredictionFactory(image=image, outcome="urgent")
        lesion = image.lesion
        said = {"lesion": str(lesion.pk), "examined_on": "2026-03-20", "diagnosis": "mel"}
        said |= {"shown_at": clients.shown(lesion)["shown_at"], "note": "Of the back."}
        found = clinician.post(f"{API}/histologies/", said).json()
        of_lesion = address("lesions", lesion)
        assert clinician.get(of_lesion).json()["standing_outcome"] is None
        url = f"{API}/histologies/{found['id']}/"
        as_before = clinician.get(f"/fhir/R4/Observation/{found['id']}").json()
        assert clinician.post(f"{url}withdraw/", {}).status_code == 400
        taken = clinician.post(f"{url}withdraw/", {"reason": "Another spot."}).json()
        assert taken["text"] == "The histology of 20 Mar 2026 (Melanoma) was withdrawn."
        assert (taken["histology"], taken["made_by"]) == (found["id"], str(personas.clinician))
        assert clinician.get(url).status_code == 404
        assert clinician.get(of_lesion).json()["standing_outcome"] == "urgent"
        self._is_in_error(clinician, found["id"], as_before)
        report = clinician.get(f"/fhir/R4/DiagnosticReport/{lesion.pk}").json()
        assert found["id"] not in str(report) and "Histology" not in report["conclusion"]
        reader = client_of(personas.viewer)
        assert reader.post(f"{url}restore/", {}).status_code == 404
        back = clinician.post(f"{url}restore/", {})
        assert back.json()["id"] == found["id"]
        assert clinician.get(of_lesion).json()["standing_outcome"] is None
        found = clinician.get(f"/fhir/R4/Observation/{found['id']}").json()
        assert found["status"] == "final" and found["valueCodeableConcept"]

    @staticmethod
    def _is_in_error(clinician, pk, before):
        told = clinician.get(f"/fhir/R4/Observation/{pk}").json()
        assert told["status"] == "entered-in-error"
        assert told["meta"]["lastUpdated"] > before["meta"]["lastUpdated"]
        assert before["valueCodeableConcept"] and before["note"]
        assert not {"valueCodeableConcept", "note", "component"} & told.keys()
        for status, ids in (("entered-in-error", [pk]), ("final", []), ("amended", [])):
            query = f"/fhir/R4/Observation?code=histology&status={status}"
            entries = clinician.get(query).json().get("entry", [])
            assert [one["resource"]["id"] for one in entries] == ids


def test_blanks_around_a_text_count_to_its_length(client_of, personas):
    image = LesionImageFactory(lesion__patient=personas.patient)
    client = client_of(personas.clinician)
    address = f"/api/v1/images/{image.pk}/withdraw/"
    refused = client.post(address, {"reason": " " + "x" * 400}, format="json")
    assert refused.status_code == 400
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/reason"]
    assert client.post(address, {"reason": "x" * 400}, format="json").status_code == 200
