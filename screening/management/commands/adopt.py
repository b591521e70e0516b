"""``manage.py adopt``: make this release's model version the default, after the migrations."""

from __future__ import annotations

from typing import Any

from screening.predictions import adoption
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Make this release's model version the default, if it is newer than all that were the "
        "default here. Run it after `migrate`; workers and the sweep do the same when they start."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        adoption.adopt_own()
