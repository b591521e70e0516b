"""``manage.py orphans``: list stored files without a row, and delete them if asked to."""

from __future__ import annotations

from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import CommandParser

from screening.operations import orphans
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "List stored files that are older than a day and that no row names. A worker deletes them "
        f"every night if there are at most {orphans.AT_MOST}. With more of them, check first that "
        "the database is the right one and complete."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete them, however many")

    def handle(self, *args: Any, **options: Any) -> None:
        names = list(orphans.found())
        for name in names:
            if options["delete"]:
                default_storage.delete(name)
            self.stdout.write(name)
        self.stdout.write(f"{len(names)} {'deleted' if options['delete'] else 'found'}.")
