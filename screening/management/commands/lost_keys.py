"""``manage.py lost_keys``: list what the loss of an operator's key makes unreadable, and mark it as
lost.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from screening.images import encryption
from screening.models.data_key import MISSING
from screening.privacy.commands import RecordedCommand

NONE = "Every data key can be opened. Nothing is lost."
ASK = (
    "Nothing was changed. {missing} If it will not be found again, --confirm marks all of this as "
    "lost, so that nothing waits for it."
)
INSTALLATION = "the installation, archives of batches and exports, given up for good"
NO_KEY = (
    "Nothing was changed. No operator's key is set here, so every data key seems lost. Set "
    "ENCRYPTION_KEY as the site has it."
)
GIVEN_UP = (
    "{} data key(s) given up: what is under them counts as lost, readings of it fail, and what "
    "comes from now on is encrypted with other keys. If the operator's key is found, put it back: "
    "the pictures open again."
)


class Command(RecordedCommand):
    help = (
        "List the pictures whose data keys no key of ENCRYPTION_KEY opens. With --confirm, give "
        "them up: they are marked as lost, as if their files were."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--confirm", action="store_true", help="give up on all that is listed")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(encryption.lost())
        for one in found:
            owner = f"patient {one.key.patient_id}" if one.key.patient_id else INSTALLATION
            self.stdout.write(
                f"{owner}: {one.images} pictures, {one.maps} maps "
                f"(data key {one.key.pk}, of {one.key.created:%Y-%m-%d})"
            )
        if not found:
            self.stdout.write(NONE)
        elif not settings.ENCRYPTION_KEYS:
            raise CommandError(NO_KEY)
        elif not options["confirm"]:
            self.stdout.write(ASK.format(missing=MISSING))
        else:
            count = sum(encryption.give_up(one.key) for one in found)
            self.stdout.write(GIVEN_UP.format(count))
