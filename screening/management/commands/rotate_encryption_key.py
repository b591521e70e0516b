"""``manage.py rotate_encryption_key``: encrypt the data keys with the operator's newest key."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from screening.errors import KeyMissing
from screening.images import encryption
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = (
        "Encrypt every data key with the first key of ENCRYPTION_KEY. No stored file is written. "
        "Former keys must still follow it; afterwards they can be removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ENCRYPTION_KEYS:
            raise CommandError("There is no ENCRYPTION_KEY. See docs/operations.md.")
        try:
            count = encryption.rewrap()
        except KeyMissing as error:
            raise CommandError(error.strerror) from None
        self.stdout.write(
            f"{count} data key{'' if count == 1 else 's'} encrypted anew. The first key of "
            "ENCRYPTION_KEY opens all of them: remove the others, and restart."
        )
