from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import Clinic, User, has_withdrawn
from accounts.roles import WRITERS, Role
from screening.models.base import UUIDModel
from screening.models.image import LesionImage
from screening.models.prediction import MAX_ATTEMPTS, Prediction


def _archive_name(instance: Batch, filename: str) -> str:
    return f"batches/{uuid7().hex}"


class BatchQuerySet(models.QuerySet["Batch"]):
    def visible_to(self, user: User) -> BatchQuerySet:
        return self._of(user, tuple(Role))

    def writable_by(self, user: User) -> BatchQuerySet:
        return self._of(user, WRITERS)

    def workable(self) -> BatchQuerySet:
        """Batches that a worker can work on now. Those of a person's own record wait while the
        person has withdrawn the agreement.
        """
        rested = Q(rests_until=None) | Q(rests_until__lte=timezone.now())
        waiting = Q(clinic=None) & has_withdrawn("created_by__")
        return self.filter(rested, state__in=ACTIVE_BATCH).exclude(waiting)

    def latest_first(self) -> BatchQuerySet:
        return self.order_by("-created", "-pk")

    def _of(self, user: User, roles: tuple[Role, ...]) -> BatchQuerySet:
        of_clinics = Q(clinic__in=Clinic.objects.with_member(user, roles))
        if user.bound_clinic is not None:  # a caller bound to a clinic sees only the clinic's
            return self.filter(of_clinics)
        return self.filter(Q(clinic=None, created_by=user) | of_clinics)


class Batch(UUIDModel):
    """Many images with a manifest, uploaded as one archive. Each manifest line is a
    ``BatchRow``.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        CHECKING = "checking", "Being checked"
        CHECKED = "checked", "Checked, nothing imported yet"
        IMPORTING = "importing", "Being imported and read"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"
        REFUSED = "refused", "Refused"

    clinic = models.ForeignKey(
        Clinic, null=True, blank=True, on_delete=models.PROTECT, related_name="batches"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="batches"
    )
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    dry_run = models.BooleanField(default=False, help_text="Check only; import when resumed.")
    captured_on = models.DateField(
        null=True,
        help_text="For rows without a day of their own. Empty: the day in the file, or else of "
        "the upload.",
    )
    archive = models.FileField(
        upload_to=_archive_name, blank=True, help_text="Removed when no longer needed."
    )
    archive_bytes = models.PositiveBigIntegerField(
        null=True, editable=False, help_text="Empty for archives stored before sizes were recorded."
    )
    has_rows = models.BooleanField(
        default=False, editable=False, help_text="Every line of the manifest has a row."
    )
    unknown_columns = models.JSONField(default=list, editable=False)
    failure = models.CharField(max_length=400, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    setbacks = models.PositiveSmallIntegerField(
        default=0,
        editable=False,
        help_text="Consecutive failures that were not caused by its rows.",
    )
    rests_until = models.DateTimeField(
        null=True, editable=False, help_text="Paused until then after a setback."
    )
    finished_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, editable=False
    )

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        verbose_name_plural = "batches"
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="refused") | ~Q(failure=""), name="refused_batch_has_reason"
            ),
            models.CheckConstraint(
                condition=~Q(state="finished") | Q(finished_at__isnull=False, has_rows=True),
                name="finished_batch_has_rows",
            ),
        ]

    def __str__(self) -> str:
        return f"Batch of {self.created:%Y-%m-%d %H:%M}"

    @property
    def is_own(self) -> bool:
        """Whether the images are of the uploader's own skin rather than of a clinic's patients."""
        return self.clinic_id is None

    @property
    def is_active(self) -> bool:
        """Whether a worker still has work to do for it."""
        return self.state in ACTIVE_BATCH

    @property
    def may_be_cancelled(self) -> bool:
        return self.is_active or self.state == Batch.State.CHECKED

    @property
    def may_be_resumed(self) -> bool:
        return self.state in (Batch.State.CHECKED, Batch.State.CANCELLED) and bool(self.archive)


ACTIVE_BATCH = (Batch.State.QUEUED, Batch.State.CHECKING, Batch.State.IMPORTING)


class BatchRow(UUIDModel):
    """One line of a batch's manifest, and its result."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        RUNNING = "running", "Being worked on"
        CHECKED = "checked", "Checked"
        IMPORTED = "imported", "Imported"
        REFUSED = "refused", "Refused"

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField(help_text="Line number, as in a spreadsheet or an editor.")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    picture = models.CharField(max_length=500, blank=True, help_text="File name in the manifest.")
    entry = models.CharField(max_length=1000, blank=True, help_text="Its name in the archive.")
    offset = models.BigIntegerField(
        null=True, help_text="Where its line starts, unless it is in an archive."
    )
    values = models.JSONField(default=dict, help_text="What is to be imported.")
    source = models.JSONField(default=dict, help_text="Metadata in ISIC's terms, as received.")
    problems = models.JSONField(default=list, help_text="[column, reason] pairs.")
    # Erasing a picture also erases its manifest line.
    image = models.ForeignKey(
        LesionImage, null=True, on_delete=models.CASCADE, related_name="batch_rows"
    )
    prediction = models.ForeignKey(
        Prediction, null=True, on_delete=models.CASCADE, related_name="batch_rows"
    )
    was_known = models.BooleanField(default=False, help_text="The picture already existed.")
    followed_up = models.BooleanField(default=False, help_text="Measured and compared.")
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["batch", "number"]
        indexes = [
            models.Index(fields=["batch", "state", "attempts", "id"], name="batch_row_queue"),
            models.Index(
                fields=["followed_up", "id"],
                condition=Q(state="imported"),
                name="batch_row_follow_up",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["batch", "number"], name="one_row_per_line"),
            models.CheckConstraint(
                condition=~Q(state="imported") | Q(image__isnull=False),
                name="imported_row_has_image",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_expires_at__isnull=False),
                name="running_row_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=MAX_ATTEMPTS), name="row_attempts_are_capped"
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.number}: {self.state}"
