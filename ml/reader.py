"""The only entry point to the model: pixels and patient context in, a reading out.

Needs numpy and LiteRT; never TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.calibrate import softmax
from ml.context import FIELDS
from ml.diagnoses import Diagnosis
from ml.outcome import p_malignant
from ml.types import PatientContext, Reading

ARTIFACTS = Path(__file__).parent / "artifacts"
DEFAULT_VERSION = "2026.11.6"


class ModelUnavailable(Exception):
    """The artefact is missing or does not match its card."""


class Reader:
    """One loaded model version. Thread-safe."""

    def __init__(self, version: str) -> None:
        """Raises ModelUnavailable."""
        # Imported here so that processes that only read cards do not load the interpreter.
        from ml.inference.litert import Network
        from ml.inference.look import Rules, look

        self.version = version
        self.card = card(version)
        file = ARTIFACTS / version / "model.tflite"
        if not file.is_file():
            raise ModelUnavailable(
                f"the network of model version {version} is missing; only its card is kept"
            )
        self.weights_sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        if self.weights_sha256 != self.card["weights_sha256"]:
            raise ModelUnavailable(f"the network of model version {version} is not its card's")
        self._rules = Rules.of(self.card)
        self._look = partial(look, Network(file), floor=self._rules.floor)

    def read(self, pixels: npt.NDArray[np.uint8], context: PatientContext) -> Reading:
        """Read an image [h, w, 3], sRGB. Raises ValueError for pixels of another shape or type."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
            raise ValueError(f"not an RGB image of bytes: {pixels.dtype} {pixels.shape}")
        started = time.perf_counter()
        looked = self._look(pixels, context)
        outcome, reason, remarks = looked.told(self._rules)
        seen = looked.decisive(self._rules)
        probabilities = self._rules.probabilities(seen.logits)
        return Reading(
            outcome=outcome,
            reason=reason,
            remarks=remarks,
            probabilities=probabilities,
            balanced_probabilities=_named(softmax(seen.logits)),
            p_malignant=p_malignant(probabilities),
            in_distribution=looked.in_distribution,
            context_terms={
                field: _named(term) for field, term in zip(FIELDS, seen.context_terms, strict=True)
            },
            image_logits=_named(seen.image_logits),
            features=seen.features,
            evidence=seen.evidence,
            bias=_named(seen.image_logits - seen.evidence.sum(axis=(0, 1))),
            mask=seen.mask >= 0.5,
            thresholds_version=self.card["thresholds_version"],
            duration_ms=round(1000 * (time.perf_counter() - started)),
        )


def versions() -> list[str]:
    """The installed model versions, oldest first."""
    return sorted(file.parent.name for file in ARTIFACTS.glob("*/card.json"))


def readable() -> list[str]:
    """Installed versions that can read images: of older ones only the card is kept."""
    return [one for one in versions() if (ARTIFACTS / one / "model.tflite").is_file()]


@lru_cache
def card(version: str = DEFAULT_VERSION) -> dict[str, Any]:
    """A version's model card. Raises ModelUnavailable if there is none."""
    file = ARTIFACTS / version / "card.json"
    try:
        parsed: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelUnavailable(f"there is no model version {version}: no {file}") from None
    except ValueError:
        raise ModelUnavailable(f"the card of model version {version} is damaged: {file}") from None
    return parsed


@lru_cache
def load(version: str = DEFAULT_VERSION) -> Reader:
    """The reader of a version, loaded once per process. Raises ModelUnavailable."""
    return Reader(version)


def _named(values: Iterable[float]) -> dict[str, float]:
    return {
        diagnosis.value: float(value) for diagnosis, value in zip(Diagnosis, values, strict=True)
    }
