"""The exported network, run by LiteRT on one thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from ml.context import encode
from ml.inference.views import evidence_on_frame, masks_on_frame, views
from ml.types import PatientContext


@dataclass(frozen=True, slots=True)
class Seen:
    """The network's output for one image, averaged over its views, in logits.

    image_logits [k]; context_terms [3, k]: age, sex, localization; in_distribution: the gate's.
    evidence [rows, columns, k]: on a grid over the image; its sum plus a bias is image_logits.
    features [1280]: for comparing images; None if the version gives none. mask [height, width] of
    the reduced image: how likely each pixel belongs to the lesion, 0..1.
    """

    image_logits: npt.NDArray[np.float64]
    context_terms: npt.NDArray[np.float64]
    in_distribution: float
    features: npt.NDArray[np.float32] | None
    evidence: npt.NDArray[np.float64]
    mask: npt.NDArray[np.float32]

    @property
    def logits(self) -> npt.NDArray[np.float64]:
        """[k]: the balanced reading's logits."""
        logits: npt.NDArray[np.float64] = self.image_logits + self.context_terms.sum(axis=0)
        return logits


class Network:
    """One loaded model file. Threads may share it; calls are serialised."""

    def __init__(self, file: Path) -> None:
        self._runner = Interpreter(str(file), num_threads=1).get_signature_runner("serving_default")
        self._side = int(self._runner.get_input_details()["pixels"]["shape"][1])
        self._turn = threading.Lock()

    def see(self, reduced: Image.Image, context: PatientContext) -> Seen:
        """Run all views of an image that `ml.inference.views.reduce` made."""
        known = encode(context)[None]
        with self._turn:
            shown = views(reduced, self._side)
            each = [self._runner(pixels=view[None], context=known) for view in shown]
        outputs = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
        means = {
            name: outputs[name].mean(axis=0, dtype=np.float64)
            for name in ("image_logits", "context_terms", "in_distribution")
        }
        return Seen(
            means["image_logits"],
            means["context_terms"],
            float(means["in_distribution"][0]),
            outputs["features"].mean(axis=0) if "features" in outputs else None,
            evidence_on_frame(outputs["evidence"], reduced.size),
            masks_on_frame(1 / (1 + np.exp(-outputs["mask"][..., 0])), reduced.size),
        )
