from __future__ import annotations

import hashlib

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from screening.models.base import UUIDModel
from screening.models.lesion import Lesion
from screening.models.patient import Patient

WRONG_CODES = 5
"""This many wrong codes close a link."""


class ShareQuerySet(models.QuerySet["Share"]):
    def active(self) -> ShareQuerySet:
        """Links that open, while their creator may still change the record."""
        return self.filter(
            Q(lesion=None) | Q(lesion__withdrawn_at=None),
            revoked_at=None,
            expires_at__gt=timezone.now(),
            wrong_codes__lt=WRONG_CODES,
            patient__withdrawn_at=None,
            shared_by__is_active=True,
        )

    def closed_by_codes(self) -> ShareQuerySet:
        """Links that would still open, had nobody tried wrong codes, and that nobody has ended."""
        return self.filter(
            revoked_at=None, expires_at__gt=timezone.now(), wrong_codes__gte=WRONG_CODES
        )

    def visible_to(self, user: User) -> ShareQuerySet:
        return self.filter(patient__in=Patient.objects.visible_to(user))


class Share(UUIDModel):
    """A link to one record, or one lesion of it, for a doctor without an account. Only the SHA-256
    of its secret is stored.
    """

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="shares")
    lesion = models.ForeignKey(
        Lesion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="shares",
        help_text="The only lesion shown. Empty: the whole record.",
    )
    shared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="shares"
    )
    recipient = models.CharField(max_length=120, help_text="Who it is for, in the sharer's words.")
    message = models.TextField(
        max_length=4000,
        blank=True,
        default="",
        db_default="",
        help_text="To the recipient: on the page of the link, and before the report.",
    )
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    code_hash = models.CharField(max_length=128, blank=True, editable=False)
    wrong_codes = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return f"Link for {self.recipient}"

    @staticmethod
    def digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()


class ShareOpening(UUIDModel):
    """What was looked at through a link, and when."""

    class What(models.TextChoices):
        PAGE = "page", "the page"
        PICTURE = "picture", "a picture"
        REPORT = "report", "the report"

    share = models.ForeignKey(Share, on_delete=models.PROTECT, related_name="openings")
    what = models.CharField(max_length=7, choices=What)
    image = models.ForeignKey(
        "LesionImage", null=True, on_delete=models.PROTECT, related_name="share_openings"
    )

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return f"{self.share_id}, {self.what}"


class Opinion(UUIDModel):
    """What a doctor said through a link. It settles nothing and changes no outcome."""

    share = models.ForeignKey(Share, on_delete=models.PROTECT, related_name="opinions")
    lesion = models.ForeignKey(
        Lesion, null=True, blank=True, on_delete=models.PROTECT, related_name="opinions"
    )
    name = models.CharField(max_length=120, help_text="The name that the author gave.")
    text = models.TextField(max_length=4000)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="opinions",
        help_text="The account that was logged in. Empty if unverified.",
    )

    class Meta:
        ordering = ["-created", "-pk"]

    def __str__(self) -> str:
        return f"{self.name}, {self.created:%Y-%m-%d}"
