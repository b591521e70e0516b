"""Clinicians' own conclusions, which stand above any reading."""

from __future__ import annotations

from typing import TypedDict, Unpack

from skincheck_client.call import Call, Page, fields
from skincheck_client.listing import Filters
from skincheck_client.resources import Conclusion, Management, Review


class ReviewFilters(Filters, total=False):
    """standing: not superseded."""

    image: str
    lesion: str
    conclusion: Conclusion
    standing: bool


class NewReview(TypedDict, total=False):
    """shown_at: ``Answer.date`` of what the clinician was shown: the review settles nothing that
    came later. Without it, only this image and those before it count as seen.

    supersedes: a colleague's review that it corrects. removed_on: with the management ``done``.
    """

    note: str
    removed_on: str | None
    shown_at: str | None
    supersedes: str | None


def list(**filters: Unpack[ReviewFilters]) -> Call[Page[Review]]:
    return Call("GET", "reviews/", parameters=fields(filters))


def get(review: str) -> Call[Review]:
    return Call("GET", f"reviews/{review}/")


def create(
    *, image: str, conclusion: Conclusion, management: Management, **sent: Unpack[NewReview]
) -> Call[Review]:
    told = {"image": image, "conclusion": conclusion, "management": management}
    return Call("POST", "reviews/", body={**told, **fields(sent)})
