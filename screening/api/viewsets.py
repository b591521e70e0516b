"""The resources of API v1. Reads start from ``visible_to``, writes go through ``intake``."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response
from rest_framework import mixins, status, viewsets
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from accounts.models import Clinic, Membership, User
from accounts.permissions import HasScope
from screening import intake, tracking
from screening.api import documentation as doc
from screening.api import filters, maps
from screening.api.parsers import JSONBody, Upload
from screening.api.requests import ImageUploadSerializer, PredictionRequestSerializer
from screening.api.serializers import (
    ClinicSerializer,
    ImageSerializer,
    LesionSerializer,
    PatientSerializer,
    PredictionSerializer,
    ReviewSerializer,
)
from screening.delivery import deliver
from screening.exchange.dicom.adding import add_image
from screening.models import (
    Lesion,
    LesionImage,
    Patient,
    Prediction,
    PredictionMaps,
    Review,
)

POLL_AFTER_SECONDS = "1"


class ReadViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Any]):
    permission_classes = [HasScope]
    parser_classes = [JSONBody]
    filter_backends = [filters.StrictFilterBackend]
    http_method_names = ["get", "head", "post", "patch"]
    lookup_value_converter = "uuid"
    schema = doc.RecordSchema()

    @property
    def user(self) -> User:
        """The key's or the session's owner: ``HasScope`` lets nobody else in."""
        return cast(User, self.request.user)

    def get_object(self) -> Any:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])


class RecordViewSet(mixins.CreateModelMixin, ReadViewSet):
    def perform_create(self, serializer: Any) -> None:
        """Answer with the row as a list would show it, annotations and all."""
        serializer.instance = self.get_queryset().get(pk=serializer.save().pk)


class EditableViewSet(mixins.UpdateModelMixin, RecordViewSet):
    perform_update = RecordViewSet.perform_create


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

    def get_queryset(self) -> QuerySet[Patient]:
        return Patient.objects.visible_to(self.user).select_related("clinic")


@doc.LESIONS
class LesionViewSet(EditableViewSet):
    scope_resource = "lesions"
    queryset = Lesion.objects.none()
    serializer_class = LesionSerializer
    filterset_class = filters.LesionFilter

    def get_queryset(self) -> QuerySet[Lesion]:
        visible = Lesion.objects.visible_to(self.user).select_related("patient")
        return tracking.with_latest(visible, self.user)


@doc.IMAGES
class ImageViewSet(ReadViewSet):
    scope_resource = "images"
    queryset = LesionImage.objects.none()
    serializer_class = ImageSerializer
    filterset_class = filters.ImageFilter
    parser_classes = [Upload]

    def get_queryset(self) -> QuerySet[LesionImage]:
        visible = LesionImage.objects.visible_to(self.user).select_related("lesion")
        return tracking.with_findings(visible, self.user)

    def create(self, request: Request) -> Response:
        upload = ImageUploadSerializer(data=request.data, context=self.get_serializer_context())
        upload.is_valid(raise_exception=True)
        added = add_image(user=self.user, **upload.validated_data)
        image = self.get_queryset().get(pk=added.image.pk)
        return Response(
            self.get_serializer(image).data,
            status=status.HTTP_202_ACCEPTED if added.is_new else status.HTTP_200_OK,
            headers=where_to_look(image.latest_prediction, request),
        )


@doc.PREDICTIONS
class PredictionViewSet(ReadViewSet):
    scope_resource = "predictions"
    queryset = Prediction.objects.none()
    serializer_class = PredictionSerializer
    filterset_class = filters.PredictionFilter

    def get_queryset(self) -> QuerySet[Prediction]:
        return Prediction.objects.visible_to(self.user).select_related("image__lesion")

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        prediction = self.get_object()
        headers = {"Retry-After": POLL_AFTER_SECONDS} if prediction.is_active else {}
        return Response(self.get_serializer(prediction).data, headers=headers)

    def create(self, request: Request) -> Response:
        wanted = PredictionRequestSerializer(
            data=request.data, context=self.get_serializer_context()
        )
        wanted.is_valid(raise_exception=True)
        prediction = intake.request_prediction(user=self.user, **wanted.validated_data)
        return Response(
            self.get_serializer(prediction).data,
            status=status.HTTP_202_ACCEPTED,
            headers=where_to_look(prediction, request),
        )


@doc.REVIEWS
class ReviewViewSet(RecordViewSet):
    scope_resource = "reviews"
    queryset = Review.objects.none()
    serializer_class = ReviewSerializer
    filterset_class = filters.ReviewFilter

    def get_queryset(self) -> QuerySet[Review]:
        return Review.objects.visible_to(self.user).select_related("image", "reviewer")


@doc.PICTURE
class PictureView(APIView):
    """The picture itself. rendition: one of AccessLog.Rendition."""

    scope_resource = "images"
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = doc.RecordSchema()
    rendition = ""

    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        return deliver(
            request=request, user=cast(User, request.user), pk=pk, rendition=self.rendition
        )

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """An <img> accepts no JSON, and gets none unless there is an error to tell."""
        return super().perform_content_negotiation(request, force=True)


class PredictionMapsView(APIView):
    """What both addresses share: who may look, and the answer where there is nothing."""

    scope_resource = "predictions"
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = doc.RecordSchema()

    def maps(self, pk: UUID) -> PredictionMaps:
        """Raises Http404 for what is not visible, and NotFound with the reason for no maps."""
        user = cast(User, self.request.user)
        visible = PredictionMaps.objects.visible_to(user).select_related("prediction")
        found = visible.filter(prediction=pk).first()
        if found is None:
            predictions = Prediction.objects.visible_to(user).select_related("image")
            raise NotFound(maps.why_none(get_object_or_404(predictions, pk=pk)))
        return found


@doc.MAPS
class MapsView(PredictionMapsView):
    def get(self, request: Request, pk: UUID) -> Response:
        mask_url = reverse("api:prediction-mask", args=[pk], request=request)
        return Response(maps.MapsSerializer(maps.body(self.maps(pk), mask_url)).data)


@doc.MASK
class MaskView(PredictionMapsView):
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        found = self.maps(pk)
        etag = f'"{found.pk}"'  # a row of maps never changes
        response = get_conditional_response(request, etag=etag) or HttpResponse(
            bytes(found.mask), content_type="image/png"
        )
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """An <img> accepts no JSON, and gets none unless there is an error to tell."""
        return super().perform_content_negotiation(request, force=True)


def where_to_look(prediction: Prediction | None, request: Request) -> dict[str, str]:
    """Headers that lead to the reading, and say when to look again while it is not finished."""
    if prediction is None:
        return {}
    address = reverse("api:prediction-detail", args=[prediction.pk], request=request)
    headers = {"Location": address}
    if prediction.is_active:
        headers["Retry-After"] = POLL_AFTER_SECONDS
    return headers
