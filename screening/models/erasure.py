from __future__ import annotations

import hashlib

from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Clinic, User
from accounts.roles import REVIEWERS
from screening.models.base import UUIDModel
from screening.models.patient import Patient

_SALT = "screening.erasure"
TRACE = b"skincheck.trace.1"


class ErasureState(models.TextChoices):
    ASKED = "asked", "Waiting for a second person"
    PENDING = "pending", "Can still be undone"
    ERASING = "erasing", "Being erased"
    ERASED = "erased", "Erased"
    UNDONE = "undone", "Undone"


OPEN_ERASURE = (ErasureState.ASKED, ErasureState.PENDING, ErasureState.ERASING)


class Ground(models.TextChoices):
    """Why a clinic erases. There is no free text, so the receipt names nobody."""

    PERSON_ASKS = "person_asks", "The person asks for it"
    TIME_IS_OVER = "time_is_over", "The time for which it must be kept is over"
    UNLAWFUL = "unlawful", "It should never have been recorded"
    ORDERED = "ordered", "A court or an authority orders it"


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def visible_to(self, user: User) -> ErasureQuerySet:
        """Erasures that ``user`` asked for, and those of clinics where they record conclusions."""
        of_clinics = Q(clinic__in=Clinic.objects.with_member(user, REVIEWERS))
        if user.bound_clinic is not None:  # a caller bound to a clinic sees only the clinic's
            return self.filter(of_clinics)
        return self.filter(Q(asked_by=user, clinic=None) | of_clinics)

    def open(self) -> ErasureQuerySet:
        return self.filter(state__in=OPEN_ERASURE)

    def overdue(self) -> ErasureQuerySet:
        """The days to undo it are over, or it was interrupted."""
        over = Q(state=ErasureState.PENDING, erased_from__lte=timezone.now())
        return self.filter(over | Q(state=ErasureState.ERASING))

    def due(self) -> ErasureQuerySet:
        """Erasures to work on now: they do not rest after a failure."""
        rested = Q(rests_until=None) | Q(rests_until__lte=timezone.now())
        return self.overdue().filter(rested)


class Erasure(UUIDModel):
    """A request to erase an account or a record and, afterwards, its receipt.

    ASKED (by a clinic: another person confirms) -> PENDING (can be undone until ``erased_from``) ->
    ERASING (rows are gone, files follow) -> ERASED; ASKED and PENDING -> UNDONE. An ERASED row
    names neither the person nor their record.
    """

    state = models.CharField(max_length=7, choices=ErasureState, default=ErasureState.PENDING)
    patient = models.ForeignKey(
        Patient, null=True, on_delete=models.PROTECT, related_name="erasures"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="erasures",
        help_text="Whose account is erased, with all records of their own.",
    )
    parted = models.JSONField(
        default=list,
        help_text="Records that others have a right to. They only lose the link to the requester.",
    )
    clinic = models.ForeignKey(Clinic, null=True, on_delete=models.CASCADE, related_name="erasures")
    ground = models.CharField(max_length=12, choices=Ground, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="asked_erasures",
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="confirmed_erasures",
    )
    erased_from = models.DateTimeField(null=True)
    erased_at = models.DateTimeField(null=True)
    files = models.JSONField(
        default=list,
        help_text="Stored files still to be deleted, and whether each is the only copy.",
    )
    counts = models.JSONField(default=dict, help_text="What was erased and what was kept, by kind.")
    receipt = models.JSONField(default=dict)
    mail_to = models.EmailField(
        blank=True, help_text="Where to mail the receipt. Emptied once it is mailed."
    )
    failures = models.PositiveSmallIntegerField(default=0)
    rests_until = models.DateTimeField(null=True)

    objects = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ErasureState.values), name="erasure_state_is_known"
            ),
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(state__in=OPEN_ERASURE),
                name="one_open_erasure_per_patient",
            ),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(state__in=OPEN_ERASURE),
                name="one_open_erasure_per_account",
            ),
            models.CheckConstraint(
                condition=Q(confirmed_by=None) | ~Q(confirmed_by=F("asked_by")),
                name="another_person_confirms_an_erasure",
            ),
            models.CheckConstraint(
                condition=Q(clinic=None)
                | ~Q(state=ErasureState.PENDING)
                | Q(confirmed_by__isnull=False),
                name="a_clinics_erasure_is_confirmed",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=(ErasureState.ERASING, ErasureState.ERASED))
                | Q(patient=None, user=None, erased_at__isnull=False),
                name="an_erasure_that_is_done_names_nobody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}, {self.created:%Y-%m-%d}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_ERASURE

    @property
    def may_be_undone(self) -> bool:
        return self.state in (ErasureState.ASKED, ErasureState.PENDING)

    @property
    def token(self) -> str:
        """The token in the receipt's URL, which works without an account, since the account is
        erased too.
        """
        return signing.dumps(str(self.pk), salt=_SALT)

    @staticmethod
    def pk_of(token: str) -> str:
        """Raises Erasure.DoesNotExist for a forged token."""
        try:
            return str(signing.loads(token, salt=_SALT))
        except signing.BadSignature:
            raise Erasure.DoesNotExist from None


class Trace(models.Model):
    """A digest of an erased identifier, file or name, to search for what is left of it. The digest
    does not reveal the value.
    """

    class Kind(models.TextChoices):
        PATIENT = "patient", "A record"
        USER = "user", "An account"
        ROW = "row", "An identifier"
        FILE = "file", "The name of a file"
        CONTENT = "content", "The SHA-256 of a file"
        NAME = "name", "A name or an address"

    digest = models.CharField(primary_key=True, max_length=64)
    kind = models.CharField(max_length=7, choices=Kind)
    erased_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["patient", "user", "row", "file", "content", "name"]),
                name="trace_kind_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest[:8]}"

    @staticmethod
    def of_identifier(text: str) -> str:
        """The digest of a UUID in any notation, or of a SHA-256."""
        return hashlib.sha256(TRACE + text.replace("-", "").lower().encode()).hexdigest()
