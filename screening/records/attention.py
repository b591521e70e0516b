"""The lists of the home page: which of a user's lesions need attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Case, F, OuterRef, Subquery, When
from django.db.models.functions import Coalesce

from accounts.models import User
from screening.models import Lesion, LesionImage
from screening.predictions import outcomes
from screening.records import queries


@dataclass(frozen=True, slots=True)
class Attention:
    """Lesions by their keys.

    needs: the standing outcome is urgent or see a doctor, or a pathologist found it malignant and
    no removal is recorded; most severe first. awaits: others whose removal or result is due:
    examined, but not finished. concluded: the user's own lesions with a clinician's conclusion,
    latest first. recent: all, the most recently opened or added to first.
    """

    needs: list[UUID]
    awaits: list[UUID]
    concluded: list[UUID]
    recent: list[UUID]


def of(user: User) -> Attention:
    """One query, which evaluates each rule once per lesion."""
    uploads = LesionImage.objects.filter(lesion=OuterRef("pk")).order_by("-created", "-pk")
    concluded_at = Subquery(queries.conclusions(user).values("created")[:1])
    lesions = Lesion.objects.visible_to(user).annotate(
        touched=Coalesce(Subquery(uploads.values("created")[:1]), F("created")),
        concluded_at=Case(When(patient__owner=user, then=concluded_at)),
    )
    found = queries.rows_for_order(lesions, user, "touched", "concluded_at")
    rows = queries.most_severe_first(found)
    needs = [row for row in rows if _is_alarming(row)]
    concluded = [row for row in rows if row.concluded_at is not None]
    return Attention(
        needs=[row.pk for row in needs],
        awaits=[row.pk for row in rows if row.awaits and not _is_alarming(row)],
        concluded=_last_first(concluded, "concluded_at"),
        recent=_last_first(rows, "touched"),
    )


def _is_alarming(row: Any) -> bool:
    grave: bool = outcomes.of_rank(row.standing_rank) in outcomes.GRAVE
    return grave or row.awaits == outcomes.Awaited.TREATMENT


def _last_first(rows: list[Any], name: str) -> list[UUID]:
    ordered = sorted(rows, key=lambda row: (getattr(row, name), row.pk), reverse=True)
    return [row.pk for row in ordered]
