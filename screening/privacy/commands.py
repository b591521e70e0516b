"""Commands in the audit log."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from screening.models import Through
from screening.privacy.recording import recorded


class RecordedCommand(BaseCommand):
    """Record each of our commands: what it reads and writes of people's data is one entry."""

    def execute(self, *args: Any, **options: Any) -> Any:
        name = type(self).__module__.rpartition(".")[2]
        with recorded(through=Through.COMMAND, what=name):
            return super().execute(*args, **options)
