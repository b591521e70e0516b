"""Pictures with a second lesion: how often a melanoma beside a nevus gets only `monitor`, and how
often a picture of one lesion is mistaken for one of several.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from ml import reader
from ml.diagnoses import Diagnosis
from ml.inference.litert import Network
from ml.inference.look import Look, Rules, look
from ml.training.data import Part
from ml.training.sources import Sources
from ml.types import NotAssessable, Outcome, PatientContext

EACH = 30
"""The maximum number of pairs per source: a nevus told `monitor` and a melanoma told `urgent`."""
SINGLE = 150
"""The maximum number of pictures of one lesion per source."""
SIZE, SPOT, PLACE = (600, 450), (200, 150), (390, 290)
"""Width and height of the picture and of the melanoma in it; its left and top position."""
FEATHER = 12
"""The blur of a soft edge, in pixels."""

Bytes = npt.NDArray[np.uint8]


@dataclass
class _Told:
    """Results on a set of pictures."""

    pictures: int = 0
    monitor: int = 0
    several: int = 0

    def add(self, looked: Look, rules: Rules) -> None:
        self.pictures += 1
        outcome, reason, remarks = looked.told(rules)
        self.monitor += outcome is Outcome.MONITOR
        self.several += NotAssessable.MORE_THAN_ONE_LESION in (reason, *remarks)


def beside(nevus: Bytes, melanoma: Bytes, *, soft: bool) -> Bytes:
    """The melanoma at a third of its size in the corner of the nevus picture."""
    picture, spot = Image.fromarray(nevus).resize(SIZE), Image.fromarray(melanoma).resize(SPOT)
    mask = Image.new("L", SPOT, 0 if soft else 255)
    if soft:
        ImageDraw.Draw(mask).ellipse((25, 15, 175, 135), fill=255)
        mask = mask.filter(ImageFilter.GaussianBlur(FEATHER))
    picture.paste(spot, PLACE, mask)
    return np.asarray(picture)


def several(version: str, sources: Sources) -> str:
    """The results on the tune parts, as a Markdown table. Raises ModelUnavailable, or ValueError if
    data is missing.
    """
    rules = Rules.of(reader.card(version))
    network = Network(reader.ARTIFACTS / version / "model.tflite")

    def seen(pixels: Bytes) -> Look:
        return look(network, pixels, PatientContext(), rules.floor)

    lines = [
        "| source | pictures | told plain monitor | more than one spot seen |",
        "|---|---|---|---|",
    ]
    for source, examples in sources.judging(Part.TUNE).items():
        single, watched = _Told(), _Told()
        nevi: list[Bytes] = []
        melanomas: list[Bytes] = []
        for row in np.random.default_rng(0).permutation(len(examples)):
            pixels, diagnosis = examples.pixels[row], list(Diagnosis)[examples.labels[row]]
            wanted = {Diagnosis.NV: nevi, Diagnosis.MEL: melanomas}.get(diagnosis)
            is_wanted = wanted is not None and len(wanted) < EACH
            if not is_wanted and single.pictures >= SINGLE:
                continue
            looked = seen(pixels)
            told = looked.told(rules)[0]
            if single.pictures < SINGLE:
                single.add(looked, rules)
                if _of_one(looked).told(rules)[0] is Outcome.MONITOR:
                    watched.add(looked, rules)
            alone = Outcome.MONITOR if diagnosis is Diagnosis.NV else Outcome.URGENT
            if wanted is not None and is_wanted and told is alone:
                wanted.append(pixels)
        edges = {"hard": _Told(), "soft": _Told()}
        for nevus, melanoma in zip(nevi, melanomas, strict=False):
            for edge, found in edges.items():
                found.add(seen(beside(nevus, melanoma, soft=edge == "soft")), rules)
        rows = {"one lesion": single, "one lesion, told monitor as such": watched} | {
            f"nevus and melanoma, {edge} edges": found for edge, found in edges.items()
        }
        for name, found in rows.items():
            counts = f"{found.monitor} of {found.pictures} | {found.several} of {found.pictures}"
            lines.append(f"| {source.name} | {name} | {counts} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def _of_one(looked: Look) -> Look:
    """The same without the second lesion."""
    of_lesion = [one for one in looked.of_lesion if one != NotAssessable.MORE_THAN_ONE_LESION]
    return Look(looked.seen, (), looked.of_picture, tuple(of_lesion))
