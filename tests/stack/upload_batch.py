"""Uploads a batch of synthetic images, as a page does: 20 bad rows of different kinds, the rest
good.

python -m tests.stack.upload_batch 200

Run it in an installation's environment.
"""

from __future__ import annotations

import io
import os
import sys

import django


def main(count: int) -> None:
    from django.core.files.base import File

    from accounts import services
    from accounts.models import User
    from screening.batches import services as batch_services
    from tests.batches.uploads import BAD, mixed

    user = User.objects.create_user("batch@example.org")
    clinic = services.found_clinic(user=user, name="North clinic")
    archive = File(io.BytesIO(mixed(count - len(BAD))), "batch.zip")
    batch_services.upload_batch(user=user, clinic=clinic, archive=archive, confirms=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")
    django.setup()
    main(int(sys.argv[1]))
