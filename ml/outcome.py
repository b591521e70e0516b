"""From probabilities to what the person is told."""

from __future__ import annotations

from collections.abc import Mapping

from ml.types import MALIGNANT, Diagnosis, Outcome


def p_malignant(probabilities: Mapping[str, float]) -> float:
    """Sum of the calibrated probabilities of the malignant and premalignant diagnoses."""
    return sum(probabilities[diagnosis] for diagnosis in Diagnosis if diagnosis in MALIGNANT)


def decide(probabilities: Mapping[str, float], thresholds: Mapping[str, float]) -> Outcome:
    """The most severe outcome whose threshold is reached, by malignancy or by melanoma alone.

    probabilities: calibrated, by diagnosis code. thresholds: the card's `thresholds`.
    """
    malignant, melanoma = p_malignant(probabilities), probabilities[Diagnosis.MEL]
    if malignant >= thresholds["urgent"] or melanoma >= thresholds["urgent_mel"]:
        return Outcome.URGENT
    if malignant >= thresholds["see_doctor"] or melanoma >= thresholds["see_doctor_mel"]:
        return Outcome.SEE_DOCTOR
    return Outcome.MONITOR
