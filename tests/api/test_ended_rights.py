"""A kept answer to an Idempotency-Key is given to whoever may still see what it names."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import services
from accounts.models import Membership
from screening.models import Patient
from tests.access import DONE, MATRIX, MEMBERS, World
from tests.clients import Browser
from tests.transactions import rolled_back

pytestmark = pytest.mark.django_db

OF_NO_CLINIC = {"api:calendar-feed"}
"""What belongs to whoever asks."""


def may(member: str, name: str) -> bool:
    return MATRIX[name].methods["POST"].rule[member] is DONE


POSTS = [
    name
    for name, line in MATRIX.items()
    if name.startswith("api:") and "POST" in line.methods
    if any(may(member, name) for member in MEMBERS)
]


def post(client: Any, name: str, world: World, body: dict[str, Any]) -> Any:
    sent = MATRIX[name].methods["POST"]
    for file in body.values():
        if hasattr(file, "seek"):
            file.seek(0)
    url = reverse(name, args=MATRIX[name].args(world))
    return client.post(url, body, HTTP_IDEMPOTENCY_KEY="k-1", content_type=sent.content_type)


@pytest.mark.parametrize("name", POSTS)
def test_after_the_membership_nothing_is_repeated(name, everything):
    world, sent = everything.clinic, MATRIX[name].methods["POST"]
    member = next(one for one in MEMBERS if may(one, name))
    user, client = getattr(everything.personas, member), Browser()
    client.force_login(user)
    body = sent.body(world)
    with rolled_back():
        first = post(client, name, world, body)
        again = post(client, name, world, body)
        Membership.objects.filter(user=user).delete()
        after = post(client, name, world, body)
    assert first.status_code == again.status_code == sent.done, first.content
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    if name in OF_NO_CLINIC:
        assert after.content == first.content
    else:
        assert after.status_code == 404, after.content


@pytest.fixture
def personas(everything):
    return everything.personas


def test_the_posts_are_found():
    assert len(POSTS) > 30


def test_it_is_done_once_if_the_right_comes_back(clinician, personas):
    body = {"label": "X", "clinic": str(personas.clinic.pk)}
    first = post_patient(clinician, body)
    role = personas.clinic.memberships.get(user=personas.clinician).role
    services.remove_member(
        user=personas.admin,
        membership=personas.clinic.memberships.get(user=personas.clinician),
    )
    assert post_patient(clinician, body).status_code == 404
    Membership.objects.create(clinic=personas.clinic, user=personas.clinician, role=role)
    assert post_patient(clinician, body).content == first.content
    assert Patient.objects.filter(label="X").count() == 1


def test_a_record_that_is_to_be_erased_is_not_shown(clinician, personas):
    body = {"label": "X", "clinic": str(personas.clinic.pk)}
    first = post_patient(clinician, body)
    now = timezone.now()
    Patient.objects.filter(pk=first.json()["id"]).update(
        withdrawn_at=now,
        withdrawn_by=personas.admin,
        withdrawn_because="Asked for.",
        erased_from=now,
    )
    assert post_patient(clinician, body).status_code == 404


def test_a_demoted_admin_gets_no_secret_of_a_webhook(everything):
    admin, world = everything.personas.admin, everything.clinic
    client = Browser()
    client.force_login(admin)
    assert post(client, "api:webhook-rotate", world, {}).status_code == 200
    Membership.objects.filter(user=admin).update(role="clinician")
    assert post(client, "api:webhook-rotate", world, {}).status_code == 404


def post_patient(client: Any, body: dict[str, Any]) -> Any:
    return client.post("/api/v1/patients/", body, HTTP_IDEMPOTENCY_KEY="k-1")
