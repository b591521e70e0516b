"""``manage.py example``: draws the landing page's picture and has the default version read it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from django.conf import settings

from ml import reader
from ml.opening.pictures import load_pixels
from ml.types import PatientContext
from screening.images import synthetic
from screening.privacy.commands import RecordedCommand
from screening.web.views.front import EXAMPLE

PICTURE = settings.BASE_DIR / "static" / "img" / "example.jpg"


def drawn() -> bytes:
    return synthetic.jpeg(synthetic.draw_lesion(seed=4, radius=0.2, dark_side=0.25))


def read(picture: bytes) -> dict[str, Any]:
    """The fields of ``Prediction`` that the page shows."""
    found = reader.load().read(load_pixels(BytesIO(picture)), PatientContext())
    return {
        "model_version": reader.DEFAULT_VERSION,
        "outcome": found.outcome.value,
        "reason": found.reason,
        "remarks": list(found.remarks),
        "probabilities": {code: round(one, 6) for code, one in found.probabilities.items()},
        "balanced_probabilities": {
            code: round(one, 6) for code, one in found.balanced_probabilities.items()
        },
        "context": {},
        "context_terms": {},
    }


class Command(RecordedCommand):
    help = "Draw the landing page's picture and have it read."

    def handle(self, **options: Any) -> None:
        picture = drawn()
        PICTURE.write_bytes(picture)
        EXAMPLE.write_text(json.dumps(read(picture), indent=1) + "\n", encoding="utf-8")
        self.stdout.write(f"{PICTURE}, {EXAMPLE}")
