"""Fields and bases shared by several serializers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar, cast

from django.db.models import Field, Model, QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import agreements
from accounts.models import User
from accounts.scope_permission import may_read
from ml.diagnoses import Diagnosis
from screening.models import Outcome
from screening.models.base import Settling
from screening.predictions.outcomes import Awaited, Unread, earlier_of, of_rank

# JSON types by field. DRF itself would read 0 as text, "yes" as true and "7" as 7.
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


def meaning(model: type[Model], name: str) -> str:
    """What the model itself says of the field, for one that a serializer declares."""
    return str(cast("Field[Any, Any]", model._meta.get_field(name)).help_text)


def wrong_choice(choices: Iterable[Any]) -> str:
    """The message for a wrong choice."""
    words = ", ".join(str(choice) for choice in choices if choice != "")
    return f"This is not a valid choice. There are: {words}."


def confirms_field() -> serializers.BooleanField:
    return serializers.BooleanField(
        required=False,
        write_only=True,
        help_text=f"True, once, before a clinic's first record: “{agreements.CONFIRMATION}”. Kept "
        "with the version of the site's texts, who sent it and when.",
    )


class StrictSerializer(serializers.Serializer[Any]):
    """Rejects unknown fields, so that a mistyped one is not silently lost.

    In JSON it also rejects values of another type than documented, and text that is too long before
    blanks around it are stripped. In form data everything is text. The message about a wrong choice
    lists the right ones.
    """

    def get_fields(self) -> dict[str, Any]:
        found = super().get_fields()
        for field in found.values():
            if isinstance(field, serializers.ChoiceField):
                field.error_messages["invalid_choice"] = wrong_choice(field.choices)
        return found

    def _too_long(self, data: dict[str, Any]) -> dict[str, Any]:
        return {
            name: [field.error_messages["max_length"].format(max_length=field.max_length)]
            for name, field in self.fields.items()
            if isinstance(field, serializers.CharField)
            and field.max_length is not None
            and len(str(data.get(name, ""))) > field.max_length
        }

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
            errors |= self._left_out(data) | self._of_another_type(data) | self._too_long(data)
        try:
            validated = super().to_internal_value(data)
        except serializers.ValidationError as refused:
            errors = {**cast("dict[str, Any]", refused.detail), **errors}
            raise serializers.ValidationError(errors) from None
        if errors:
            raise serializers.ValidationError(errors)
        return validated

    def _left_out(self, data: dict[str, Any]) -> dict[str, Any]:
        """Requires a nested part as a whole, even in a PATCH, where DRF would accept a partial
        one.
        """
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
    """The error, in DRF's format; None if the type is right or is checked elsewhere: ``null`` and
    nested serializers.
    """
    if value is None:
        return None
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        found = {at: another_type(field.child, one) for at, one in enumerate(value)}
        return {at: error for at, error in found.items() if error}
    if isinstance(field, serializers.PrimaryKeyRelatedField):
        if value == "":  # DRF would treat it as null
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

    queryset: ``none()`` of the model. visible_to: the rows that a user may refer to.
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
    """Shows fields of another resource only to callers who may read that resource too.

    elsewhere: those resources, by field name. Without their scopes the field is empty.
    """

    elsewhere: ClassVar[dict[str, tuple[str, ...]]] = {}

    def to_representation(self, instance: Any) -> Any:
        shown = super().to_representation(instance)
        for name, resources in self.elsewhere.items():
            if shown and not may_read(self.context["request"], *resources):
                shown[name] = [] if isinstance(shown[name], list) else None
        return shown


class OrNothing(serializers.Serializer[Any]):
    """A part that is ``null`` while it is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, instance: Any) -> Any:
        return super().to_representation(instance) if instance else None


class ByDiagnosis(OrNothing):
    """A number for each diagnosis, in HAM10000's order whatever the order in the database."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {diagnosis.value: serializers.FloatField() for diagnosis in Diagnosis}


class GridByDiagnosis(serializers.Serializer[Any]):
    """A list of rows of numbers for each diagnosis."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {
            diagnosis.value: serializers.ListField(
                child=serializers.ListField(child=serializers.FloatField())
            )
            for diagnosis in Diagnosis
        }


class Context(ByScope, OrNothing):
    """The patient details given to the model; ``null``: unknown."""

    elsewhere = {"age": ("patients",), "sex": ("patients",), "localization": ("lesions",)}

    age = serializers.FloatField(allow_null=True, help_text="Years, at the day of capture.")
    sex = serializers.CharField(allow_null=True)
    localization = serializers.CharField(allow_null=True)


class ContextTerms(OrNothing):
    """The logits that each context field added to those of the image."""

    age = ByDiagnosis()
    sex = ByDiagnosis()
    localization = ByDiagnosis()


class WordOrNull(serializers.CharField):
    """Text; ``null`` if the column is empty."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None


_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?$"


@extend_schema_field({"type": "string", "pattern": _TIME, "example": "14:05:00"})
class TimeOfDay(serializers.TimeField):
    """Without a time zone, in local time of the camera; JSON Schema's ``time`` would require a
    zone.
    """


class StandingOutcome(serializers.ChoiceField):
    """The outcome of a lesion, from its ``standing_rank``; ``null`` if it has no standing
    outcome.
    """

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
    """One of the choices; ``null`` if the column is empty."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None


class EarlierOutcome(serializers.ChoiceField):
    """``Standing.earlier`` of a lesion ``with_standing``; ``null`` without one."""

    def __init__(self, *, help_text: str) -> None:
        super().__init__(
            Outcome.choices, source="*", read_only=True, allow_null=True, help_text=help_text
        )

    def to_representation(self, lesion: Any) -> Any:
        return earlier_of(lesion) or None


class BesideStanding(serializers.Serializer[Any]):
    """What pages show beside a ``StandingOutcome``: each serializer that has one has these too."""

    earlier_outcome = EarlierOutcome(
        help_text="What an earlier reading of an image said that is not settled, where that was "
        "more severe. `null`: none was.",
    )
    unread = ChoiceOrNull(
        Unread.choices,
        help_text="An image has no reading, and no doctor has settled it: `not_read`, as it could "
        "not be, or `being_read`. The outcome does not take it into account. `null`: all are read.",
    )
    awaits = ChoiceOrNull(
        Awaited.choices,
        help_text="What is to be done although nothing, or little, stands: a malignant lesion's "
        "`treatment`, the `removal` that a clinician asked for, or the `result` of a sample.",
    )


class ShownAt(serializers.DateTimeField):
    """``Settling.shown_at``, as the caller may give it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            required=False,
            allow_null=True,
            help_text="Until when it takes into account what came to the lesion; it settles "
            "nothing that came later. Send when you got the lesion that you showed to whoever "
            "concludes, by the `Date` header of our answer. Without it, only the picture that is "
            "named counts as shown, and those that were there before it: a histology or a visit "
            "then settles nothing. Empty in answers: by `created`.",
            **kwargs,
        )


def shown(fields: dict[str, Any], named: datetime, corrected: Settling | None) -> dict[str, Any]:
    """The fields of an act with ``shown_at``: a program does not say what its user has seen.

    named: the moment of what the act names. corrected: an act that it corrects, which took more
    into account.
    """
    known = max(named, corrected.knows_until) if corrected else named
    return fields | {"shown_at": fields.get("shown_at") or known}
