"""SMART's scopes: a token opens the kinds of resources that it names, and nothing else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import ForbiddenError
from oauth2_provider.models import AccessToken

from accounts import applications
from screening.interop.fhir.resources import KINDS
from tests.api.fhir.conftest import BASE, fetched
from tests.clients import Program

ALL = {*KINDS, "Binary"}


@pytest.fixture
def token(personas, record):
    """The secret of a token with these scopes."""

    def made(*scopes: str, held: tuple[str, ...] = ("fhir:read",)) -> str:
        application, _ = applications.register_application(
            user=personas.admin, clinic=personas.clinic, name="A", role="viewer", scopes=held
        )
        secret = f"{application.pk}"
        AccessToken.objects.create(
            application=application,
            token=secret,
            scope=" ".join(scopes),
            expires=timezone.now() + timedelta(hours=1),
        )
        return secret

    return made


def opened(secret: str, record, interaction: str) -> set[str]:
    """The kinds that it reads or searches; all else is refused by name."""
    program, found = Program(secret), set()
    for kind in sorted(ALL if interaction == "r" else ALL - {"Binary"}):
        cache.clear()
        pk = (
            record.reviewed.image_id if kind == "Binary" else "00000000-0000-0000-0000-000000000000"
        )
        answer = program.get(f"{BASE}/{kind}/{pk}" if interaction == "r" else f"{BASE}/{kind}")
        if answer.streaming:
            answer.getvalue()
        if answer.status_code == 403:
            assert f"system/{kind}.{interaction}" in answer.headers["WWW-Authenticate"]
        else:
            assert answer.status_code in (200, 404)
            found.add(kind)
    return found


@pytest.mark.parametrize(
    ("scopes", "reads", "searches"),
    [
        (["system/*.rs"], ALL, ALL),
        (["system/*.read"], ALL, ALL),
        (["system/*.r"], ALL, set()),
        (["system/Patient.rs"], {"Patient"}, {"Patient"}),
        (["system/Patient.r", "system/Media.s"], {"Patient"}, {"Media"}),
        (["system/Patient.r", "fhir:read"], ALL, ALL),
        (["patients:read"], set(), set()),
    ],
    ids=lambda one: "" if isinstance(one, set) else str(one),
)
def test_a_scope_opens_what_it_names(token, record, scopes, reads, searches):
    secret = token(*scopes, held=("fhir:read", "patients:read"))
    if scopes == ["patients:read"]:
        assert Program(secret).get(f"{BASE}/Patient").status_code == 403
        return
    assert opened(secret, record, "r") == reads
    assert opened(secret, record, "s") == searches - {"Binary"}


def test_no_scope_of_smart_opens_the_rest_of_the_api(token):
    for address in ("/api/v1/patients/", "/api/v1/images/", "/api/v1/webhooks/"):
        assert Program(token("system/*.rs")).get(address).status_code == 403


def test_it_ends_with_the_scope_that_it_narrows(token, personas):
    secret = token("system/*.rs", held=("patients:read",))
    assert Program(secret).get(f"{BASE}/Patient").status_code == 403


def test_nothing_else_comes_along(token, record):
    """Neither by inclusion, nor with everything of a patient, nor by what is asked of a patient."""
    program = Program(token("system/Observation.rs", "system/Patient.r"))
    query = f"{BASE}/Observation?_include=*&_revinclude=*"
    kinds = {one["resource"]["resourceType"] for one in program.get(query).json()["entry"]}
    assert kinds == {"Observation", "Patient"}
    answer = program.get(f"{BASE}/Patient/{record.patient.pk}/$everything")
    everything = b"".join(answer.streaming_content).decode()
    assert '"resourceType": "Observation"' in everything
    assert '"resourceType": "Media"' not in everything
    assert program.get(f"{BASE}/Observation?patient.identifier=x").status_code == 403
    assert (
        Program(token("system/Observation.rs"))
        .get(f"{BASE}/Patient/{record.patient.pk}/$everything")
        .status_code
        == 403
    )


@pytest.mark.any_database  # a thread of the live server may outlast the test
def test_fhirpy_reads_with_such_a_token(live_server, token, record):
    secret = token("system/Patient.rs")
    peer = SyncFHIRClient(f"{live_server.url}{BASE}", authorization=f"Bearer {secret}")
    (patient,) = peer.resources("Patient").search(_id=str(record.patient.pk)).fetch()
    assert patient["gender"] == "female"
    with pytest.raises(ForbiddenError, match=r"system/Media\.s"):
        peer.resources("Media").fetch()


def test_the_capabilities_say_how_to_get_in(db):
    (rest,) = fetched(Program(), "metadata")["rest"]
    codes = {one["coding"][0]["code"] for one in rest["security"]["service"]}
    assert "SMART-on-FHIR" in codes
    (uris,) = rest["security"]["extension"]
    assert {one["url"] for one in uris["extension"]} == {"token", "revoke"}
