"""Corrections: withdraw, restore, move, merge; and their history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.shortcuts import get_object_or_404
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import scopes
from accounts.scope_permission import may_read, require_scope
from screening.api import examples
from screening.api.base import ReadViewSet, RecordView
from screening.api.correction_serializers import (
    CorrectionSerializer,
    MergeLesionSerializer,
    MergePatientSerializer,
    MoveImageSerializer,
    MoveLesionSerializer,
    ReasonSerializer,
    RestoreMergedSerializer,
    RestorePatientSerializer,
    UndoSerializer,
    WithdrawSerializer,
    act,
    acts,
    undone,
)
from screening.api.filters import StrictFilterBackend
from screening.api.histologies import HISTOLOGY, HistologySerializer, HistologyViewSet
from screening.api.http.conditions import etag_of, require_match
from screening.api.serializers import ImageSerializer, LesionSerializer, PatientSerializer
from screening.api.viewsets import ImageViewSet, LesionViewSet, PatientViewSet
from screening.api.visits import VISIT, VisitSerializer, VisitViewSet
from screening.corrections import merges, moves, queries, services
from screening.corrections import undo as correction_undo
from screening.corrections.journal import held
from screening.models import Correction, DoctorVisit, Histology, Lesion, LesionImage, Patient
from screening.models.correction import OF


class CorrectionsViewSet(RecordView, viewsets.GenericViewSet[Any]):
    """The part common to all kinds of records. shows: the view set that shows the record."""

    http_method_names = ["get", "head", "post"]
    lookup_value_converter = "uuid"
    filter_backends = [StrictFilterBackend]
    compares = True
    shows: type[ReadViewSet]
    history: Callable[..., Any]

    def get_queryset(self) -> Any:
        """The records that the user sees, and withdrawn ones that the user may restore."""
        model = self.queryset.model  # type: ignore[union-attr, arg-type]
        seen = model.objects.visible_to(self.user).values("pk")
        kept = self._kept(model)
        return model.everything.filter(Q(pk__in=seen) | Q(pk__in=kept.values("pk")))

    def done(self, request: Request, write: Callable[..., Any], parse: Any) -> Response:
        """Parse, check If-Match, write, and respond with the record in its new state."""
        record = self.get_object()
        body = parse(data=request.data, context=self.get_serializer_context())
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            if "If-Match" in request.headers:
                held(record, user=self.user, withdrawn=True)  # nobody changes it meanwhile
                require_match(request, etag_of(self._shown(record.pk)))
            found = write(user=self.user, record=record, **body.validated_data)
            if isinstance(found, Correction):
                return Response(CorrectionSerializer(found).data)
            data = self._shown(found.pk)
        return Response(data, headers={"ETag": etag_of(data)})

    def withdrawn(self, request: Request) -> Response:
        def write(**fields: Any) -> Correction:
            record = services.withdraw(**fields)
            found: Correction = type(self).history(record, self.user)[0]
            return found

        return self.done(request, write, WithdrawSerializer)

    def listed(self) -> Response:
        """The record's corrections, as far as the caller may read records of their kind."""
        readable = [resource for resource in OF if may_read(self.request, resource)]
        history = type(self).history(self.get_object(), self.user).of(readable)
        found = self.paginate_queryset(self.filter_queryset(history))
        return self.get_paginated_response(CorrectionSerializer(found, many=True).data)

    def get_object(self) -> Any:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def _kept(self, model: Any) -> Any:
        if model is Patient:
            return Patient.everything.writable_by(self.user)
        return model.everything.kept_for(self.user)

    def _shown(self, pk: UUID) -> Any:
        view: Any = self.shows(
            request=self.request, format_kwarg=None, action="retrieve", kwargs={}
        )
        rows = view.get_queryset().filter(pk=pk)
        return view.get_serializer(get_object_or_404(rows)).data


_OF_IMAGE = acts("an image", ImageSerializer, examples.IMAGE)
_OF_LESION = acts("a lesion", LesionSerializer, examples.LESION, RestoreMergedSerializer)
_OF_VISIT = acts("a visit", VisitSerializer, VISIT)
_OF_HISTOLOGY = acts("a histology", HistologySerializer, HISTOLOGY)
_OF_PATIENT = acts("a patient", PatientSerializer, examples.PATIENT, RestorePatientSerializer)


class ImageCorrections(CorrectionsViewSet):
    scope_resource = "images"
    queryset = LesionImage.objects.none()
    serializer_class = ImageSerializer
    shows = ImageViewSet
    history = staticmethod(queries.of_image)

    @_OF_IMAGE[0]
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: UUID) -> Response:
        return self.withdrawn(request)

    @_OF_IMAGE[1]
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        return self.done(request, services.restore, ReasonSerializer)

    @act(
        "Move an image to another lesion",
        "With its readings and reviews. What was concluded of that lesion before did not take it "
        "into account. It is read again where the model would be told something else of the "
        "patient. One that was read or reviewed needs `acknowledged`.",
        MoveImageSerializer,
        {"lesion": examples.LESION["id"], "acknowledged": True, "reason": "Another spot."},
        ImageSerializer,
        examples.IMAGE,
    )
    @action(detail=True, methods=["post"])
    def move(self, request: Request, pk: UUID) -> Response:
        def write(record: LesionImage, **fields: Any) -> LesionImage:
            return moves.move_image(image=record, **fields)

        return self.done(request, write, MoveImageSerializer)

    @_OF_IMAGE[2]
    @action(detail=True, methods=["get"])
    def corrections(self, request: Request, pk: UUID) -> Response:
        return self.listed()


class LesionCorrections(CorrectionsViewSet):
    scope_resource = "lesions"
    queryset = Lesion.objects.none()
    serializer_class = LesionSerializer
    shows = LesionViewSet
    history = staticmethod(queries.of_lesion)

    @_OF_LESION[0]
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: UUID) -> Response:
        return self.withdrawn(request)

    @_OF_LESION[1]
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        return self.done(request, services.restore, RestoreMergedSerializer)

    @act(
        "Move a lesion to another patient",
        "With its images, readings and reviews. You need to write in both records.",
        MoveLesionSerializer,
        {"patient": examples.PATIENT["id"], "acknowledged": True, "reason": "The wrong patient."},
        LesionSerializer,
        examples.LESION,
    )
    @action(detail=True, methods=["post"])
    def move(self, request: Request, pk: UUID) -> Response:
        def write(record: Lesion, **fields: Any) -> Lesion:
            return moves.move_lesion(lesion=record, **fields)

        return self.done(request, write, MoveLesionSerializer)

    @act(
        "Merge a lesion into another",
        "Both are the same spot. All that is known of this one goes to `into`, which is the "
        "answer. This one is withdrawn, and its address leads there: 301.",
        MergeLesionSerializer,
        {"into": examples.LESION["id"], "acknowledged": True, "reason": "Entered twice."},
        LesionSerializer,
        examples.LESION,
    )
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: UUID) -> Response:
        def write(record: Lesion, **fields: Any) -> Lesion:
            return merges.merge_lesions(lesion=record, **fields)

        return self.done(request, write, MergeLesionSerializer)

    @_OF_LESION[2]
    @action(detail=True, methods=["get"])
    def corrections(self, request: Request, pk: UUID) -> Response:
        return self.listed()


class PatientCorrections(CorrectionsViewSet):
    scope_resource = "patients"
    queryset = Patient.objects.none()
    serializer_class = PatientSerializer
    shows = PatientViewSet
    history = staticmethod(queries.of_patient)

    @_OF_PATIENT[0]
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: UUID) -> Response:
        return self.withdrawn(request)

    @_OF_PATIENT[1]
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        return self.done(request, services.restore, RestorePatientSerializer)

    @act(
        "Merge a patient into another",
        "Both are the same person, in one clinic or of one account. All lesions go to `into`, "
        "which is the answer; what it does not say of age, sex and skin is taken over. This one "
        "is withdrawn, and its address leads there: 301.",
        MergePatientSerializer,
        {"into": examples.PATIENT["id"], "acknowledged": True, "reason": "Registered twice."},
        PatientSerializer,
        examples.PATIENT,
    )
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, pk: UUID) -> Response:
        def write(record: Patient, **fields: Any) -> Patient:
            return merges.merge_patients(patient=record, **fields)

        return self.done(request, write, MergePatientSerializer)

    @_OF_PATIENT[2]
    @action(detail=True, methods=["get"])
    def corrections(self, request: Request, pk: UUID) -> Response:
        return self.listed()


class VisitCorrections(CorrectionsViewSet):
    scope_resource = "visits"
    queryset = DoctorVisit.objects.none()
    serializer_class = VisitSerializer
    shows = VisitViewSet
    history = staticmethod(queries.of_visit)

    @_OF_VISIT[0]
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: UUID) -> Response:
        return self.withdrawn(request)

    @_OF_VISIT[1]
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        return self.done(request, services.restore, ReasonSerializer)

    @_OF_VISIT[2]
    @action(detail=True, methods=["get"])
    def corrections(self, request: Request, pk: UUID) -> Response:
        return self.listed()


class HistologyCorrections(CorrectionsViewSet):
    scope_resource = "histologies"
    queryset = Histology.objects.none()
    serializer_class = HistologySerializer
    shows = HistologyViewSet
    history = staticmethod(queries.of_histology)

    @_OF_HISTOLOGY[0]
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, pk: UUID) -> Response:
        return self.withdrawn(request)

    @_OF_HISTOLOGY[1]
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        return self.done(request, services.restore, ReasonSerializer)

    @_OF_HISTOLOGY[2]
    @action(detail=True, methods=["get"])
    def corrections(self, request: Request, pk: UUID) -> Response:
        return self.listed()


class CorrectionViewSet(RecordView, viewsets.GenericViewSet[Any]):
    """Corrections of any record. Each is listed at its record's own URL."""

    scope_resource = "corrections"
    queryset = Correction.objects.none()
    serializer_class = CorrectionSerializer
    http_method_names = ["post"]
    lookup_value_converter = "uuid"

    @undone
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: UUID) -> Response:
        correction = get_object_or_404(queries.seen(self.user), pk=pk)
        require_scope(request, scopes.required(correction.resource, "POST"))
        body = UndoSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        correction_undo.undo(user=self.user, correction=correction, **body.validated_data)
        return Response(CorrectionSerializer(queries.seen(self.user).get(pk=pk)).data)
