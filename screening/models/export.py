from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.data_key import DataKey
from screening.models.fields import SealedFileField
from screening.models.patient import Patient
from screening.models.prediction import MAX_ATTEMPTS


def _archive_name(instance: Export, filename: str) -> str:
    return f"exports/{uuid7().hex}"


class ExportQuerySet(models.QuerySet["Export"]):
    def visible_to(self, user: User) -> ExportQuerySet:
        """Exports that ``user`` asked for, while they may still export the record."""
        own = Q(patient=None) if user.bound_clinic is None else Q(pk=None)
        of_patients = Q(patient__in=Patient.objects.exportable_by(user))
        return self.filter(own | of_patients, requested_by=user)

    def claimable(self) -> ExportQuerySet:
        """Exports that a worker may start now."""
        rested = Q(rests_until=None) | Q(rests_until__lte=timezone.now())
        return self.filter(rested, state=Export.State.QUEUED)

    def ready(self) -> ExportQuerySet:
        """Exports whose file can be downloaded."""
        return self.filter(state=Export.State.READY, expires_at__gt=timezone.now())

    def latest_first(self) -> ExportQuerySet:
        return self.order_by("-created", "-pk")


class Export(UUIDModel):
    """Everything kept about one person, or one patient of a clinic, as one ZIP.

    QUEUED -> RUNNING -> READY -> ENDED, or FAILED; an expired lease returns RUNNING to QUEUED. Only
    ``screening.exports`` changes the state.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting"
        RUNNING = "running", "Being put together"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        ENDED = "ended", "Removed"

    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exports"
    )
    patient = models.ForeignKey(
        Patient,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="exports",
        help_text="Whose record it is. Empty: the requester's account and all their own records.",
    )
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    steps = models.PositiveIntegerField(
        default=0, editable=False, help_text="Number of files to write."
    )
    steps_done = models.PositiveIntegerField(default=0, editable=False)
    file = SealedFileField(upload_to=_archive_name, blank=True, max_length=120)
    file_bytes = models.PositiveBigIntegerField(null=True, editable=False)
    sha256 = models.CharField(max_length=64, blank=True, editable=False)
    patients = models.JSONField(
        default=list, editable=False, help_text="The patients whose records the file holds."
    )
    failure = models.CharField(max_length=200, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    setbacks = models.PositiveSmallIntegerField(default=0, editable=False)
    rests_until = models.DateTimeField(
        null=True, editable=False, help_text="Not claimed before then, after a setback."
    )
    finished_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(
        null=True, editable=False, help_text="When the file is removed."
    )
    mailing_since = models.DateTimeField(null=True, editable=False)
    mailed_at = models.DateTimeField(null=True, editable=False)
    fetched_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was last downloaded."
    )

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by", "patient"],
                condition=Q(state__in=("queued", "running"), patient__isnull=False),
                name="one_active_export_of_a_patient",
            ),
            models.UniqueConstraint(
                fields=["requested_by"],
                condition=Q(state__in=("queued", "running"), patient__isnull=True),
                name="one_active_export_of_an_account",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_expires_at__isnull=False),
                name="running_export_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state="ready")
                | (~Q(file="") & ~Q(sha256="") & Q(expires_at__isnull=False)),
                name="ready_export_has_file",
            ),
            models.CheckConstraint(
                condition=~Q(state="failed") | ~Q(failure=""), name="failed_export_has_reason"
            ),
            models.CheckConstraint(
                condition=Q(state="ready") | Q(file=""), name="only_ready_export_has_file"
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=MAX_ATTEMPTS), name="export_attempts_are_capped"
            ),
        ]

    def __str__(self) -> str:
        return f"Export of {self.created:%Y-%m-%d %H:%M}"

    @property
    def is_active(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def is_ready(self) -> bool:
        return (
            self.state == self.State.READY
            and self.expires_at is not None
            and self.expires_at > timezone.now()
        )

    def sealing_key(self) -> DataKey:
        """The patient's key or, for an account, which may have several records, the
        installation's.
        """
        return DataKey.of(self.patient)
