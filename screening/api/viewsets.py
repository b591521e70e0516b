"""The resources of API v1. Reads start from ``visible_to``, writes go through services."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts import scopes
from accounts.models import Clinic, Membership
from accounts.scope_permission import require_scope
from screening.api import documentation as doc
from screening.api import examples, filters, maps
from screening.api.base import (
    EditableViewSet,
    PictureOrProblem,
    ReadViewSet,
    RecordView,
    RecordViewSet,
)
from screening.api.http import waiting
from screening.api.http.conditions import etag_of, require_match
from screening.api.http.parsers import JSONBody, JSONUpload, Upload
from screening.api.readings import PredictionDetailSerializer, PredictionSerializer
from screening.api.requests import (
    ImageCorrectionSerializer,
    ImageJSONSerializer,
    ImageUploadSerializer,
    PredictionRequestSerializer,
)
from screening.api.serializers import (
    AddedImageSerializer,
    ClinicSerializer,
    ImageSerializer,
    LesionSerializer,
    PatientSerializer,
    ReviewSerializer,
)
from screening.corrections import queries, services
from screening.corrections.journal import held
from screening.images.delivery import deliver
from screening.interop import identifiers
from screening.interop.dicom.services import add_image
from screening.interop.first_images import add_first_image
from screening.models import (
    ACTIVE,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
    PredictionMaps,
    Review,
)
from screening.predictions import services as prediction_services
from screening.predictions.queries import latest_prediction
from screening.records import closing
from screening.records import queries as record_queries

POLL_AFTER_SECONDS = "1"


@doc.CLINICS
class ClinicViewSet(ReadViewSet):
    scope_resource = "clinics"
    queryset = Clinic.objects.none()
    serializer_class = ClinicSerializer

    def get_queryset(self) -> QuerySet[Clinic]:
        mine = Membership.objects.filter(clinic=OuterRef("pk"), user=self.user)
        return Clinic.objects.with_member(self.user).annotate(role=Subquery(mine.values("role")))


@doc.PATIENTS
class PatientViewSet(EditableViewSet):
    scope_resource = "patients"
    queryset = Patient.objects.none()
    serializer_class = PatientSerializer
    filterset_class = filters.PatientFilter
    expandable = {"clinic": ClinicViewSet}

    def moved_to(self) -> str | None:
        return merged_into(self, Patient, "api:patient-detail")

    def get_queryset(self) -> QuerySet[Patient]:
        visible = Patient.objects.visible_to(self.user).select_related("clinic")
        return visible.prefetch_related("identifiers")


@doc.LESIONS
class LesionViewSet(EditableViewSet):
    scope_resource = "lesions"
    queryset = Lesion.objects.none()
    serializer_class = LesionSerializer
    filterset_class = filters.LesionFilter
    expandable = {"patient": PatientViewSet}

    def moved_to(self) -> str | None:
        return merged_into(self, Lesion, "api:lesion-detail")

    def get_queryset(self) -> QuerySet[Lesion]:
        visible = Lesion.objects.visible_to(self.user).select_related("patient")
        latest = record_queries.with_latest(visible, self.user)
        told = record_queries.with_told(latest, self.user).prefetch_related("identifiers")
        return record_queries.with_acts(told, self.user)

    @extend_schema(
        summary="Open a closed lesion again",
        description="It was removed, and something grows back in the scar: reminders and alerts "
        "work again. A lesion that is open stays as it is.",
        request=None,
        responses={200: LesionSerializer},
        examples=[doc.shown("lesion", examples.LESION, 200)],
    )
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: str) -> Response:
        closing.reopen(user=self.user, lesion=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)


@doc.IMAGES
class ImageViewSet(ReadViewSet):
    scope_resource = "images"
    queryset = LesionImage.objects.none()
    serializer_class = ImageSerializer
    filterset_class = filters.ImageFilter
    parser_classes = [Upload, JSONUpload]
    expandable = {"lesion": LesionViewSet}
    # The picture is cleaned while the request runs, and the reading may be awaited. A repeated
    # picture is recognised.
    in_one_transaction = False

    def get_parsers(self) -> list[Any]:
        is_patch = getattr(self.request, "method", "") == "PATCH"
        return [JSONBody()] if is_patch else super().get_parsers()

    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        image = self.get_object()
        sent = ImageCorrectionSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        with transaction.atomic():
            if "If-Match" in request.headers:
                held(image, user=self.user)  # nobody changes it meanwhile
                require_match(request, etag_of(self.get_serializer(self.get_object()).data))
            services.correct_image(user=self.user, image=image, **sent.validated_data)
            data = self.get_serializer(self.get_object()).data
        return Response(data, headers={"ETag": etag_of(data)})

    def get_queryset(self) -> QuerySet[LesionImage]:
        visible = LesionImage.objects.visible_to(self.user).select_related("lesion__patient")
        return record_queries.with_findings(visible, self.user).prefetch_related("identifiers")

    def create(self, request: Request) -> Response:
        is_json = "json" in (request.content_type or "")
        parse = ImageJSONSerializer if is_json else ImageUploadSerializer
        upload = parse(data=request.data, context=self.get_serializer_context())
        upload.is_valid(raise_exception=True)
        added = self._added(**upload.validated_data)
        image = self.get_queryset().get(pk=added.record.pk)
        applied = waiting.wait_for(latest_prediction(image), waiting.preferred(request))
        if applied:
            image = self.get_queryset().get(pk=added.record.pk)
        reading = latest_prediction(image)
        is_read = applied and reading is not None and not reading.is_active
        is_done = is_read or not added.is_new
        told = {"sent": upload.validated_data, "remark": added.remark}
        context = {**self.get_serializer_context(), **told}
        return Response(
            AddedImageSerializer(image, context=context).data,
            status=status.HTTP_200_OK if is_done else status.HTTP_202_ACCEPTED,
            headers=where_to_look(reading, request) | applied,
        )

    def _added(self, **sent: Any) -> identifiers.Known:
        if "patient" not in sent:
            return identifiers.add_image(user=self.user, store=add_image, **sent)
        require_scope(self.request, scopes.required("lesions", "POST"))
        return add_first_image(user=self.user, **sent)


@doc.PREDICTIONS
class PredictionViewSet(ReadViewSet):
    scope_resource = "predictions"
    queryset = Prediction.objects.none()
    serializer_class = PredictionSerializer
    filterset_class = filters.PredictionFilter
    expandable = {"image": ImageViewSet, "lesion": LesionViewSet}
    in_one_transaction = False  # the reading may be awaited; a queued one is recognised

    def get_queryset(self) -> QuerySet[Prediction]:
        found = Prediction.objects.visible_to(self.user).select_related("image__lesion__patient")
        return found.select_related("maps") if self.action == "retrieve" else found

    def get_serializer_class(self) -> Any:
        return PredictionDetailSerializer if self.action == "retrieve" else PredictionSerializer

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        response = super().retrieve(request, *args, **kwargs)
        if getattr(response, "data", {}).get("state") in ACTIVE:
            response.headers["Retry-After"] = POLL_AFTER_SECONDS
        return response

    def create(self, request: Request) -> Response:
        wanted = PredictionRequestSerializer(
            data=request.data, context=self.get_serializer_context()
        )
        wanted.is_valid(raise_exception=True)
        prediction = prediction_services.request_prediction(user=self.user, **wanted.validated_data)
        applied = waiting.wait_for(prediction, waiting.preferred(request))
        if applied:
            prediction = self.get_queryset().get(pk=prediction.pk)
        is_done = applied and not prediction.is_active
        return Response(
            self.get_serializer(prediction).data,
            status=status.HTTP_200_OK if is_done else status.HTTP_202_ACCEPTED,
            headers=where_to_look(prediction, request) | applied,
        )


@doc.REVIEWS
class ReviewViewSet(RecordViewSet):
    scope_resource = "reviews"
    queryset = Review.objects.none()
    serializer_class = ReviewSerializer
    filterset_class = filters.ReviewFilter
    expandable = {"image": ImageViewSet, "lesion": LesionViewSet}

    def get_queryset(self) -> QuerySet[Review]:
        visible = Review.objects.visible_to(self.user)
        return visible.select_related("image", "reviewer", "superseded_by")


@doc.PICTURE
class PictureView(PictureOrProblem, RecordView):
    """The picture itself. rendition: one of Rendition."""

    scope_resource = "images"
    http_method_names = ["get", "head"]
    rendition = ""

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        return deliver(request=request, user=self.user, pk=pk, rendition=self.rendition)


class PredictionMapsView(RecordView):
    """Common to both URLs: access, and the response if there are no maps."""

    scope_resource = "predictions"
    http_method_names = ["get", "head"]

    def maps(self, pk: UUID) -> PredictionMaps:
        """Raises Http404 if the image is not visible, and NotFound with the reason if there are no
        maps.
        """
        visible = PredictionMaps.objects.visible_to(self.user).select_related("prediction")
        found = visible.filter(prediction=pk).first()
        if found is None:
            predictions = Prediction.objects.visible_to(self.user).select_related("image")
            raise NotFound(maps.why_none(get_object_or_404(predictions, pk=pk)))
        return found


@doc.MAPS
class MapsView(PredictionMapsView):
    def get(self, request: Request, pk: UUID) -> Response:
        mask_url = reverse("api:prediction-mask", args=[pk], request=request)
        return Response(maps.MapsSerializer(maps.body(self.maps(pk), mask_url)).data)


@doc.MASK
class MaskView(PictureOrProblem, PredictionMapsView):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        found = self.maps(pk)
        etag = f'"{found.pk}"'  # a row of maps never changes
        response = get_conditional_response(request, etag=etag) or HttpResponse(
            bytes(found.mask), content_type="image/png"
        )
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"
        return response


def merged_into(view: Any, model: type[Any], name: str) -> str | None:
    found = queries.leads_to(model, view.kwargs["pk"], view.user)
    return reverse(name, args=[found.pk], request=view.request) if found else None


def where_to_look(prediction: Prediction | None, request: Request) -> dict[str, str]:
    """Headers with the URL of the reading and, until it is finished, when to poll again."""
    if prediction is None:
        return {}
    address = reverse("api:prediction-detail", args=[prediction.pk], request=request)
    headers = {"Location": address}
    if prediction.is_active:
        headers["Retry-After"] = POLL_AFTER_SECONDS
    return headers
