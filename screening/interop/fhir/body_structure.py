"""BodyStructure: a lesion and its location."""

from __future__ import annotations

from django.db.models import Model, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest

from accounts.models import User
from screening.formatting import day
from screening.interop.codes import SIDES
from screening.interop.fhir.elements import (
    Json,
    body_site,
    identifiers,
    reference,
    resource,
    snomed,
)
from screening.models import Lesion, LesionImage, LesionPosition
from screening.records import queries as record_queries


def rows(user: User) -> QuerySet[Lesion]:
    lesions = record_queries.with_latest(Lesion.objects.visible_to(user), user)
    lesions = lesions.annotate(
        changed_at=Greatest(
            "modified", last_change(LesionImage, "lesion"), last_change(LesionPosition, "lesion")
        )
    )
    return lesions.prefetch_related(
        "identifiers", Prefetch("positions", LesionPosition.objects.all())
    )


def render(lesion: Lesion, base: str) -> Json:
    return resource(
        "BodyStructure",
        lesion.pk,
        changed=lesion.changed_at,  # type: ignore[attr-defined]
        identifier=identifiers(lesion),
        active=not lesion.is_closed,
        location=body_site(lesion.body_site),
        locationQualifier=_side(lesion),
        description=_description(lesion),
        image=_image(lesion, base),
        patient=reference("Patient", lesion.patient_id),
    )


def last_change(model: type[Model], lesion: str) -> Coalesce:
    """When a row of the lesion changed last, including withdrawn ones; the lesion's own time
    without any.
    """
    manager = getattr(model, "everything", model._default_manager)
    rows = manager.filter(**{lesion: OuterRef("pk")}).order_by("-modified")
    return Coalesce(Subquery(rows.values("modified")[:1]), "modified")


def _side(lesion: Lesion) -> list[Json]:
    """From the body map: a point on the midline has no side."""
    position = next(iter(lesion.positions.all()), None)
    code = SIDES.get(position.side) if position else None
    return [{"coding": [snomed(code)]}] if code else []


def _description(lesion: Lesion) -> str:
    symptoms = f"{lesion.symptom_words}." if lesion.symptoms else ""
    parts = (f"{lesion.label}.", lesion.notes, symptoms, closed_words(lesion))
    return " ".join(text for text in parts if text)


def closed_words(lesion: Lesion) -> str:
    """The closing in words; empty while the lesion is open."""
    return f"Removed on {day(lesion.closed_on)}." if lesion.closed_on else ""


def _image(lesion: Lesion, base: str) -> list[Json]:
    latest = lesion.latest_image_id
    return [{"url": f"{base}/Binary/{latest}", "title": "Captured last"}] if latest else []
