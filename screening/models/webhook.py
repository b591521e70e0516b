from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import Clinic, User, has_withdrawn, is_admins
from accounts.roles import Role
from screening.models.outbox import Receiver

OLD_SECRET_HOURS = 24


class Event(models.TextChoices):
    """Events that an endpoint can subscribe to, named as in Standard Webhooks."""

    PREDICTION_FINISHED = "prediction.finished", "A reading is finished"
    PREDICTION_FAILED = "prediction.failed", "A reading failed"
    ALERT_OPENED = "alert.opened", "A change rule fired"
    REVIEW_RECORDED = "review.recorded", "A conclusion was recorded"
    BATCH_FINISHED = "batch.finished", "A batch is finished"
    PATIENT_CREATED = "patient.created", "A patient was registered"
    PATIENT_CHANGED = "patient.changed", "A patient was changed"
    PATIENT_WITHDRAWN = "patient.withdrawn", "A patient was withdrawn or merged"
    LESION_CREATED = "lesion.created", "A lesion was added"
    LESION_CHANGED = "lesion.changed", "A lesion was changed"
    LESION_WITHDRAWN = "lesion.withdrawn", "A lesion was withdrawn or merged"
    IMAGE_CREATED = "image.created", "A picture was added"
    IMAGE_CHANGED = "image.changed", "A picture was corrected or moved"
    IMAGE_WITHDRAWN = "image.withdrawn", "A picture was withdrawn"
    HISTOLOGY_CREATED = "histology.created", "A histology was recorded"
    HISTOLOGY_CHANGED = "histology.changed", "A histology was corrected or superseded"
    HISTOLOGY_WITHDRAWN = "histology.withdrawn", "A histology was withdrawn"


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, user: User) -> WebhookQuerySet:
        """The user's own webhooks and those of clinics they administer. Webhooks hold secrets."""
        of_clinics = Q(clinic__in=Clinic.objects.with_member(user, (Role.ADMIN,)))
        if user.bound_clinic is not None:  # a caller bound to a clinic sees only the clinic's
            return self.filter(of_clinics)
        return self.filter(Q(owner=user) | of_clinics)

    def standing(self) -> WebhookQuerySet:
        """Webhooks that may receive events: the responsible user is still an admin of the clinic
        or, for a person's own webhook, their account is active. Nobody has withdrawn the agreement.
        """
        of_a_person = Q(owner__is_active=True) & ~has_withdrawn("owner__")
        return self.filter(Q(is_admins("registered_by")) | of_a_person)

    def enabled(self) -> WebhookQuerySet:
        return self.standing().filter(disabled_at=None)


class Webhook(Receiver):
    """Another system's address that receives events of a clinic or of a person's own record.

    Its secrets are derived from the site's SECRET_KEY and ``secret_version``; none is stored.
    """

    clinic = models.ForeignKey(
        Clinic, null=True, blank=True, on_delete=models.CASCADE, related_name="webhooks"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="webhooks",
    )
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="registered_webhooks",
        help_text="Responsible for a clinic's webhook, which receives events only while they are "
        "an admin.",
    )
    name = models.CharField(max_length=80)
    target = models.CharField(max_length=500, help_text="The address that events are sent to.")
    events = models.JSONField(default=list, help_text="The events that are sent to it.")
    secret_version = models.PositiveSmallIntegerField(default=1, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["created", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(clinic__isnull=False, owner__isnull=True)
                | Q(clinic__isnull=True, owner__isnull=False),
                name="webhook_is_a_clinics_or_a_persons",
            ),
            models.CheckConstraint(
                condition=Q(disabled_at__isnull=True, disabled_reason="")
                | (Q(disabled_at__isnull=False) & ~Q(disabled_reason="")),
                name="disabled_webhook_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_enabled(self) -> bool:
        return self.disabled_at is None

    @property
    def stands(self) -> bool:
        return Webhook.objects.standing().filter(pk=self.pk).exists()

    @property
    def secret(self) -> str:
        return self.signing_secrets[0]

    @property
    def old_secret_expires_at(self) -> datetime | None:
        """When the secret from before the rotation stops signing; None if it has stopped."""
        if self.rotated_at is None:
            return None
        expires_at = self.rotated_at + timedelta(hours=OLD_SECRET_HOURS)
        return expires_at if timezone.now() < expires_at else None

    @property
    def signing_secrets(self) -> list[str]:
        """The secrets that sign, newest first. For a day after a rotation the old one signs too.

        Secrets from SECRET_KEY_FALLBACKS are included, so that a new SECRET_KEY does not lock
        receivers out.
        """
        versions = [self.secret_version]
        if self.old_secret_expires_at:
            versions.append(self.secret_version - 1)
        keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        return [self._secret(version, key) for key in keys for version in versions]

    def _secret(self, version: int, key: str | bytes) -> str:
        """The secret as Standard Webhooks writes it: ``whsec_`` and 32 bytes in base64."""
        about = f"{self.pk}:{version}"
        secret = salted_hmac("screening.webhook", about, secret=key, algorithm="sha256").digest()
        return f"whsec_{b64encode(secret).decode()}"
