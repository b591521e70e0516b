from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.comparison import still_a_pair
from screening.models.image import LesionImage, disclosed, seen
from screening.models.lesion import Lesion


class Rule(models.TextChoices):
    """Changes between two images of a lesion that raise an alert. The rules are in
    ``ml.lesion.change``.
    """

    ASYMMETRIC_ENLARGEMENT = "asymmetric_enlargement", "Grew more on one side"
    NEW_COLOUR = "new_colour", "A new colour"
    FOCAL_CHANGE = "focal_change", "Colour or structure changed in one place"
    RISK_RISE = "risk_rise", "Read as more suspicious"
    GROWTH = "growth", "Grew fast"
    SHORT_TERM_CHANGE = "short_term_change", "Changed within months"


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: User) -> AlertQuerySet:
        return self.filter(seen(user, "later")).disclosed_to(user)

    def disclosed_to(self, user: User) -> AlertQuerySet:
        """Exclude alerts on images whose readings are withheld from ``user``.

        A rule compares readings, so its result is withheld with them.
        """
        return self.filter(disclosed(user, "earlier"), disclosed(user, "later"))

    def open(self) -> AlertQuerySet:
        """Alerts of lesions being followed that are neither closed by hand nor replaced.

        ``predictions.outcomes.open_alerts`` selects those that still need attention.
        """
        return self.filter(closed_at=None, replaced_at=None, lesion__closed_on=None)


class AlertManager(models.Manager["Alert"]):
    """Exclude alerts whose two images no longer belong to the alert's lesion. They count again once
    the picture is put back.
    """

    def get_queryset(self) -> models.QuerySet[Alert]:
        return super().get_queryset().filter(still_a_pair(), later__lesion=F("lesion"))


class Alert(UUIDModel):
    """A change rule that fired between two images. Closed with a reason; never deleted."""

    lesion = models.ForeignKey(Lesion, on_delete=models.PROTECT, related_name="alerts")
    rule = models.CharField(max_length=22, choices=Rule)
    earlier = models.ForeignKey(
        LesionImage, on_delete=models.PROTECT, related_name="alerts_with_later"
    )
    later = models.ForeignKey(
        LesionImage, on_delete=models.PROTECT, related_name="alerts_with_earlier"
    )
    outlines = models.CharField(
        max_length=80,
        blank=True,
        editable=False,
        help_text="The drawn outlines that it rests on, by image; empty: the model's own.",
    )
    replaced_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When the images were compared again within newly drawn outlines. It no longer "
        "counts.",
    )
    before = models.JSONField(default=dict, help_text="What was measured in the earlier image.")
    after = models.JSONField(default=dict, help_text="What was measured in the later image.")
    closed_at = models.DateTimeField(null=True, editable=False)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="closed_alerts",
    )
    close_reason = models.CharField(max_length=400, blank=True)

    objects = AlertManager.from_queryset(AlertQuerySet)()
    everything = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(rule__in=Rule.values), name="rule_is_known"),
            models.UniqueConstraint(
                fields=["rule", "earlier", "later", "outlines"], name="rule_fires_once_per_pair"
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True, closed_by__isnull=True, close_reason="")
                | (Q(closed_at__isnull=False, closed_by__isnull=False) & ~Q(close_reason="")),
                name="closed_alert_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.get_rule_display()

    @property
    def pair(self) -> tuple[bool, bool, object, object]:
        """Alerts of one status (open, closed or replaced) on the same two images are shown
        together.
        """
        return self.is_open, self.replaced_at is None, self.earlier_id, self.later_id

    @property
    def is_open(self) -> bool:
        return self.closed_at is None and self.replaced_at is None
