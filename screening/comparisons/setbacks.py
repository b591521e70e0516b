"""Following an image up (measures, comparisons, alerts) where it failed: tried again with growing
pauses, and never in the way of the others.

It is noted when it begins, not when it fails: an image that kills its worker is put off too.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from screening.models import LesionImage, Setback
from screening.operations.transience import pause

LONGEST_PAUSE = timedelta(days=1)
ONE_SWEEP = 50


def begin(image: LesionImage) -> int:
    """Post: the image rests, unless ``end`` is called. Returns how often it was begun in a row."""
    setback, _ = Setback.objects.get_or_create(image=image)
    count = setback.count + 1
    rests_until = timezone.now() + pause(count, longest=LONGEST_PAUSE)
    Setback.objects.filter(pk=setback.pk).update(count=count, rests_until=rests_until)
    return count


def end(image: LesionImage) -> None:
    Setback.objects.filter(image=image).delete()


def due() -> list[LesionImage]:
    """Some that have rested; those that failed least come first."""
    rested = LesionImage.objects.present().filter(setback__rests_until__lte=timezone.now())
    return list(rested.order_by("setback__count", "setback__rests_until")[:ONE_SWEEP])
