"""DICOM nodes over the API: a clinic's archives, and pictures on their way there."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import scopes
from accounts.models import Clinic
from accounts.scope_permission import require_scope
from screening.api import documentation as doc
from screening.api import examples
from screening.api.base import ReadViewSet, RecordView, RemovableViewSet, accepted
from screening.api.fields import StrictSerializer, VisibleField, WordOrNull
from screening.api.filters import RecordFilter
from screening.api.serializers import BASE, RecordSerializer
from screening.interop.dicomweb import nodes, sending
from screening.models import Authorization, DeliveryState, DicomDelivery, DicomNode, Lesion

_HOST = "https://skincheck.example.org/api/v1"
_NODE = "019ab0f0-3a51-7d0c-8e42-6f1b9c2d7a80"
_DELIVERY = "019ab0f3-9c64-7b1f-a3d8-4e7c5b2a1f90"

NODE_IN: dict[str, Any] = {
    "clinic": examples.CLINIC["id"],
    "name": "Hospital archive",
    "address": "https://archive.example.org/dicom-web",
    "authorization": "basic",
    "credentials": "skincheck:its-password",
    "for_research": False,
}
NODE: dict[str, Any] = {
    "id": _NODE,
    "url": f"{_HOST}/dicom-nodes/{_NODE}/",
    "created": "2026-03-12T10:02:11.540221Z",
    "modified": "2026-03-12T10:02:11.540312Z",
    **{name: value for name, value in NODE_IN.items() if name != "credentials"},
    "failures": 0,
}
TESTED = {
    "answers": True,
    "message": "It answers a search for studies, as DICOMweb does (QIDO-RS).",
}
SEND_IN: dict[str, Any] = {"node": _NODE, "with_readings": True}
WAITING: dict[str, Any] = {
    "id": _DELIVERY,
    "url": f"{_HOST}/dicom-deliveries/{_DELIVERY}/",
    "created": "2026-03-12T10:05:54.848113Z",
    "modified": "2026-03-12T10:05:54.848190Z",
    "node": _NODE,
    "image": examples.IMAGE["id"],
    "with_readings": True,
    "state": "waiting",
    "tries": 0,
    "due_at": "2026-03-12T10:05:54.848120Z",
    "given_up_at": "2026-03-13T10:05:54.848125Z",
    "finished_at": None,
    "study_uid": None,
    "series_uid": None,
    "instance_uid": None,
    "status_code": None,
    "message": None,
}
FAILED: dict[str, Any] = {
    **WAITING,
    "modified": "2026-03-12T10:05:56.062774Z",
    "state": "failed",
    "tries": 1,
    "finished_at": "2026-03-12T10:05:56.062774Z",
    "study_uid": "2.25.2136042071361530735519042417219066402.20260312",
    "series_uid": "2.25.2136042074676283017318422051219934001.20260312.1",
    "instance_uid": "2.25.2136042087894036871404532361219780930",
    "status_code": 409,
    "message": "Not stored: it does not store this kind of instance (0122).",
}


class DicomNodeSerializer(RecordSerializer):
    """A clinic's archive, or another DICOMweb server that stores instances."""

    url = serializers.HyperlinkedIdentityField(view_name="api:dicom-node-detail")
    clinic = VisibleField(
        queryset=Clinic.objects.none(), visible_to=lambda user: Clinic.objects.with_member(user)
    )
    address = serializers.CharField(
        max_length=500,
        help_text="Of its DICOMweb service, what comes before `/studies`: public, https, port 443 "
        "or 8443.",
    )
    authorization = serializers.ChoiceField(choices=Authorization.choices, required=False)
    credentials = serializers.CharField(
        write_only=True,
        required=False,
        max_length=nodes.LONGEST_CREDENTIALS,
        help_text="`name:password`, or the token. Stored encrypted, never shown. To be sent again "
        "with another address.",
    )
    failures = serializers.IntegerField(
        read_only=True, help_text="Attempts that got no answer since the last that did."
    )

    fixed = ("clinic",)

    class Meta:
        model = DicomNode
        fields = [*BASE, "clinic", *nodes.FIELDS, "credentials", "failures"]
        read_only_fields = ["created", "modified"]
        validators: list[Any] = []

    def create(self, validated_data: dict[str, Any]) -> DicomNode:
        return nodes.add_node(user=self.user, **validated_data)

    def update(self, instance: DicomNode, validated_data: dict[str, Any]) -> DicomNode:
        changes = self.changes(instance, validated_data)
        return nodes.edit_node(user=self.user, node=instance, **changes)


class TestedSerializer(StrictSerializer):
    """What a DICOM node answered."""

    answers = serializers.BooleanField(read_only=True, help_text="As DICOMweb does.")
    message = serializers.CharField(read_only=True, help_text="What came back, in words.")


class DicomDeliverySerializer(serializers.ModelSerializer[DicomDelivery]):
    """One picture on its way to one DICOM node."""

    url = serializers.HyperlinkedIdentityField(view_name="api:dicom-delivery-detail")
    study_uid = WordOrNull(help_text="The UIDs that it was sent with.")
    series_uid = WordOrNull()
    instance_uid = WordOrNull()
    message = WordOrNull(help_text="What came back, in words; `null` if there is nothing to say.")

    class Meta:
        model = DicomDelivery
        fields = [
            *BASE,
            "node",
            "image",
            "with_readings",
            "state",
            "tries",
            "due_at",
            "given_up_at",
            "finished_at",
            "study_uid",
            "series_uid",
            "instance_uid",
            "status_code",
            "message",
        ]
        read_only_fields = fields


class SendSerializer(StrictSerializer):
    """Where a lesion's pictures are to go."""

    node = VisibleField(
        queryset=DicomNode.objects.none(),
        visible_to=lambda user: DicomNode.objects.visible_to(user),
        help_text="A DICOM node of the clinic that keeps the record.",
    )
    with_readings = serializers.BooleanField(
        default=False, help_text="With the reading of each, as structured report and segmentation."
    )


class SentSerializer(StrictSerializer):
    """The pictures that are on their way now."""

    deliveries = DicomDeliverySerializer(many=True, read_only=True)


class DicomNodeFilter(RecordFilter):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")

    class Meta:
        model = DicomNode
        fields: list[str] = []


class DicomDeliveryFilter(RecordFilter):
    node = filters.UUIDFilter(help_text="To this DICOM node.")
    image = filters.UUIDFilter(help_text="Of this picture.")
    lesion = filters.UUIDFilter(field_name="image__lesion", help_text="Of this lesion.")
    state = filters.ChoiceFilter(choices=DeliveryState.choices)

    class Meta:
        model = DicomDelivery
        fields: list[str] = []


_ABOUT = (
    "An archive (PACS) that takes instances by STOW-RS. Its clinic's admins manage it; members who "
    "may change a record can send its pictures there."
)
_SENT = "A picture that was sent to a DICOM node, or waits to be. Kept with the picture."


@extend_schema_view(
    **doc.reading("DICOM node", NODE, _ABOUT),
    create=extend_schema(
        summary="Add a DICOM node",
        description=f"{_ABOUT} Then ask `/dicom-nodes/{{id}}/test/` whether it answers.",
        examples=[doc.sent("DICOM node", NODE_IN), doc.shown("added", NODE, 201)],
    ),
    partial_update=extend_schema(
        summary="Change a DICOM node",
        description="Only the fields that are sent.",
        examples=[
            doc.sent("renamed", {"name": "Hospital archive"}),
            doc.shown("DICOM node", NODE, 200),
        ],
    ),
    destroy=extend_schema(
        summary="Remove a DICOM node",
        description="Nothing more is sent there. What was sent stays told.",
        responses={204: OpenApiResponse(description="It is gone.")},
    ),
)
class DicomNodeViewSet(RemovableViewSet):
    queryset = DicomNode.objects.none()
    serializer_class = DicomNodeSerializer
    filterset_class = DicomNodeFilter
    scope_resource = "dicom_nodes"
    recent_log_in = ("create", "partial_update")

    def get_queryset(self) -> QuerySet[DicomNode]:
        return DicomNode.objects.visible_to(self.user)

    def perform_destroy(self, instance: DicomNode) -> None:
        nodes.remove_node(user=self.user, node=instance)

    @extend_schema(
        summary="Test a DICOM node",
        description="Searches it for one study (QIDO-RS), and says in words what came back. "
        "Nothing is stored.",
        request=None,
        responses=TestedSerializer,
        examples=[doc.shown("tested", TESTED, 200)],
    )
    @action(methods=["post"], detail=True)
    def test(self, request: Request, pk: str) -> Response:
        tested = nodes.test_node(user=self.user, node=self.get_object())
        return Response(TestedSerializer(tested).data)


@extend_schema_view(**doc.reading("DICOM delivery", FAILED, _SENT))
class DicomDeliveryViewSet(ReadViewSet):
    queryset = DicomDelivery.objects.none()
    serializer_class = DicomDeliverySerializer
    filterset_class = DicomDeliveryFilter
    scope_resource = "dicom_deliveries"

    def get_queryset(self) -> QuerySet[DicomDelivery]:
        visible = DicomDelivery.objects.visible_to(self.user)
        return visible.select_related("node", "image__lesion__patient")

    @extend_schema(
        summary="Send a failed picture again",
        description="For another day of attempts. 400 for what did not fail. Needs the scopes "
        "that sending needs.",
        request=None,
        responses={202: OpenApiResponse(DicomDeliverySerializer, description="On its way.")},
        parameters=[doc.header("Location", "The delivery.", 202)],
        examples=[doc.shown("again", WAITING, 202)],
    )
    @action(methods=["post"], detail=True)
    def resend(self, request: Request, pk: str) -> Response:
        delivery = self.get_object()
        _require_scopes(request, delivery.with_readings)
        delivery = sending.send_again(user=self.user, delivery=delivery)
        return accepted(self.get_serializer(delivery).data)


@extend_schema_view(
    post=extend_schema(
        summary="Send a lesion's pictures to a DICOM node",
        description="Each that is not on its way there already, under a pseudonym. Without the "
        "withdrawn ones; to a node for research only if the patient consented to research. Look "
        "at the deliveries for what became of them. Needs the right to change the record, and the "
        "scope `images:read`; with readings `predictions:read`, too.",
        request=SendSerializer,
        responses={202: OpenApiResponse(SentSerializer, description="On their way.")},
        examples=[doc.sent("send", SEND_IN), doc.shown("sent", {"deliveries": [WAITING]}, 202)],
    )
)
class SendLesionView(RecordView):
    scope_resource = "dicom_deliveries"
    http_method_names = ["post"]

    def post(self, request: Request, pk: UUID) -> Response:
        visible = Lesion.objects.visible_to(self.user).select_related("patient")
        lesion = get_object_or_404(visible, pk=pk)
        context = {"request": request}
        asked = SendSerializer(data=request.data, context=context)
        asked.is_valid(raise_exception=True)
        _require_scopes(request, asked.validated_data["with_readings"])
        made = sending.send(user=self.user, lesion=lesion, **asked.validated_data)
        body = SentSerializer({"deliveries": made}, context=context).data
        return Response(body, status.HTTP_202_ACCEPTED)


def _require_scopes(request: Request, with_readings: bool) -> None:
    """Require the scopes to read what is sent: the sender could read it at the node."""
    for resource in ("images", "predictions") if with_readings else ("images",):
        require_scope(request, scopes.required(resource, "GET"))
