"""The outbox: events are stored for every endpoint that subscribes to them.

Call ``announce`` in the transaction of the event, so that both are stored or neither. It sends
nothing. Afterwards ring with ``after_commit(outbox.ring)``; the sweep repeats a lost ring.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from screening import bells
from screening.models import Delivery, Event, Patient, Webhook
from screening.webhooks import delivery


def announce(
    event: Event, *, clinic_id: UUID | None, owner_id: UUID | None, **identifiers: UUID | None
) -> None:
    """Queue a delivery for each endpoint of the clinic and of the person that subscribes to this
    event.

    identifiers: of the records concerned, by resource name. Nothing else is sent: the other system
    fetches readings and conclusions with its own API key.
    """
    theirs = Q()
    if clinic_id:
        theirs |= Q(clinic=clinic_id)
    if owner_id:
        theirs |= Q(owner=owner_id)
    if not theirs:
        return
    data = {name: pk and str(pk) for name, pk in {"clinic": clinic_id, **identifiers}.items()}
    Delivery.objects.bulk_create(
        Delivery(webhook=webhook, event=event, data=data)
        for webhook in Webhook.objects.enabled().filter(theirs)
        if event in webhook.events
    )


def announce_about(patient: Patient, event: Event, **identifiers: UUID) -> None:
    """Call ``announce`` for the clinic and for the owner of the record."""
    announce(
        event,
        clinic_id=patient.clinic_id,
        owner_id=patient.owner_id,
        patient=patient.pk,
        **identifiers,
    )


def ring(*, again_after: int = delivery.LEASE_SECONDS) -> None:
    """Ring for every due delivery not rung for in the last ``again_after`` seconds."""
    for pk in delivery.due(rung_before=timezone.now() - timedelta(seconds=again_after)):
        if not bells.deliver(pk):
            return
