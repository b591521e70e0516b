"""Which background processes are alive, and when each last reported."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from screening.models import Heartbeat

WORKER, COURIER, BEAT, SWEEPER = "worker", "courier", "beat", "sweeper"
STORAGE = "storage"
"""Reports when the sweeper has written a file and deleted it again."""
SECONDS = 20
FORGOTTEN_AFTER = timedelta(days=1)


def beat(name: str, now: datetime | None = None) -> None:
    """Record a heartbeat. name: of the process and, if there may be several, its machine:
    ``worker@machine``.
    """
    defaults = {"beat_at": now or timezone.now()}
    Heartbeat.objects.update_or_create(name=name[:100], defaults=defaults)


def is_alive(part: str) -> bool:
    """Whether any process of this kind has reported recently."""
    return any(one.part == part for one in _lately())


def all_known() -> list[Heartbeat]:
    """All known processes, including those that stopped reporting within the last day."""
    known = Heartbeat.objects.filter(beat_at__gt=timezone.now() - FORGOTTEN_AFTER)
    return list(known.order_by("name"))


def forget_old() -> None:
    Heartbeat.objects.filter(beat_at__lt=timezone.now() - FORGOTTEN_AFTER).delete()


def silence() -> timedelta:
    """How long a process may be silent before it counts as dead: three beats of the slowest."""
    return 3 * timedelta(seconds=max(SECONDS, settings.PREDICTION_SWEEP_SECONDS))


def _lately() -> list[Heartbeat]:
    return list(Heartbeat.objects.filter(beat_at__gt=timezone.now() - silence()))
