"""Celery's scheduler, for clocks that may be set back."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):
    def tick(self, *arguments: Any, **options: Any) -> float:
        """What was last started at a moment that is still to come counts as started now: it would
        not be due until then."""
        for entry in self.schedule.values():
            now = entry.default_now()
            if entry.last_run_at > now:
                entry.last_run_at = now
                self._heap = None  # is made anew
        return float(super().tick(*arguments, **options))
