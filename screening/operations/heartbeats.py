"""Which background processes are alive, and when each last reported."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from screening.models import Heartbeat

WORKER, COURIER, BEAT, SWEEPER = "worker", "courier", "beat", "sweeper"
STORAGE = "storage"
"""Reports when the sweeper has written a file and deleted it again."""
SECONDS = 20
LONG = timedelta(minutes=5)
"""Tasks that people wait for take seconds."""
FORGOTTEN_AFTER = timedelta(days=1)


class Doing(NamedTuple):
    """A task in progress. limit: seconds after which it is ended."""

    task: str
    since: datetime
    limit: int

    def share(self, now: datetime) -> float:
        """Of the time after which it counts as one that hangs: half of its limit."""
        return (now - self.since) / max(LONG, timedelta(seconds=self.limit / 2))


def beat(name: str, now: datetime | None = None, doing: Iterable[Doing] = ()) -> None:
    """Record a heartbeat. name: of the process and, if there may be several, its machine:
    ``worker@machine``. doing: its tasks, of which the one nearest to a hang is kept.
    """
    now = now or timezone.now()
    longest = max(doing, key=lambda one: one.share(now), default=None)
    values = {
        "beat_at": now,
        "task": longest.task[:100] if longest else "",
        "task_since": longest.since if longest else None,
        "task_limit": longest.limit if longest else None,
    }
    Heartbeat.objects.update_or_create(name=name[:100], defaults=values)


def is_alive(part: str) -> bool:
    """Whether any process of this kind has reported recently."""
    return any(one.part == part for one in _lately())


def is_at_work(part: str) -> bool:
    """Whether any process of this kind has reported recently, and does not hang."""
    return any(one.part == part and not hangs(one) for one in _lately())


def hangs(one: Heartbeat) -> bool:
    """Whether it reports, but has been at one task for long: for more than half of the time after
    which the task is ended.
    """
    if one.task_since is None or one.task_limit is None or is_silent(one):
        return False
    return Doing(one.task, one.task_since, one.task_limit).share(timezone.now()) > 1


def is_silent(one: Heartbeat) -> bool:
    return timezone.now() - one.beat_at > silence()


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
