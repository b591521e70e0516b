"""The Celery application. Tasks live in ``screening/tasks.py``."""

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import Celery, Task, bootsteps

if TYPE_CHECKING:
    from screening.operations.heartbeats import Doing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

logger = logging.getLogger(__name__)


class Heart(bootsteps.StartStopStep):
    """Reports a worker's heartbeat, and what its processes do, to the database while it is
    connected to its broker.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._entry: Any = None

    def start(self, consumer: Any) -> None:
        from screening.operations import heartbeats

        kind, _, machine = consumer.hostname.partition("@")
        part = heartbeats.COURIER if kind == heartbeats.COURIER else heartbeats.WORKER
        name = f"{part}@{machine}"
        _beat(name)
        self._entry = consumer.timer.call_repeatedly(heartbeats.SECONDS, _beat, (name,))

    def stop(self, consumer: Any) -> None:
        if self._entry is not None:
            self._entry.cancel()


def _beat(name: str) -> None:
    from django.db import connection

    from screening.operations import heartbeats

    try:
        heartbeats.beat(name, doing=_doing())
    except Exception:  # a worker without a heartbeat still works
        logger.exception("no heartbeat of %s", name)
    finally:
        connection.close()  # so that none is open when the next process is forked


def _doing() -> "Iterator[Doing]":
    """The tasks of this worker's processes, which may hang while it reports."""
    from celery.worker import state

    from screening.operations.heartbeats import Doing

    for request in list(state.active_requests):
        limit = request.time_limits[0] or request.task.time_limit or app.conf.task_time_limit
        since = datetime.fromtimestamp(request.time_start, UTC)
        yield Doing(request.name.rpartition(".")[2], since, limit)


class RecordedTask(Task):
    """A task whose reads and writes of people's data go to the audit log."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from screening.privacy.recording import recorded

        with recorded(through="worker", what=str(self.name)):
            return super().__call__(*args, **options)


app = Celery("skincheck", task_cls=RecordedTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["consumer"].add(Heart)
