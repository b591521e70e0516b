"""``manage.py import_export``: read an export of another installation into this one."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from accounts.models import Clinic, User
from screening.errors import ArchiveRefused
from screening.exports import imports
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Read an export of another installation into this one: all of it, or nothing. Import only "
        "files that you trust: who did what is taken from the file. See docs/export.md."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file")
        parser.add_argument(
            "--owner", metavar="EMAIL", help="the account here that gets a person's own records"
        )
        parser.add_argument(
            "--clinic", metavar="UUID", type=UUID, help="the clinic here that gets the patients"
        )

        parser.add_argument(
            "--signed-by",
            metavar="KEY",
            default="",
            help="the public key of the other site, as its manage.py export_key prints it",
        )
        parser.add_argument(
            "--unsigned",
            action="store_true",
            help="take a file whose signature is missing, or by a site that is not known",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        owner = clinic = None
        if options["owner"] is not None:
            owner = User.objects.filter(email=options["owner"].lower()).first()
            if owner is None:
                raise CommandError("Nobody has an account with this address.")
        if options["clinic"] is not None:
            clinic = Clinic.objects.filter(pk=options["clinic"]).first()
            if clinic is None:
                raise CommandError("There is no such clinic.")
        try:
            with Path(options["file"]).open("rb") as file:
                counts = imports.import_export(
                    file,
                    owner=owner,
                    clinic=clinic,
                    signed_by=options["signed_by"],
                    unsigned=options["unsigned"],
                )
        except (OSError, ArchiveRefused) as error:
            raise CommandError(str(error)) from None
        for name, count in counts.items():
            self.stdout.write(f"{count} {name.replace('_', ' ')}")
