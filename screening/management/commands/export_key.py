"""``manage.py export_key``: the public key with which other sites check this site's exports."""

from __future__ import annotations

from typing import Any

from screening.models.signatures import export_keys
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Print the public key with which another site checks an export of this one: its "
        "manage.py import_export --signed-by takes it. See docs/export.md."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(export_keys()[0])
