"""Parse what people type on the pages. The rules are in ``intake``; see ``submit``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.files.uploadedfile import UploadedFile

from accounts.models import WRITERS, Clinic, User
from ml.pictures import IN_BYTES, IN_PIXELS
from screening.edit_form import EditForm
from screening.imaging import ACCEPTED
from screening.models import (
    SYMPTOMS,
    BodySite,
    ChangeMark,
    Finding,
    Interval,
    Lesion,
    LesionImage,
    Modality,
    Patient,
    Reminder,
    Sex,
    SkinType,
)
from screening.reminding import Span

T = TypeVar("T")


def submit(form: forms.Form, write: Callable[..., T], **fixed: Any) -> T | None:
    """Hand a form's fields to a function of the write path.

    None if the form does not parse, if a rule refuses it, or if what it edits was changed since the
    form was opened: the form then holds the errors.
    """
    if not form.is_valid():
        return None
    fields = {name: value for name, value in form.cleaned_data.items() if name != "opened"}
    do = partial(write, **fixed, **fields)
    try:
        return form.write(do) if isinstance(form, EditForm) else do()
    except ValidationError as error:
        add_errors(form, error)
        return None


def add_errors(form: forms.Form, error: ValidationError) -> None:
    """Each message beside its field; those of no field of this form above all."""
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for field, errors in error.error_dict.items():
        form.add_error(
            field if field in form.fields and field != NON_FIELD_ERRORS else None, errors
        )


class PatientForm(EditForm):
    label = forms.CharField(
        max_length=80,
        help_text="A pseudonym or number by which you recognise the record, not a name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    birth_year = forms.IntegerField(
        required=False,
        help_text="The model reads a little better when it knows the age.",
        widget=forms.NumberInput(attrs={"inputmode": "numeric", "placeholder": "e.g. 1968"}),
    )
    sex = forms.ChoiceField(choices=Sex.choices, required=False)
    skin_type = forms.ChoiceField(
        choices=SkinType.choices,
        required=False,
        help_text="How the skin takes the sun, after Fitzpatrick.",
    )

    @staticmethod
    def values_of(patient: Patient) -> dict[str, Any]:
        return {
            name: getattr(patient, name) for name in ("label", "birth_year", "sex", "skin_type")
        }


class NewPatientForm(PatientForm):
    """Also asks where the record belongs, where there is a choice."""

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinics = Clinic.objects.with_member(user, WRITERS)
        first = clinics.first()
        if first is None:
            self.fields["label"].initial = "My skin"
        else:
            self.fields["clinic"] = forms.ModelChoiceField(
                clinics,
                required=False,
                initial=first.pk,
                label="Belongs to",
                empty_label="Myself: my own record",
                help_text="Everyone in the clinic sees its patients. Only you see your own record.",
            )
        self.order_fields(["clinic"])


class LesionForm(EditForm):
    label = forms.CharField(
        max_length=80,
        required=False,
        help_text="A few words to know it again, such as “left shoulder blade”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    body_site = forms.ChoiceField(
        choices=BodySite.choices,
        required=False,
        label="Body site",
        help_text="As the body map has it, unless you choose another. The model uses it.",
    )
    raised, bleeding, itching, changing = (
        forms.BooleanField(
            required=False,
            label=str(Lesion._meta.get_field(name).help_text),  # type: ignore[union-attr]
        )
        for name in SYMPTOMS
    )
    notes = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    grown_back = forms.BooleanField(
        required=False, label="Something has grown back in the scar: open this spot again"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.record is None or not self.record.is_closed:
            del self.fields["grown_back"]

    @staticmethod
    def values_of(lesion: Lesion) -> dict[str, Any]:
        return {name: getattr(lesion, name) for name in ("label", "body_site", "notes", *SYMPTOMS)}

    def symptom_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in SYMPTOMS]


class VisitForm(forms.Form):
    visited_on = forms.DateField(
        label="When",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    finding = forms.ChoiceField(
        label="What did the doctor say?", choices=Finding.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """One or more files; their content is the write path's matter."""

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:
        files = data if isinstance(data, list | tuple) else [data]
        if not files:
            raise ValidationError(self.error_messages["required"], code="required")
        # An empty file is refused later, by its name and beside the others that are kept.
        return [file for file in files if isinstance(file, UploadedFile)] or [
            super().clean(None, initial)
        ]


class ImageForm(forms.Form):
    """Pictures of one lesion. The script of the page sends each by itself, with its own day."""

    file = ManyFilesField(
        label="Pictures",
        allow_empty_file=True,
        help_text=f"{ACCEPTED}, up to {IN_BYTES} and {IN_PIXELS}. Several at once are fine.",
        error_messages={"required": "Choose at least one picture."},
        widget=_ManyFiles(
            attrs={
                "accept": "image/jpeg,image/png,image/webp,image/heic,image/heif,image/avif,"
                "application/dicom,.heic,.dcm"
            }
        ),
    )
    captured_on = forms.DateField(
        label="Taken on",
        required=False,
        help_text="Leave it empty to take each picture's day from its file, or today's.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    modality = forms.ChoiceField(
        label="Kind of picture",
        choices=Modality.choices,
        initial=Modality.DERMATOSCOPIC,
        help_text="The model reads dermatoscopic pictures only. Others are kept to compare.",
    )
    allow_burned_in = forms.BooleanField(
        required=False,
        label="Take DICOM files even if text is burned into the picture",
    )
    allow_duplicate = forms.BooleanField(required=False, label="Add it here as well")


class ChangeMarkForm(forms.Form):
    verdict = forms.ChoiceField(
        label="What you saw", choices=ChangeMark.Verdict.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class OutlineForm(EditForm):
    """``points``: pairs "x,y" of shares of the picture's width and height, with spaces between."""

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        drawn = image.outlines.first()
        return {"points": drawn.points if drawn else None}

    points = forms.CharField(max_length=4000, widget=forms.HiddenInput)

    def clean_points(self) -> list[tuple[float, float]]:
        try:
            pairs = [pair.split(",") for pair in self.cleaned_data["points"].split()]
            return [(float(x), float(y)) for x, y in pairs]
        except ValueError:
            raise ValidationError("The outline did not arrive as it was drawn.") from None


class ScaleForm(EditForm):
    """One of the ways to say how large an image's pixels are."""

    @staticmethod
    def values_of(image: LesionImage) -> dict[str, Any]:
        scale = image.scales.first()
        return {"mm_per_pixel": scale.mm_per_pixel if scale else None}

    def wanted(self) -> dict[str, Any]:
        return {"mm_per_pixel": "another"}


class FieldOfViewForm(ScaleForm):
    millimetres = forms.FloatField(
        min_value=0.5,
        max_value=500,
        label="Width of what the picture shows, in millimetres",
        help_text="The device's manual has it; a common dermatoscope shows 20 to 30 mm.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


class PixelSpacingForm(ScaleForm):
    millimetres = forms.FloatField(
        min_value=0.0001,
        max_value=1,
        label="Size of a pixel, in millimetres",
        help_text="Pixel spacing, as the device or its DICOM file states it for this very picture.",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


class RulerForm(ScaleForm):
    """``points``: two of them, as in ``OutlineForm``."""

    millimetres = forms.FloatField(
        min_value=0.1,
        max_value=500,
        label="Distance of the two points, in millimetres",
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    points = forms.CharField(max_length=80, widget=forms.HiddenInput, required=False)

    def clean_points(self) -> list[tuple[float, float]]:
        points = OutlineForm({"points": self.cleaned_data["points"]})
        if not points.is_valid() or len(points.cleaned_data["points"]) != 2:
            raise ValidationError("Choose two points on the ruler.")
        found: list[tuple[float, float]] = points.cleaned_data["points"]
        return found


class CloseAlertForm(forms.Form):
    reason = forms.CharField(max_length=400, label="Why it is closed")


class ReminderForm(EditForm):
    """Of a lesion. Without an interval nobody is reminded."""

    @staticmethod
    def values_of(lesion: Lesion) -> dict[str, Any]:
        reminder: Reminder | None = getattr(lesion, "reminder", None)
        is_active = reminder is not None and reminder.is_active
        return {"interval_months": reminder.interval_months if reminder and is_active else None}

    interval_months = forms.TypedChoiceField(
        label="Remind me",
        choices=[("", "No reminder"), *Interval.choices],
        coerce=int,
        empty_value=None,
        required=False,
        error_messages={"invalid_choice": "Choose one of the intervals."},
    )


class SnoozeForm(forms.Form):
    """A span, or a day."""

    span = forms.ChoiceField(choices=Span.choices, required=False)
    until = forms.DateField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
