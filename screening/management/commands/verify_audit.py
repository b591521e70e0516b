"""``manage.py verify_audit``: check that every entry of the audit log is present and unchanged."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from screening.privacy import services as audit
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Check the signature of every entry of the audit log and the chain that they form. Exits "
        "with 1 if one was changed, forged, moved or deleted. Note the last line elsewhere and "
        "pass it as --anchor later: it reveals even entries cut off at the end."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anchor", help="NUMBER:SIGNATURE, as an earlier run of this command printed it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        audit.chain_all()
        count = 0
        for number, text in audit.broken(anchor=_anchor(options["anchor"])):
            count += 1
            self.stderr.write(f"entry {number} {text}.")
        if count:
            raise CommandError(f"{count} fault{'s' if count > 1 else ''} in the audit log.")
        number, signature = audit.head()
        self.stdout.write(f"{number} entries, all as signed.")
        self.stdout.write(f"{number}:{signature}")


def _anchor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    number, _, signature = text.partition(":")
    if not number.isdecimal() or len(signature) != 64:
        raise CommandError("An anchor is NUMBER:SIGNATURE, as this command prints it.")
    return int(number), signature
