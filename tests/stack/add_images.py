"""Adds synthetic images through the write path, as a page does.

python -m tests.stack.add_images 20

Prints the seconds that the slowest took. Run it in an installation's environment.
"""

from __future__ import annotations

import os
import sys
import time
from io import BytesIO

import django


def main(count: int) -> None:
    from accounts.models import User
    from screening.images import services as image_services
    from screening.images import synthetic
    from screening.records import services as record_services

    user = User.objects.create_user(f"{time.monotonic_ns()}@example.org")
    patient = record_services.register_patient(user=user, label="P-1")
    lesion = record_services.open_lesion(user=user, patient=patient)
    slowest = 0.0
    for seed in range(count):
        picture = synthetic.jpeg(synthetic.draw_lesion(seed=seed, size=(400, 300)))
        started = time.monotonic()
        image_services.add_image(user=user, lesion=lesion, file=BytesIO(picture), is_synthetic=True)
        slowest = max(slowest, time.monotonic() - started)
    print(slowest)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")
    django.setup()
    main(int(sys.argv[1]))
