"""The outbox: what happened is written down for every endpoint that is to be told of it.

``announce`` belongs into the transaction of what happened: both are kept, or neither. It sends
nothing. The caller rings afterwards, ``after_commit(outbox.ring)``; a lost bell is rung again by
the sweep.
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
    """Post: a delivery waits for each endpoint of the clinic and of the person that asked for this.

    identifiers: of what happened, by their resource's name. Nothing else is sent: what a reading or
    a conclusion says, the other system asks for with a key of its own.
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
    """``announce`` to the clinic and to the person whose record it is."""
    announce(
        event,
        clinic_id=patient.clinic_id,
        owner_id=patient.owner_id,
        patient=patient.pk,
        **identifiers,
    )


def ring(*, again_after: int = delivery.LEASE_SECONDS) -> None:
    """Ring for every delivery that is due, but not again within so many seconds."""
    for pk in delivery.due(rung_before=timezone.now() - timedelta(seconds=again_after)):
        if not bells.deliver(pk):
            return
