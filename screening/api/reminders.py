"""Reminders: set, snooze, stop; and the private calendar link."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api import documentation as doc
from screening.api import examples
from screening.api.base import RecordView
from screening.api.fields import ByScope, StrictSerializer, VisibleField
from screening.api.filters import RecordFilter
from screening.api.serializers import BASE, RecordSerializer
from screening.api.viewsets import RecordViewSet
from screening.models import CalendarFeed, Lesion, Reminder, Standing
from screening.predictions.outcomes import open_alerts
from screening.records import queries as record_queries
from screening.reminders import services as reminder_services
from screening.reminders import suggestions

_HOST = "https://skincheck.example.org"
_ID = "019ab0e4-5b12-7d3a-8f47-2c9e6a0d1b75"

REMINDER_IN: dict[str, Any] = {"lesion": examples.LESION["id"], "interval_months": 3}
REMINDER: dict[str, Any] = {
    "id": _ID,
    "url": f"{_HOST}/api/v1/reminders/{_ID}/",
    "created": "2026-03-12T11:05:40.118203Z",
    "modified": "2026-03-12T11:05:40.118260Z",
    **REMINDER_IN,
    "patient": examples.PATIENT["id"],
    "due_on": "2026-06-12",
    "snoozed_until": None,
    "rings_on": "2026-06-12",
    "standing": "coming",
    "stopped_at": None,
    "set_by": "clinician@north.example.org",
}
SNOOZED: dict[str, Any] = {
    **REMINDER,
    "modified": "2026-06-13T08:10:02.700151Z",
    "snoozed_until": "2026-06-20",
    "rings_on": "2026-06-20",
}
STOPPED: dict[str, Any] = {
    **REMINDER,
    "modified": "2026-06-13T08:12:45.002718Z",
    "standing": "stopped",
    "stopped_at": "2026-06-13T08:12:45.002718Z",
}
LESION_REMINDER: dict[str, Any] = {
    "reminder": REMINDER,
    "suggestion": {
        "interval_months": 6,
        "reason": "The clinician concluded that it is a mole, to be monitored.",
    },
}
CALENDAR: dict[str, Any] = {"made_at": "2026-03-12T11:07:21.450912Z", "address": None}
NEW_CALENDAR: dict[str, Any] = {
    **CALENDAR,
    "address": f"{_HOST}/calendar/d3vQ0n6yT4zq1xkR8mWcJ2LhBf7sUaPe9gYtKoV5iNE.ics",
}


class ReminderSerializer(RecordSerializer):
    """When the next picture of a lesion is due. A lesion has at most one."""

    url = serializers.HyperlinkedIdentityField(view_name="api:reminder-detail")
    lesion = VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
    )
    patient = serializers.UUIDField(source="lesion.patient_id", read_only=True)
    due_on = serializers.DateField(
        read_only=True, help_text="So many months after the last image, by day of capture."
    )
    rings_on = serializers.DateField(
        read_only=True, help_text="The day that counts: `due_on`, or until when it was put off."
    )
    standing = serializers.ChoiceField(
        Standing.choices, read_only=True, help_text="`overdue`: due for more than two weeks."
    )
    set_by = serializers.CharField(read_only=True, help_text="Who set it last.")

    class Meta:
        model = Reminder
        fields = [
            *BASE,
            "lesion",
            "patient",
            "interval_months",
            "due_on",
            "snoozed_until",
            "rings_on",
            "standing",
            "stopped_at",
            "set_by",
        ]
        read_only_fields = ["created", "modified", "snoozed_until", "stopped_at"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> Reminder:
        return reminder_services.set_reminder(user=self.user, **validated_data)


class SnoozeSerializer(StrictSerializer):
    """How long to snooze: a span, or until a day."""

    span = serializers.ChoiceField(
        reminder_services.Span.choices,
        required=False,
        help_text="From today or, where it is not due yet, from its day.",
    )
    until = serializers.DateField(required=False, help_text="Later than today and `due_on`.")


class SuggestionSerializer(serializers.Serializer[Any]):
    """The suggested interval, by the newest review or reading."""

    interval_months = serializers.IntegerField(allow_null=True, help_text="`null`: no reminder.")
    reason = serializers.CharField()


class LesionReminderSerializer(ByScope):
    """The lesion's reminder, and a suggestion."""

    elsewhere = {"suggestion": ("predictions", "reviews", "histologies", "alerts")}

    reminder = ReminderSerializer(allow_null=True, help_text="`null` until one was ever set.")
    suggestion = SuggestionSerializer(
        allow_null=True,
        help_text="Rests on what was found: needs `predictions:read`, `reviews:read`, "
        "`histologies:read` and `alerts:read`.",
    )


class CalendarSerializer(serializers.Serializer[Any]):
    """Your private calendar link. Its address is only in the response that creates it."""

    made_at = serializers.DateTimeField(allow_null=True, help_text="`null`: no link is out.")
    address = serializers.URLField(
        allow_null=True, help_text="Of an iCalendar file. `null` but when it was made just now."
    )


class ReminderFilter(RecordFilter):
    lesion = filters.UUIDFilter(help_text="Of this lesion.")
    patient = filters.UUIDFilter(field_name="lesion__patient", help_text="Of this patient.")
    clinic = filters.UUIDFilter(
        field_name="lesion__patient__clinic", help_text="Of this clinic's patients."
    )
    standing = filters.ChoiceFilter(choices=Standing.choices, method="where")

    class Meta:
        model = Reminder
        fields: list[str] = []

    def where(self, queryset: Any, name: str, value: str) -> Any:
        return queryset.standing(value, timezone.localdate())


_ABOUT = (
    "When the next picture of a lesion is wanted: so many months after the last one, by day of "
    "capture. A new picture moves it on by itself."
)


def _shown(example: Any, *codes: str) -> OpenApiExample:
    return OpenApiExample("shown", example, response_only=True, status_codes=[*codes])


@extend_schema_view(
    list=extend_schema(
        summary="List reminders",
        description=f"{_ABOUT} The newest first, of all lesions that you may see.",
        examples=[_shown(REMINDER, "200")],
    ),
    retrieve=extend_schema(
        summary="Look at one reminder",
        description=_ABOUT,
        examples=[_shown(REMINDER, "200")],
    ),
    create=extend_schema(
        summary="Set a lesion's reminder",
        description=f"{_ABOUT} The one that the lesion has is set anew, also if it was stopped.",
        examples=[
            OpenApiExample("set", REMINDER_IN, request_only=True),
            _shown(REMINDER, "201"),
        ],
    ),
)
class ReminderViewSet(RecordViewSet):
    queryset = Reminder.objects.none()
    serializer_class = ReminderSerializer
    filterset_class = ReminderFilter
    scope_resource = "reminders"

    def get_queryset(self) -> QuerySet[Reminder]:
        return Reminder.objects.visible_to(self.user).select_related("lesion__patient", "set_by")

    @extend_schema(
        summary="Put a reminder off",
        description="Once: the interval stays. 400 for one that was stopped.",
        request=SnoozeSerializer,
        responses=ReminderSerializer,
        examples=[
            OpenApiExample("week", {"span": "week"}, request_only=True),
            _shown(SNOOZED, "200"),
        ],
    )
    @action(methods=["post"], detail=True)
    def snooze(self, request: Request, pk: str) -> Response:
        wanted = SnoozeSerializer(data=request.data, context=self.get_serializer_context())
        wanted.is_valid(raise_exception=True)
        reminder = self.get_object()
        reminder_services.snooze_reminder(
            user=self.user, reminder=reminder, **wanted.validated_data
        )
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Stop a reminder",
        description="It stays in the record, and can be set again. Stopping twice changes nothing.",
        request=None,
        responses=ReminderSerializer,
        examples=[_shown(STOPPED, "200")],
    )
    @action(methods=["post"], detail=True)
    def stop(self, request: Request, pk: str) -> Response:
        reminder_services.stop_reminder(user=self.user, reminder=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)


@extend_schema_view(
    get=extend_schema(
        summary="A lesion's reminder, and what interval fits",
        description="The suggestion follows the newest conclusion or, without one, the newest "
        "reading; its reason is to be shown with it.",
        responses=LesionReminderSerializer,
        examples=[_shown(LESION_REMINDER, "200")],
    )
)
class LesionReminderView(APIView):
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = doc.RecordSchema()
    scope_resource = "reminders"

    def get(self, request: Request, pk: UUID) -> Response:
        user = cast(User, request.user)
        visible = Lesion.objects.visible_to(user).select_related("patient")
        lesion = get_object_or_404(visible, pk=pk)
        reminders = Reminder.objects.select_related("lesion__patient", "set_by")
        images, histologies = (
            record_queries.timeline(lesion, user),
            record_queries.histologies_of(lesion, user),
        )
        body = {
            "reminder": reminders.filter(lesion=lesion).first(),
            "suggestion": suggestions.suggest(
                images,
                record_queries.standing_of(lesion, images, histologies),
                has_open_alert=open_alerts(lesion.alerts.disclosed_to(user), user).exists(),
                histology=next(iter(histologies), None),
            ),
        }
        return Response(LesionReminderSerializer(body, context={"request": request}).data)


@extend_schema_view(
    get=extend_schema(
        summary="Your calendar link",
        description="Whether one is out. What it shows: your own reminders, a whole day each.",
        responses=CalendarSerializer,
        examples=[_shown(CALENDAR, "200")],
    ),
    post=extend_schema(
        summary="Make a calendar link, or a new one",
        description="An earlier link opens nothing any more. 403 for a key that is bound to a "
        "clinic, and for a system: a calendar is a person's.",
        request=None,
        responses={201: CalendarSerializer},
        examples=[_shown(NEW_CALENDAR, "201")],
    ),
    delete=extend_schema(
        summary="Revoke your calendar link",
        description="It opens nothing any more. Without a link nothing changes.",
        responses={204: OpenApiResponse(description="No link is out.")},
    ),
)
class CalendarView(RecordView):
    http_method_names = ["get", "head", "post", "delete"]
    scope_resource = "reminders"
    recent_log_in = ("post",)

    def get(self, request: Request) -> Response:
        return self._answer(request, None)

    def post(self, request: Request) -> Response:
        secret = reminder_services.make_calendar_link(user=cast(User, request.user))
        # The page's own view, not the API's: a calendar program has no key.
        address = reverse("calendar", args=[secret], request=request)
        return self._answer(request, address, status.HTTP_201_CREATED)

    def delete(self, request: Request) -> Response:
        reminder_services.revoke_calendar_link(user=cast(User, request.user))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _answer(self, request: Request, address: str | None, code: int = 200) -> Response:
        feed = CalendarFeed.objects.filter(user=cast(User, request.user)).first()
        body = {"made_at": feed.modified if feed else None, "address": address}
        return Response(CalendarSerializer(body).data, code, headers={"Cache-Control": "no-store"})
