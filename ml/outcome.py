"""From probabilities to the outcome shown to the person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ml.diagnoses import MALIGNANT, Diagnosis
from ml.types import REMARKS_ONLY, NotAssessable, Outcome

DANGEROUS = (Outcome.URGENT, Outcome.SEE_DOCTOR)
_SEVEREST_FIRST = tuple(Outcome)


def p_malignant(probabilities: Mapping[str, float]) -> float:
    """Sum of the calibrated probabilities of the malignant and premalignant diagnoses."""
    return sum(probabilities[diagnosis] for diagnosis in Diagnosis if diagnosis in MALIGNANT)


def decide(probabilities: Mapping[str, float], thresholds: Mapping[str, float]) -> Outcome:
    """The most severe outcome whose threshold is reached, by malignancy or by melanoma alone.

    probabilities: calibrated, by diagnosis code. thresholds: the card's `thresholds`; those for
    melanoma, `urgent_mel` and `see_doctor_mel`, may be absent.
    """
    malignant, melanoma = p_malignant(probabilities), probabilities[Diagnosis.MEL]
    for outcome in DANGEROUS:
        if malignant >= thresholds[outcome] or melanoma >= thresholds.get(f"{outcome}_mel", 2.0):
            return outcome
    return Outcome.MONITOR


def severest(outcomes: Iterable[Outcome]) -> Outcome:
    """The first in the order of Outcome. Raises ValueError if there are none."""
    return min(outcomes, key=_SEVEREST_FIRST.index)


def tell(
    assessed: Outcome, faults: Sequence[NotAssessable], *, is_dermatoscopic: bool
) -> tuple[Outcome, str, tuple[str, ...]]:
    """The outcome to show, the reason if it is `not_assessable`, and the remarks.

    A fault never hides a dangerous reading of a dermatoscopic picture: both are shown. A fault
    replaces only `monitor`, and a mere remark does not even do that.

    faults: all that were found, most serious first; NOT_DERMATOSCOPIC among them if the picture
    hardly looks like one. is_dermatoscopic: whether it looks like one at all.
    """
    refusing = [fault for fault in faults if fault not in REMARKS_ONLY]
    if is_dermatoscopic and (assessed in DANGEROUS or not refusing):
        return assessed, "", tuple(fault.value for fault in faults)
    reason = refusing[0]
    remarks = tuple(fault.value for fault in faults if fault is not reason)
    return Outcome.NOT_ASSESSABLE, reason.value, remarks
