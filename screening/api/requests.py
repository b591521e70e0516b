"""Serializers of requests whose response has another form."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from django.core.files.base import ContentFile
from rest_framework import serializers

from ml.opening.limits import IN_BYTES, IN_PIXELS
from screening.api.fields import StrictSerializer, TimeOfDay, VisibleField
from screening.api.records import IdentifierSerializer
from screening.images.cleaning import ACCEPTED
from screening.interop import identifiers as interop_identifiers
from screening.interop.dicom import uids
from screening.interop.dicom.metadata import read_metadata
from screening.models import BodySite, Lesion, LesionImage, Modality, Patient


class NewImage(StrictSerializer):
    """Fields common to all ways of adding a picture."""

    lesion = VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
        required=False,
        help_text="Which it shows. Without it: `patient`.",
    )
    patient = VisibleField(
        queryset=Patient.objects.none(),
        visible_to=lambda user: Patient.objects.visible_to(user),
        required=False,
        help_text="Instead of `lesion`: it shows a new lesion of this patient, which is opened "
        "with it, or not at all. Needs `lesions:write`, too.",
    )
    label = serializers.CharField(  # type: ignore[assignment]
        required=False, max_length=80, help_text='Of a new lesion. Without one it is "Lesion n".'
    )
    body_site = serializers.ChoiceField(
        required=False, choices=BodySite.choices, help_text="Of a new lesion."
    )
    captured_on = serializers.DateField(
        required=False, help_text="The day; without it the file's own (EXIF, DICOM), or today."
    )
    modality = serializers.ChoiceField(
        choices=Modality.choices,
        required=False,
        help_text="Only dermatoscopic pictures are read. Without it: a DICOM file that is a VL "
        "Photographic Image is `clinical`, every other picture `dermatoscopic`.",
    )
    allow_duplicate = serializers.BooleanField(
        default=False,
        help_text="Add it even if the same picture is on another lesion. Without it: 409, with the "
        "addresses of that image and lesion, if you may see them.",
    )
    allow_burned_in = serializers.BooleanField(
        default=False,
        help_text="Take a DICOM file that says that text is burned into its picture.",
    )
    allow_capture = serializers.BooleanField(
        default=False,
        help_text="Take a DICOM file that is a Secondary Capture: you know that it is a photograph "
        "of this lesion.",
    )
    keep_identifiers = serializers.BooleanField(
        default=False,
        help_text="Of a DICOM file: keep its SOP Instance UID as an identifier of the image.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _require_one_lesion(attrs)
        if (
            attrs.pop("keep_identifiers")
            and (said := read_metadata(attrs["file"]))
            and said.instance
        ):
            uid = uids.kept(said.instance)
            attrs["identifiers"] = [*attrs.get("identifiers", []), uid]
        return attrs


def _require_one_lesion(attrs: dict[str, Any]) -> None:
    errors = {}
    if "lesion" in attrs and "patient" in attrs:
        errors["lesion"] = "Give either the lesion or the patient."
    elif "lesion" in attrs:
        for name in {"label", "body_site"} & attrs.keys():
            errors[name] = "This is of a new lesion: give its patient."
    elif "patient" not in attrs:
        errors["lesion"] = "Give the lesion, or the patient of a new one."
    if errors:
        raise serializers.ValidationError(errors)


class ImageUploadSerializer(NewImage):
    """One picture to add, as multipart/form-data."""

    file = serializers.FileField(help_text=f"{ACCEPTED}, up to {IN_BYTES}, {IN_PIXELS}.")
    identifier = serializers.CharField(
        required=False,
        max_length=401,
        help_text="By what another system knows the image: `system|value`.",
    )

    def validate_identifier(self, text: str) -> dict[str, str]:
        system, bar, value = text.partition("|")
        if not (bar and system and value):
            raise serializers.ValidationError("Give the system, a bar, and the value.")
        return {"system": system, "value": value}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "identifier" in attrs:
            attrs["identifiers"] = [attrs.pop("identifier")]
        return super().validate(attrs)


class Base64File(serializers.CharField):
    """A file's bytes, in base64 (RFC 4648), in one line or wrapped (RFC 2045)."""

    def to_internal_value(self, data: Any) -> Any:
        try:
            return ContentFile(
                b64decode("".join(super().to_internal_value(data).split()), validate=True)
            )
        except ValueError:
            raise serializers.ValidationError("This is no base64.") from None


class ImageJSONSerializer(NewImage):
    """One picture to add, as JSON."""

    file = Base64File(help_text=f"{ACCEPTED} in base64, up to {IN_BYTES} before.")
    identifiers = IdentifierSerializer(  # type: ignore[call-arg]
        many=True,
        required=False,
        max_length=interop_identifiers.MOST,
        help_text="Of other systems. One that is known: the known image is answered with.",
    )


class ImageCorrectionSerializer(StrictSerializer):
    """Corrections to an image. Only the fields sent are changed."""

    captured_on = serializers.DateField(required=False)
    captured_time = TimeOfDay(required=False, allow_null=True)
    modality = serializers.ChoiceField(required=False, choices=Modality.choices)
    reason = serializers.CharField(required=False, max_length=400)


class PredictionRequestSerializer(StrictSerializer):
    """The image to read."""

    image = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related(
            "lesion__patient"
        ),
    )
