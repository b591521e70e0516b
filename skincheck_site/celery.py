"""The Celery application. Tasks live in ``screening/tasks.py``."""

import logging
import os
from typing import Any

from celery import Celery, Task, bootsteps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")

logger = logging.getLogger(__name__)


class Heart(bootsteps.StartStopStep):
    """Reports a worker's heartbeat to the database while it is connected to its broker."""

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
        heartbeats.beat(name)
    except Exception:  # a worker without a heartbeat still works
        logger.exception("no heartbeat of %s", name)
    finally:
        connection.close()  # so that none is open when the next process is forked


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
