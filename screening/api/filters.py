"""Filters of lists. An unknown, empty or invalid filter is rejected, not ignored: a typo would
silently return everyone's records.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ChoiceField
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request
from rest_framework.views import APIView

from screening.api.fields import wrong_choice
from screening.api.http.known import QueryError
from screening.api.http.shape import PARAMETERS
from screening.models import (
    BodySite,
    Conclusion,
    Lesion,
    LesionImage,
    Modality,
    Outcome,
    Patient,
    Prediction,
    Review,
    State,
)


class StrictFilterBackend(filters.DjangoFilterBackend):
    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        filterset = self.get_filterset(request, queryset, view)
        known = list(filterset.base_filters) if filterset else []
        known += getattr(getattr(view, "paginator", None), "parameters", ())
        known += PARAMETERS if hasattr(view, "expandable") else ()
        errors = {}
        for name, values in request.query_params.lists():
            if name not in known:
                among = ", ".join(known)
                errors[name] = f"There is no such parameter here. There are: {among}."
            elif len(values) > 1:
                errors[name] = "Give this parameter once."
            elif not values[0]:
                errors[name] = "Give a value, or leave the parameter out."
        if errors:
            raise QueryError(errors)
        if filterset is None:
            return queryset
        for field in filterset.form.fields.values():
            if isinstance(field, ChoiceField):
                choices: Any = field.choices
                words = [value for value, _ in choices]
                field.error_messages["invalid_choice"] = wrong_choice(words)
        if not filterset.is_valid():
            raise QueryError(filterset.errors)
        return filterset.qs


class Text(filters.CharFilter):
    """Reject an empty value, as documented."""

    def __init__(self, *, help_text: str, **options: Any) -> None:
        super().__init__(help_text=help_text, **options)
        extend_schema_field({"type": "string", "minLength": 1, "description": help_text})(self)


class Search(Text):
    """Free text, by the QuerySet's own ``search``."""

    def filter(self, qs: Any, value: str) -> Any:
        return qs.search(value) if value else qs


class Identifier(Text):
    """``system|value``, as FHIR writes a token: split at the first bar."""

    def filter(self, qs: Any, value: str) -> Any:
        if not value:
            return qs
        system, _, own = value.partition("|")
        return qs.filter(identifiers__system=system, identifiers__value=own).distinct()


class Day(filters.DateFilter):
    """An ISO 8601 day, and no other format."""

    def __init__(self, **options: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%d"], **options)


class _MomentField(IsoDateTimeField):
    def to_python(self, value: Any) -> datetime | None:
        moment = super().to_python(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError:  # the first or last day, shifted out of range by an offset
            raise ValidationError(self.error_messages["invalid"]) from None


class Moment(filters.IsoDateTimeFilter):
    field_class = _MomentField


class YesOrNo(filters.TypedChoiceFilter):
    """``true`` or ``false`` only: any other word would not filter at all."""

    def __init__(self, *, help_text: str, **options: Any) -> None:
        words = ["true", "false"]
        super().__init__(
            choices=[(word, word) for word in words],
            coerce=lambda value: value == "true",
            help_text=help_text,
            **options,
        )
        # Otherwise the schema would give it the type of the column that it filters.
        extend_schema_field({"type": "string", "enum": words, "description": help_text})(self)


class RecordFilter(filters.FilterSet):
    """What every list of records has."""

    modified_after = Moment(
        field_name="modified",
        lookup_expr="gte",
        help_text="Added or changed at this moment or later. What is shown of other records within "
        "it, its own list has.",
    )


class PatientFilter(RecordFilter):
    clinic = filters.UUIDFilter(help_text="Of this clinic.")
    search = Search(help_text="Part of the label.")
    identifier = Identifier(help_text="Of another system: `system|value`.")

    class Meta:
        model = Patient
        fields: list[str] = []


class LesionFilter(RecordFilter):
    patient = filters.UUIDFilter(help_text="Of this patient.")
    body_site = filters.ChoiceFilter(choices=[pair for pair in BodySite.choices if pair[0]])
    search = Search(help_text="Part of the label, the body site or the notes.")
    identifier = Identifier(help_text="Of another system: `system|value`.")

    class Meta:
        model = Lesion
        fields: list[str] = []


class ImageFilter(RecordFilter):
    lesion = filters.UUIDFilter(help_text="Of this lesion.")
    patient = filters.UUIDFilter(field_name="lesion__patient", help_text="Of this patient.")
    modality = filters.ChoiceFilter(choices=Modality.choices)
    identifier = Identifier(help_text="Of another system: `system|value`.")
    captured_on_after = Day(
        field_name="captured_on", lookup_expr="gte", help_text="Captured on this day or later."
    )
    captured_on_before = Day(
        field_name="captured_on", lookup_expr="lte", help_text="Captured on this day or earlier."
    )

    class Meta:
        model = LesionImage
        fields: list[str] = []


class PredictionFilter(RecordFilter):
    image = filters.UUIDFilter(help_text="Of this image.")
    lesion = filters.UUIDFilter(field_name="image__lesion", help_text="Of this lesion's images.")
    state = filters.ChoiceFilter(choices=State.choices)
    outcome = filters.ChoiceFilter(
        choices=Outcome.choices, method="told", help_text="The outcome that the person is told."
    )
    counts = YesOrNo(
        method="counting",
        help_text="`true`: the one reading of its image that counts; `false`: those beside it.",
    )
    created_after = Moment(
        field_name="created", lookup_expr="gte", help_text="Queued at this moment or later."
    )
    created_before = Moment(
        field_name="created", lookup_expr="lte", help_text="Queued at this moment or earlier."
    )

    class Meta:
        model = Prediction
        fields: list[str] = []

    def told(self, queryset: Any, name: str, value: str) -> Any:
        return queryset.told(value)

    def counting(self, queryset: Any, name: str, value: bool) -> Any:
        counting = Prediction.objects.counting().values("pk")
        return queryset.filter(pk__in=counting) if value else queryset.exclude(pk__in=counting)


class ReviewFilter(RecordFilter):
    image = filters.UUIDFilter(help_text="On this image.")
    lesion = filters.UUIDFilter(field_name="image__lesion", help_text="On this lesion's images.")
    conclusion = filters.ChoiceFilter(choices=Conclusion.choices)
    standing = YesOrNo(
        field_name="superseded_by",
        lookup_expr="isnull",
        help_text="`true`: that no later one supersedes.",
    )

    class Meta:
        model = Review
        fields: list[str] = []
