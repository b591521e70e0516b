"""The outbox: events are stored for the change feed, and for every endpoint that subscribes.

Call ``announce`` in the transaction of the event, so that both are stored or neither. It sends
nothing, and rings after the commit; the sweep repeats a lost ring.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from screening import bells
from screening.models import Announcement, Delivery, Event, Patient, Webhook
from screening.webhooks import delivery


def announce(
    event: Event,
    *,
    clinic_id: UUID | None,
    owner_id: UUID | None,
    reveals_finding: bool = False,
    **identifiers: UUID | None,
) -> None:
    """Store the event, and queue a delivery for each endpoint of the clinic and of the person that
    subscribes to it.

    reveals_finding: it follows from a conclusion or a histology, so the feed hides it from users
    who must conclude first. identifiers: of the records concerned, by resource name. Nothing else
    is sent: the other system fetches readings and conclusions with its own API key.
    """
    theirs = Q()
    if clinic_id:
        theirs |= Q(clinic=clinic_id)
    if owner_id:
        theirs |= Q(owner=owner_id)
    if not theirs:
        return
    data = {name: pk and str(pk) for name, pk in {"clinic": clinic_id, **identifiers}.items()}
    Announcement.objects.create(
        event=event,
        clinic_id=clinic_id,
        owner_id=owner_id,
        patient_id=identifiers.get("patient"),
        data=data,
        reveals_finding=reveals_finding,
    )
    deliveries = [
        Delivery(webhook=webhook, event=event, data=data)
        for webhook in Webhook.objects.enabled().filter(theirs)
        if event in webhook.events
    ]
    if Delivery.objects.bulk_create(deliveries):
        bells.after_commit(ring)


def announce_about(
    patient: Patient, event: Event, *, reveals_finding: bool = False, **identifiers: UUID
) -> None:
    """Call ``announce`` for the clinic and for the owner of the record."""
    announce(
        event,
        clinic_id=patient.clinic_id,
        owner_id=patient.owner_id,
        patient=patient.pk,
        reveals_finding=reveals_finding,
        **identifiers,
    )


def ring(*, again_after: int = delivery.LEASE_SECONDS) -> None:
    """Ring for every due delivery not rung for in the last ``again_after`` seconds."""
    for pk in delivery.due(rung_before=timezone.now() - timedelta(seconds=again_after)):
        if not bells.deliver(pk):
            return
