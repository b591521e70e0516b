"""Fields that more than one serializer is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from accounts.models import User
from ml.types import Diagnosis


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses a field that it does not know: a mistyped one must not be lost without a word."""

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, list[str]] = {}
        if hasattr(data, "keys"):
            for name in data.keys() - self.fields.keys():
                errors[name] = ["There is no such field."]
        if hasattr(data, "lists"):
            for name, values in data.lists():
                if len(values) > 1:
                    errors[name] = ["Give this field once: one picture a request."]
        if errors:
            raise serializers.ValidationError(errors)
        return super().to_internal_value(data)


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


class Context(OrNothing):
    """What the model was told; ``null``: not known."""

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


class ChoiceOrNull(serializers.ChoiceField):
    """One of the choices; ``null`` where the column is empty."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, read_only=True, allow_null=True, **options)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None
