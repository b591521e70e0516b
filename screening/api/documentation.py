"""Descriptions for the OpenAPI schema that cannot be derived from the code."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from screening.api import examples
from screening.api.http.schema import PREFER
from screening.api.http.schema import RecordSchema as RecordSchema
from screening.api.http.schema import header as header
from screening.api.maps import MapsSerializer
from screening.api.readings import PredictionDetailSerializer, PredictionSerializer
from screening.api.requests import (
    ImageCorrectionSerializer,
    ImageJSONSerializer,
    ImageUploadSerializer,
    PredictionRequestSerializer,
)
from screening.api.serializers import (
    AddedImageSerializer,
    ImageSerializer,
    LesionSerializer,
    PatientSerializer,
)


def shown(name: str, value: Any, *codes: int) -> OpenApiExample:
    answers = [str(code) for code in codes]
    return OpenApiExample(name, value, response_only=True, status_codes=answers)


def sent(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def _created(serializer: Any, description: str) -> dict[int, OpenApiResponse]:
    known = "An identifier was known: this is the record, unchanged."
    return {
        201: OpenApiResponse(serializer, description=description),
        200: OpenApiResponse(serializer, description=known),
    }


def reading(what: str, example: Any, about: str) -> dict[str, Any]:
    answers = [shown(what, example, 200)]
    return {
        "list": extend_schema(
            summary=f"List {re.sub('ry$', 'rie', what)}s",
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
        responses=_created(PatientSerializer, "Registered."),
        summary="Register a patient",
        description=f"{_PATIENT} With a clinic you need a role there that writes.",
        examples=[
            sent("patient", examples.PATIENT_IN),
            shown("registered", examples.PATIENT, 200, 201),
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
        responses=_created(LesionSerializer, "Opened."),
        summary="Open a lesion",
        description=_LESION,
        examples=[sent("lesion", examples.LESION_IN), shown("opened", examples.LESION, 200, 201)],
    ),
    partial_update=extend_schema(
        summary="Change a lesion",
        description="Only the fields that are sent. Once a symptom is marked, the lesion's "
        "readings are at least `see_doctor`. Where a clinic follows the record, only a clinician "
        "may unset a symptom that nobody has examined yet: 400 for anyone else.",
        examples=[sent("symptom", {"bleeding": True}), shown("lesion", examples.LESION, 200)],
    ),
)

_IMAGE = "A picture of a lesion, with its newest reading and its newest review."
_TO_THE_READING = [
    header("Location", "The prediction of this image.", 200, 202),
    header("Retry-After", "Seconds until it is worth looking, while not finished.", 200, 202),
    header("Preference-Applied", "`wait=N`, if it was waited.", 200, 202),
]
IMAGES = extend_schema_view(
    **reading("image", examples.IMAGE, _IMAGE),
    create=extend_schema(
        summary="Add an image and have it read",
        description="One picture a request. It is stored without its metadata, and its reading is "
        "queued: `Location` says where it will be. With `Prefer: wait=N` the answer waits for it. "
        "The same picture again on the same lesion, or one that is known by its identifier, is "
        "recognised: 200, the image that is known, and nothing is read twice. On another lesion "
        "that you may see it is refused with its address, unless `allow_duplicate`: 409. With "
        "`patient` instead of `lesion` it is the first picture of a new lesion, which is opened "
        "with it: a picture that is refused leaves none behind.",
        request={
            "multipart/form-data": ImageUploadSerializer,
            "application/json": ImageJSONSerializer,
        },
        responses={
            202: OpenApiResponse(
                AddedImageSerializer, description="Stored; its reading is queued."
            ),
            200: OpenApiResponse(AddedImageSerializer, description="Read, or known already."),
        },
        parameters=[PREFER, *_TO_THE_READING],
        examples=[
            OpenApiExample(
                "base64", examples.IMAGE_IN, request_only=True, media_type="application/json"
            ),
            shown("stored", examples.IMAGE_QUEUED | {"remark": ""}, 202),
            shown("read", examples.IMAGE | {"remark": ""}, 200),
        ],
    ),
    partial_update=extend_schema(
        summary="Correct the day, time or kind of an image",
        description="Only the fields that are sent. It takes its place among the lesion's images "
        "anew, and is read again where the model would be told another age, or where it turns out "
        "to be dermatoscopic. How it was stays in its corrections.",
        request=ImageCorrectionSerializer,
        responses={200: ImageSerializer},
        examples=[
            sent("day", {"captured_on": "2026-03-12", "reason": "The camera's clock was wrong."}),
            shown("image", examples.IMAGE, 200),
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
        responses={200: PredictionDetailSerializer},
        parameters=[header("Retry-After", "Seconds; only while not finished.", 200)],
        examples=[
            shown("finished", examples.PREDICTION_WHOLE, 200),
            shown("waiting", examples.QUEUED_WHOLE, 200),
        ],
    ),
    create=extend_schema(
        summary="Have an image read again",
        description="By the current model. Answers with the reading that is waiting or running "
        "already, where there is one.",
        request=PredictionRequestSerializer,
        responses={
            202: OpenApiResponse(PredictionSerializer, description="Queued."),
            200: OpenApiResponse(PredictionSerializer, description="Read, as `Prefer` asked."),
        },
        parameters=[PREFER, *_TO_THE_READING],
        examples=[
            sent("image", {"image": examples.PREDICTION["image"]}),
            shown("queued", examples.QUEUED, 202),
            shown("read", examples.PREDICTION, 200),
        ],
    ),
)

_REVIEW = "A clinician's own conclusion on an image. It stands above what the model read."
REVIEWS = extend_schema_view(
    **reading("review", examples.REVIEW, _REVIEW),
    create=extend_schema(
        summary="Record a conclusion",
        description=f"{_REVIEW} Signed and never changed: a later one of yours on the same image "
        "supersedes it. Clinicians only.",
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
