"""``manage.py erase``: erase what is due; list what was erased; erase it again after a restore."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from screening.erasure import eraser
from screening.models import Erasure, Trace
from screening.privacy.commands import RecordedCommand

LEFT = (
    "{} not finished: what it needs cannot be reached, or something was left. The log says what. "
    "It is tried again every night."
)
_ROOTS = (Trace.Kind.PATIENT, Trace.Kind.USER)


class Command(RecordedCommand):
    help = "Erase what is due. The site does so by itself every night."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--list",
            action="store_true",
            help="Print the digests of all erased records and accounts, to keep beside backups.",
        )
        parser.add_argument(
            "--again",
            type=Path,
            metavar="LIST",
            help="Erase at once what is on this list: a restored backup brought it back.",
        )

    def handle(self, *args: Any, again: Path | None = None, **options: Any) -> None:
        if options["list"]:
            for digest in Trace.objects.filter(kind__in=_ROOTS).values_list("digest", flat=True):
                self.stdout.write(digest)
        elif again is not None:
            try:
                digests = again.read_text().split()
            except OSError as error:
                raise CommandError(f"{again} cannot be read: {error}") from None
            self.stdout.write(f"{eraser.erase_again(digests)} erased again.")
        else:
            self.stdout.write(f"{eraser.erase_due()} erased.")
        if not options["list"] and (left := Erasure.objects.overdue().count()):
            raise CommandError(LEFT.format(left))
