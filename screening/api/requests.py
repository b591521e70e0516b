"""What is sent, where the answer is something else."""

from __future__ import annotations

from rest_framework import serializers

from screening.api.fields import StrictSerializer, VisibleField
from screening.models import Lesion, LesionImage, Modality


class ImageUploadSerializer(StrictSerializer):
    """One picture to add."""

    lesion = VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
    )
    file = serializers.FileField(
        help_text="JPEG, PNG, WebP or DICOM, up to 20 MB and 40 megapixels."
    )
    captured_on = serializers.DateField(
        required=False, help_text="The day; without it a DICOM file's own, or today."
    )
    modality = serializers.ChoiceField(
        choices=Modality.choices,
        default=Modality.DERMATOSCOPIC,
        help_text="Only dermatoscopic pictures are read.",
    )


class PredictionRequestSerializer(StrictSerializer):
    """The image to read."""

    image = VisibleField(
        queryset=LesionImage.objects.none(),
        visible_to=lambda user: LesionImage.objects.visible_to(user).select_related(
            "lesion__patient"
        ),
    )
