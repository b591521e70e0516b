"""The audit log: who read or changed what of a person's data. Append-only and chained.

Nothing here refers to another table: an entry outlives what it is about, and names nobody.
"""

from __future__ import annotations

from datetime import UTC

from django.db import models
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from screening.models.signatures import (
    AUDIT,
    AUDIT_CONTENT,
    AUDIT_ERASED,
    AUDIT_PART,
    Content,
    holds,
)


class Through(models.TextChoices):
    PAGE = "page", "the pages"
    API = "api", "the API"
    FHIR = "fhir", "FHIR"
    ADMIN = "admin", "the operator's pages"
    CALENDAR = "calendar", "a calendar link"
    SHARE = "share", "a link for a doctor"
    COMMAND = "command", "a command on the server"
    WORKER = "worker", "the software itself"
    MIGRATED = "migrated", "a picture or report (earlier log)"


class Act(models.TextChoices):
    READ = "read", "Looked"
    WRITE = "write", "Changed"
    LOG_IN = "log_in", "Logged in"
    LOG_IN_FAILED = "log_in_failed", "Failed to log in"
    REFUSED = "refused", "Key refused"
    TAMPERED = "tampered", "Changed before it was chained"


class AuditPart(models.Model):
    """What one unit of work reports, until a worker chains it. A change is reported in the
    transaction that makes it, so both stand or neither. The last part closes the unit.

    Each part is signed, so that a change is found in the seconds until it is chained as well.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    unit = models.UUIDField()
    at = models.DateTimeField(default=timezone.now)
    is_last = models.BooleanField()
    content = models.JSONField()
    signature = models.CharField(max_length=64)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["unit"], name="audit_part_unit")]

    def __str__(self) -> str:
        return f"part of {self.unit}"

    @property
    def signed_content(self) -> Content:
        return {
            "id": str(self.pk),
            "unit": str(self.unit),
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "is_last": self.is_last,
            "content": self.content,
        }

    @property
    def signature_holds(self) -> bool:
        return holds(self.signed_content, self.signature, AUDIT_PART)


class AuditEntry(models.Model):
    """One unit of work: a request, a task, a command. Only ``screening.privacy`` adds entries."""

    number = models.PositiveBigIntegerField(primary_key=True)
    unit = models.UUIDField(
        db_index=True, help_text="A unit that seemed to be cut off but continued has two entries."
    )
    at = models.DateTimeField(db_index=True)
    act = models.CharField(max_length=13, choices=Act)
    through = models.CharField(max_length=8, choices=Through)
    what = models.CharField(
        max_length=200, help_text="The URL, or the name of the task or command."
    )
    actor = models.UUIDField(
        null=True, db_index=True, help_text="The account. Empty if nobody was logged in."
    )
    key = models.UUIDField(null=True, help_text="The API key or application that was used.")
    address = models.GenericIPAddressField(null=True)
    request = models.CharField(max_length=64, blank=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Status code of the response.")
    is_complete = models.BooleanField(help_text="False if the unit was cut off.")
    details = models.JSONField(
        help_text=(
            "records: identifiers by kind; counts: how many of each; patients; clinics; changes: "
            "by record and field, keyed digests of the value before and after."
        )
    )
    digest = models.CharField(
        max_length=64, help_text="Keyed digest of the fields above, as first written."
    )
    previous_signature = models.CharField(max_length=64, blank=True)
    signature = models.CharField(
        max_length=64, help_text="Over the number and the two fields above."
    )
    erased_signature = models.CharField(
        max_length=64,
        blank=True,
        help_text="Over the fields above after a person was erased from them.",
    )

    class Meta:
        ordering = ["-number"]
        verbose_name_plural = "audit entries"
        constraints = [
            models.CheckConstraint(condition=Q(act__in=Act.values), name="audited_act_is_known"),
            models.CheckConstraint(
                condition=Q(through__in=Through.values), name="audited_way_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number}: {self.act} {self.what}"

    @property
    def content(self) -> Content:
        return {
            "unit": str(self.unit),
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "act": self.act,
            "through": self.through,
            "what": self.what,
            "actor": str(self.actor) if self.actor else None,
            "key": str(self.key) if self.key else None,
            "address": self.address,
            "request": self.request,
            "status": self.status,
            "is_complete": self.is_complete,
            "details": self.details,
        }

    @property
    def signed_content(self) -> Content:
        """Its digest stands for the content, so that a person can be removed from an entry without
        breaking the chain.
        """
        return {
            "number": self.number,
            "digest": self.digest,
            "previous_signature": self.previous_signature,
        }

    @property
    def content_without_person(self) -> Content:
        return {**self.content, **self.signed_content}

    @property
    def signature_holds(self) -> bool:
        if self.erased_signature:
            is_as_written = holds(self.content_without_person, self.erased_signature, AUDIT_ERASED)
        else:
            is_as_written = holds(self.content, self.digest, AUDIT_CONTENT)
        return is_as_written and holds(self.signed_content, self.signature, AUDIT)


class AuditSubject(models.Model):
    """An index of the patients and clinics that an entry's details name."""

    entry = models.ForeignKey(AuditEntry, on_delete=models.CASCADE, related_name="subjects")
    patient = models.UUIDField(null=True, db_index=True)
    clinic = models.UUIDField(null=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entry", name], name=f"one_{name}_per_entry")
            for name in ("patient", "clinic")
        ]

    def __str__(self) -> str:
        return f"{self.entry_id}: {self.patient or self.clinic}"


class AuditSegment(models.Model):
    """A closed part of the chain whose entries passed the retention period. Its signature stands in
    for the entries it replaces.
    """

    last = models.PositiveBigIntegerField(primary_key=True, help_text="Number of its last entry.")
    first = models.PositiveBigIntegerField()
    closed_at = models.DateTimeField(default=timezone.now)
    last_signature = models.CharField(max_length=64, help_text="Signature of its last entry.")
    previous_signature = models.CharField(max_length=64, blank=True)
    signature = models.CharField(max_length=64)

    class Meta:
        ordering = ["last"]

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"

    @property
    def signed_content(self) -> Content:
        return {
            "first": self.first,
            "last": self.last,
            "closed_at": self.closed_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "last_signature": self.last_signature,
            "previous_signature": self.previous_signature,
        }

    @property
    def signature_holds(self) -> bool:
        return holds(self.signed_content, self.signature, AUDIT)
