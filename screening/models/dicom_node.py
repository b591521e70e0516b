from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.encrypted_text import decrypt, encrypt
from accounts.models import Clinic, User
from accounts.roles import Role
from screening.models.image import LesionImage, seen
from screening.models.outbox import (
    OVER,
    DeliveryState,
    Outgoing,
    OutgoingQuerySet,
    Receiver,
    life_cycle,
)

PURPOSE = "screening.dicom_node"
"""The purpose of the key that encrypts credentials."""


class Authorization(models.TextChoices):
    """How each request to a node is authorised (RFC 9110, 11)."""

    NONE = "none", "None"
    BASIC = "basic", "Basic: user name and password"
    BEARER = "bearer", "Bearer: a token"


class DicomNodeQuerySet(models.QuerySet["DicomNode"]):
    def standing(self) -> DicomNodeQuerySet:
        return self.filter(removed_at=None)

    def visible_to(self, user: User) -> DicomNodeQuerySet:
        """Nodes of the user's clinics: every member who sends pictures chooses among them."""
        return self.standing().filter(clinic__in=Clinic.objects.with_member(user))

    def managed_by(self, user: User) -> DicomNodeQuerySet:
        return self.standing().filter(clinic__in=Clinic.objects.with_member(user, (Role.ADMIN,)))


class DicomNode(Receiver):
    """A clinic's archive, or another DICOMweb server that stores instances (STOW-RS).

    A removed node keeps its row, without credentials, because deliveries refer to it.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="dicom_nodes")
    name = models.CharField(max_length=80)
    address = models.CharField(
        max_length=500, help_text="Base URL of the DICOMweb service, before /studies."
    )
    authorization = models.CharField(
        max_length=6, choices=Authorization, default=Authorization.NONE
    )
    encrypted_credentials = models.TextField(blank=True, editable=False)
    for_research = models.BooleanField(
        default=False, help_text="Receives only pictures of people who consented to research."
    )
    removed_at = models.DateTimeField(null=True, editable=False)

    objects = DicomNodeQuerySet.as_manager()

    class Meta:
        ordering = ["created", "pk"]
        verbose_name = "DICOM node"
        constraints = [
            models.CheckConstraint(
                condition=Q(authorization__in=Authorization.values),
                name="authorization_is_known",
            ),
            models.CheckConstraint(
                condition=Q(authorization=Authorization.NONE, encrypted_credentials="")
                | (~Q(authorization=Authorization.NONE) & ~Q(encrypted_credentials="")),
                name="authorization_has_credentials",
            ),
            models.CheckConstraint(
                condition=Q(removed_at=None) | Q(encrypted_credentials=""),
                name="removed_dicom_node_has_no_credentials",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def credentials(self) -> str:
        """``user:password``, or the token. Raises ``encrypted_text.Undecipherable``."""
        if not self.encrypted_credentials:
            return ""
        return decrypt(self.encrypted_credentials, purpose=PURPOSE)

    @credentials.setter
    def credentials(self, text: str) -> None:
        self.encrypted_credentials = encrypt(text, purpose=PURPOSE) if text else ""


class DicomDeliveryQuerySet(OutgoingQuerySet["DicomDelivery"]):
    def visible_to(self, user: User) -> DicomDeliveryQuerySet:
        return self.filter(seen(user))

    def active(self) -> DicomDeliveryQuerySet:
        return self.exclude(state__in=OVER)

    def attempted(self) -> DicomDeliveryQuerySet:
        """Deliveries whose picture may have reached the node, whatever it answered."""
        return self.exclude(instance_uid="")


class DicomDelivery(Outgoing):
    """One picture on its way to one node, with its readings on request.

    Only ``interop.dicomweb.sending`` changes the state.
    """

    node = models.ForeignKey(DicomNode, on_delete=models.PROTECT, related_name="deliveries")
    image = models.ForeignKey(
        LesionImage, on_delete=models.PROTECT, related_name="dicom_deliveries"
    )
    sent_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="dicom_deliveries"
    )
    with_readings = models.BooleanField(
        default=False, help_text="Includes the software's readings, as report and segmentation."
    )
    study_uid = models.CharField(max_length=64, blank=True, editable=False)
    series_uid = models.CharField(max_length=64, blank=True, editable=False)
    instance_uid = models.CharField(
        max_length=64, blank=True, editable=False, help_text="UIDs of the last attempt."
    )
    status_code = models.PositiveSmallIntegerField(
        null=True,
        editable=False,
        help_text="Status code of the last response. Empty if there was none.",
    )
    message = models.CharField(
        max_length=300, blank=True, editable=False, help_text="The response in words."
    )

    objects = DicomDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created", "-pk"]
        verbose_name = "DICOM delivery"
        verbose_name_plural = "DICOM deliveries"
        indexes = [models.Index(fields=["state", "due_at"], name="dicom_delivery_state_due")]
        constraints = [
            *life_cycle("dicom_delivery"),
            models.CheckConstraint(
                condition=~Q(state=DeliveryState.FAILED) | ~Q(message=""),
                name="failed_dicom_delivery_has_a_reason",
            ),
            models.UniqueConstraint(
                fields=["node", "image"],
                condition=~Q(state__in=OVER),
                name="one_active_dicom_delivery_per_image_and_node",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.image_id} to {self.node_id}"
