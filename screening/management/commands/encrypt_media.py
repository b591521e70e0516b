"""``manage.py encrypt_media``: encrypt what was stored before there was a key."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from screening.errors import KeyMissing
from screening.images import encryption
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Encrypt every stored picture, archive and map that is stored plain. Run it again if it is "
        "interrupted: what is encrypted is left alone. The site may keep running."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ENCRYPT_AT_REST:
            raise CommandError("Encryption is off: set ENCRYPTION_KEY. See docs/operations.md.")
        count = 0
        try:
            for what in encryption.seal_plain():
                count += 1
                if options["verbosity"] > 1:
                    self.stdout.write(what)
        except KeyMissing as error:
            raise CommandError(error.strerror) from None
        self.stdout.write(f"{count} encrypted, nothing is stored plain.")
