"""Which interval suits a lesion, from its newest review or reading, with the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

from ml.diagnoses import Diagnosis
from screening.models import (
    DoctorVisit,
    Finding,
    Histology,
    Interval,
    LesionImage,
    Management,
    Outcome,
    Review,
)
from screening.predictions.outcomes import Standing
from screening.predictions.queries import latest_review

UNSEEN_CHANGE = "A change was found that no doctor has looked at yet. That comes first."
STEADY_MONTHS = 12
"""After this many months without an open alert, a picture every six months is enough."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """interval_months: one of Interval, or None for no reminder. reason: one or two sentences."""

    interval_months: int | None
    reason: str

    @property
    def interval(self) -> str:
        if self.interval_months is None:
            return "No reminder"
        return Interval(self.interval_months).label


def suggest(
    images: list[LesionImage],
    standing: Standing,
    *,
    has_open_alert: bool,
    histology: Histology | None,
) -> Suggestion:
    """Suggest an interval.

    images: of ``records.queries.timeline(lesion)``. standing: of the lesion. histology: the first
    standing one. A standing warning decides first; then the histology, unless a conclusion came
    after it; then the conclusion that was signed last, if there is one on the newest image; then
    the newest image's reading.
    """
    if not images:
        return Suggestion(
            Interval.THREE, "There is no picture yet. Three months are a usual beginning."
        )
    if standing.is_grave:
        return Suggestion(
            Interval.ONE,
            UNSEEN_CHANGE
            if has_open_alert
            else "A doctor should see it first. A picture next month shows whether it changes.",
        )
    review = standing.concluded_since(histology)
    if histology is not None and review is None and not has_open_alert:
        return Suggestion(None, "A pathologist has examined it: the doctor says how to go on.")
    if images[0].is_withheld:
        return Suggestion(
            Interval.THREE,
            "Record your own conclusion on the newest picture first. Three months are usual.",
        )
    if review is not None and (histology is not None or latest_review(images[0]) is not None):
        return _by_review(review)
    if has_open_alert:
        return Suggestion(Interval.ONE, UNSEEN_CHANGE)
    return _by_outcome(images, standing)


def _by_review(review: Review) -> Suggestion:
    match review.management:
        case Management.NONE:
            return Suggestion(None, "The clinician concluded that nothing further is needed.")
        case Management.MONITOR if review.conclusion == Diagnosis.NV:
            return Suggestion(
                Interval.SIX, "The clinician concluded that it is a mole, to be monitored."
            )
        case Management.MONITOR:
            return Suggestion(Interval.THREE, "The clinician concluded that it is to be monitored.")
    return Suggestion(
        Interval.ONE,
        f"The clinician concluded: {review.get_management_display().lower()}. "
        "Check in a month that this was done.",
    )


def _by_visit(visit: DoctorVisit) -> Suggestion:
    match visit.finding:
        case Finding.REMOVED:
            return Suggestion(None, "It was removed. If something grows there, open it again.")
        case Finding.BIOPSY:
            return Suggestion(
                Interval.ONE, "A sample was taken. Check in a month that you have the result."
            )
        case Finding.WATCH:
            return Suggestion(Interval.THREE, "The doctor said to keep watching it.")
    return Suggestion(Interval.SIX, "The doctor found it harmless. Twice a year shows a change.")


def _by_outcome(images: list[LesionImage], standing: Standing) -> Suggestion:
    newest = images[0]
    visit = next((one for one in standing.visits if one.settles), None)
    if standing.is_settled and visit is not None and not newest.lesion.patient.clinic_id:
        return _by_visit(visit)
    match standing.newest_outcome:
        case Outcome.NOT_ASSESSABLE:
            return Suggestion(
                Interval.ONE, "The newest picture could not be assessed: take another one soon."
            )
        case Outcome.MONITOR:
            days = (newest.captured_on - images[-1].captured_on).days
            if days >= 30 * STEADY_MONTHS:
                return Suggestion(
                    Interval.SIX, "It was followed for a year, and no change stands open."
                )
            return Suggestion(
                Interval.THREE, "The reading says to keep watching it; three months are usual."
            )
    return Suggestion(Interval.THREE, "The newest picture is not read yet. Three months are usual.")
