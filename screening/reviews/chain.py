"""The chain of all signed reviews: its lock, its verification, and seals for erased links.

Each review signs its number and the signature before it. If a review's content is erased, its two
signatures stay, sealed with the site's key: the chain still proves that no other review was
changed, moved or removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from heapq import merge
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from screening.models import Review, ReviewSeal
from screening.models.review import digest_of
from screening.models.signatures import SEAL, sign

_CHAIN = 7_160_215_001
"""Identifies the chain's lock among PostgreSQL's advisory locks. Any otherwise unused number."""


class Fault(NamedTuple):
    """link: where the chain is broken."""

    link: Review | ReviewSeal
    text: str


def lock() -> None:
    """Lock the chain until the transaction ends, so that each review follows the one before it.
    SQLite serialises write transactions anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_CHAIN])


def last() -> Review | ReviewSeal | None:
    erased = ReviewSeal.objects.filter(review=None)
    ends = [rows.order_by("-number").first() for rows in (Review.objects.all(), erased)]
    return max((end for end in ends if end), key=attrgetter("number"), default=None)


def broken() -> Iterator[Fault]:
    """The links at which the chain is broken: edited, forged or deleted reviews."""
    number, signature = 0, ""
    reviews = Review.objects.select_related("seal").order_by("number")
    erased = ReviewSeal.objects.filter(review=None).order_by("number")
    links: Iterator[Review | ReviewSeal] = merge(
        reviews.iterator(), erased.iterator(), key=attrgetter("number")
    )
    for link in links:
        if not _holds(link):
            yield Fault(link, "is not as it was signed")
        if link.number != number + 1 or link.previous_signature != signature:
            yield Fault(link, "does not follow the one before it: a review was deleted or moved")
        number, signature = link.number, link.signature


def holding(reviews: Collection[UUID]) -> set[UUID]:
    """The reviews that are unchanged since they were signed. Call it before anything of them is
    erased.
    """
    found = Review.objects.filter(pk__in=reviews).select_related("seal")
    return {review.pk for review in found if _holds(review)}


def seal(reviews: Collection[UUID], *, held: Collection[UUID], erased: bool) -> None:
    """Seal these reviews as they are now or, if ``erased``, by their signatures alone.

    held: the result of ``holding`` from before the change. The caller has locked the chain.
    """
    for review in Review.objects.filter(pk__in=reviews):
        link = ReviewSeal.objects.filter(number=review.number).first() or ReviewSeal()
        link.number, link.signature = review.number, review.signature
        link.previous_signature = review.previous_signature
        link.review = None if erased else review
        link.content_sha256 = "" if erased else digest_of(review)
        link.held = review.pk in held
        link.seal = sign(link.sealed_content, SEAL)
        link.save()


def _holds(link: Review | ReviewSeal) -> bool:
    if isinstance(link, ReviewSeal):
        return link.holds
    if link.signature_holds:
        return True
    kept = getattr(link, "seal", None)
    return kept is not None and kept.is_of(link)
