"""``manage.py rescreen``: read all images with the default model version or another one."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ml import reader
from screening.models import LesionImage, Modality, Prediction
from screening.predictions import adoption, succession
from screening.predictions import services as prediction_services
from screening.privacy.commands import RecordedCommand
from screening.records import queries as record_queries

POLL_SECONDS = 1.0


class Command(RecordedCommand):
    help = (
        "Queue every dermatoscopic image for a model version, after all images that people are "
        "waiting for. The default version's readings count from now on, also after another version "
        "had been the default. For it, list the lesions whose outcome changes, milder ones "
        "first; for any other, whose readings nobody sees, list where it disagrees. Earlier "
        "readings stay unchanged. Run again, it continues where it stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            default=reader.DEFAULT_VERSION,
            help="a version: " + ", ".join(reader.readable()),
        )
        parser.add_argument(
            "--no-wait", action="store_true", help="queue, list the results so far, and exit"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        version = options["model"]
        if version not in reader.readable():
            kept = "Only the card is kept of" if version in reader.versions() else "There is no"
            readable = ", ".join(reader.readable())
            raise CommandError(f"{kept} model {version}. Models that can read: {readable}.")
        if version == adoption.own_version():
            adoption.adopt(version)
        images = LesionImage.objects.present().filter(modality=Modality.DERMATOSCOPIC)
        queued = sum(
            prediction_services.rescreen(image=image, model_version=version) is not None
            for image in images.select_related("uploaded_by").iterator()
        )
        self.stdout.write(f"{queued} of {images.count()} images queued for {version}.")
        if not options["no_wait"]:
            self._wait(version)
        if version == reader.DEFAULT_VERSION:
            self._tell_changes()
        else:
            self._compare(version)

    def _tell_changes(self) -> None:
        changed = succession.changes()
        for one in changed:
            before, after = one.before, one.after
            self.stdout.write(
                f"{'MILDER' if one.is_milder else 'graver':6}  {one.lesion_id}  "
                f"{before.outcome_told} by {before.model_version}"
                f"  ->  {after.outcome_told} by {after.model_version}"
            )
        milder = sum(one.is_milder for one in changed)
        self.stdout.write(f"{len(changed)} lesions have another outcome, {milder} of them milder.")

    def _wait(self, version: str) -> None:
        while left := Prediction.objects.active().filter(model_version=version).count():
            self.stdout.write(f"{left} to be read ...")
            time.sleep(POLL_SECONDS)

    def _compare(self, version: str) -> None:
        count = 0
        for found in record_queries.disagreements(version):
            count += 1
            before, after = found.before, found.after
            self.stdout.write(
                f"{found.image_id}  {before.model_version} {before.outcome}"
                f"  ->  {after.model_version} {after.outcome}"
            )
        self.stdout.write(
            f"{count} images have another outcome by {version}. It is not the default: nobody is "
            "told what it read."
        )
