"""Clinics that follow a person's own record: invited, answered, ended."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from screening.api import documentation as doc
from screening.api import examples
from screening.api.base import RecordViewSet
from screening.api.fields import ByScope, StrictSerializer, VisibleField
from screening.api.filters import RecordFilter
from screening.api.records import RecordSerializer
from screening.api.serializers import BASE
from screening.models import Following, FollowingState, Patient
from screening.privacy import following as followings

ABOUT = (
    "A clinic that the person whose skin it is invited to their own record. Once the clinic "
    "accepts, the record is the clinic's too, until the person ends it. An invitation is no "
    "appointment: until it is accepted nobody there looks at the pictures."
)
INVITE: dict[str, Any] = {"patient": examples.PATIENT["id"], "code": "A1B2-C3D4-E5F6"}
ACCEPT = {"label": "N-0412"}
_ID = "019ab1d4-6b20-7c51-9a3e-2f8d7c4b1e60"
WAITING: dict[str, Any] = {
    "id": _ID,
    "url": f"{examples.HOST}/followings/{_ID}/",
    "created": "2026-03-25T18:02:40.330912Z",
    "modified": "2026-03-25T18:02:40.330987Z",
    "patient": examples.PATIENT["id"],
    "clinic": examples.CLINIC["id"],
    "clinic_name": examples.CLINIC["name"],
    "invited_by": "person@example.org",
    "state": "waiting",
    "accepted_at": None,
    "ended_at": None,
}
FOLLOWS: dict[str, Any] = {
    **WAITING,
    "modified": "2026-03-26T08:15:12.904411Z",
    "state": "follows",
    "accepted_at": "2026-03-26T08:15:12.904376Z",
}
DECLINED: dict[str, Any] = {
    **WAITING,
    "modified": "2026-03-26T08:15:12.904411Z",
    "patient": None,
    "invited_by": None,
    "state": "declined",
    "ended_at": "2026-03-26T08:15:12.904376Z",
}
ENDED: dict[str, Any] = {
    **FOLLOWS,
    "modified": "2026-05-02T20:41:07.118203Z",
    "state": "ended",
    "ended_at": "2026-05-02T20:41:07.118160Z",
}


class FollowingSerializer(ByScope, RecordSerializer):
    """A clinic and a person's own record."""

    elsewhere = {"clinic_name": ("clinics",)}

    url = serializers.HyperlinkedIdentityField(view_name="api:following-detail")
    patient = VisibleField(
        queryset=Patient.objects.none(),
        visible_to=lambda user: Patient.objects.visible_to(user),
        allow_null=True,
        help_text="A record of your own. `null`: you may not see it, as a clinic before it accepts "
        "and after the end.",
    )
    code = serializers.CharField(
        write_only=True, max_length=20, help_text="Of the clinic, which tells it to its patients."
    )
    clinic_name = serializers.CharField(
        source="clinic.name", read_only=True, allow_null=True, help_text="Needs `clinics:read`."
    )
    invited_by = serializers.SerializerMethodField(help_text="`null` for a clinic once it is over.")
    state = serializers.ChoiceField(choices=FollowingState.choices, read_only=True)

    class Meta:
        model = Following
        fields = [
            *BASE,
            "patient",
            "code",
            "clinic",
            "clinic_name",
            "invited_by",
            "state",
            "accepted_at",
            "ended_at",
        ]
        read_only_fields = ["created", "modified", "clinic", "accepted_at", "ended_at"]
        validators: list[Any] = []

    def validate_patient(self, patient: Patient | None) -> Patient:
        if patient is None:
            raise serializers.ValidationError("Which record?")
        return patient

    def get_invited_by(self, following: Following) -> str | None:
        is_theirs = following.invited_by_id == self.user.pk
        row: Any = following
        stands = row.state in (FollowingState.WAITING, FollowingState.FOLLOWS)
        return str(following.invited_by) if stands or is_theirs else None

    def create(self, validated_data: dict[str, Any]) -> Following:
        return followings.invite(user=self.user, **validated_data)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        shown = super().to_representation(instance)
        if not instance.shows_patient:
            shown["patient"] = None
        return shown


class AcceptSerializer(StrictSerializer):
    """How the clinic calls the patient."""

    label = serializers.CharField(  # type: ignore[assignment]
        required=False,
        max_length=80,
        help_text="A pseudonym or number, not a name. Without it, as the person calls the record. "
        "It goes when the following ends.",
    )


class FollowingFilter(RecordFilter):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")
    state = filters.ChoiceFilter(choices=FollowingState.choices)

    class Meta:
        model = Following
        fields: list[str] = []


@extend_schema_view(
    **doc.reading("following", FOLLOWS, ABOUT),
    create=extend_schema(
        summary="Invite a clinic",
        description=f"{ABOUT} Only to one's own record, which no other clinic follows: 403 for "
        "anyone else, 400 if one follows it or was invited. A doctor's visit that is entered while "
        "a clinic follows settles nothing: the clinic decides.",
        examples=[doc.sent("invitation", INVITE), doc.shown("invited", WAITING, 201)],
    ),
)
class FollowingViewSet(RecordViewSet):
    queryset = Following.objects.none()
    serializer_class = FollowingSerializer
    filterset_class = FollowingFilter
    scope_resource = "followings"
    recent_log_in = ("create",)

    def get_queryset(self) -> QuerySet[Following]:
        patients = Patient.objects.visible_to(self.user).filter(pk=OuterRef("patient"))
        visible = Following.objects.visible_to(self.user).with_state()
        shown = visible.annotate(shows_patient=Exists(patients))
        return shown.select_related("clinic", "invited_by")

    @extend_schema(
        summary="Accept an invitation",
        description="For clinicians and admins of the clinic. The record is the clinic's too from "
        "now on: warnings that stand in it are in its worklist. What the person's own visits "
        "settled or closed is open again. An invitation that is over: 400.",
        request=AcceptSerializer,
        responses={200: FollowingSerializer},
        examples=[doc.sent("label", ACCEPT), doc.shown("accepted", FOLLOWS, 200)],
    )
    @action(methods=["post"], detail=True)
    def accept(self, request: Request, pk: UUID) -> Response:
        following = self.get_object()
        asked = AcceptSerializer(data=request.data, context={"request": request})
        asked.is_valid(raise_exception=True)
        followings.accept(user=self.user, following=following, **asked.validated_data)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="Decline an invitation",
        description="For clinicians and admins of the clinic, which has seen nothing of the "
        "record, and no longer sees who invited it.",
        request=None,
        responses={200: FollowingSerializer},
        examples=[doc.shown("declined", DECLINED, 200)],
    )
    @action(methods=["post"], detail=True)
    def decline(self, request: Request, pk: UUID) -> Response:
        followings.decline(user=self.user, following=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        summary="End a following",
        description="For the person whose record it is, also to withdraw an invitation. From now "
        "on the clinic's members, programs and links see nothing of the record. What they "
        "concluded stays in it. Ending it again changes nothing.",
        request=None,
        responses={200: FollowingSerializer},
        examples=[doc.shown("ended", ENDED, 200)],
    )
    @action(methods=["post"], detail=True)
    def end(self, request: Request, pk: UUID) -> Response:
        followings.end(user=self.user, following=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)
