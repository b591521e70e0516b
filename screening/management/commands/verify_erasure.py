"""``manage.py verify_erasure``: look for traces of what was erased; check a receipt."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from screening.erasure import receipts, traces
from screening.errors import KeyMissing, StorageAway
from screening.models import Erasure, Trace
from screening.models.witness import unseen
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Look for identifiers, names and files of what was erased, in every table and in the "
        "storage. Exits with 1 if there is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--names-only",
            action="store_true",
            help="Do not read the stored files, only their names.",
        )
        parser.add_argument(
            "--receipt", type=Path, help="Only check that this site signed this receipt (JSON)."
        )

    @unseen()  # it reads everything, and shows nobody anything
    def handle(
        self, *args: Any, names_only: bool, receipt: Path | None = None, **options: Any
    ) -> None:
        if receipt is not None:
            self._check(receipt)
            return
        search, count = traces.Search(), 0
        for found in search.in_database():
            count += 1
            self.stderr.write(f"{found.where}: a trace.")
        try:
            for found in search.in_storage(contents=not names_only):
                count += 1
                self.stderr.write(f"stored file {found.where}: a trace.")
        except KeyMissing as error:
            raise CommandError(f"{error.strerror} Or look with --names-only.") from None
        except StorageAway as error:
            raise CommandError(error.strerror) from None
        if count:
            raise CommandError(f"{count} trace{'s' if count > 1 else ''} of what was erased.")
        self.stdout.write(f"No trace of {Trace.objects.count()} that must not be found.")
        keys = sum(
            said.get("data keys", 0)
            for said in Erasure.objects.values_list("counts__erased", flat=True)
            if said
        )
        self.stdout.write(f"Keys of erased pictures: {keys} destroyed, none is left.")

    def _check(self, receipt: Path) -> None:
        try:
            content = json.loads(receipt.read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"{receipt} cannot be read: {error}") from None
        if not isinstance(content, dict) or not receipts.is_genuine(content):
            raise CommandError("This site did not sign this.")
        self.stdout.write("This site signed this receipt, and nothing in it was changed.")
