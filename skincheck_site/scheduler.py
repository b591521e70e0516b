"""Celery's scheduler, which survives a clock that is set back."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler


class Scheduler(PersistentScheduler):
    def tick(self, *arguments: Any, **options: Any) -> float:
        """Treat entries that were last run in the future as run now. They would not be due
        until then.
        """
        for entry in self.schedule.values():
            now = entry.default_now()
            if entry.last_run_at and entry.last_run_at > now:
                entry.last_run_at = now
                self._heap = None  # rebuilt by the next line
        return float(super().tick(*arguments, **options))
