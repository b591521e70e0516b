"""A following has one answer, and its owner can always end it: real threads, on PostgreSQL."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from screening.models import Following, Patient
from screening.privacy import following as followings
from tests.factories import FollowingFactory
from tests.races.test_races import at_once, faults

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="needs PostgreSQL: script/with-services"
    ),
]


@pytest.mark.parametrize("against", ["decline", "end"])
@pytest.mark.parametrize("attempt", range(6))
def test_it_is_accepted_while_it_is_over(personas, against, attempt):
    made = FollowingFactory(
        clinic=personas.clinic, invited_by=personas.self_tracker, patient=personas.own_patient
    )
    other = {"decline": personas.admin, "end": personas.self_tracker}[against]
    one, two = (Following.objects.get(pk=made.pk) for _ in range(2))
    results = at_once(
        lambda: followings.accept(user=personas.clinician, following=one),
        lambda: getattr(followings, against)(user=other, following=two),
    )
    assert all(isinstance(refused, ValidationError) for refused in faults(results)), results
    made.refresh_from_db()
    patient = Patient.objects.get(pk=personas.own_patient.pk)
    assert (patient.clinic is not None) == (made.ended_at is None)
    assert Following.objects.standing().contains(made) == (patient.clinic is not None)
