"""What follows when images come to a lesion or leave it: alerts, comparisons, reminders."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, Q
from django.utils import timezone

from screening import bells
from screening.models import Alert, Lesion, LesionImage
from screening.reminders import schedule


def follow(images: Iterable[LesionImage], *lesions: Lesion) -> None:
    """After ``images`` were moved, withdrawn, put back or given another day.

    lesions: where they were and where they are. An alert goes along with its two images; while they
    are no pair, it does not count (``Alert.objects``). Neighbours that are new are compared.
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
        for image in lesion.images.all():  # what is compared already costs a look
            bells.after_commit(bells.follow_up, image.pk)
