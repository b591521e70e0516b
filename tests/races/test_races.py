"""Concurrent operations: real threads, each with its own connection.

On PostgreSQL only: SQLite has one writer at a time, so its transactions never run concurrently.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts import applications, invitations, services
from accounts.models import Invitation, Membership
from accounts.roles import Role
from accounts.web.client_assertions import TYPE, application_of
from screening.interop.first_images import add_first_image
from screening.models import Lesion, LesionImage, Prediction, Review
from screening.predictions import services as prediction_services
from screening.records import services as record_services
from screening.reviews import chain
from screening.reviews import services as review_services
from tests.accounts.test_client_assertions import EC, key_set, signed
from tests.factories import (
    LesionImageFactory,
    MembershipFactory,
    PredictionFactory,
    picture,
)

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each of ``works`` returned or raised, all started at the same moment."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(10)
            return work()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


def faults(results: list[Any]) -> list[Any]:
    return [result for result in results if isinstance(result, Exception)]


def test_sixteen_clinicians_sign(personas):
    images = LesionImageFactory.create_batch(16, lesion__patient=personas.patient)
    members = MembershipFactory.create_batch(16, clinic=personas.clinic, role=Role.CLINICIAN)

    def sign(image: Any, user: Any) -> Callable[[], Review]:
        return lambda: review_services.record_review(
            user=user, image=image, conclusion="nv", management="monitor"
        )

    pairs = zip(images, members, strict=True)
    assert not faults(at_once(*(sign(image, member.user) for image, member in pairs)))
    assert Review.objects.count() == 16
    assert not list(chain.broken())


def test_a_double_click_on_read_again(personas):
    image = LesionImageFactory(lesion__patient=personas.patient)
    PredictionFactory(image=image, failed=True)
    results = at_once(
        *[lambda: prediction_services.request_prediction(user=personas.clinician, image=image)] * 8
    )
    assert not faults(results)
    assert len({prediction.pk for prediction in results}) == 1
    assert Prediction.objects.filter(image=image, state="queued").count() == 1


def test_four_lesions_opened_have_four_numbers(personas):
    results = at_once(
        *[lambda: record_services.open_lesion(user=personas.assistant, patient=personas.patient)]
        * 4
    )
    assert not faults(results)
    labels = Lesion.objects.values_list("label", flat=True)
    assert sorted(labels) == ["Lesion 1", "Lesion 2", "Lesion 3", "Lesion 4"]


def test_a_first_picture_that_is_sent_four_times_opens_one_lesion(personas):
    def send() -> Any:
        file = BytesIO(picture())
        return add_first_image(user=personas.assistant, patient=personas.patient, file=file)

    results = at_once(*[send] * 4)
    assert not faults(results)
    assert sorted(known.is_new for known in results) == [False, False, False, True]
    assert Lesion.objects.count() == LesionImage.objects.count() == 1


@pytest.mark.parametrize("attempt", range(4))
def test_an_invitation_is_accepted_or_withdrawn(personas, attempt):
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email=personas.stranger.email, role="viewer"
    )
    token = invitations.token_of(invitation)
    results = at_once(
        lambda: invitations.accept(user=personas.stranger, token=token),
        lambda: invitations.withdraw(user=personas.admin, invitation=invitation),
    )
    [refused] = faults(results)
    assert isinstance(refused, ValidationError)
    invitation.refresh_from_db()
    is_member = Membership.objects.filter(user=personas.stranger).exists()
    assert is_member == (invitation.accepted_at is not None)
    assert is_member == (invitation.withdrawn_at is None)


@pytest.mark.parametrize("attempt", range(4))
def test_an_invitation_of_an_admin_who_is_just_removed(personas, attempt):
    """Whatever the order, nobody becomes a member through an invitation by an admin already
    removed.
    """
    other = MembershipFactory(clinic=personas.clinic, role=Role.ADMIN).user
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email=personas.stranger.email, role="admin"
    )
    token = invitations.token_of(invitation)
    membership = Membership.objects.get(user=personas.admin, clinic=personas.clinic)
    accepted, removed = at_once(
        lambda: invitations.accept(user=personas.stranger, token=token),
        lambda: services.remove_member(user=other, membership=membership),
    )
    assert removed is None
    assert isinstance(accepted, ValidationError | Membership)
    is_member = Membership.objects.filter(user=personas.stranger).exists()
    assert is_member == isinstance(accepted, Membership)


def test_two_invitations_to_one_address(personas):
    results = at_once(
        *[
            lambda: invitations.invite(
                user=personas.admin, clinic=personas.clinic, email="new@example.org", role="viewer"
            )
        ]
        * 2
    )
    assert not faults(results)
    assert Invitation.objects.open().count() == 1


def test_two_admins_demote_each_other(personas):
    mine = Membership.objects.get(user=personas.admin, clinic=personas.clinic)
    other = MembershipFactory(clinic=personas.clinic, role=Role.ADMIN)
    results = at_once(
        lambda: services.change_role(user=mine.user, membership=other, role=Role.VIEWER),
        lambda: services.change_role(user=other.user, membership=mine, role=Role.VIEWER),
    )
    assert len(faults(results)) == 1
    assert personas.clinic.memberships.filter(role=Role.ADMIN).count() == 1


def test_an_application_is_revoked_while_it_is_taken_over(personas):
    application, _ = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice",
        role="assistant",
        scopes=["patients:read"],
    )
    at_once(
        lambda: applications.revoke_application(user=personas.admin, application=application),
        lambda: applications.take_over_application(user=personas.admin, application=application),
    )
    application.refresh_from_db()
    assert application.revoked_at is not None


def test_one_assertion_is_used_by_many_at_once(personas):
    application, _ = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Archive",
        role="viewer",
        scopes=["fhir:read"],
        keys=key_set(EC),
    )
    assertion = signed(application)
    results = at_once(*[lambda: application_of(TYPE, assertion)] * 8)
    assert len(faults(results)) == 7
    assert application.used_assertions.count() == 1
