"""The client's types say what the OpenAPI document says, so that neither is changed alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import yaml

from skincheck_client import (
    dicom_deliveries,
    dicom_nodes,
    events,
    exports,
    histologies,
    images,
    lesions,
    patients,
    predictions,
    resources,
    reviews,
)

ROOT = Path(__file__).parents[2]
DOCUMENT = yaml.load((ROOT / "docs" / "openapi.yaml").read_bytes(), yaml.CSafeLoader)
SCHEMAS = DOCUMENT["components"]["schemas"]
RECORDS = [
    name
    for name, kind in vars(resources).items()
    if isinstance(kind, type) and kind.__module__ == resources.__name__
]
LISTS = {
    "patients": patients.PatientFilters,
    "lesions": lesions.LesionFilters,
    "images": images.ImageFilters,
    "predictions": predictions.PredictionFilters,
    "reviews": reviews.ReviewFilters,
    "histologies": histologies.HistologyFilters,
    "events": events.EventFilters,
    "exports": exports.ExportFilters,
    "dicom-nodes": dicom_nodes.DicomNodeFilters,
    "dicom-deliveries": dicom_deliveries.DicomDeliveryFilters,
}
SENT: list[tuple[str, Any, set[str]]] = [
    ("PatientRequest", patients.PatientFields, {"label"}),
    ("PatchedPatientRequest", patients.PatientChanges, set()),
    ("LesionRequest", lesions.LesionFields, {"patient"}),
    ("ImageUploadRequest", images.FirstImage, {"lesion", "patient", "file"}),
    ("PatchedImageCorrectionRequest", images.Correction, set()),
    ("ReviewRequest", reviews.NewReview, {"image", "conclusion", "management"}),
    ("DicomNodeRequest", dicom_nodes.DicomNodeFields, {"clinic", "name", "address"}),
    ("PatchedDicomNodeRequest", dicom_nodes.DicomNodeChanges, {"clinic"}),
    ("HistologyRequest", histologies.NewHistology, {"lesion", "diagnosis", "examined_on"}),
]
"""Each schema of a request, the type of its keywords, and the fields that a function names."""


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_the_fields_of_its_schema(name):
    hints = get_type_hints(getattr(resources, name))
    schema = SCHEMAS[name]["properties"]
    assert hints.keys() == schema.keys()
    for field, hint in hints.items():
        assert _nullable(hint) == _may_be_null(schema[field]), f"{name}.{field}"
        assert _words(hint) == _choices(schema[field]), f"{name}.{field}"


@pytest.mark.parametrize(("schema", "kind", "named"), SENT, ids=[name for name, *_ in SENT])
def test_a_request_has_the_fields_of_its_schema(schema, kind, named):
    hints = get_type_hints(kind)
    found = SCHEMAS[schema]["properties"]
    assert hints.keys() | named == found.keys()
    assert not hints.keys() & named
    for field, hint in hints.items():
        assert _words(hint) - {""} == _choices(found[field]) - {""}, f"{schema}.{field}"


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_the_filters_of_its_operation(name):
    parameters = DOCUMENT["paths"][f"/api/v1/{name}/"]["get"]["parameters"]
    # These two change what a row is. Follow the list instead of giving a cursor.
    shape = {"fields", "expand"} | ({"cursor"} - get_type_hints(LISTS[name]).keys())
    assert get_type_hints(LISTS[name]).keys() == {one["name"] for one in parameters} - shape


def _nullable(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _words(hint: Any) -> set[str]:
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    return {word for one in get_args(hint) if get_origin(one) is Literal for word in get_args(one)}


def _alternatives(schema: Any) -> list[Any]:
    found = []
    for one in schema.get("oneOf") or schema.get("allOf") or [schema]:
        found.append(SCHEMAS[one["$ref"].rpartition("/")[2]] if "$ref" in one else one)
    return found


def _may_be_null(schema: Any) -> bool:
    return any(
        "null" in one.get("type", [])
        if isinstance(one.get("type"), list)
        else one.get("type") == "null" or one.get("enum") == [None]
        for one in _alternatives(schema)
    )


def _choices(schema: Any) -> set[str]:
    words = {word for one in _alternatives(schema) for word in one.get("enum", [])}
    return words - {None}
