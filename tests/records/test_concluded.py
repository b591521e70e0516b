"""What a clinician or a pathologist found last, or worst, is shown with the lesion everywhere."""

from __future__ import annotations

import csv
import json
import re
from datetime import date
from io import BytesIO, StringIO

import pytest
from django.urls import reverse
from pypdf import PdfReader

from accounts import services
from screening.records import queries as record_queries
from screening.reviews import agreement
from screening.reviews import services as review_services
from tests.clients import Program
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.django_db


def read(lesion, day, outcome):
    image = LesionImageFactory(lesion=lesion, captured_on=day)
    return PredictionFactory(image=image, outcome=outcome).image


def conclude(personas, image, conclusion, management):
    return review_services.record_review(
        user=personas.clinician, image=image, conclusion=conclusion, management=management
    )


def diagnose(personas, lesion, diagnosis):
    return review_services.record_histology(
        user=personas.clinician, lesion=lesion, diagnosis=diagnosis, examined_on=date(2026, 4, 1)
    )


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient, label="Left calf")


@pytest.fixture
def program(personas):
    return Program(services.create_api_key(user=personas.clinician, name="test")[1])


def page(client, name, *args):
    text = client.get(reverse(name, args=args)).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def report(client, name, pk):
    response = client.get(reverse(name, args=[pk]))
    parts = PdfReader(BytesIO(b"".join(response.streaming_content))).pages
    return " ".join(" ".join(part.extract_text() for part in parts).split())


def test_a_later_conclusion_on_an_earlier_picture_is_told(client, personas, lesion, program):
    earlier = read(lesion, date(2026, 2, 1), "urgent")
    newest = read(lesion, date(2026, 3, 1), "monitor")
    conclude(personas, newest, "nv", "monitor")
    conclude(personas, earlier, "mel", "excise")
    client.force_login(personas.clinician)
    for told in (page(client, "home"), page(client, "patient", lesion.patient_id)):
        assert "Melanoma , excise or biopsy" in told and "on the picture of 1 Feb 2026" in told
        assert "Melanocytic nevus" not in told
    assert "Melanoma , excise or biopsy" in page(client, "worklist") + page(client, "home")
    of_lesion = page(client, "lesion", lesion.pk).partition("A clinician's conclusion")[2]
    assert of_lesion.strip().startswith("Melanoma Excise or biopsy.")
    assert "an earlier conclusion is on the newest picture" in of_lesion
    assert "Check in a month that this was done" in of_lesion
    said = program.get(f"/fhir/R4/DiagnosticReport/{lesion.pk}").json()
    assert said["conclusion"].startswith("Melanoma. Excise or biopsy.")
    assert "mel" in json.dumps(said["conclusionCode"]).lower().replace("melanocytic", "")
    shown = report(client, "lesion_report", lesion.pk).partition("A clinician's conclusion")[2]
    assert shown.strip().startswith("Melanoma") and "on an earlier picture (1 Feb 2026)" in shown
    table = report(client, "patient_report", lesion.patient_id)
    assert "Melanoma; excise or biopsy. On the picture of 1 Feb 2026. To be removed" in table


def test_of_two_samples_the_malignant_one_is_told(client, personas, lesion, program):
    read(lesion, date(2026, 3, 1), "urgent")
    diagnose(personas, lesion, "mel")
    diagnose(personas, lesion, "nv")
    client.force_login(personas.clinician)
    assert "Histology: Melanoma" in page(client, "home")
    said = program.get(f"/fhir/R4/DiagnosticReport/{lesion.pk}").json()
    assert said["conclusion"].startswith("Histology: Melanoma.")
    table = report(client, "patient_report", lesion.patient_id)
    assert "Histology: Melanoma. Malignant: to be removed" in table
    exported = program.get("/api/v1/images/isic/").streaming_content
    [row] = csv.DictReader(StringIO(b"".join(exported).decode()))
    assert row["dx"] == "mel"
    found = agreement.of_clinic(personas.clinic, personas.clinician)
    [of_model] = [one for one in found if (one.first, one.second) == ("model", "histology")]
    assert {truth for _, truth in of_model.counts} == {"mel"}


@pytest.mark.parametrize("later", ["excise", "refer", "urgent"])
def test_a_benign_histology_sinks_nothing_that_came_later(client, personas, lesion, later):
    first = read(lesion, date(2026, 3, 1), "urgent")
    diagnose(personas, lesion, "nv")
    if later == "urgent":
        read(lesion, date(2026, 5, 1), "urgent")
    else:
        conclude(personas, first, "mel", later)
    other = LesionFactory(patient=personas.patient, label="Right calf")
    read(other, date(2026, 3, 1), "monitor")
    rows = record_queries.with_latest(personas.patient.lesions.all(), personas.clinician)
    assert list(record_queries.most_severe_first(rows)) == [lesion, other]
    client.force_login(personas.clinician)
    table = report(client, "patient_report", lesion.patient_id).partition("Newest picture")[2]
    assert table.index("Left calf") < table.index("Right calf")
    told = report(client, "patient_report", lesion.patient_id)
    assert "Shown in full: 1 lesion to look at first" in told


def test_a_conclusion_after_a_benign_histology_is_told_beside_it(client, personas, lesion, program):
    image = read(lesion, date(2026, 3, 1), "urgent")
    conclude(personas, image, "mel", "refer")
    diagnose(personas, lesion, "nv")
    client.force_login(personas.clinician)

    def told():
        said = program.get(f"/fhir/R4/DiagnosticReport/{lesion.pk}").json()
        of_lesion = program.get(f"/api/v1/lesions/{lesion.pk}/reminder/").json()["suggestion"]
        table = report(client, "patient_report", lesion.patient_id).partition("Newest picture")[2]
        return said["conclusion"], json.dumps(said["conclusionCode"]), of_lesion["reason"], table

    conclusion, codes, reason, table = told()
    assert conclusion.startswith("Histology: Melanocytic nevus (mole). Warnings were settled by")
    assert '"mel"' not in codes and reason.startswith("A pathologist has examined it")
    assert "Melanoma; refer" not in table
    conclude(personas, image, "mel", "refer")
    conclusion, codes, reason, table = told()
    assert conclusion.startswith("Histology: Melanocytic nevus (mole). Melanoma. Refer.")
    assert '"nv"' in codes and '"mel"' in codes and "concluded: refer" in reason
    assert "Histology: Melanocytic nevus (mole). Melanoma; refer" in table
