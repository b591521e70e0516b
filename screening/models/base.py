from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7


class UUIDModel(models.Model):
    """A row with a time-ordered UUID, the one identifier in URLs, API and logs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    modified = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True


class CurrentManager(models.Manager[Any]):
    """The default manager of models that can be withdrawn. It excludes withdrawn rows.

    Related managers (``lesion.images``) use it too, so code that counts, lists or exports cannot
    forget the rule. ``everything`` includes withdrawn rows.
    """

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(withdrawn_at=None)


class Withdrawable(UUIDModel):
    """A record that can be withdrawn as entered in error, with a reason, and restored."""

    withdrawn_at = models.DateTimeField(null=True, editable=False)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="withdrawn_%(class)ss",
    )
    withdrawn_because = models.CharField(max_length=400, blank=True, editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=Q(withdrawn_at__isnull=True, withdrawn_by=None, withdrawn_because="")
                | (
                    Q(withdrawn_at__isnull=False, withdrawn_by__isnull=False)
                    & ~Q(withdrawn_because="")
                ),
                name="withdrawn_%(class)s_has_reason",
            ),
        ]

    @property
    def is_withdrawn(self) -> bool:
        return self.withdrawn_at is not None
