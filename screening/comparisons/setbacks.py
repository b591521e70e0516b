"""Retries of failed follow-ups (measurements, comparisons, alerts), with growing pauses and without
blocking other images. Whoever looks at a picture that was given up has it tried again.

An attempt is recorded when it starts, not when it fails, so that an image that kills its worker is
delayed too.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from screening.models import LesionImage, Setback
from screening.operations.transience import pause

LONGEST_PAUSE = timedelta(days=1)
MOST = 40
"""Attempts, in about a month. After that only somebody who looks at the picture starts another."""
ONE_SWEEP = 50


def begin(image: LesionImage) -> int:
    """Record the start of an attempt: the image pauses unless ``end`` is called. Returns the number
    of attempts in a row.
    """
    setback, _ = Setback.objects.get_or_create(image=image)
    count = setback.count + 1
    rests_until = timezone.now() + pause(count, longest=LONGEST_PAUSE)
    Setback.objects.filter(pk=setback.pk).update(count=count, rests_until=rests_until)
    return count


def end(image: LesionImage) -> None:
    Setback.objects.filter(image=image).delete()


def due() -> list[LesionImage]:
    """Some images whose pause is over and that are not given up, fewest failures first."""
    rested = LesionImage.objects.present().filter(
        setback__rests_until__lte=timezone.now(), setback__count__lt=MOST
    )
    return list(rested.order_by("setback__count", "setback__rests_until")[:ONE_SWEEP])
