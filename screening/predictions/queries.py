"""What was found on one image: its readings and the clinicians' conclusions.

Images ``with_findings`` (``records.queries``) have both prefetched, as far as the reader may see
them. Then nothing here needs a query, but for one in ``latest_attempt``.
"""

from __future__ import annotations

from screening.models import LesionImage, Prediction, Review
from screening.predictions import adoption


def counting_reading(image: LesionImage) -> Prediction | None:
    """The one reading that counts."""
    return next((one for one in image.predictions.all() if one.counts), None)


def latest_attempt(image: LesionImage) -> Prediction | None:
    """The newest reading, in any state, by the default version or by the version that counts.

    Readings by other versions are shown beside it, never instead of it. Asks for the default
    version only if the newest reading is by another version than the counting one.
    """
    attempts, counting = list(image.predictions.all()), counting_reading(image)
    newest, of_counting = next(iter(attempts), None), counting.model_version if counting else ""
    versions = {one.model_version for one in attempts}
    if newest is None or newest.model_version == of_counting or len(versions) == 1:
        return newest
    by = {adoption.default(), of_counting}
    return next((one for one in attempts if one.model_version in by), newest)


def latest_prediction(image: LesionImage) -> Prediction | None:
    """The reading that counts or, without one, the latest attempt."""
    return counting_reading(image) or latest_attempt(image)


def standing_reviews(image: LesionImage) -> list[Review]:
    """Reviews that no later one supersedes, newest first."""
    reviews = list(image.reviews.all())
    superseded = {review.supersedes_id for review in reviews}
    return [review for review in reviews if review.pk not in superseded]


def latest_review(image: LesionImage) -> Review | None:
    """The last standing conclusion."""
    return next(iter(standing_reviews(image)), None)
