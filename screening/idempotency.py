"""Safe repetition of requests: one claim per key, one response kept for a day
(draft-ietf-httpapi-idempotency-key-header).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Clinic, User
from screening.errors import InProgress, OtherRequest
from screening.models import (
    Batch,
    Delivery,
    DicomNode,
    Following,
    IdempotentRequest,
    Patient,
    Webhook,
    witness,
)

KEPT = timedelta(hours=24)
# Longer than a web worker may run (``--timeout`` in supervisord.conf), so its owner has ended.
LEASE = timedelta(seconds=90)
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def claim(*, caller: str, key: str, fingerprint: str) -> IdempotentRequest:
    """The row for this key: already answered, or claimed by the caller until the lease expires.

    Raises InProgress and OtherRequest.
    """
    now = timezone.now()
    until = now + LEASE
    _stale(now - KEPT).filter(caller=caller, key=key).delete()
    try:
        with transaction.atomic():
            return IdempotentRequest.objects.create(
                caller=caller, key=key, fingerprint=fingerprint, locked_until=until
            )
    except IntegrityError:
        found = IdempotentRequest.objects.filter(caller=caller, key=key).first()
    if found is None:  # just released: a retry will succeed
        raise InProgress
    if found.fingerprint != fingerprint:
        raise OtherRequest
    if found.answered_at is not None:
        return found
    # Locked for longer than any claim lasts: made before the clock was set back.
    in_work = Q(locked_until__range=(now, now + 2 * LEASE))
    abandoned = IdempotentRequest.objects.filter(~in_work, pk=found.pk, answered_at=None)
    if not abandoned.update(locked_until=until, modified=now):
        raise InProgress
    found.locked_until = until
    return found


def answer(
    claimed: IdempotentRequest, *, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Store the response. Raises InProgress if the lease expired and another process took over."""
    kept = _own(claimed).update(
        status=status, headers=headers, body=body, answered_at=timezone.now()
    )
    if not kept:
        raise InProgress


def may_be_repeated(answered: IdempotentRequest, *, user: User, address: str) -> bool:
    """Whether ``user`` may still see what the stored response and its URL name. A user who may see
    a patient also sees withdrawn records of the patient: the request may have been a withdrawal.
    """
    text = f"{address} {answered.headers} {bytes(answered.body).decode()}"
    named = {UUID(one) for one in _UUID.findall(text)}
    return not any(rows.exists() for rows in _hidden(named, user))


def _hidden(named: set[UUID], user: User) -> Iterator[QuerySet[Any]]:
    """By model, the rows among ``named`` that hold a person's data and that ``user`` may
    not see.
    """
    patients = Patient.everything.visible_to(user)
    by_their_own_rule: tuple[Any, ...] = (Batch, Delivery, DicomNode, Following, Webhook)
    for model, way in witness.ways().items():
        if way.path and model not in by_their_own_rule:
            rows = model._base_manager.filter(pk__in=named, **{f"{way.path}__isnull": False})
            yield rows.exclude(**{f"{way.path}__in": patients.values("pk")})
    for model in by_their_own_rule:
        rows = model._base_manager.filter(pk__in=named)
        yield rows.exclude(pk__in=model.objects.visible_to(user).values("pk"))
    invited = Following.objects.owned_by(user).values("clinic")
    own = Clinic.objects.with_member(user).values("pk")
    yield Clinic.objects.filter(pk__in=named).exclude(pk__in=own).exclude(pk__in=invited)


def release(claimed: IdempotentRequest) -> None:
    """Release the key: nothing was done, and it may be used again with any body."""
    _own(claimed).delete()


def forget_old() -> int:
    """Delete responses older than a day. Called by the sweep."""
    return _stale(timezone.now() - KEPT).delete()[0]


def _own(claimed: IdempotentRequest) -> QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(
        pk=claimed.pk, answered_at=None, locked_until=claimed.locked_until
    )


def _stale(before: datetime) -> QuerySet[IdempotentRequest]:
    return IdempotentRequest.objects.filter(created__lt=before)
