"""Who may do what: every persona at every address with every method, pages, API and media.

The addresses come from the URL resolver: one without a line in ``tests/access.py`` fails, and a
method without a word in its line must answer 405. The lines say who may; the answers follow:

                     a page               the API
nobody signed in     to the login         401
not theirs to see    404                  404, or 400 where a body names it
theirs to see only   403                  403
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.core import signing
from django.core.files.base import ContentFile
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from accounts import applications, invitations, services
from accounts.models import Membership
from screening.corrections import services as corrections
from screening.models import Correction
from screening.privacy import sharing
from screening.reminders import services as reminder_services
from tests.access import (
    ANYONE,
    DONE,
    FORBIDDEN,
    HIDDEN,
    LOGIN,
    MATRIX,
    MEMBERS,
    METHODS,
    OUTSIDERS,
    SIGNED_IN,
    UNKNOWN,
    Answer,
    Sent,
    World,
)
from tests.clients import Browser
from tests.conftest import Everything, Personas
from tests.factories import (
    AlertFactory,
    BatchFactory,
    ChangeMarkFactory,
    ClinicFactory,
    ComparisonFactory,
    DeliveryFactory,
    DicomDeliveryFactory,
    DicomNodeFactory,
    DoctorVisitFactory,
    ErasureFactory,
    ExportFactory,
    FollowingFactory,
    HistologyFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    OutlineFactory,
    PatientFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReminderFactory,
    ReviewFactory,
    WebhookFactory,
)
from tests.transactions import rolled_back

# Methods that a line does not name are rejected by the URL itself, whoever asks.
NOT_ALLOWED = Sent(SIGNED_IN, done=405)
NOT_ALLOWED_TO_ANYONE = Sent(ANYONE, done=405)
PROGRAMS = ("/api/", "/fhir/", "/dicomweb/")
SOME = ("clinician", "stranger", "anonymous")
READERS = ("viewer", "self_tracker", "stranger", "anonymous")  # for whom HEAD could differ from GET


def addresses(patterns: list[Any], names: tuple[str, ...] = (), route: str = "") -> Iterator[Any]:
    """(full name, route, view) of every URL."""
    for pattern in patterns:
        whole = route + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield ":".join((*names, str(pattern.name))), whole, pattern.callback
        else:
            inner = (*names, pattern.namespace) if pattern.namespace else names
            yield from addresses(pattern.url_patterns, inner, whole)


ADDRESSES = list(addresses(get_resolver().url_patterns))
OURS = [found for found in ADDRESSES if not re.match("admin/|accounts/", found[1])]


def world_of(personas: Personas, writer: str) -> World:
    """One of everything, of the clinic's patient or of the self-tracker."""
    own = writer == "self_tracker"
    lesion = LesionFactory(patient=personas.own_patient if own else personas.patient)
    image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 2, 1))
    prediction = PredictionFactory(image=image)
    PredictionMapsFactory(prediction=prediction)
    comparison = ComparisonFactory(
        earlier=LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 1)), later=image
    )
    withdrawn = LesionImageFactory(lesion=lesion, captured_on=date(2025, 12, 1))
    same = {"clinic": lesion.patient.clinic, "owner": lesion.patient.owner}
    withdrawn_visit = DoctorVisitFactory(
        lesion=lesion,
        recorded_by=image.uploaded_by,
        withdrawn_at=timezone.now(),
        withdrawn_by=image.uploaded_by,
        withdrawn_because="A slip.",
    )
    withdrawn_histology = HistologyFactory(
        lesion=lesion,
        withdrawn_at=timezone.now(),
        withdrawn_by=image.uploaded_by,
        withdrawn_because="A slip.",
    )
    withdrawn_lesion = LesionFactory(patient=lesion.patient)
    withdrawn_patient = PatientFactory(**same)
    for record in (withdrawn, withdrawn_lesion, withdrawn_patient):
        corrections.withdraw(user=getattr(personas, writer), record=record, reason="A finger.")
    key, _ = services.create_api_key(user=getattr(personas, writer), name="key")
    share, secret_of_share = sharing.share(
        user=getattr(personas, writer), patient=lesion.patient, recipient="Dr", days=7
    )
    erased, erasure = (
        ErasureFactory(erased=True),
        ErasureFactory(
            patient=PatientFactory(**same),
            asked_by=getattr(personas, writer),
            asked=not own,
            clinic=lesion.patient.clinic,
        ),
    )
    webhook = (
        WebhookFactory(own=True, owner=personas.self_tracker)
        if own
        else WebhookFactory(clinic=personas.clinic)
    )
    dicom_node = DicomNodeFactory(clinic=personas.clinic)
    # One that waits for an answer, and one that its owner may end.
    following = FollowingFactory(clinic=personas.clinic)
    followed = FollowingFactory(
        clinic=personas.clinic, invited_by=personas.self_tracker, accepted=True
    )
    world = World(
        owner=writer if own else "",
        patient=lesion.patient,
        lesion=lesion,
        image=image,
        prediction=prediction,
        review=ReviewFactory(image=image),
        histology=HistologyFactory(lesion=lesion),
        comparison=comparison,
        position=LesionPositionFactory(lesion=lesion),
        visit=DoctorVisitFactory(lesion=lesion, recorded_by=image.uploaded_by),
        alert=AlertFactory(lesion=lesion, earlier=comparison.earlier, later=image),
        mark=ChangeMarkFactory(comparison=comparison),
        outline=OutlineFactory(image=image),
        scale=ImageScaleFactory(image=image),
        measurement=MeasurementFactory(image=image, prediction=prediction),
        correction=Correction.objects.get(image=withdrawn),
        withdrawn=withdrawn,
        withdrawn_visit=withdrawn_visit,
        withdrawn_histology=withdrawn_histology,
        withdrawn_lesion=withdrawn_lesion,
        withdrawn_patient=withdrawn_patient,
        sibling=LesionFactory(patient=lesion.patient),
        twin=PatientFactory(**same),
        key=key,
        reminder=ReminderFactory(lesion=lesion),
        batch=BatchFactory(
            clinic=None if own else personas.clinic,
            created_by=getattr(personas, writer),
            state="checked",
            archive=ContentFile(b"PK", name="archive"),
        ),
        calendar=reminder_services.make_calendar_link(user=getattr(personas, writer)),
        share=share,
        shared=secret_of_share,
        mail_off=signing.dumps(str(key.user_id), salt="accounts.unsubscribing"),
        session=UserSession.objects.create(
            user=getattr(personas, writer), ip="192.0.2.1", session_key=f"of-{writer}"
        ),
        erasure=erasure,
        receipt=erased.token,
        following=following,
        followed=followed,
        other_clinic=ClinicFactory(code=f"0123456789A{'B' if own else 'C'}"),
        webhook=webhook,
        delivery=DeliveryFactory(webhook=webhook, failed=True),
        dicom_node=dicom_node,
        dicom_delivery=DicomDeliveryFactory(
            node=dicom_node, image=image, sent_by=image.uploaded_by, failed=True
        ),
        export=ExportFactory(
            ready=True,
            requested_by=personas.self_tracker if own else personas.admin,
            patient=lesion.patient,
            patients=[str(lesion.patient.pk)],
        ),
    )
    if own:
        return world
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email=personas.stranger.email, role="viewer"
    )
    application, secret = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice system",
        role="assistant",
        scopes=["patients:read"],
    )
    return replace(
        world,
        clinic=personas.clinic,
        membership=Membership.objects.get(user=personas.viewer),
        invitation=invitation,
        application=application,
        secret=secret,
        token=invitations.token_of(invitation),
    )


def clients_of(personas: Personas) -> dict[str, Browser]:
    """A browser for each persona; all but the last are signed in."""
    found = {}
    for persona in (*MEMBERS, *OUTSIDERS):
        found[persona] = Browser()
        found[persona].force_login(getattr(personas, persona))
    return found | {"anonymous": Browser()}


def ask(client: Browser, method: str, url: str, sent: Sent, world: World) -> Any:
    """The response to one request. Its changes are rolled back."""
    body, options = sent.body(world), {}
    if url.startswith(PROGRAMS) and method not in ("GET", "HEAD"):
        options["content_type"] = sent.content_type
    with rolled_back():
        response = getattr(client, method.lower())(url, body, **options)
        if response.streaming:
            response.getvalue()  # reading to the end closes the file
    return response


def verdict(response: Any, url: str, done: int) -> Answer | int:
    """The meaning of the response. DONE only with the exact status of success."""
    status = response.status_code
    if status == 401 and url.startswith(PROGRAMS):
        return LOGIN
    if status == 302 and response["Location"].startswith(reverse("account_login")):
        return LOGIN if not url.startswith(PROGRAMS) else status
    return {done: DONE, 400: UNKNOWN, 403: FORBIDDEN, 404: HIDDEN}.get(status, status)


def test_no_address_is_forgotten():
    assert {name for name, _, _ in OURS} == MATRIX.keys()


def test_no_method_of_the_api_is_forgotten():
    forgotten = {}
    for name, _, view in OURS:
        served = {method.upper() for method in getattr(view, "actions", None) or {}} - {"PUT"}
        if missing := served - MATRIX[name].methods.keys():
            forgotten[name] = missing
    assert not forgotten


def wrong(name: str, method: str, world: World, clients: dict[str, Browser]) -> list[str]:
    """The answers that differ from the table."""
    row = MATRIX[name]
    url = reverse(name, args=row.args(world))
    sent = row.methods.get(method, NOT_ALLOWED if not row.is_public else NOT_ALLOWED_TO_ANYONE)
    found = []
    asked = SOME if sent.done == 405 or row.is_public else READERS if method == "HEAD" else clients
    for persona in asked:
        answer = verdict(ask(clients[persona], method, url, sent, world), url, sent.done)
        expected = sent.answer(persona, world)
        if answer is not expected:
            found.append(f"{method} {url} by {persona}: {answer}, not {expected}")
    return found


def worlds_of(name: str, everything: Everything) -> list[World]:
    worlds = [everything.clinic, everything.own]
    return worlds[:1] if MATRIX[name].clinic_only else worlds


@pytest.mark.parametrize("name", MATRIX)
def test_matrix(name, everything, clients):
    """Without HEAD, which asks the database what GET asks."""
    found = []
    for world, method in product(worlds_of(name, everything), MATRIX[name].methods):
        if method != "HEAD":
            found += wrong(name, method, world, clients)
    assert not found, "\n".join(found)


@pytest.mark.any_database
@pytest.mark.parametrize("name", MATRIX)
def test_head_and_methods_that_are_not_served(name, everything, clients):
    """The URL rejects the latter itself, whatever the record."""
    worlds, served = worlds_of(name, everything), MATRIX[name].methods
    found = []
    if "HEAD" in served:
        for world in worlds:
            found += wrong(name, "HEAD", world, clients)
    for method in METHODS:
        if method not in served:
            found += wrong(name, method, worlds[0], clients)
    assert not found, "\n".join(found)


# Login and logout are allauth's. Public pages are the exception.
OPEN_ACCOUNTS = {
    "mfa_authenticate",
    "mfa_login_webauthn",
    "account_login",
    "account_signup",
    "account_inactive",
    "account_logout",
    "account_confirm_email",
    "account_confirm_login_code",
    "account_email_verification_sent",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}


@pytest.mark.any_database
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_accounts_need_a_login_unless_they_lead_to_one(db, method):
    found = []
    for name, route, _ in ADDRESSES:
        if not route.startswith("accounts/"):
            continue
        url = "/" + re.sub(
            r"\(\?P<\w+>.*?\)(?=[-/])|<int:\w+>|[\^$]",
            lambda m: {"(": "x", "<": "1"}.get(m[0][0], ""),
            route,
        )
        response = getattr(Browser(), method.lower())(url)
        is_login = verdict(response, url, 200) is LOGIN and "next=" in response["Location"]
        if is_login == (name in OPEN_ACCOUNTS) or response.status_code >= 500:
            found.append((name, url, response.status_code))
    assert not found


@pytest.mark.any_database
def test_the_admin_is_for_staff(clients):
    """All its URLs except login and logout."""
    inside = {
        route
        for name, route, _ in ADDRESSES
        if route.startswith("admin/") and name not in ("admin:login", "admin:logout")
    }
    assert len(inside) > 20
    for route, persona, method in product(inside, ("admin", *SOME), ("get", "post")):
        url = "/" + re.sub(r"<[^>]*>|\(\?P<\w+>[^)]*\)", "1", route).rstrip("$")
        response = getattr(clients[persona], method)(url)
        assert response.status_code == 302, (persona, url)
        assert "/login/?next=" in response["Location"], (persona, url)
