from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.models import User
from ml.diagnoses import Diagnosis
from screening.models.base import Settling, UUIDModel
from screening.models.image import LesionImage, disclosed, seen
from screening.models.signatures import SEAL, Content, holds


class Conclusion(models.TextChoices):
    """The model's diagnoses, in their order, and two options for none of them."""

    vars().update({one.name: (one.value, one.about.label) for one in Diagnosis})
    OTHER = "other", "Something else (see note)"
    UNCERTAIN = "uncertain", "Uncertain"


class Management(models.TextChoices):
    NONE = "none", "Nothing further"
    MONITOR = "monitor", "Monitor"
    EXCISE = "excise", "Excise or biopsy"
    REFER = "refer", "Refer"
    DONE = "done", "Removed already"


class ReviewQuerySet(models.QuerySet["Review"]):
    def visible_to(self, user: User) -> ReviewQuerySet:
        return self.filter(seen(user)).disclosed_to(user)

    def disclosed_to(self, user: User) -> ReviewQuerySet:
        """Hide other readers' reviews from users who must conclude first in a clinic that reviews
        blind.
        """
        return self.filter(disclosed(user))

    def standing(self) -> ReviewQuerySet:
        """Reviews that no later one supersedes."""
        return self.filter(superseded_by=None)

    def settling(self) -> ReviewQuerySet:
        """Standing reviews that settle a warning: ``Review.settles`` in SQL."""
        return self.standing().exclude(
            conclusion=Conclusion.UNCERTAIN, management__in=(Management.NONE, Management.MONITOR)
        )


class Review(Settling):
    """A clinician's own conclusion on an image. Signed and never edited, only superseded.

    Only ``screening.reviews.services`` creates reviews. ``number`` and ``previous_signature`` chain
    all reviews, so that an edited or deleted one is detected: ``manage.py verify_reviews``.
    """

    image = models.ForeignKey(LesionImage, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews"
    )
    conclusion = models.CharField(max_length=9, choices=Conclusion)
    management = models.CharField(max_length=7, choices=Management)
    note = models.TextField(blank=True, max_length=4000)
    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )
    number = models.PositiveBigIntegerField(
        unique=True, editable=False, help_text="1 for the first review signed on this installation."
    )
    previous_signature = models.CharField(max_length=64, blank=True, editable=False)
    signature = models.CharField(
        max_length=64, editable=False, help_text="HMAC-SHA256 over all the above."
    )

    objects = ReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(conclusion__in=Conclusion.values), name="conclusion_is_known"
            ),
            models.CheckConstraint(
                condition=Q(management__in=Management.values), name="management_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(conclusion=Conclusion.OTHER) | ~Q(note=""),
                name="other_conclusion_has_a_note",
                violation_error_message="Say in the note what it is.",
            ),
            models.CheckConstraint(condition=~Q(signature=""), name="review_is_signed"),
            models.CheckConstraint(
                condition=Q(supersedes__isnull=True) | ~Q(supersedes=F("id")),
                name="review_does_not_supersede_itself",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_conclusion_display()}, {self.reviewer}"

    @property
    def settles(self) -> bool:
        """Whether it settles a warning. An uncertain review that orders nothing does not."""
        waits = self.management in (Management.NONE, Management.MONITOR)
        return not (self.conclusion == Conclusion.UNCERTAIN and waits)

    @property
    def signed_content(self) -> Content:
        """The signed text: who concluded what on which image, when, what they had been shown, and
        the previous review.
        """
        content: dict[str, str | int | None] = {
            "id": str(self.pk),
            "number": self.number,
            "image": str(self.image_id),
            "reviewer": str(self.reviewer_id),
            "conclusion": self.conclusion,
            "management": self.management,
            "note": self.note,
            "created": _written(self.created),
            "supersedes": str(self.supersedes_id) if self.supersedes_id else None,
            "previous_signature": self.previous_signature,
        }
        if self.shown_at is not None:  # earlier reviews were signed without it
            content["shown_at"] = _written(self.shown_at)
        return content

    @property
    def signature_holds(self) -> bool:
        """Whether the row is unchanged since it was signed."""
        return holds(self.signed_content, self.signature)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class ReviewSeal(UUIDModel):
    """Stands in the chain for a review whose content was erased or that names an erased person. It
    holds the signature that can no longer be computed, and is signed with the site's key.
    """

    number = models.PositiveBigIntegerField(unique=True, editable=False)
    previous_signature = models.CharField(max_length=64, blank=True, editable=False)
    signature = models.CharField(max_length=64, editable=False)
    review = models.OneToOneField(
        Review, null=True, editable=False, on_delete=models.PROTECT, related_name="seal"
    )
    content_sha256 = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text="Digest of its content. Empty if the review was erased.",
    )
    held = models.BooleanField(
        editable=False,
        help_text="Whether it was unchanged since it was signed, at the time of sealing.",
    )
    seal = models.CharField(max_length=64, editable=False, help_text="HMAC-SHA256 over the above.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(review=None, content_sha256="")
                | (Q(review__isnull=False) & ~Q(content_sha256="")),
                name="seal_is_of_what_is_left_of_a_review",
            ),
        ]

    def __str__(self) -> str:
        return f"seal of review {self.number}"

    @property
    def sealed_content(self) -> Content:
        return {
            "number": self.number,
            "previous_signature": self.previous_signature,
            "signature": self.signature,
            "content_sha256": self.content_sha256,
            "held": self.held,
        }

    def is_of(self, review: Review) -> bool:
        """Whether it was made for this review, and the review is unchanged since."""
        same = (review.number, review.previous_signature, review.signature)
        return self.holds and (
            same == (self.number, self.previous_signature, self.signature)
            and self.content_sha256 == digest_of(review)
        )

    @property
    def holds(self) -> bool:
        return self.held and holds(self.sealed_content, self.seal, SEAL)


def digest_of(review: Review) -> str:
    written = json.dumps(review.signed_content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()
