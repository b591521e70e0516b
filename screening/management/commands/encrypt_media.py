"""``manage.py encrypt_media``: encrypt what was stored before there was a key."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from screening.errors import KeyMissing, StorageAway
from screening.images import encryption
from screening.images.encryption import Done
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Encrypt every stored picture, archive and map that is stored plain. Run it again if it is "
        "interrupted: what is encrypted is left alone. The site may keep running."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ENCRYPT_AT_REST:
            raise CommandError("Encryption is off: set ENCRYPTION_KEY. See docs/operations.md.")
        counts = dict.fromkeys(Done, 0)
        try:
            for what, done in encryption.seal_plain():
                counts[done] += 1
                if options["verbosity"] > 1 and done is not Done.SKIPPED:
                    self.stdout.write(f"{what}: {done.value}")
        except (KeyMissing, StorageAway) as error:
            raise CommandError(f"{_told(counts)} {error.strerror}") from None
        left = "Run it again." if counts[Done.LEFT] else "Nothing is stored plain."
        self.stdout.write(f"{_told(counts)} {left}")


def _told(counts: dict[Done, int]) -> str:
    return ", ".join(f"{count} {done.name.lower()}" for done, count in counts.items()) + "."
