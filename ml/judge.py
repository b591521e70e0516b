"""What the card says of a network: figures on the test part, on other cameras, of the gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ml import calibrate, figures, outside, skin
from ml.data import Examples, Part
from ml.figures import Answers
from ml.litert import Network
from ml.quality import complaint, lesion_complaint
from ml.types import SEXES, Diagnosis, NotAssessable, PatientContext
from ml.views import reduce


@dataclass(frozen=True, slots=True)
class Read:
    """A set read by the network: image_logits [n, 7], context_terms [n, 3, 7], in_distribution [n]
    (0..1), complaints [n] (the quality reason or ""), masks bool [n, h, w]."""

    image_logits: calibrate.Floats
    context_terms: calibrate.Floats
    in_distribution: calibrate.Floats
    complaints: npt.NDArray[np.str_]
    masks: npt.NDArray[np.bool_]

    @property
    def logits(self) -> calibrate.Floats:
        """[n, 7]: the balanced reading's logits."""
        logits: calibrate.Floats = self.image_logits + self.context_terms.sum(axis=1)
        return logits


def read_all(
    network: Network, pixels: npt.NDArray[np.uint8], known: tuple[PatientContext, ...]
) -> Read:
    """Read images [n, h, w, 3] as the reader would."""
    seen, complaints = [], []
    for frame, one in zip(pixels, known, strict=True):
        reduced = reduce(frame)
        seen.append(network.see(reduced, one))
        of_lesion = lesion_complaint(reduced, seen[-1].mask >= 0.5)
        complaints.append(complaint(frame, reduced) or of_lesion or "")
    gate = np.array([one.in_distribution for one in seen])
    return Read(
        np.stack([one.image_logits for one in seen]),
        np.stack([one.context_terms for one in seen]),
        1 / (1 + np.exp(-gate)),
        np.array(complaints),
        np.stack([one.mask >= 0.5 for one in seen]),
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the tune part decided. thresholds: of outcomes; gate: of in_distribution."""

    prior: calibrate.Floats
    temperature: float
    thresholds: dict[str, float]
    gate: float

    def probabilities(self, logits: calibrate.Floats) -> calibrate.Floats:
        """[n, 7]: calibrated."""
        return calibrate.calibrated(logits, self.prior, self.temperature)

    def answers(self, logits: calibrate.Floats, examples: Examples) -> Answers:
        """The readings beside the truth."""
        probabilities = self.probabilities(logits)
        return Answers(
            examples.labels,
            calibrate.softmax(logits),
            probabilities,
            figures.outcomes(probabilities, self.thresholds),
            examples.lesions,
        )


def test_figures(calibration: Calibration, test: Examples, read: Read) -> dict[str, Any]:
    """The figures that people are shown, from lesions that neither training nor tuning saw."""
    answers = calibration.answers(read.logits, test)
    without = calibration.answers(read.image_logits, test)
    known = figures.measure(answers)["balanced_accuracy_balanced"]
    unknown = figures.measure(without)["balanced_accuracy_balanced"]
    return {
        "part": str(Part.TEST),
        "images": len(test),
        "lesions": len(np.unique(test.lesions)),
        "images_per_class": counts(test.labels),
        "with_95_percent_intervals": figures.with_intervals(answers),
        "confusion_balanced": figures.confusion(answers.balanced.argmax(1), test.labels),
        "confusion_calibrated": figures.confusion(answers.calibrated.argmax(1), test.labels),
        "reliability_of_p_malignant": figures.reliability(answers),
        "context_unknown": {
            "balanced_accuracy": unknown,
            "loss_of_balanced_accuracy": known - unknown,
            **figures.outcome_measures(without),
        },
        "roc": figures.roc_curves(answers),
        "at_prevalence": figures.at_prevalences(answers),
        "mask": mask_figures(test, read),
        "subgroups": subgroups(answers, test, read),
    }


def mask_figures(test: Examples, read: Read) -> dict[str, float]:
    """Jaccard index of the masks with the drawn ones; ISIC 2018 counts one below 0.65 as failed."""
    drawn, said = test.masks[test.masked], read.masks[test.masked]
    either = (drawn | said).sum(axis=(1, 2))
    jaccard = (drawn & said).sum(axis=(1, 2)) / np.maximum(either, 1)
    return {
        "images": len(jaccard),
        "jaccard_mean": float(jaccard.mean()),
        "jaccard_median": float(np.median(jaccard)),
        "below_0.65": float((jaccard < 0.65).mean()),
    }


def tune_figures(calibration: Calibration, tune: Examples, read: Read) -> dict[str, Any]:
    """What the thresholds give where they were chosen: too good, kept to compare."""
    answers = calibration.answers(read.logits, tune)
    return {
        "images": len(tune),
        "images_per_class": counts(tune.labels),
        **figures.outcome_measures(answers),
    }


def gate_figures(
    threshold: float, network: Network, test: Examples, read: Read, negatives: Path | None
) -> dict[str, Any]:
    """What is turned away, by gate or quality: of dermatoscopy (test), and of other images."""

    def rejected(one: Read) -> float:
        return float(np.mean((one.in_distribution < threshold) | (one.complaints != "")))

    kinds = {
        name: outside.drawn({name: kind}, 50, seed=11)
        for name, kind in (outside.HELD_OUT_KINDS | outside.TRAINED_KINDS).items()
    }
    if negatives:
        images = outside.natural(negatives, held_out=True)
        kinds["natural"] = images
        kinds["natural_in_skin_colours"] = outside.in_colours_of(images, test.pixels, seed=11)
    kinds["dermatoscopy_strongly_blurred"] = np.stack(
        [
            np.asarray(Image.fromarray(frame).filter(ImageFilter.GaussianBlur(8)))
            for frame in test.pixels[:100]
        ]
    )
    reads = {
        name: read_all(network, images, (PatientContext(),) * len(images))
        for name, images in kinds.items()
    }
    return {
        "threshold": threshold,
        "dermatoscopy_rejected": rejected(read),
        "dermatoscopy_rejected_for_quality": float(np.mean(read.complaints != "")),
        "outside_rejected": {name: rejected(one) for name, one in reads.items()},
        "outside_images": {name: len(images) for name, images in kinds.items()},
        "kinds_never_trained_on": [*outside.HELD_OUT_KINDS, "dermatoscopy_strongly_blurred"],
        "quality_reasons": [str(reason) for reason in NotAssessable],
    }


def other_cameras(calibration: Calibration, test: Examples, read: Read) -> dict[str, Any]:
    """ISIC 2017's test part, read without any context: how the reading carries over."""
    answers = calibration.answers(read.logits, test)

    def measured(some: Answers) -> figures.Measures:
        values = {}
        for dx in ("mel", "bkl"):
            column = list(map(str, Diagnosis)).index(dx)
            own = some.labels == column
            values[f"auc_{dx}_balanced"] = figures.auc(some.balanced[:, column], own)
            values[f"auc_{dx}_calibrated"] = figures.auc(some.calibrated[:, column], own)
        return {**values, **figures.outcome_measures(some)}

    return {
        "images": len(test),
        "images_per_class": counts(test.labels),
        "rejected": float(
            np.mean((read.in_distribution < calibration.gate) | (read.complaints != ""))
        ),
        "with_95_percent_intervals": figures.with_intervals(answers, measured),
    }


def subgroups(
    answers: Answers, test: Examples, read: Read
) -> dict[str, dict[str, dict[str, float]]]:
    """Sensitivity and specificity for cancer of see_doctor or worse, by sex, age, site and skin."""
    angles = [skin.ita(*one) for one in zip(test.pixels, read.masks, strict=True)]
    tones = [None if angle is None else skin.band(angle) for angle in angles]
    groups: dict[str, dict[str, list[bool]]] = {
        "sex": {sex: [one.sex == sex for one in test.known] for sex in SEXES},
        "age": {
            f"{low}-{high - 1}": [
                one.age is not None and low <= one.age < high for one in test.known
            ]
            for low, high in ((0, 40), (40, 60), (60, 121))
        },
        "localization": {
            site: [one.localization == site for one in test.known]
            for site in sorted({one.localization for one in test.known if one.localization})
        },
        "skin_tone_ita": {name: [tone == name for tone in tones] for name, _ in skin.BANDS},
    }
    return {
        field: {name: _subgroup(answers.take(np.array(rows))) for name, rows in named.items()}
        for field, named in groups.items()
    }


def _subgroup(answers: Answers) -> dict[str, float]:
    """Rates only where at least 20 images stand behind them."""
    cancer = answers.cancer
    rates = figures.outcome_measures(answers)
    figure: dict[str, float] = {"cancers": int(cancer.sum()), "benign": int((~cancer).sum())}
    if figure["cancers"] >= 20:
        figure["sensitivity"] = rates["see_doctor/malignant_sensitivity"]
    if figure["benign"] >= 20:
        figure["specificity"] = rates["see_doctor/malignant_specificity"]
    return figure


def counts(labels: calibrate.Labels) -> dict[str, int]:
    """Images per diagnosis."""
    found = np.bincount(labels, minlength=len(Diagnosis))
    return dict(zip(map(str, Diagnosis), map(int, found), strict=True))
