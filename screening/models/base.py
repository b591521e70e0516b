from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Self, TypeVar

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from uuid_utils.compat import uuid7

from screening.models import witness

_Acts = TypeVar("_Acts", bound="models.QuerySet[Any]")


class UUIDModel(models.Model):
    """A row with a time-ordered UUID, the one identifier in URLs, API and logs."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    modified = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Self:
        """Report every row that a query loads to the audit log. No row is loaded any other way."""
        row = super().from_db(*args, **options)
        witness.saw(row)
        return row


def save_checked(record: models.Model, update_fields: Collection[str] | None = None) -> None:
    """Save a record that ``full_clean`` has just accepted. If someone else has stored the same
    unique value since, raises the ValidationError that ``full_clean`` would raise now.
    """
    try:
        with transaction.atomic():
            record.save(update_fields=update_fields)
    except IntegrityError:
        record.full_clean()
        raise


class Settling(UUIDModel):
    """An act that settles warnings: a review, a histology, a visit to a doctor."""

    shown_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="It settles what had come to the lesion by then: what was shown to whoever "
        "recorded it. Empty: by the time it was recorded.",
    )

    class Meta:
        abstract = True

    @property
    def knows_until(self) -> datetime:
        """The act did not take into account what came to the lesion later than this."""
        return self.shown_at or self.created


def knowing(acts: _Acts) -> _Acts:
    """Add ``Settling.knows_until`` for use in filters."""
    return acts.alias(knows_until=Coalesce("shown_at", "created"))


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


class Entry(Settling, Withdrawable):
    """An examination elsewhere, entered by someone: a histology or a visit to a doctor.

    Never edited. A mistake is corrected by a later entry that ``supersedes`` it, or by withdrawing
    the entry. A withdrawn entry supersedes nothing, so what it had corrected applies again.
    """

    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )

    class Meta:
        abstract = True
        constraints = [
            *Withdrawable.Meta.constraints,
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) | Q(supersedes=None),
                name="withdrawn_%(class)s_supersedes_nothing",
            ),
        ]
