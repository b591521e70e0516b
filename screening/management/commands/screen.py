"""``manage.py screen IMAGE...``: read picture files with the model, without storing them."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from ml import reader
from ml.opening import pictures
from ml.reader import Reader
from ml.types import LOCALIZATIONS, SEXES, PatientContext, Reading
from screening.images import cleaning
from screening.models import Lesion, LesionImage, Outcome, Patient, Prediction
from screening.predictions import advice
from screening.privacy.commands import RecordedCommand


class Command(RecordedCommand):
    help = "Read dermatoscopic images without storing them. Exits with 1 if one cannot be read."
    requires_system_checks = ()  # the site is not needed, and it starts twice as fast

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
        parser.add_argument("--age", help="in years")
        parser.add_argument("--sex", help=" or ".join(SEXES))
        parser.add_argument("--site", help=", ".join(LOCALIZATIONS))
        parser.add_argument("--json", action="store_true", help="one JSON object per line")

    context = PatientContext()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.context = PatientContext.parse(options["age"], options["sex"], options["site"])
            model = reader.load()
        except (ValueError, reader.ModelUnavailable) as error:
            raise CommandError(str(error)) from None
        write = self._write_json if options["json"] else self._write_row
        read: list[Reading] = []
        for path in options["images"]:
            try:
                reading = _read(path, model, self.context)
            except ValueError as error:
                self.stderr.write(f"{path}: {error}")
            else:
                write(path, model, reading)
                read.append(reading)
        if not options["json"]:
            self._write_advice(model, read)
        if len(read) < len(options["images"]):
            failed = len(options["images"]) - len(read)
            raise CommandError(f"{failed} of {len(options['images'])} could not be read.")

    def _write_row(self, path: Path, model: Reader, reading: Reading) -> None:
        outcome = Outcome(self._told(model, reading).outcome_told).label
        if reading.reason:
            detail = reading.reason.replace("_", " ")
        else:
            likely = sorted(reading.probabilities.items(), key=lambda item: -item[1])[:3]
            detail = ", ".join(f"{name} {_per_cent(p)}" for name, p in likely)
            detail = f"malignant {_per_cent(reading.p_malignant):>5}; {detail}"
        if reading.remarks:
            detail += f" ({', '.join(reading.remarks).replace('_', ' ')})"
        self.stdout.write(f"{path.name:24}  {outcome:14}  {detail}")

    def _write_advice(self, model: Reader, readings: list[Reading]) -> None:
        """The texts of the result page, once per outcome and remarks."""
        self.stdout.write()
        for reading in {(r.outcome, r.reason, r.remarks): r for r in readings}.values():
            told = advice.advise(self._told(model, reading))
            if told is not None:
                label = Outcome(told.outcome).label
                self.stdout.write(f"{label}: {told.title}. {' '.join(told.text)}")
        self.stdout.write(advice.DISCLAIMER)

    def _told(self, model: Reader, reading: Reading) -> Prediction:
        """The advice for a patient of this age, today. Nothing is stored."""
        today, age = timezone.localdate(), self.context.age
        patient = Patient(birth_year=None if age is None else today.year - int(age))
        return Prediction(
            image=LesionImage(lesion=Lesion(patient=patient), captured_on=today),
            model_version=model.version,
            outcome=reading.outcome.value,
            reason=reading.reason,
            remarks=list(reading.remarks),
        )

    def _write_json(self, path: Path, model: Reader, reading: Reading) -> None:
        told = {
            "image": str(path),
            "outcome": self._told(model, reading).outcome_told,
            "reason": reading.reason,
            "remarks": list(reading.remarks),
            "p_malignant": reading.p_malignant,
            "probabilities": reading.probabilities,
            "model_version": model.version,
            "disclaimer": advice.DISCLAIMER,
        }
        self.stdout.write(json.dumps(told))


def _read(path: Path, model: Reader, context: PatientContext) -> Reading:
    """The reading of a file. Raises ValueError with a message for the user; the limits of uploads
    apply.
    """
    try:
        with path.open("rb") as file:
            clean = cleaning.clean(file)
    except OSError as error:
        raise ValueError(error.strerror or "the file cannot be read") from None
    return model.read(pictures.load_pixels(BytesIO(clean.data)), context)


def _per_cent(probability: float) -> str:
    if probability < 0.01:
        return "<1 %"
    return ">99 %" if probability > 0.99 else f"{probability:.0%}".replace("%", " %")
