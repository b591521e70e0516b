"""Forms for pictures that people choose, with a day and a kind for each."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile

from ml.opening.limits import IN_BYTES
from screening.images.cleaning import ACCEPTED
from screening.models import Modality
from screening.web.forms.days import DayField


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """One or more files; the write path checks their content."""

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        files = data if isinstance(data, list | tuple) else [data]
        if not files:
            raise ValidationError(self.error_messages["required"], code="required")
        # Empty files are rejected later, by name and beside the accepted ones.
        return [file for file in files if isinstance(file, UploadedFile)] or [
            super().clean(None, initial)
        ]


class ImageForm(forms.Form):
    """Pictures of one lesion. The page's script sends each separately, with its own day."""

    file = ManyFilesField(
        label="Pictures",
        allow_empty_file=True,
        help_text=f"You can choose several. {ACCEPTED}, up to {IN_BYTES} each.",
        error_messages={"required": "Choose at least one picture."},
        widget=_ManyFiles(
            attrs={
                "accept": "image/jpeg,image/png,image/webp,image/heic,image/heif,image/avif,"
                "application/dicom,.heic,.dcm"
            }
        ),
    )
    captured_on = DayField(
        label="Taken on",
        required=False,
        help_text="Leave it empty to take each picture's day from its file, or today's.",
    )
    modality = forms.ChoiceField(
        label="Kind of picture",
        choices=Modality.choices,
        initial=Modality.DERMATOSCOPIC,
        help_text="The software reads dermatoscopic pictures only. Add others to compare them.",
    )
    allow_burned_in = forms.BooleanField(
        required=False,
        label="Add DICOM files even if their pictures contain text",
    )
    allow_capture = forms.BooleanField(
        required=False,
        label="Add Secondary Captures: they are photographs of this spot",
    )
    read_photographs = forms.BooleanField(
        required=False,
        label="Read DICOM files that call themselves ordinary photographs: they were taken through "
        "a dermatoscope",
    )
    allow_duplicate = forms.BooleanField(required=False, label="Add it here as well")

    def clean(self) -> dict[str, Any]:
        """The kind that the form shows first is no statement about a file that says another."""
        told = super().clean() or {}
        insists = told.pop("read_photographs")
        if told.get("modality") == Modality.DERMATOSCOPIC and not insists:
            told["modality"] = ""
        return told
