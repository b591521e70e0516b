"""Callers: scopes, restrictions, applications; and no view forgets the check."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.urls import get_resolver
from django.utils import timezone
from oauth2_provider.models import AccessToken

from accounts import applications, scopes, services
from accounts.models import ApiKey, Application, Membership
from accounts.scope_permission import HasScope
from accounts.web.token_views import TokenThrottle
from screening.api.http.idempotency import RetrySafe
from screening.models import Patient
from tests.clients import Program
from tests.factories import LesionFactory, MembershipFactory, PatientFactory
from tests.test_access_matrix import addresses

PATIENTS = "/api/v1/patients/"
HINTS = ("access_token", "refresh_token", "invented")
OPEN = {"schema", "docs", "redoc", "nothing", "metadata", "smart"}


def key_of(user, **bounds) -> Program:
    return Program(services.create_api_key(user=user, name="test", **bounds)[1])


@pytest.fixture
def system(personas) -> tuple[Application, str]:
    return applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice system",
        role="assistant",
        scopes=["patients:read", "patients:write", "lesions:read"],
    )


def token_for(client, system, secret: str = "", **body: str):
    application, own = system
    fields = {
        "grant_type": "client_credentials",
        "client_id": application.client_id,
        "client_secret": secret or own,
        **body,
    }
    return posted_form("/oauth/token", fields)


def posted_form(address: str, fields: dict[str, str]):
    kind = "application/x-www-form-urlencoded"
    return Program().generic("POST", address, urlencode(fields), content_type=kind)


def labels(client) -> set[str]:
    return {row["label"] for row in client.get(PATIENTS).json()["results"]}


def test_every_view_of_the_api_asks_for_a_scope():
    asked = 0
    for name, route, callback in addresses(get_resolver().url_patterns):
        view = getattr(callback, "cls", None)
        if view is None or name.rpartition(":")[2] in OPEN:
            continue
        assert HasScope in view.permission_classes, route
        assert re.fullmatch("[a-z]+([-_][a-z]+)*", view.scope_resource), route
        writes = "post" in (getattr(callback, "actions", None) or {}) or hasattr(view, "post")
        only_reads = "POST" in getattr(view, "reading_methods", ())
        assert issubclass(view, RetrySafe) or only_reads or not writes, route
        asked += 1
    assert asked >= 12


def test_scopes_are_named_by_resource():
    assert {"patients:read", "patients:write", "images:write", "reviews:write"} <= {*scopes.known()}
    assert "clinics:read" in scopes.known()
    assert "clinics:write" not in scopes.known()


@pytest.mark.parametrize(
    ("held", "method", "status"),
    [
        (["patients:read"], "get", 200),
        (["patients:write"], "get", 403),
        (["lesions:read"], "get", 403),
        (["patients:write"], "post", 201),
        (["patients:read"], "post", 403),
        (None, "post", 201),
    ],
)
def test_a_key_does_what_its_scopes_say(personas, held, method, status):
    client = key_of(personas.clinician, scopes=held)
    response = getattr(client, method)(PATIENTS, {"label": "X"} if method == "post" else None)
    assert response.status_code == status


def test_a_missing_scope_is_named(personas):
    response = key_of(personas.clinician, scopes=["lesions:read"]).post(PATIENTS, {"label": "X"})
    assert response.status_code == 403
    assert response.json()["type"] == "/problems/missing-scope"
    assert response.json()["scope"] == "patients:write"
    assert "patients:write" in response.json()["detail"]
    assert 'error="insufficient_scope", scope="patients:write"' in response["WWW-Authenticate"]
    assert not Patient.objects.filter(label="X").exists()


def test_a_scope_is_asked_for_before_an_object(personas):
    client = key_of(personas.stranger, scopes=["lesions:read"])
    assert client.get(f"{PATIENTS}{personas.patient.pk}/").status_code == 403
    client = key_of(personas.stranger, scopes=["patients:read"])
    assert client.get(f"{PATIENTS}{personas.patient.pk}/").status_code == 404


def test_a_scope_gives_no_more_than_the_role(personas):
    client = key_of(personas.viewer, scopes=["patients:write"])
    answer = client.patch(f"{PATIENTS}{personas.patient.pk}/", {"sex": ""})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/permission-denied"


def test_a_key_for_a_clinic_sees_that_clinic_only(personas):
    user = personas.clinician
    elsewhere = MembershipFactory(user=user).clinic
    PatientFactory(clinic=elsewhere, label="E-1")
    PatientFactory(own=True, owner=user, label="Own")
    lesion = LesionFactory(patient__clinic=elsewhere)
    assert labels(key_of(user)) >= {"N-1", "E-1", "Own"}
    bound = key_of(user, clinic=personas.clinic)
    assert labels(bound) == {"N-1"}
    assert bound.get(f"/api/v1/lesions/{lesion.pk}/").status_code == 404
    assert [row["id"] for row in bound.get("/api/v1/clinics/").json()["results"]] == [
        str(personas.clinic.pk)
    ]
    answer = bound.post(PATIENTS, {"label": "Y", "clinic": str(elsewhere.pk)})
    assert answer.status_code == 400
    assert bound.post(PATIENTS, {"label": "Z"}).json()["clinic"] == str(personas.clinic.pk)


def test_a_bound_key_of_someone_who_left_the_clinic_sees_nothing(personas):
    client = key_of(personas.clinician, clinic=personas.clinic)
    Membership.objects.filter(user=personas.clinician).delete()
    assert labels(client) == set()


def test_an_expired_key_opens_nothing(personas):
    client = key_of(personas.clinician, expires_at=timezone.now() + timedelta(days=1))
    assert client.get(PATIENTS).status_code == 200
    ApiKey.objects.update(expires_at=timezone.now())
    assert client.get(PATIENTS).status_code == 401


@pytest.mark.parametrize(
    ("bounds", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["patients:read", "patients:eat"]}, "scopes"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
    ],
)
def test_bounds_that_are_none(personas, bounds, field):
    with pytest.raises(ValidationError) as error:
        services.create_api_key(user=personas.clinician, name="x", **bounds)
    assert set(error.value.message_dict) == {field}


def test_no_key_for_a_clinic_of_others(personas):
    with pytest.raises(ValidationError):
        services.create_api_key(user=personas.stranger, name="x", clinic=personas.clinic)


def test_a_system_gets_a_token_and_works_in_its_clinic(client, personas, system):
    PatientFactory(label="elsewhere")
    answer = token_for(client, system)
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 3600
    token = answer.json()["access_token"]
    program = Program(token)
    assert labels(program) == {"N-1"}
    made = program.post(PATIENTS, {"label": "S-1"})
    assert made.json()["clinic"] == str(personas.clinic.pk)
    refused = program.get("/api/v1/images/")
    assert (refused.status_code, refused.json()["scope"]) == (403, "images:read")
    application = Application.objects.get()
    assert application.last_used_at
    # Secrets are never stored in plain text.
    stored = str(list(AccessToken.objects.values())) + str(list(Application.objects.values()))
    assert token not in stored
    assert system[1] not in stored


def test_a_system_may_ask_for_less_and_not_for_more(client, system):
    less = token_for(client, system, scope="lesions:read").json()
    assert less["scope"] == "lesions:read"
    assert Program(less["access_token"]).get(PATIENTS).status_code == 403
    more = token_for(client, system, scope="images:write")
    assert (more.status_code, more.json()["error"]) == (400, "invalid_scope")
    assert "Without scope" in more.json()["error_description"]


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "x"])
def test_no_other_grant_is_given(client, system, grant):
    answer = token_for(client, system, grant_type=grant, username="a", password="b", code="c")
    assert answer.status_code == 400
    assert answer.json()["error"] == "unsupported_grant_type"


def test_a_wrong_secret_gets_nothing(client, system):
    answer = token_for(client, system, secret="x")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "client_secret" in answer.json()["error_description"]


def test_a_system_never_concludes_or_manages(personas):
    for role in ("admin", "clinician"):
        with pytest.raises(ValidationError):
            applications.register_application(
                user=personas.admin,
                clinic=personas.clinic,
                name="x",
                role=role,
                scopes=["reviews:write"],
            )
    with pytest.raises(PermissionDenied):
        applications.register_application(
            user=personas.clinician,
            clinic=personas.clinic,
            name="x",
            role="viewer",
            scopes=["patients:read"],
        )


def test_a_revoked_system_is_out_at_once(client, personas, system):
    program = Program(token_for(client, system).json()["access_token"])
    assert program.get(PATIENTS).status_code == 200
    applications.revoke_application(user=personas.admin, application=system[0])
    assert program.get(PATIENTS).status_code == 401
    assert token_for(client, system).status_code == 401
    assert not Membership.objects.filter(user=system[0].user).exists()


def test_a_token_that_has_run_out(client, system):
    program = Program(token_for(client, system).json()["access_token"])
    AccessToken.objects.update(expires=timezone.now())
    assert program.get(PATIENTS).status_code == 401


@pytest.mark.parametrize("hint", [{}, *({"token_type_hint": kind} for kind in HINTS)])
def test_a_token_is_ended_early(client, system, hint):
    application, secret = system
    token = token_for(client, system).json()["access_token"]
    answer = posted_form(
        "/oauth/revoke",
        {"token": token, "client_id": application.client_id, "client_secret": secret, **hint},
    )
    assert answer.status_code == 200
    assert Program(token).get(PATIENTS).status_code == 401


def test_the_admin_registers_renews_and_revokes_on_the_page(client, personas):
    client.force_login(personas.admin)
    address = f"/clinics/{personas.clinic.pk}/"
    page = client.post(
        f"{address}applications/",
        {"name": "Room 2", "role": "assistant", "access": "chosen", "scopes": ["images:write"]},
    )
    assert "no-store" in page["Cache-Control"]
    application = Application.objects.get()
    secret = page.context["secret"]
    assert secret in page.content.decode()
    assert application.scopes == ["images:write"]
    shown = client.get(address).content.decode()
    assert application.client_id in shown
    assert secret not in shown
    assert "applications.invalid" not in shown
    assert token_for(client, (application, secret)).status_code == 200
    renewed = client.post(f"{address}applications/{application.pk}/renew/").context["secret"]
    assert token_for(client, (application, secret)).status_code == 401
    assert token_for(client, (application, renewed)).status_code == 200
    answer = client.post(f"{address}applications/{application.pk}/revoke/", follow=True)
    assert "no longer has access" in answer.content.decode()
    assert application.client_id not in client.get(address).content.decode()


def test_nothing_ticked_is_no_choice(client, personas):
    client.force_login(personas.admin)
    page = client.post(
        "/account/keys/", {"name": "K", "days": 0, "access": "chosen"}
    ).content.decode()
    assert "Tick at least one." in page
    assert not ApiKey.objects.exists()


def test_a_key_from_the_page_is_bound_as_chosen(client, personas):
    client.force_login(personas.clinician)
    body = {"name": "K", "days": 30, "access": "read", "clinic": str(personas.clinic.pk)}
    client.post("/account/keys/", body)
    key = ApiKey.objects.get()
    assert key.clinic == personas.clinic
    assert set(key.scopes) == {scope for scope in scopes.known() if scope.endswith(":read")}
    assert timedelta(days=29) < key.expires_at - timezone.now() <= timedelta(days=30)
    shown = client.get("/account/").content.decode()
    assert f"{personas.clinic} only" in shown
    assert "works until" in shown


def test_tokens_are_asked_for_only_so_often(client, system, monkeypatch):
    monkeypatch.setattr(TokenThrottle, "rate", "2/min", raising=False)
    monkeypatch.setattr(TokenThrottle, "get_cache_key", lambda *_: "token:this-test")
    assert token_for(client, system, secret="wrong").status_code == 401
    assert token_for(client, system).status_code == 200
    refused = token_for(client, system)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 61
    assert refused.json()["error"] == "temporarily_unavailable"
