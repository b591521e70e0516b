"""Webhooks over the API: the endpoints, their secret, and the log of what was sent to them."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Clinic, User
from accounts.permissions import HasScope
from screening.api import documentation as doc
from screening.api import webhook_examples as examples
from screening.api.fields import ChoiceOrNull, VisibleField, WordOrNull
from screening.api.serializers import BASE, RecordSerializer
from screening.api.viewsets import EditableViewSet, ReadViewSet
from screening.models import Delivery, DeliveryAttempt, DeliveryState, Event, Webhook
from screening.models.webhook_delivery import EVERY_EVENT
from screening.webhooks import endpoints


class WebhookSerializer(RecordSerializer):
    """An address of another system that is told of events."""

    url = serializers.HyperlinkedIdentityField(view_name="api:webhook-detail")
    clinic = VisibleField(
        queryset=Clinic.objects.none(),
        visible_to=lambda user: Clinic.objects.with_member(user),
        allow_null=True,
        required=False,
        help_text="Whose events; you are its admin. Without it: those of your own record.",
    )
    target = serializers.CharField(
        max_length=500, help_text="The address that is posted to: public, https, port 443 or 8443."
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
            *endpoints.WEBHOOK_FIELDS,
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
        webhook = endpoints.add_webhook(user=self.user, **validated_data)
        return webhook if enabled else endpoints.switch_off(user=self.user, webhook=webhook)

    def update(self, instance: Webhook, validated_data: dict[str, Any]) -> Webhook:
        changes = self.changes(instance, validated_data)
        enabled = changes.pop("is_enabled", instance.is_enabled)
        webhook = endpoints.edit_webhook(user=self.user, webhook=instance, **changes)
        if enabled != webhook.is_enabled:
            switch = endpoints.switch_on if enabled else endpoints.switch_off
            webhook = switch(user=self.user, webhook=webhook)
        return webhook


class WebhookSecretSerializer(serializers.ModelSerializer[Webhook]):
    """What signs. Keep it where only the receiving program reads it."""

    secret = serializers.CharField(read_only=True, help_text="`whsec_` and 32 bytes in base64.")

    class Meta:
        model = Webhook
        fields = ["secret"]


class AttemptSerializer(serializers.ModelSerializer[DeliveryAttempt]):
    """What became of one try."""

    error = WordOrNull(help_text="Why it failed; `null` where it did not.")
    answer = WordOrNull(help_text="The first 2000 characters of the answer.")

    class Meta:
        model = DeliveryAttempt
        fields = ["created", "status_code", "duration_ms", "error", "answer"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event on its way to one endpoint. `id` is the `webhook-id` that was sent."""

    url = serializers.HyperlinkedIdentityField(view_name="api:delivery-detail")
    event = ChoiceOrNull(EVERY_EVENT)
    data = serializers.DictField(  # type: ignore[assignment]
        child=serializers.UUIDField(allow_null=True), read_only=True, help_text="Identifiers."
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


class WebhookFilter(filters.FilterSet):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")

    class Meta:
        model = Webhook
        fields: list[str] = []


class DeliveryFilter(filters.FilterSet):
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
    **doc.reading("webhook", examples.WEBHOOK, _WEBHOOK),
    create=extend_schema(
        summary="Add a webhook",
        description=f"{_WEBHOOK} Then fetch its secret from `/webhooks/{{id}}/secret/`.",
        examples=[
            doc.sent("webhook", examples.WEBHOOK_IN),
            doc.shown("added", examples.WEBHOOK, 201),
        ],
    ),
    partial_update=extend_schema(
        summary="Change a webhook",
        description="Only the fields that are sent. `enabled` switches it off, and on again after "
        "failures: what was waiting is then sent.",
        examples=[
            doc.sent("switched on", {"enabled": True}),
            doc.shown("webhook", examples.WEBHOOK, 200),
        ],
    ),
    destroy=extend_schema(
        summary="Remove a webhook",
        description="With its log. Nothing more is sent.",
        responses={204: OpenApiResponse(description="It is gone.")},
    ),
)
class WebhookViewSet(mixins.DestroyModelMixin, EditableViewSet):
    queryset = Webhook.objects.none()
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    http_method_names = ["get", "head", "post", "patch", "delete"]
    scope_resource = "webhooks"

    def get_queryset(self) -> QuerySet[Webhook]:
        return Webhook.objects.visible_to(self.user)

    def perform_destroy(self, instance: Webhook) -> None:
        endpoints.remove_webhook(user=self.user, webhook=instance)

    @extend_schema(
        summary="Make a new secret",
        description="It signs from now on; the present one does so too, for 24 hours: each request "
        "then carries two signatures.",
        request=None,
        responses=WebhookSerializer,
        examples=[doc.shown("rotated", examples.ROTATED, 200)],
    )
    @action(methods=["post"], detail=True)
    def rotate(self, request: Request, pk: str) -> Response:
        webhook = endpoints.rotate_secret(user=self.user, webhook=self.get_object())
        return Response(self.get_serializer(webhook).data)

    @extend_schema(
        summary="Send a test",
        description="A `webhook.test` event, tried once, also while the webhook is off. Look at "
        "`Location` for what became of it.",
        request=None,
        responses={202: OpenApiResponse(DeliverySerializer, description="On its way.")},
        parameters=[doc.header("Location", "The delivery.", 202)],
        examples=[doc.shown("test", examples.TEST, 202)],
    )
    @action(methods=["post"], detail=True)
    def test(self, request: Request, pk: str) -> Response:
        delivery = endpoints.send_test(user=self.user, webhook=self.get_object())
        return _on_its_way(delivery, self.get_serializer_context())


@extend_schema_view(
    get=extend_schema(
        summary="The signing secret of a webhook",
        description="The one that signs now. Verify with it; `docs/api.md` shows how.",
        responses=WebhookSecretSerializer,
        examples=[doc.shown("secret", examples.SECRET, 200)],
    )
)
class WebhookSecretView(APIView):
    """A scope of its own: whoever may list webhooks must not thereby be able to forge events."""

    scope_resource = "webhook_secrets"
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = doc.RecordSchema()

    def get(self, request: Request, pk: UUID) -> Response:
        visible = Webhook.objects.visible_to(cast(User, request.user))
        body = WebhookSecretSerializer(get_object_or_404(visible, pk=pk)).data
        return Response(body, headers={"Cache-Control": "no-store"})


@extend_schema_view(**doc.reading("delivery", examples.DELIVERY, _DELIVERY))
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
        examples=[doc.shown("again", examples.AGAIN, 202)],
    )
    @action(methods=["post"], detail=True)
    def resend(self, request: Request, pk: str) -> Response:
        delivery = endpoints.resend(user=self.user, delivery=self.get_object())
        return _on_its_way(self.get_queryset().get(pk=delivery.pk), self.get_serializer_context())


def _on_its_way(delivery: Delivery, context: Any) -> Response:
    body = cast("dict[str, str]", DeliverySerializer(delivery, context=context).data)
    return Response(body, status.HTTP_202_ACCEPTED, headers={"Location": body["url"]})
