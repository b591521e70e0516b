"""The change feed: the events of webhooks, to be polled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets

from accounts.scope_permission import may_read
from screening.api import examples
from screening.api.base import RecordView
from screening.api.fields import meaning
from screening.api.filters import StrictFilterBackend
from screening.api.http.pagination import FeedPages
from screening.models import Announcement, Event

SETTLED_SECONDS = 10
"""Delay before an event is shown. An event whose transaction began earlier but ended later would
otherwise appear behind cursors that were already returned.
"""
RESOURCES = {
    "alert": "alerts",
    "batch": "batches",
    "histology": "histologies",
    "image": "images",
    "lesion": "lesions",
    "patient": "patients",
    "prediction": "predictions",
    "review": "reviews",
}
"""The resource whose scope shows an event, by the event's first word."""
EVENT: dict[str, Any] = {
    "id": "019ab1a7-6e10-7d52-a3c8-2f9b5e0d7c70",
    "type": "lesion.changed",
    "timestamp": "2026-03-24T08:12:03.771204Z",
    "data": {
        "clinic": examples.CLINIC["id"],
        "patient": examples.PATIENT["id"],
        "lesion": examples.LESION["id"],
    },
}


class EventSerializer(serializers.ModelSerializer[Announcement]):
    """Something that happened, as a webhook tells it."""

    type = serializers.ChoiceField(source="event", choices=Event.choices, read_only=True)
    timestamp = serializers.DateTimeField(source="created", read_only=True)
    data = serializers.DictField(  # type: ignore[assignment]
        child=serializers.UUIDField(allow_null=True),
        read_only=True,
        help_text=meaning(Announcement, "data"),
    )

    class Meta:
        model = Announcement
        fields = ["id", "type", "timestamp", "data"]
        read_only_fields = fields


class EventFilter(filters.FilterSet):
    type = filters.ChoiceFilter(field_name="event", choices=Event.choices)

    class Meta:
        model = Announcement
        fields: list[str] = []


@extend_schema_view(
    list=extend_schema(
        summary="List what changed",
        description="The oldest first, of all patients that you may see, for 30 days. Keep "
        "`cursor` and ask with it again: what happened since comes next, nothing twice. An event "
        f"is shown {SETTLED_SECONDS} seconds after it happened. Each type needs the scope to read "
        "its resource; events of others are left out.",
        examples=[OpenApiExample("event", EVENT, response_only=True, status_codes=["200"])],
    )
)
class EventViewSet(RecordView, mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    queryset = Announcement.objects.none()
    serializer_class = EventSerializer
    filterset_class = EventFilter
    filter_backends = [StrictFilterBackend]
    pagination_class = FeedPages
    http_method_names = ["get", "head"]
    scope_resource = "events"

    def get_queryset(self) -> QuerySet[Announcement]:
        readable = [
            event
            for event in Event.values
            if may_read(self.request, RESOURCES[event.partition(".")[0]])
        ]
        settled = timezone.now() - timedelta(seconds=SETTLED_SECONDS)
        visible = Announcement.objects.visible_to(self.user)
        return visible.filter(event__in=readable, created__lt=settled)
