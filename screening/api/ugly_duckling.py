"""Which of a patient's lesions looks least like the others."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.scope_permission import HasScope
from screening.api import documentation as doc
from screening.api import examples
from screening.api.fields import WordOrNull
from screening.models import Patient
from screening.predictions import ugly_duckling
from screening.predictions.advice import DISCLAIMER


class RankedSerializer(serializers.Serializer[Any]):
    rank = serializers.IntegerField(help_text="1: the least like the others.")
    lesion = serializers.UUIDField(source="lesion.pk")
    image = serializers.UUIDField(source="image_id")
    prediction = serializers.UUIDField(source="prediction_id")
    distance = serializers.FloatField(
        help_text="From the median of the others: 0 alike, 2 at most. No probability of anything."
    )


class UglyDucklingSerializer(serializers.Serializer[Any]):
    """A patient's lesions, ranked by how different they look from the others to the model."""

    patient = serializers.UUIDField()
    model_version = WordOrNull(help_text="Whose features were compared.")
    ranking = RankedSerializer(many=True, help_text="Empty with fewer than five lesions read.")
    statement = serializers.CharField(help_text="To be shown with the first of them, whole.")
    disclaimer = serializers.CharField()


EXAMPLE: dict[str, Any] = {
    "patient": examples.PATIENT["id"],
    "model_version": None,
    "ranking": [],
    "statement": ugly_duckling.TOO_FEW,
    "disclaimer": DISCLAIMER,
}


@extend_schema_view(
    get=extend_schema(
        summary="The lesion that looks least like the others",
        description="With five or more lesions: by the newest assessable reading of each, all of "
        "one model version, how far its features lie from the median of the others'. One is always "
        "first: being so is no finding, and it clears none of the others.",
        responses={200: UglyDucklingSerializer},
        examples=[
            OpenApiExample("too few", EXAMPLE, response_only=True, status_codes=["200"]),
        ],
    )
)
class UglyDucklingView(APIView):
    permission_classes = [HasScope]
    http_method_names = ["get", "head"]
    schema = doc.RecordSchema()
    scope_resource = "predictions"

    def get(self, request: Request, pk: UUID) -> Response:
        user = cast(User, request.user)
        patient = get_object_or_404(Patient.objects.visible_to(user), pk=pk)
        found = ugly_duckling.ranking(patient, list(patient.lesions.all()), user)
        body = {
            "patient": pk,
            "model_version": found.model_version if found else "",
            "ranking": found.lesions if found else [],
            "statement": found.statement if found else ugly_duckling.TOO_FEW,
            "disclaimer": DISCLAIMER,
        }
        return Response(UglyDucklingSerializer(body).data)
