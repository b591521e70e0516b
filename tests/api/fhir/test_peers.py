"""Over HTTP, with fhirpy, a client that is not ours; fhir.resources reads the answers."""

from __future__ import annotations

import json

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from accounts import services
from tests.api.fhir.conftest import BASE


@pytest.fixture
def peer(live_server, record, personas) -> SyncFHIRClient:
    _, secret = services.create_api_key(user=personas.clinician, name="p", scopes=["fhir:read"])
    return SyncFHIRClient(f"{live_server.url}{BASE}", authorization=f"Bearer {secret}")


def test_it_learns_what_there_is(peer):
    statement = CapabilityStatement.model_validate(peer.execute("metadata", method="get"))
    told = {one.type: one for one in statement.rest[0].resource}
    assert "Observation:derived-from" in told["Observation"].searchInclude
    assert "Observation:patient" in told["Patient"].searchRevInclude


def test_it_reads_and_searches(peer, record):
    patient = peer.resources("Patient").search(_id=str(record.patient.pk)).get()
    media = peer.resources("Media").search(patient=patient.to_reference().reference)
    found = media.sort("-created").limit(1).fetch_all()
    days = [one["createdDateTime"] for one in found]
    assert days == sorted(days, reverse=True)
    assert len(days) == 3  # of three pages, by the links
    assert media.count() == 3
    assert peer.reference("Patient", str(record.patient.pk)).to_resource()["gender"] == "female"


def test_it_includes(peer, record):
    search = peer.resources("Observation").include("Observation", "subject")
    search = search.revinclude("Provenance", "target").elements("status", "subject")
    raw = search.fetch_raw()
    Bundle.model_validate_json(json.dumps(raw))
    modes: dict[str, set[str]] = {}
    for entry in raw["entry"]:
        modes.setdefault(entry["search"]["mode"], set()).add(entry["resource"]["resourceType"])
    assert modes == {"match": {"Observation"}, "include": {"Patient", "Provenance"}}
    tags = {one["resource"]["meta"]["tag"][0]["code"] for one in raw["entry"]}
    assert tags == {"SUBSETTED"}


def test_it_understands_our_errors(peer):
    with pytest.raises(ResourceNotFound):
        peer.reference("Patient", "none").to_resource()
    with pytest.raises(OperationOutcome) as refused:
        peer.resources("Media").search(created="yesterday").fetch()
    assert "no date" in str(refused.value)
    with pytest.raises(OperationOutcome):
        peer.resource("Patient", gender="female").save()
