"""A typed client that openapi-python-client generates from our document, against a real server."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from accounts import services
from tests.api.test_schema import ROOT
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.any_database

NAME = "generated_skincheck"
CONFIG = f"""
package_name_override: {NAME}
post_hooks: []
content_type_overrides:
  image/png: application/octet-stream
  image/jpeg: application/octet-stream
  image/webp: application/octet-stream
  application/dicom: application/octet-stream
  application/pdf: application/octet-stream
  application/problem+json: application/json
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> ModuleType:
    folder = tmp_path_factory.mktemp("client")
    (folder / "config.yaml").write_text(CONFIG)
    tool = Path(sys.executable).with_name("openapi-python-client")
    document = ROOT / "docs" / "openapi.yaml"
    done = subprocess.run(
        [
            *(tool, "generate", "--path", document, "--output-path", folder / NAME),
            *("--config", "config.yaml", "--meta", "none"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    yield importlib.import_module(NAME)
    sys.path.remove(str(folder))


@pytest.fixture
def client(generated, live_server, personas):
    _, secret = services.create_api_key(user=personas.clinician, name="typed")
    with generated.AuthenticatedClient(base_url=live_server.url, token=secret) as client:
        yield client


def call(client, operation: str, *path, **named):
    module = importlib.import_module(f"{NAME}.api.{operation}")
    return module.sync_detailed(*path, client=client, **named).parsed


def model(name: str):
    return getattr(importlib.import_module(f"{NAME}.models"), name)


def test_it_registers_and_reads(client, personas):
    wanted = model("PatientRequest")(label="T-1", clinic=personas.clinic.pk, birth_year=1961)
    made = call(client, "patients.patients_create", body=wanted)
    assert isinstance(made, model("Patient"))
    lesion = call(
        client,
        "lesions.lesions_create",
        body=model("LesionRequest")(patient=made.id, body_site=model("BodySiteEnum").BACK),
    )
    seen = call(client, "lesions.lesions_retrieve", lesion.id)
    assert isinstance(seen, model("Lesion"))
    assert seen.patient == made.id
    listed = call(client, "lesions.lesions_list", patient=made.id)
    assert [one.id for one in listed.results] == [lesion.id]


def test_a_refusal_is_a_problem(client):
    refused = call(client, "patients.patients_create", body=model("PatientRequest")(label=""))
    assert isinstance(refused, model("Problem"))
    assert refused.status == 400


def test_shaped_records_do_not_crash_it(client, personas):
    image = LesionImageFactory(lesion=LesionFactory(patient=personas.patient))
    PredictionFactory(image=image)
    whole = call(client, "predictions.predictions_list").results
    assert [type(one) for one in whole] == [model("Prediction")]
    shaped = call(client, "predictions.predictions_list", expand="image").results
    (one,) = shaped
    assert isinstance(one, model("ShapedPrediction"))
    assert one.image.id == image.pk
    (few,) = call(client, "lesions.lesions_list", fields="id,label").results
    assert isinstance(few, model("ShapedLesion"))
    assert few.label == image.lesion.label
    assert few.patient is importlib.import_module(f"{NAME}.types").UNSET
