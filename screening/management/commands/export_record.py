"""``manage.py export_record``: write everything about a person or a patient to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from accounts.models import User
from screening.exports import archive
from screening.models import Export, Patient
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Write all that is kept about a person (their account and own records), or about one "
        "patient of a clinic, to a ZIP: see docs/export.md. The file is readable by its owner only."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the ZIP to write; it must not exist yet")
        parser.add_argument("--account", metavar="EMAIL", required=True, help="of the person")
        parser.add_argument(
            "--patient",
            metavar="UUID",
            type=UUID,
            help="of this patient only, as the person, an admin of the clinic, sees it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["account"].lower()).first()
        if user is None:
            raise CommandError("Nobody has an account with this address.")
        patient = None
        if options["patient"] is not None:
            patient = Patient.objects.exportable_by(user).filter(pk=options["patient"]).first()
            if patient is None:
                raise CommandError("This account may not export this patient.")
        made = archive.plan(Export(requested_by=user, patient=patient))
        path = Path(options["file"])
        try:
            with path.open("xb") as file:
                path.chmod(0o600)
                archive.write(made, file, lambda: None)
        except FileExistsError:
            raise CommandError(f"{path} exists already.") from None
        self.stdout.write(f"{path}: {path.stat().st_size} bytes, {len(made.patients)} records.")
