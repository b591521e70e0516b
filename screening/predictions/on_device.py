"""Data for readings in the browser: the model's decision rules, and the wording of this room."""

from __future__ import annotations

from typing import Any

from ml import on_device, reader
from ml.diagnoses import Diagnosis
from ml.opening import limits, pictures
from screening.models import Outcome
from screening.models.image import ADULT_FROM
from screening.models.lesion import SYMPTOMS
from screening.predictions import advice, explanation, overlays


def rules(version: str = reader.DEFAULT_VERSION) -> dict[str, Any]:
    """The rules as plain JSON, from which ``static/js/reading`` derives the outcome of a
    picture.
    """
    return on_device.rules_of(reader.card(version)) | {
        "adult_from": ADULT_FROM,
        "symptoms": list(SYMPTOMS),
        "words": advice.in_parts(version)
        | {
            "refused": {
                "other": f"This is {pictures.not_taken()}",
                "animated": pictures.ANIMATED,
                "damaged": pictures.DAMAGED,
                "unknown": "This browser cannot open this kind of picture. Export it as JPEG or "
                "PNG, or create an account and add it there.",
                "changed": "This browser changes the pictures that a page looks at, to protect you "
                "from being recognised. So it cannot be read here. Create an account and add it "
                "there.",
                "too_large": f"The file is larger than {limits.IN_BYTES}.",
                "too_many_pixels": pictures.TOO_MANY_PIXELS.format(limits.MAX_PIXELS // 1_000_000),
            },
            "evidence": {
                "none": overlays.NONE,
                "found": overlays.FOUND,
                "inside": overlays.INSIDE,
            },
            "outcomes": {one.value: str(one.label) for one in Outcome},
            "diagnoses": {
                one.value: {"title": one.about.title, "gloss": one.about.gloss} for one in Diagnosis
            },
        },
        "shown": {"top": explanation.TOP, "levels": overlays.LEVELS},
    }
