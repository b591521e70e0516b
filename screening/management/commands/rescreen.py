"""``manage.py rescreen --model VERSION``: read all images by another model version too."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ml import reader
from screening import intake, tracking
from screening.models import LesionImage, Modality, Prediction

POLL_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Queue every dermatoscopic image for a model version, behind all that people wait for, and "
        "list where it disagrees with the reading before. Nothing read before is changed; run "
        "again, it goes on where it was."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model", required=True, help="a version: " + ", ".join(reader.readable())
        )
        parser.add_argument(
            "--no-wait", action="store_true", help="queue, list what is known already, and end"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        version = options["model"]
        if version not in reader.readable():
            kept = "Only the card is kept of" if version in reader.versions() else "There is no"
            readable = ", ".join(reader.readable())
            raise CommandError(f"{kept} model {version}. Models that can read: {readable}.")
        images = LesionImage.objects.filter(modality=Modality.DERMATOSCOPIC)
        queued = sum(
            intake.rescreen(image=image, model_version=version) is not None
            for image in images.select_related("uploaded_by").iterator()
        )
        self.stdout.write(f"{queued} of {images.count()} images queued for {version}.")
        if not options["no_wait"]:
            self._wait(version)
        self._compare(version)

    def _wait(self, version: str) -> None:
        while left := Prediction.objects.active().filter(model_version=version).count():
            self.stdout.write(f"{left} to be read ...")
            time.sleep(POLL_SECONDS)

    def _compare(self, version: str) -> None:
        count = 0
        for found in tracking.disagreements(version):
            count += 1
            before, after = found.before, found.after
            self.stdout.write(
                f"{found.image_id}  {before.model_version} {before.outcome}"
                f"  ->  {after.model_version} {after.outcome}"
            )
        self.stdout.write(f"{count} images have another outcome by {version}.")
