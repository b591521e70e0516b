"""Fields that more than one serializer is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from accounts.scope_permission import may_read
from ml.diagnoses import Diagnosis
from screening.models import Outcome
from screening.predictions.outcomes import of_rank

# What JSON has to give a field. DRF itself would read 0 as a text, "yes" as true and "7" as 7.
TYPES: tuple[tuple[tuple[type, ...], tuple[type, ...], str], ...] = (
    ((serializers.BooleanField,), (bool,), "Give true or false."),
    ((serializers.IntegerField, serializers.FloatField), (int, float), "Give a number."),
    (
        (
            serializers.CharField,
            serializers.UUIDField,
            serializers.DecimalField,
            serializers.DateField,
            serializers.DateTimeField,
        ),
        (str,),
        "Give a string.",
    ),
)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses a field that it does not know: a mistyped one must not be lost without a word.

    Of JSON it also refuses a value of another type than is documented. In a form all is text.
    """

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, Any] = {}
        if hasattr(data, "keys"):
            for name in data.keys() - self.fields.keys():
                errors[name] = ["There is no such field."]
        if hasattr(data, "lists"):
            for name, values in data.lists():
                if len(values) > 1:
                    errors[name] = ["Give this field once: one picture a request."]
        elif isinstance(data, dict):
            errors |= self._left_out(data) | self._of_another_type(data)
        try:
            validated = super().to_internal_value(data)
        except serializers.ValidationError as refused:
            errors = {**cast("dict[str, Any]", refused.detail), **errors}
            raise serializers.ValidationError(errors) from None
        if errors:
            raise serializers.ValidationError(errors)
        return validated

    def _left_out(self, data: dict[str, Any]) -> dict[str, Any]:
        """A part of a record is given whole, in a PATCH too: DRF would let it be partial."""
        if self is self.root:
            return {}
        missing = (name for name, field in self.fields.items() if field.required)
        return {name: ["This field is required."] for name in missing if name not in data}

    def _of_another_type(self, data: dict[str, Any]) -> dict[str, Any]:
        found = {
            name: another_type(field, data[name])
            for name, field in self.fields.items()
            if name in data and not field.read_only
        }
        return {name: error for name, error in found.items() if error}


def another_type(field: Any, value: Any) -> Any:
    """The error, shaped as DRF shapes a field's; None where the type is right, or is none of
    ours to judge: ``null`` and parts that are serializers themselves."""
    if value is None:
        return None
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        found = {at: another_type(field.child, one) for at, one in enumerate(value)}
        return {at: error for at, error in found.items() if error}
    if isinstance(field, serializers.PrimaryKeyRelatedField):
        if value == "":  # DRF would take it for null
            return ["Give an identifier."]
        field = field.pk_field
    if isinstance(field, serializers.ChoiceField):
        wanted = tuple({type(choice) for choice in field.choices})
        text = "Give a string." if wanted == (str,) else "Give a number."
        return None if type(value) in wanted else [text]
    for fields, wanted, text in TYPES:
        if isinstance(field, fields):
            return None if type(value) in wanted else [text]
    return None


class VisibleField(serializers.PrimaryKeyRelatedField[Any]):
    """The identifier of a record that the user may see. Any other does not exist.

    queryset: ``none()`` of the model. visible_to: the rows of it that a user may name.
    """

    def __init__(
        self,
        *,
        queryset: QuerySet[Any],
        visible_to: Callable[[User], QuerySet[Any]],
        **options: Any,
    ) -> None:
        self.visible_to = visible_to
        name = queryset.model._meta.verbose_name
        super().__init__(
            queryset=queryset,
            pk_field=serializers.UUIDField(),
            error_messages={"does_not_exist": f"There is no such {name}, or it is not yours."},
            **options,
        )

    def get_queryset(self) -> QuerySet[Any]:
        return self.visible_to(self.context["request"].user)


class ByScope(serializers.Serializer[Any]):
    """Shows what belongs to another resource only to callers who may read that one, too.

    elsewhere: those resources, by the name of the field. Without their scopes it is empty.
    """

    elsewhere: ClassVar[dict[str, tuple[str, ...]]] = {}

    def to_representation(self, instance: Any) -> Any:
        shown = super().to_representation(instance)
        for name, resources in self.elsewhere.items():
            if shown and not may_read(self.context["request"], *resources):
                shown[name] = [] if isinstance(shown[name], list) else None
        return shown


class OrNothing(serializers.Serializer[Any]):
    """A part that is ``null`` until there is something in it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, instance: Any) -> Any:
        return super().to_representation(instance) if instance else None


class ByDiagnosis(OrNothing):
    """A number for each diagnosis, in HAM10000's order whatever the database made of it."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {diagnosis.value: serializers.FloatField() for diagnosis in Diagnosis}


class GridByDiagnosis(serializers.Serializer[Any]):
    """For each diagnosis a list of rows of numbers."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            diagnosis.value: serializers.ListField(
                child=serializers.ListField(child=serializers.FloatField())
            )
            for diagnosis in Diagnosis
        }


class Context(ByScope, OrNothing):
    """What the model was told; ``null``: not known."""

    elsewhere = {"age": ("patients",), "sex": ("patients",), "localization": ("lesions",)}

    age = serializers.FloatField(allow_null=True, help_text="Years, at the day of capture.")
    sex = serializers.CharField(allow_null=True)
    localization = serializers.CharField(allow_null=True)


class ContextTerms(OrNothing):
    """Logits that each field of the context added to the image's own."""

    age = ByDiagnosis()
    sex = ByDiagnosis()
    localization = ByDiagnosis()


class WordOrNull(serializers.CharField):
    """A text of ours; ``null`` where the column is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None


_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"


@extend_schema_field({"type": "string", "pattern": _TIME, "example": "14:05:00"})
class TimeOfDay(serializers.TimeField):
    """Without a zone, where the camera was: JSON Schema's ``time`` asks for one."""


class StandingOutcome(serializers.ChoiceField):
    """What is told of a lesion, from its ``standing_rank``; ``null`` where nothing stands."""

    def __init__(self, *, help_text: str) -> None:
        super().__init__(
            Outcome.choices,
            source="standing_rank",
            read_only=True,
            allow_null=True,
            help_text=help_text,
        )

    def to_representation(self, value: Any) -> Any:
        return of_rank(value) or None


class ChoiceOrNull(serializers.ChoiceField):
    """One of the choices; ``null`` where the column is empty."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None
