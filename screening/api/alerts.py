"""Alerts: change rules triggered by two images. Closed with a reason, never deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from screening.api import examples
from screening.api.documentation import reading, sent, shown
from screening.api.fields import StrictSerializer, WordOrNull
from screening.api.filters import RecordFilter, YesOrNo
from screening.api.viewsets import ReadViewSet
from screening.comparisons import marks
from screening.comparisons.presenters import what_changed
from screening.models import Alert, Rule
from screening.predictions.outcomes import open_alerts, with_closing_acts
from screening.records import queries as record_queries

ABOUT = (
    "A change rule that fired between two images of a lesion, with the values of both. It is no "
    "diagnosis: have a doctor look at the lesion. It stays in the history when it is closed: "
    "by hand, or by a conclusion, histology or doctor's visit on the later picture or after it."
)
_ID = "019ab0d3-a4e2-7c38-b5f9-6d2e8a0c4f96"
ALERT: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/alerts/{_ID}/",
    "created": "2026-03-12T09:31:09.702218Z",
    "lesion": examples.LESION["id"],
    "patient": examples.PATIENT["id"],
    "rule": "growth",
    "text": "Grew fast: it takes up 9 % of the earlier picture's frame, before 5 %",
    "earlier": "019a21b4-7c3d-7e80-9b16-4f5d2a8c6e07",
    "earlier_captured_on": "2025-09-12",
    "before": {"area_share": 0.05},
    "later": examples.IMAGE["id"],
    "later_captured_on": "2026-03-12",
    "after": {"area_share": 0.09},
    "closed_at": None,
    "closed_by": None,
    "close_reason": None,
    "replaced_at": None,
}
CLOSED = ALERT | {
    "closed_at": "2026-03-20T14:05:51.003310Z",
    "closed_by": "clinician@north.example.org",
    "close_reason": "Seen with the dermatoscope: no suspicion.",
}
CLOSE = {"reason": CLOSED["close_reason"]}


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """A change rule triggered by two images of a lesion."""

    url = serializers.HyperlinkedIdentityField(view_name="api:alert-detail")
    patient = serializers.UUIDField(source="lesion.patient_id", read_only=True)
    text = serializers.SerializerMethodField(help_text="The rule and both values, in words.")
    earlier_captured_on = serializers.DateField(source="earlier.captured_on", read_only=True)
    later_captured_on = serializers.DateField(source="later.captured_on", read_only=True)
    before = serializers.DictField(read_only=True, help_text="Values of the earlier image.")
    after = serializers.DictField(read_only=True, help_text="Values of the later image.")
    closed_by = serializers.CharField(read_only=True, allow_null=True)
    close_reason = WordOrNull()

    class Meta:
        model = Alert
        fields = [
            "id",
            "url",
            "created",
            "lesion",
            "patient",
            "rule",
            "text",
            "earlier",
            "earlier_captured_on",
            "before",
            "later",
            "later_captured_on",
            "after",
            "closed_at",
            "closed_by",
            "close_reason",
            "replaced_at",
        ]
        read_only_fields = fields

    def get_text(self, alert: Alert) -> str:
        return f"{alert.get_rule_display()}: {what_changed(alert)}"


class CloseSerializer(StrictSerializer):
    """Why an alert is closed."""

    reason = serializers.CharField(max_length=400)


class AlertFilter(RecordFilter):
    lesion = filters.UUIDFilter(help_text="Of this lesion.")
    patient = filters.UUIDFilter(field_name="lesion__patient", help_text="Of this patient.")
    rule = filters.ChoiceFilter(choices=Rule.choices)
    is_open = YesOrNo(
        method="by_openness", help_text="`true`: neither closed nor replaced, of an open lesion."
    )

    class Meta:
        model = Alert
        fields: list[str] = []

    def by_openness(self, queryset: QuerySet[Alert], name: str, value: bool) -> QuerySet[Alert]:
        is_open = open_alerts(Alert.objects.all(), self.request.user).values("pk")
        return queryset.filter(pk__in=is_open) if value else queryset.exclude(pk__in=is_open)


@extend_schema_view(**reading("alert", ALERT, ABOUT))
class AlertViewSet(ReadViewSet):
    scope_resource = "alerts"
    queryset = Alert.objects.none()
    serializer_class = AlertSerializer
    filterset_class = AlertFilter

    def get_queryset(self) -> QuerySet[Alert]:
        visible = with_closing_acts(Alert.objects.visible_to(self.user), self.user)
        return visible.select_related("lesion__patient", "earlier", "later", "closed_by")

    def get_object(self) -> Alert:
        [alert] = record_queries.tell_closing([super().get_object()])
        return alert

    def paginate_queryset(self, queryset: Any) -> Any:
        page = super().paginate_queryset(queryset)
        return None if page is None else record_queries.tell_closing(page)

    @extend_schema(
        summary="Close an alert",
        description="With the reason, for the history. An alert that is closed already: 400.",
        request=CloseSerializer,
        responses={200: AlertSerializer},
        examples=[sent("reason", CLOSE), shown("closed", CLOSED, 200)],
    )
    @action(detail=True, methods=["post"])
    def close(self, request: Request, pk: str) -> Response:
        alert = self.get_object()
        body = CloseSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        closed = marks.close_alert(user=self.user, alert=alert, **body.validated_data)
        return Response(self.get_serializer(closed).data)
