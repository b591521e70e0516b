"""The base of serializers of records: strict parsing, the write path, identifiers of other
systems.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from screening.api.fields import StrictSerializer, meaning
from screening.interop import identifiers as interop_identifiers
from screening.models import ExternalIdentifier


class RecordSerializer(StrictSerializer, serializers.ModelSerializer[Any]):
    """Writes through the rooms' services on behalf of the request's user.

    Model validators are left out: the write path checks every rule and words the errors.
    """

    fixed: tuple[str, ...] = ()  # cannot be changed later

    @property
    def user(self) -> Any:
        return self.context["request"].user

    def changes(self, instance: Any, validated: dict[str, Any]) -> dict[str, Any]:
        """The changed fields. Raises ValidationError for a change to a fixed one."""
        moved = {
            name: [f"This cannot be changed: the {instance._meta.verbose_name} stays where it is."]
            for name in self.fixed
            if name in validated and validated[name] != getattr(instance, name)
        }
        if moved:
            raise serializers.ValidationError(moved)
        return {name: value for name, value in validated.items() if name not in self.fixed}


class IdentifierSerializer(StrictSerializer):
    """Another system's identifier of the record. Unique in the clinic, among records of its
    kind.
    """

    system = serializers.CharField(max_length=200, help_text=meaning(ExternalIdentifier, "system"))
    value = serializers.CharField(max_length=200)

    def validate_system(self, text: str) -> str:
        if "|" in text:
            raise serializers.ValidationError("A bar separates the system from the value.")
        return text


class IdentifiedSerializer(RecordSerializer):
    """With ``identifiers``. is_new: whether ``create`` created the record or found it."""

    identifiers = IdentifierSerializer(  # type: ignore[call-arg]
        many=True,
        required=False,
        max_length=interop_identifiers.MOST,
        help_text="Of other systems. A POST with one that is known answers with the known record.",
    )
    is_new = True

    def known(self, found: interop_identifiers.Known) -> Any:
        self.is_new = found.is_new
        return found.record

    def save_identifiers(self, record: Any, changes: dict[str, Any]) -> None:
        if "identifiers" in changes:
            interop_identifiers.set_identifiers(
                user=self.user, record=record, identifiers=changes.pop("identifiers")
            )
