"""What the OpenAPI schema says beyond what it reads from the code."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework import serializers

from accounts import scopes
from screening.api import examples
from screening.api.errors import CONTENT_TYPE, KINDS
from screening.api.maps import MapsSerializer
from screening.api.requests import ImageUploadSerializer, PredictionRequestSerializer
from screening.api.serializers import (
    ImageSerializer,
    PredictionSerializer,
)

WRITING = {"POST", "PATCH"}


class ProblemError(serializers.Serializer[Any]):
    pointer = serializers.CharField(required=False, help_text='In the body; "" is all of it.')
    parameter = serializers.CharField(required=False, help_text="Of the query string.")
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457."""

    type = serializers.CharField(help_text="Stable: `/problems/…`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField(help_text="The path that was asked for.")
    scope = serializers.CharField(
        required=False, help_text="With `/problems/missing-scope`: the one that is needed."
    )
    errors = ProblemError(  # type: ignore[assignment]
        many=True, required=False, help_text="With `/problems/validation`."
    )


class Scoped(OpenApiAuthenticationExtension):
    """Names the scope that the operation needs."""

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[str]]:
        return {str(self.name): [needed_scope(auto_schema)]}


class BearerKey(Scoped):
    target_class = "accounts.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A person's key, from the account page: `Authorization: Bearer sk_…`.",
        }


class ClientCredentials(Scoped):
    target_class = "accounts.authentication.AccessTokenAuthentication"
    name = "application"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        flow = {"tokenUrl": reverse("oauth_token"), "scopes": dict.fromkeys(scopes.known(), "")}
        return {
            "type": "oauth2",
            "description": "A system that a clinic's admin has registered on the clinic's page.",
            "flows": {"clientCredentials": flow},
        }


def needed_scope(auto_schema: AutoSchema) -> str:
    view: Any = auto_schema.view
    return scopes.required(view.scope_resource, auto_schema.method)


class RecordSchema(AutoSchema):
    """Adds the problems that every operation of its kind may answer with."""

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        bodies = super()._get_response_bodies(direction)
        for code in self._problem_codes():
            problem = OpenApiResponse(Problem, description=KINDS[code][1])
            bodies[str(code)] = self._get_response_for_code(problem, str(code), [CONTENT_TYPE])
        return bodies

    def _problem_codes(self) -> list[int]:
        codes = {401, 403, 406, 429}
        if "{id}" in self.path:
            codes |= {404}
        elif self.method == "GET":
            codes |= {400}
        if self.method in WRITING:
            codes |= {400, 409, 413, 415}
        return sorted(codes)


def shown(name: str, value: Any, *codes: int) -> OpenApiExample:
    answers = [str(code) for code in codes]
    return OpenApiExample(name, value, response_only=True, status_codes=answers)


def sent(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def header(name: str, description: str, *codes: int) -> OpenApiParameter:
    return OpenApiParameter(
        name, str, OpenApiParameter.HEADER, description=description, response=list(codes)
    )


def reading(what: str, example: Any, about: str) -> dict[str, Any]:
    answers = [shown(what, example, 200)]
    return {
        "list": extend_schema(
            summary=f"List {what}s",
            description=f"{about} The newest first, of all that you may see.",
            examples=answers,
        ),
        "retrieve": extend_schema(
            summary=f"Look at one {what}", description=about, examples=answers
        ),
    }


CLINICS = extend_schema_view(
    **reading("clinic", examples.CLINIC, "A clinic that you work in, with your role there.")
)

_PATIENT = "A person whose skin it is, by a pseudonym or number: never by name."
PATIENTS = extend_schema_view(
    **reading("patient", examples.PATIENT, _PATIENT),
    create=extend_schema(
        summary="Register a patient",
        description=f"{_PATIENT} With a clinic you need a role there that writes.",
        examples=[
            sent("patient", examples.PATIENT_IN),
            shown("registered", examples.PATIENT, 201),
        ],
    ),
    partial_update=extend_schema(
        summary="Change a patient",
        description="Only the fields that are sent. The clinic stays.",
        examples=[sent("year", {"birth_year": 1962}), shown("patient", examples.PATIENT, 200)],
    ),
)

_LESION = "One spot on one patient's body, with the symptoms that were marked."
LESIONS = extend_schema_view(
    **reading("lesion", examples.LESION, _LESION),
    create=extend_schema(
        summary="Open a lesion",
        description=_LESION,
        examples=[sent("lesion", examples.LESION_IN), shown("opened", examples.LESION, 201)],
    ),
    partial_update=extend_schema(
        summary="Change a lesion",
        description="Only the fields that are sent. A symptom that is marked here changes at once "
        "what is told of the lesion's readings: never `monitor`.",
        examples=[sent("symptom", {"bleeding": True}), shown("lesion", examples.LESION, 200)],
    ),
)

_IMAGE = "A picture of a lesion, with its newest reading and its newest review."
_TO_THE_READING = [
    header("Location", "The prediction of this image.", 200, 202),
    header("Retry-After", "Seconds until it is worth looking, while not finished.", 200, 202),
]
IMAGES = extend_schema_view(
    **reading("image", examples.IMAGE, _IMAGE),
    create=extend_schema(
        summary="Add an image and have it read",
        description="One picture a request. It is stored without its metadata, and its reading is "
        "queued: `Location` says where it will be. The same picture again on the same lesion is "
        "recognised: 200, the image that is known, and nothing is read twice.",
        request={"multipart/form-data": ImageUploadSerializer},
        responses={
            202: OpenApiResponse(ImageSerializer, description="Stored; its reading is queued."),
            200: OpenApiResponse(ImageSerializer, description="The same picture was there."),
        },
        parameters=_TO_THE_READING,
        examples=[
            shown("stored", examples.IMAGE_QUEUED, 202),
            shown("known", examples.IMAGE, 200),
        ],
    ),
)

_PREDICTION = (
    "One model version's reading of one image. `outcome` is what to tell the person, with "
    "`advice` and `disclaimer`, whole. `not_assessable` is a normal answer. Never an all-clear."
)
PREDICTIONS = extend_schema_view(
    list=reading("prediction", examples.PREDICTION, _PREDICTION)["list"],
    retrieve=extend_schema(
        summary="Look at one prediction",
        description=f"{_PREDICTION} While `state` is `queued` or `running`, ask again after "
        "`Retry-After` seconds.",
        parameters=[header("Retry-After", "Seconds; only while not finished.", 200)],
        examples=[
            shown("finished", examples.PREDICTION, 200),
            shown("waiting", examples.QUEUED, 200),
        ],
    ),
    create=extend_schema(
        summary="Have an image read again",
        description="By the current model. Answers with the reading that is waiting or running "
        "already, where there is one.",
        request=PredictionRequestSerializer,
        responses={202: OpenApiResponse(PredictionSerializer, description="Queued.")},
        parameters=[
            header("Location", "The prediction.", 202),
            header("Retry-After", "Seconds until it is worth looking.", 202),
        ],
        examples=[
            sent("image", {"image": examples.PREDICTION["image"]}),
            shown("queued", examples.QUEUED, 202),
        ],
    ),
)

_REVIEW = "A clinician's own conclusion on an image. It stands above what the model read."
REVIEWS = extend_schema_view(
    **reading("review", examples.REVIEW, _REVIEW),
    create=extend_schema(
        summary="Record a conclusion",
        description=f"{_REVIEW} Never changed: a later one stands above it. Clinicians only.",
        examples=[sent("review", examples.REVIEW_IN), shown("signed", examples.REVIEW, 201)],
    ),
)

PICTURE = extend_schema_view(
    get=extend_schema(
        summary="The picture's bytes",
        description="Each look is logged with your name. Send `If-None-Match` to save the bytes.",
        responses={
            (200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY, description="As JPEG."),
            (200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY, description="As PNG."),
            304: OpenApiResponse(description="You have it already."),
        },
        parameters=[header("ETag", "For `If-None-Match`.", 200)],
    )
)

_NO_MAPS = (
    "404 with the reason in `detail` where there are none: the prediction is not finished, failed, "
    "is of a clinical photograph, or is older than maps are. Never changed."
)
MASK = extend_schema_view(
    get=extend_schema(
        summary="The lesion's mask",
        description="255 where the model saw the lesion, else 0, at the size that the image was "
        f"read at. It covers the whole image. {_NO_MAPS}",
        responses={
            (200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY, description="8 bit grey."),
            304: OpenApiResponse(description="You have it already."),
        },
        parameters=[header("ETag", "For `If-None-Match`.", 200)],
    )
)
MAPS = extend_schema_view(
    get=extend_schema(
        summary="The lesion's outline and the evidence maps",
        description="Where the picture spoke for each diagnosis, as far as this model is "
        "concerned: neither the border of the lesion nor a proof. The cells of a diagnosis and "
        f"its `bias` add up to its `image_logits`. {_NO_MAPS}",
        responses={200: MapsSerializer},
        examples=[shown("maps", examples.MAPS, 200)],
    )
)
