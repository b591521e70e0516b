"""Serializers of corrections: the history, and the requests that make them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from screening.api import examples
from screening.api.documentation import sent, shown
from screening.api.fields import StrictSerializer, VisibleField, meaning
from screening.api.http.schema import IF_MATCH
from screening.corrections.presenters import in_words
from screening.corrections.undo import may_be_undone
from screening.models import Correction, CorrectionKind, Lesion, Patient

_ID = "019ab1c2-0d4e-7b11-8f60-3a7e5c9d2b18"
CORRECTION: dict[str, Any] = {
    "id": _ID,
    "created": "2026-03-13T10:02:44.190227Z",
    "kind": "withdrawn",
    "text": "The picture of 12 Mar 2026 was withdrawn.",
    "made_by": "clinician@north.example.org",
    "reason": "A picture of another patient.",
    "patient": examples.PATIENT["id"],
    "lesion": examples.LESION["id"],
    "image": examples.IMAGE["id"],
    "visit": None,
    "histology": None,
    "before": {},
    "after": {},
    "is_standing": True,
}
_HISTORY = (
    "The newest first: what was done, by whom, why, and the fields as they were `before` and are "
    "`after`. `is_standing`: it has not been undone, and nothing else was changed since. Of what "
    "belongs to the record, such as its images and visits, only with the scopes to read these."
)


class CorrectionSerializer(serializers.ModelSerializer[Correction]):
    """A change to a record. Never edited."""

    text = serializers.SerializerMethodField(help_text="In words.")
    made_by = serializers.CharField(read_only=True)
    before = serializers.SerializerMethodField(
        help_text="The fields as they were; after a merger, those of the record that stays."
    )
    after = serializers.DictField(read_only=True, help_text=meaning(Correction, "after"))
    is_standing = serializers.SerializerMethodField(help_text="It may be undone.")

    class Meta:
        model = Correction
        fields = [
            "id",
            "created",
            "kind",
            "text",
            "made_by",
            "reason",
            "patient",
            "lesion",
            "image",
            "visit",
            "histology",
            "before",
            "after",
            "is_standing",
        ]
        read_only_fields = fields

    def get_text(self, correction: Correction) -> str:
        return in_words(correction)

    def get_before(self, correction: Correction) -> dict[str, Any]:
        """Leaves out the rows that a merge moved: not everyone may see all of them."""
        before: dict[str, Any] = correction.before
        return before["into"] if correction.kind == CorrectionKind.MERGED else before

    def get_is_standing(self, correction: Correction) -> bool:
        return may_be_undone(correction)


class ReasonSerializer(StrictSerializer):
    """The reason."""

    reason = serializers.CharField(required=False, max_length=400)


class WithdrawSerializer(StrictSerializer):
    """Why the record was entered in error."""

    reason = serializers.CharField(max_length=400)


def _acknowledged(more: str = "") -> serializers.BooleanField:
    return serializers.BooleanField(
        default=False,
        help_text=f"Needed where pictures were read or reviewed: this goes with them.{more}",
    )


class RestoreMergedSerializer(ReasonSerializer):
    """The reason."""

    acknowledged = _acknowledged(" After a merger only, and of what was found since.")


class RestorePatientSerializer(RestoreMergedSerializer):
    """The reason, and a new label if another patient has taken the old one."""

    label = serializers.CharField(required=False, max_length=80)  # type: ignore[assignment]


class UndoSerializer(StrictSerializer):
    """What some corrections need to be undone."""

    acknowledged = _acknowledged(" And where more was found since, or is left where it is.")
    label = serializers.CharField(  # type: ignore[assignment]
        required=False,
        max_length=80,
        help_text="Of a patient whose own is another's by now.",
    )


def _lesion_field() -> VisibleField:
    return VisibleField(
        queryset=Lesion.objects.none(),
        visible_to=lambda user: Lesion.objects.visible_to(user).select_related("patient"),
    )


def _patient_field() -> VisibleField:
    return VisibleField(
        queryset=Patient.objects.none(), visible_to=lambda user: Patient.objects.visible_to(user)
    )


class MoveImageSerializer(ReasonSerializer):
    """The lesion that the image belongs to."""

    lesion = _lesion_field()
    acknowledged = _acknowledged()


class MoveLesionSerializer(ReasonSerializer):
    """The patient that the lesion belongs to."""

    patient = _patient_field()
    acknowledged = _acknowledged()


class MergeLesionSerializer(ReasonSerializer):
    """The lesion to keep, of the same patient."""

    into = _lesion_field()
    acknowledged = _acknowledged()


class MergePatientSerializer(ReasonSerializer):
    """The record to keep, of the same clinic or owner."""

    into = _patient_field()
    acknowledged = _acknowledged(" And where the two differ in birth year or sex.")


undone = extend_schema(
    summary="Undo a correction",
    description="The same act the other way round: what was edited, moved, merged or withdrawn is "
    "as it was before. It is a correction itself. Needs the scope that writes such a record, too. "
    "The answer is the correction that was undone, which is not `is_standing` any more. Where "
    "something else was changed since, nothing is done: 400.",
    request=UndoSerializer,
    responses={200: CorrectionSerializer},
    examples=[
        sent("undo", {"acknowledged": True}),
        shown("undone", CORRECTION | {"is_standing": False}, 200),
    ],
)


def acts(what: str, serializer: Any, example: Any, restore: Any = ReasonSerializer) -> Any:
    """Descriptions of the actions that all kinds have: withdraw, restore, corrections."""
    return (
        extend_schema(
            summary=f"Withdraw {what}",
            description="Entered in error: it counts nowhere any more, and neither does what "
            "belongs to it. No outcome, list, report, export or webhook has it. It is kept with "
            "the reason, and can be put back.",
            parameters=[IF_MATCH],
            request=WithdrawSerializer,
            responses={200: CorrectionSerializer},
            examples=[
                sent("reason", {"reason": CORRECTION["reason"]}),
                shown("withdrawn", CORRECTION, 200),
            ],
        ),
        extend_schema(
            summary=f"Put {what} back",
            description="What was withdrawn is there again; what was merged is by itself again, "
            "with what came from it. What is in the way is named: 400.",
            parameters=[IF_MATCH],
            request=restore,
            responses={200: serializer},
            examples=[sent("reason", {"reason": "It was right."}), shown("back", example, 200)],
        ),
        extend_schema(
            summary=f"List what was corrected of {what}",
            description=_HISTORY,
            responses={200: CorrectionSerializer(many=True)},
            examples=[shown("correction", CORRECTION, 200)],
        ),
    )


def act(summary: str, about: str, request: Any, body: Any, serializer: Any, example: Any) -> Any:
    return extend_schema(
        summary=summary,
        description=about,
        parameters=[IF_MATCH],
        request=request,
        responses={200: serializer},
        examples=[sent("where", body), shown("since", example, 200)],
    )
