"""Consequences of adding images to a lesion or removing them: alerts, comparisons, reminders."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, Q
from django.utils import timezone

from screening import bells
from screening.models import Alert, Lesion, LesionImage
from screening.reminders import schedule


def follow(images: Iterable[LesionImage], *lesions: Lesion) -> None:
    """Update what depends on ``images`` after they were moved, withdrawn, restored or given another
    day.

    lesions: where they were and where they are. An alert moves with its two images; while these are
    in different lesions, it does not count (``Alert.objects``). New neighbours are compared.
    """
    changed = list(images)
    now = timezone.now()
    both = Alert.everything.filter(
        Q(earlier__in=changed) | Q(later__in=changed), earlier__lesion=F("later__lesion")
    )
    for alert in both.exclude(lesion=F("later__lesion")).select_related("later"):
        Alert.everything.filter(pk=alert.pk).update(lesion=alert.later.lesion_id, modified=now)
    for lesion in lesions:
        schedule.reschedule(lesion)
        for image in lesion.images.all():  # pairs that are compared already cost little
            bells.after_commit(bells.follow_up, image.pk)
