"""Evaluation of a network for its card: on the test part, on other cameras, and of the gate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from ml import calibrate, figures
from ml.diagnoses import Diagnosis
from ml.figures import Answers
from ml.inference.litert import Network
from ml.inference.look import Look, Rules, look
from ml.lesion import skin
from ml.training import outside
from ml.training.data import Examples, Part
from ml.types import SEXES, NotAssessable, Outcome, PatientContext


@dataclass(frozen=True, slots=True)
class Read:
    """The network's results on a set of n images."""

    looks: tuple[Look, ...]

    @property
    def image_logits(self) -> calibrate.Floats:
        """[n, k]."""
        return np.stack([one.seen.image_logits for one in self.looks])

    @property
    def logits(self) -> calibrate.Floats:
        """[n, k]: the balanced reading's logits."""
        return np.stack([one.seen.logits for one in self.looks])

    @property
    def in_distribution(self) -> calibrate.Floats:
        """[n], 0..1."""
        return np.array([one.in_distribution for one in self.looks])

    def masks(self, height: int, width: int) -> npt.NDArray[np.bool_]:
        """[n, height, width]: the lesion masks at that image size."""
        size = (width, height)
        return np.stack(
            [np.asarray(Image.fromarray(one.seen.mask).resize(size)) >= 0.5 for one in self.looks]
        )

    def without_context(self) -> Read:
        """The same results without patient context."""
        return Read(tuple(one.without_context() for one in self.looks))

    def outcomes(self, rules: Rules) -> npt.NDArray[np.str_]:
        """[n]: the outcomes shown to people."""
        return np.array([one.told(rules)[0].value for one in self.looks])

    def refused(self, rules: Rules) -> figures.Bools:
        """[n]: rejected, by the gate or for quality."""
        away: figures.Bools = self.outcomes(rules) == Outcome.NOT_ASSESSABLE
        return away

    def answers(self, rules: Rules, examples: Examples) -> Answers:
        """The readings with the true diagnoses."""
        return Answers(
            examples.labels,
            calibrate.softmax(self.logits),
            calibrate.calibrated(self.logits, rules.prior, rules.temperature),
            self.outcomes(rules),
            examples.lesions,
        )


def read_all(
    network: Network, pixels: npt.NDArray[np.uint8], known: tuple[PatientContext, ...]
) -> Read:
    """Read images [n, h, w, 3] as the reader does."""
    return Read(tuple(look(network, frame, one) for frame, one in zip(pixels, known, strict=True)))


def test_figures(rules: Rules, test: Examples, read: Read) -> dict[str, Any]:
    """The figures shown to people, from lesions used neither for training nor for tuning."""
    answers = read.answers(rules, test)
    without = read.without_context().answers(rules, test)
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
    """Jaccard index of the masks with those drawn by people; ISIC 2018 counts one below 0.65 as
    failed.
    """
    drawn = test.masks[test.masked]
    said = read.masks(*drawn.shape[1:])[test.masked]
    either = (drawn | said).sum(axis=(1, 2))
    jaccard = (drawn & said).sum(axis=(1, 2)) / np.maximum(either, 1)
    return {
        "images": len(jaccard),
        "jaccard_mean": float(jaccard.mean()),
        "jaccard_median": float(np.median(jaccard)),
        "below_0.65": float((jaccard < 0.65).mean()),
    }


def faults(rules: Rules, read: Read) -> dict[str, int]:
    """The number of images with each fault, as a remark or as the reason."""
    said = [one.told(rules)[1:] for one in read.looks]
    found = {fault: sum(fault in (one, *more) for one, more in said) for fault in NotAssessable}
    return {fault.value: count for fault, count in found.items() if count}


def gate_figures(
    rules: Rules, network: Network, test: Examples, read: Read, negatives: Path | None
) -> dict[str, Any]:
    """Rejections by gate or quality: of dermatoscopy (test), and of other images."""

    def rejected(one: Read) -> float:
        return figures.share(one.refused(rules))

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
        "threshold": rules.gate,
        "floor": rules.floor,
        "dermatoscopy_rejected": rejected(read),
        "dermatoscopy_below_floor": float(np.mean(read.in_distribution < rules.floor)),
        "outside_rejected": {name: rejected(one) for name, one in reads.items()},
        "outside_images": {name: len(images) for name, images in kinds.items()},
        "kinds_never_trained_on": [*outside.HELD_OUT_KINDS, "dermatoscopy_strongly_blurred"],
        "quality_reasons": [str(reason) for reason in NotAssessable],
    }


def other_cameras(rules: Rules, test: Examples, read: Read) -> dict[str, Any]:
    """ISIC 2017's test part, without patient context: how well the reading generalises."""
    read = read.without_context()

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
        "rejected": figures.share(read.refused(rules)),
        "with_95_percent_intervals": figures.with_intervals(read.answers(rules, test), measured),
    }


def subgroups(
    answers: Answers, test: Examples, read: Read
) -> dict[str, dict[str, dict[str, float]]]:
    """Sensitivity and specificity of "see doctor" or worse for cancer, by sex, age, site and skin
    tone.
    """
    masks = read.masks(*test.pixels.shape[1:3])
    angles = [skin.ita(*one) for one in zip(test.pixels, masks, strict=True)]
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
    """Rates only if based on at least 20 images."""
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
