"""Requests and responses as other programs write and read them: identifiers with bars, wrapped
base64, choices, large responses, tables for Excel.
"""

from __future__ import annotations

import codecs
import gzip
from base64 import encodebytes

import pytest

from tests.api.conftest import pointers, upload
from tests.factories import LesionImageFactory, PatientFactory, picture

pytestmark = pytest.mark.django_db
SYSTEM, VALUE = "http://hospital.example/ids", "ward|7|a"


@pytest.mark.parametrize("path", ["/api/v1/images/?identifier=", "/fhir/R4/Media?identifier="])
def test_an_identifier_with_bars_is_found_by_every_filter(clinician, lesion, path):
    added = upload(clinician, lesion, identifier=f"{SYSTEM}|{VALUE}")
    value = VALUE if "api" in path else VALUE.replace("|", "\\|")
    found = clinician.get(f"{path}{SYSTEM}|{value}".replace("\\", "%5C")).json()
    listed = found.get("results", found.get("entry"))
    assert [one.get("id") or one["resource"]["id"] for one in listed] == [added.json()["id"]]


def test_a_system_has_no_bar(clinician):
    body = {"label": "P", "identifiers": [{"system": "a|b", "value": "1"}]}
    response = clinician.post("/api/v1/patients/", body, format="json")
    assert "/identifiers/0/system" in pointers(response)


def test_wrapped_base64_is_taken(clinician, lesion):
    body = {"lesion": str(lesion.pk), "file": encodebytes(picture()).decode()}
    assert "\n" in body["file"].strip()
    assert clinician.post("/api/v1/images/", body, format="json").status_code == 202


def test_a_refused_choice_is_told_with_the_choices(clinician, personas):
    body = {"patient": str(personas.patient.pk), "label": "L", "body_site": "tail"}
    detail = pointers(clinician.post("/api/v1/lesions/", body, format="json"))["/body_site"]
    assert "scalp" in detail
    assert "scalp" in pointers(clinician.get("/api/v1/lesions/?body_site=tail"))["body_site"]


def test_a_large_list_is_compressed_and_a_record_keeps_its_tag(clinician, personas):
    PatientFactory.create_batch(20, clinic=personas.clinic)
    plain = clinician.get("/api/v1/patients/")
    packed = clinician.get("/api/v1/patients/", HTTP_ACCEPT_ENCODING="gzip")
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    one = clinician.get(f"/api/v1/patients/{personas.patient.pk}/", HTTP_ACCEPT_ENCODING="gzip")
    assert one["ETag"].startswith('"')
    assert "Content-Encoding" not in one


def test_a_table_for_excel_begins_with_its_mark(clinician, personas):
    LesionImageFactory(lesion__patient=personas.patient)
    plain = clinician.get("/api/v1/images/isic/")
    marked = clinician.get("/api/v1/images/isic/?file_type=excel")
    assert marked.getvalue() == codecs.BOM_UTF8 + plain.getvalue()
    assert marked["Content-Disposition"].endswith('.csv"')
