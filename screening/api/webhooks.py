"""Webhooks over the API: the endpoints, their secrets, and the delivery log."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Clinic
from screening.api import documentation as doc
from screening.api import examples
from screening.api.base import ReadViewSet, RecordView, RemovableViewSet, accepted
from screening.api.fields import ChoiceOrNull, VisibleField, WordOrNull, meaning
from screening.api.filters import RecordFilter
from screening.api.serializers import BASE, RecordSerializer
from screening.models import Delivery, DeliveryAttempt, DeliveryState, Event, Webhook
from screening.models.webhook_delivery import EVERY_EVENT
from screening.webhooks import services as webhook_services

_HOST = "https://skincheck.example.org/api/v1"
_WEBHOOK = "019ab0f0-11d4-7c3e-9a5b-2f7d8e1c4a65"
_DELIVERY = "019ab0f3-7b20-7e91-8d4c-5a6b3c9f0e76"
_TEST = "019ab0f1-03c5-7a18-b2e7-9d1f4b8c6a87"

WEBHOOK_IN: dict[str, Any] = {
    "clinic": examples.CLINIC["id"],
    "name": "Practice software",
    "target": "https://practice.example.org/skincheck",
    "events": ["prediction.finished", "prediction.failed"],
}
WEBHOOK: dict[str, Any] = {
    "id": _WEBHOOK,
    "url": f"{_HOST}/webhooks/{_WEBHOOK}/",
    "created": "2026-03-12T10:02:11.540221Z",
    "modified": "2026-03-12T10:02:11.540312Z",
    **WEBHOOK_IN,
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": None,
    "failures": 0,
    "rotated_at": None,
    "old_secret_expires_at": None,
}
ROTATED: dict[str, Any] = {
    **WEBHOOK,
    "modified": "2026-03-20T08:15:00.000512Z",
    "rotated_at": "2026-03-20T08:15:00.000412Z",
    "old_secret_expires_at": "2026-03-21T08:15:00.000412Z",
}
SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwm3kQ0mB0Zs8="}

_WAITING: dict[str, Any] = {
    "webhook": _WEBHOOK,
    "state": "waiting",
    "tries": 0,
    "finished_at": None,
    "attempts": [],
}
TEST: dict[str, Any] = {
    "id": _TEST,
    "url": f"{_HOST}/deliveries/{_TEST}/",
    "created": "2026-03-12T10:03:12.197001Z",
    "modified": "2026-03-12T10:03:12.197045Z",
    **_WAITING,
    "event": "webhook.test",
    "data": {"webhook": _WEBHOOK},
    "due_at": "2026-03-12T10:03:12.197012Z",
    "given_up_at": "2026-03-13T10:03:12.197015Z",
}
DELIVERY: dict[str, Any] = {
    "id": _DELIVERY,
    "url": f"{_HOST}/deliveries/{_DELIVERY}/",
    "created": "2026-03-12T10:05:54.848113Z",
    "modified": "2026-03-12T10:05:55.062774Z",
    "webhook": _WEBHOOK,
    "event": "prediction.finished",
    "data": {
        "clinic": examples.CLINIC["id"],
        "patient": examples.PATIENT["id"],
        "lesion": examples.LESION["id"],
        "image": examples.IMAGE["id"],
        "prediction": examples.PREDICTION["id"],
    },
    "state": "delivered",
    "tries": 1,
    "due_at": "2026-03-12T10:05:54.848120Z",
    "given_up_at": "2026-03-13T10:05:54.848125Z",
    "finished_at": "2026-03-12T10:05:55.062774Z",
    "attempts": [
        {
            "created": "2026-03-12T10:05:55.063002Z",
            "status_code": 204,
            "duration_ms": 143,
            "error": None,
            "answer": None,
        }
    ],
}
AGAIN: dict[str, Any] = {
    **DELIVERY,
    **_WAITING,
    "modified": "2026-03-12T11:40:09.300118Z",
    "due_at": "2026-03-12T11:40:09.300101Z",
    "given_up_at": "2026-03-13T11:40:09.300107Z",
    "attempts": DELIVERY["attempts"],
}


class WebhookSerializer(RecordSerializer):
    """Another system's address that receives events."""

    url = serializers.HyperlinkedIdentityField(view_name="api:webhook-detail")
    clinic = VisibleField(
        queryset=Clinic.objects.none(),
        visible_to=lambda user: Clinic.objects.with_member(user),
        allow_null=True,
        required=False,
        help_text="Whose events; you are its admin. Without it: those of your own record.",
    )
    target = serializers.CharField(
        max_length=500,
        help_text="The address that is posted to: public, https, port 443 or 8443.",
        error_messages={
            "required": "Give the address that is posted to. `url` is the webhook's own address, "
            "and cannot be set."
        },
    )
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=Event.choices), allow_empty=False, max_length=20
    )
    enabled = serializers.BooleanField(
        source="is_enabled",
        default=True,
        help_text="False: nothing is sent, and what happens meanwhile is not kept.",
    )
    disabled_reason = WordOrNull()
    old_secret_expires_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Until then the secret before signs too."
    )

    fixed = ("clinic",)

    class Meta:
        model = Webhook
        fields = [
            *BASE,
            "clinic",
            *webhook_services.WEBHOOK_FIELDS,
            "enabled",
            "disabled_at",
            "disabled_reason",
            "failures",
            "rotated_at",
            "old_secret_expires_at",
        ]
        read_only_fields = ["created", "modified", "disabled_at", "failures", "rotated_at"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> Webhook:
        enabled = validated_data.pop("is_enabled", True)
        webhook = webhook_services.add_webhook(user=self.user, **validated_data)
        return webhook if enabled else webhook_services.switch_off(user=self.user, webhook=webhook)

    def update(self, instance: Webhook, validated_data: dict[str, Any]) -> Webhook:
        changes = self.changes(instance, validated_data)
        enabled = changes.pop("is_enabled", instance.is_enabled)
        webhook = webhook_services.edit_webhook(user=self.user, webhook=instance, **changes)
        if enabled != webhook.is_enabled:
            switch = webhook_services.switch_on if enabled else webhook_services.switch_off
            webhook = switch(user=self.user, webhook=webhook)
        return webhook


class WebhookSecretSerializer(serializers.ModelSerializer[Webhook]):
    """The signing secret. Store it where only the receiving program can read it."""

    secret = serializers.CharField(read_only=True, help_text="`whsec_` and 32 bytes in base64.")

    class Meta:
        model = Webhook
        fields = ["secret"]


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    """The result of one attempt."""

    error = WordOrNull(help_text="Why it failed; `null` where it did not.")
    answer = WordOrNull(help_text="The first 2000 characters of the answer.")

    class Meta:
        model = DeliveryAttempt
        fields = ["created", "status_code", "duration_ms", "error", "answer"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event on its way to one endpoint. `id` is the `webhook-id` header."""

    url = serializers.HyperlinkedIdentityField(view_name="api:delivery-detail")
    event = ChoiceOrNull(EVERY_EVENT)
    data = serializers.DictField(  # type: ignore[assignment]
        child=serializers.UUIDField(allow_null=True),
        read_only=True,
        help_text=meaning(Delivery, "data"),
    )
    attempts = AttemptSerializer(many=True, read_only=True, help_text="The newest first.")

    class Meta:
        model = Delivery
        fields = [
            *BASE,
            "webhook",
            "event",
            "data",
            "state",
            "tries",
            "due_at",
            "given_up_at",
            "finished_at",
            "attempts",
        ]
        read_only_fields = fields


class WebhookFilter(RecordFilter):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")

    class Meta:
        model = Webhook
        fields: list[str] = []


class DeliveryFilter(RecordFilter):
    webhook = filters.UUIDFilter(help_text="To this webhook.")
    state = filters.ChoiceFilter(choices=DeliveryState.choices)
    event = filters.ChoiceFilter(choices=EVERY_EVENT)

    class Meta:
        model = Delivery
        fields: list[str] = []


_WEBHOOK = (
    "An address that is told by signed POSTs when something happens, after Standard Webhooks. "
    "Managed by a clinic's admins, or by a person for their own record."
)
_DELIVERY = "What was sent to a webhook, or waits to be, with every attempt. Kept for 30 days."


@extend_schema_view(
    **doc.reading("webhook", WEBHOOK, _WEBHOOK),
    create=extend_schema(
        summary="Add a webhook",
        description=f"{_WEBHOOK} Then fetch its secret from `/webhooks/{{id}}/secret/`.",
        examples=[
            doc.sent("webhook", WEBHOOK_IN),
            doc.shown("added", WEBHOOK, 201),
        ],
    ),
    partial_update=extend_schema(
        summary="Change a webhook",
        description="Only the fields that are sent. `enabled` switches it off, and on again after "
        "failures: what was waiting is then sent.",
        examples=[
            doc.sent("switched on", {"enabled": True}),
            doc.shown("webhook", WEBHOOK, 200),
        ],
    ),
    destroy=extend_schema(
        summary="Remove a webhook",
        description="With its log. Nothing more is sent.",
        responses={204: OpenApiResponse(description="It is gone.")},
    ),
)
class WebhookViewSet(RemovableViewSet):
    queryset = Webhook.objects.none()
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    scope_resource = "webhooks"
    recent_log_in = ("create", "partial_update", "rotate")

    def get_queryset(self) -> QuerySet[Webhook]:
        return Webhook.objects.visible_to(self.user)

    def perform_destroy(self, instance: Webhook) -> None:
        webhook_services.remove_webhook(user=self.user, webhook=instance)

    @extend_schema(
        summary="Make a new secret",
        description="It signs from now on; the present one does so too, for 24 hours: each request "
        "then carries two signatures.",
        request=None,
        responses=WebhookSerializer,
        examples=[doc.shown("rotated", ROTATED, 200)],
    )
    @action(methods=["post"], detail=True)
    def rotate(self, request: Request, pk: str) -> Response:
        webhook = webhook_services.rotate_secret(user=self.user, webhook=self.get_object())
        return Response(self.get_serializer(webhook).data)

    @extend_schema(
        summary="Send a test",
        description="A `webhook.test` event, tried once, also while the webhook is off. Look at "
        "`Location` for what became of it.",
        request=None,
        responses={202: OpenApiResponse(DeliverySerializer, description="On its way.")},
        parameters=[doc.header("Location", "The delivery.", 202)],
        examples=[doc.shown("test", TEST, 202)],
    )
    @action(methods=["post"], detail=True)
    def test(self, request: Request, pk: str) -> Response:
        delivery = webhook_services.send_test(user=self.user, webhook=self.get_object())
        shown = DeliverySerializer(delivery, context=self.get_serializer_context()).data
        return accepted(cast("dict[str, Any]", shown))


@extend_schema_view(
    get=extend_schema(
        summary="The signing secret of a webhook",
        description="The one that signs now. Verify with it; `docs/api.md` shows how.",
        responses=WebhookSecretSerializer,
        examples=[doc.shown("secret", SECRET, 200)],
    )
)
class WebhookSecretView(RecordView):
    """A separate scope: permission to list webhooks must not include the ability to forge
    events.
    """

    scope_resource = "webhook_secrets"
    http_method_names = ["get", "head"]

    def get(self, request: Request, pk: UUID) -> Response:
        visible = Webhook.objects.visible_to(self.user)
        body = WebhookSecretSerializer(get_object_or_404(visible, pk=pk)).data
        return Response(body, headers={"Cache-Control": "no-store"})


@extend_schema_view(**doc.reading("delivery", DELIVERY, _DELIVERY))
class DeliveryViewSet(ReadViewSet):
    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    scope_resource = "deliveries"

    def get_queryset(self) -> QuerySet[Delivery]:
        visible = Delivery.objects.visible_to(self.user)
        return visible.select_related("webhook").prefetch_related("attempts")

    @extend_schema(
        summary="Send it again",
        description="The same event with the same `webhook-id`, for another day of attempts. "
        "400 while it is on its way, or while the webhook is off.",
        request=None,
        responses={202: OpenApiResponse(DeliverySerializer, description="On its way.")},
        parameters=[doc.header("Location", "The delivery.", 202)],
        examples=[doc.shown("again", AGAIN, 202)],
    )
    @action(methods=["post"], detail=True)
    def resend(self, request: Request, pk: str) -> Response:
        webhook_services.resend(user=self.user, delivery=self.get_object())
        return accepted(self.get_serializer(self.get_object()).data)
