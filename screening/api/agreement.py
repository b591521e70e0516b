"""Agreement between a clinic's conclusions, readings and histology."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Clinic
from screening.api import examples
from screening.api.base import RecordView
from screening.reviews import agreement


class PairSerializer(serializers.Serializer[Any]):
    first = serializers.CharField(help_text="A diagnosis, `other` or `uncertain`.")
    second = serializers.CharField()
    count = serializers.IntegerField()


class ComparedSerializer(serializers.Serializer[Any]):
    first = serializers.ChoiceField(["model", "clinician"], help_text="Whose diagnosis.")
    second = serializers.ChoiceField(["clinician", "histology"])
    compared = serializers.IntegerField(
        help_text="Pairs in which both named a diagnosis that the model knows."
    )
    agreed = serializers.IntegerField(help_text="Of these, with the same diagnosis.")
    agreed_on_cancer = serializers.IntegerField(
        help_text="Of these, both cancer or its precursor, or neither."
    )
    share = serializers.FloatField(
        allow_null=True, help_text=f"`null` under {agreement.TOO_FEW} pairs: too few."
    )
    interval = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="95 %, of `share`."
    )
    left_out = serializers.IntegerField(help_text="Pairs with something else or uncertain.")
    counts = PairSerializer(many=True)


class AgreementSerializer(serializers.Serializer[Any]):
    """Model, clinicians and histology of a clinic, compared in pairs."""

    clinic = serializers.UUIDField()
    comparisons = ComparedSerializer(many=True)


EXAMPLE: dict[str, Any] = {
    "clinic": examples.CLINIC["id"],
    "comparisons": [
        {
            "first": "model",
            "second": "histology",
            "compared": 3,
            "agreed": 2,
            "agreed_on_cancer": 3,
            "share": None,
            "interval": None,
            "left_out": 0,
            "counts": [
                {"first": "mel", "second": "mel", "count": 2},
                {"first": "nv", "second": "bkl", "count": 1},
            ],
        }
    ],
}


@extend_schema_view(
    get=extend_schema(
        summary="How diagnoses agree in a clinic",
        description="Standing reviews beside readings, readings beside histology, and what was "
        "concluded before the histology was recorded beside it. Of what you may see: where a "
        "clinic has its clinicians conclude first, of what you have concluded on. Cases in a "
        "clinic are chosen ones: no measure of how well anybody diagnoses.",
        responses={200: AgreementSerializer},
        examples=[
            OpenApiExample("agreement", EXAMPLE, response_only=True, status_codes=["200"]),
        ],
    )
)
class AgreementView(RecordView, APIView):
    http_method_names = ["get", "head"]
    scope_resource = "agreement"

    def get(self, request: Request, pk: UUID) -> Response:
        clinic = get_object_or_404(Clinic.objects.with_member(self.user), pk=pk)
        found = agreement.of_clinic(clinic, self.user)
        body = {"clinic": pk, "comparisons": [_compared(one) for one in found]}
        return Response(AgreementSerializer(body).data)


def _compared(one: agreement.Agreement) -> dict[str, Any]:
    names = ("first", "second", "compared", "agreed", "agreed_on_cancer", "share", "left_out")
    return {name: getattr(one, name) for name in names} | {
        "interval": one.interval and list(one.interval),
        "counts": [
            {"first": first, "second": second, "count": count}
            for (first, second), count in one.pairs
        ],
    }
