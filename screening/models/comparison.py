from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.image import LesionImage, disclosed, is_later, place_of, seen


class ComparisonQuerySet(models.QuerySet["Comparison"]):
    def visible_to(self, user: User) -> ComparisonQuerySet:
        return self.filter(seen(user, "later"), still_a_pair())

    def standing(self) -> ComparisonQuerySet:
        """Comparisons made with the current outlines."""
        return self.filter(replaced_at=None)


def still_a_pair(comparison: str = "") -> Q:
    """A condition on comparisons, or on rows with a foreign key named by ``comparison``: both
    images exist, belong to the same lesion and are still in order. An image may have been
    withdrawn, moved or given another day since.
    """
    path = f"{comparison}__" if comparison else ""
    return Q(
        (f"{path}earlier__withdrawn_at", None),
        (f"{path}later__withdrawn_at", None),
        (f"{path}earlier__lesion", F(f"{path}later__lesion")),
    ) & is_later(place_of(f"{path}later"), place_of(f"{path}earlier"))


class Comparison(UUIDModel):
    """Two images of one lesion, the later aligned to the earlier, or a note that alignment
    failed.
    """

    earlier = models.ForeignKey(
        LesionImage, on_delete=models.PROTECT, related_name="comparisons_with_later"
    )
    later = models.ForeignKey(
        LesionImage, on_delete=models.PROTECT, related_name="comparisons_with_earlier"
    )
    algorithm_version = models.CharField(max_length=20)
    outlines = models.CharField(
        max_length=80,
        blank=True,
        editable=False,
        help_text="The drawn outlines that it rests on, by image; empty: the model's own.",
    )
    replaced_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When a comparison within newly drawn outlines replaced it.",
    )
    aligned = models.BooleanField()
    matrix = models.JSONField(
        default=list,
        help_text="Two rows of three: pixels of the later image to pixels of the earlier one. "
        "Empty where the alignment failed.",
    )
    score = models.FloatField(null=True, help_text="How well the aligned images agree, 0 to 1.")
    reason = models.CharField(max_length=200, blank=True, help_text="Why the alignment failed.")

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["earlier", "later", "algorithm_version", "outlines"],
                name="pair_is_compared_once",
            ),
            models.CheckConstraint(
                condition=~Q(earlier=F("later")), name="comparison_is_of_two_images"
            ),
            models.CheckConstraint(
                condition=Q(aligned=True) | ~Q(reason=""), name="failed_alignment_has_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.earlier_id} and {self.later_id}"


class ChangeMarkQuerySet(models.QuerySet["ChangeMark"]):
    def visible_to(self, user: User) -> ChangeMarkQuerySet:
        """Withhold other people's marks, like their reviews, until ``user`` has concluded."""
        own, shown = Q(marked_by=user), Q(disclosed(user, "comparison__later"))
        return self.filter(seen(user, "comparison__later"), still_a_pair("comparison"), own | shown)


class ChangeMark(UUIDModel):
    """What a person saw in a comparison. Never edited: a later row supersedes it."""

    class Verdict(models.TextChoices):
        UNCHANGED = "unchanged", "Reviewed, unchanged"
        CHANGED = "changed", "Changed"

    comparison = models.ForeignKey(Comparison, on_delete=models.PROTECT, related_name="marks")
    marked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="change_marks"
    )
    verdict = models.CharField(max_length=9, choices=Verdict)
    note = models.TextField(blank=True, max_length=4000)

    objects = ChangeMarkQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict__in=["unchanged", "changed"]), name="verdict_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_verdict_display()}, {self.marked_by}"
