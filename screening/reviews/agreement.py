"""Read path of agreement between model, clinicians and pathologists on a clinic's patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from uuid import UUID

from accounts.models import Clinic, User
from ml.diagnoses import MALIGNANT, Diagnosis
from screening.models import Histology, LesionImage, Outcome, Prediction, Review

TOO_FEW = 20
"""With fewer pairs a share would be misleading."""
_KNOWN = {diagnosis.value for diagnosis in Diagnosis}
_Z = 1.959964  # the normal distribution's 97.5 % quantile


@dataclass(frozen=True, slots=True)
class Agreement:
    """first, second: whose diagnoses. counts: pairs of their codes. Only cases in which both named
    a diagnosis known to the model are compared.
    """

    first: str
    second: str
    counts: Counter[tuple[str, str]]

    @property
    def pairs(self) -> list[tuple[tuple[str, str], int]]:
        """Pairs, most frequent first."""
        return self.counts.most_common()

    @property
    def compared(self) -> int:
        return sum(n for pair, n in self.counts.items() if set(pair) <= _KNOWN)

    @property
    def left_out(self) -> int:
        return self.counts.total() - self.compared

    @property
    def agreed(self) -> int:
        return sum(n for (one, other), n in self.counts.items() if one == other and one in _KNOWN)

    @property
    def agreed_on_cancer(self) -> int:
        """Cases in which both or neither named cancer or a precursor."""
        return sum(
            n
            for (one, other), n in self.counts.items()
            if {one, other} <= _KNOWN and (one in MALIGNANT) == (other in MALIGNANT)
        )

    @property
    def share(self) -> float | None:
        """The share that agrees; None if there are too few cases."""
        return self.agreed / self.compared if self.compared >= TOO_FEW else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Cohen's kappa; None if there are too few cases."""
        return None if self.share is None else wilson(self.share, self.compared)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of so many cases (J. Am. Stat. Assoc. 22 (1927) 209-212)."""
    spread = _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def of_clinic(clinic: Clinic, user: User) -> list[Agreement]:
    """Agreement on what ``user`` may see: in a clinic that reviews blind, a clinician's own cases.

    - A standing conclusion is compared with the newest assessable reading of its image.
    - A lesion's histology, malignant before benign, is compared with the newest reading of the last
      image captured up to the examination, and with the last conclusion signed before it was
      recorded. A conclusion made with knowledge of it is not evidence of agreement.
    """
    reviews = Review.objects.visible_to(user).filter(image__lesion__patient__clinic=clinic)
    histologies = Histology.objects.visible_to(user).filter(lesion__patient__clinic=clinic)
    truths = {one.lesion_id: one for one in histologies.standing().gravest_first().reverse()}
    standing = reviews.standing().values_list("image", "conclusion")
    images = _last_images(truths)
    readings = _readings({image for image, _ in standing} | set(images.values()), user)
    before: dict[UUID, str] = {}
    signed = reviews.filter(image__lesion__in=truths).order_by("created", "pk")
    for lesion, conclusion, created in signed.values_list("image__lesion", "conclusion", "created"):
        if created < truths[lesion].created:
            before[lesion] = conclusion
    diagnosed = {lesion: one.diagnosis for lesion, one in truths.items()}
    return [
        _agreement(
            "model",
            "clinician",
            ((readings[image], said) for image, said in standing if image in readings),
        ),
        _agreement(
            "model",
            "histology",
            (
                (readings[image], diagnosed[lesion])
                for lesion, image in images.items()
                if image in readings
            ),
        ),
        _agreement(
            "clinician",
            "histology",
            ((said, diagnosed[lesion]) for lesion, said in before.items()),
        ),
    ]


def _agreement(first: str, second: str, pairs: Iterable[tuple[str, str]]) -> Agreement:
    return Agreement(first, second, Counter(pairs))


def _last_images(truths: dict[UUID, Histology]) -> dict[UUID, UUID]:
    """By lesion, the last image captured up to the day of its histology."""
    images = LesionImage.objects.filter(lesion__in=truths).latest_first().reverse()
    return {
        lesion: pk
        for pk, lesion, captured_on in images.values_list("pk", "lesion", "captured_on")
        if captured_on <= truths[lesion].examined_on
    }


def _readings(images: set[UUID], user: User) -> dict[UUID, str]:
    """By image, the most likely diagnosis of the newest reading that found it assessable."""
    readings = (
        Prediction.objects.visible_to(user)
        .counting()
        .exclude(outcome=Outcome.NOT_ASSESSABLE)
        .filter(image__in=images)
        .order_by("created", "pk")
    )
    return {
        image: max(shares, key=lambda code: shares[code])
        for image, shares in readings.values_list("image", "probabilities")
        if shares
    }
