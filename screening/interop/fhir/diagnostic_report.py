"""DiagnosticReport: a lesion with everything known about it, for people; the PDF is attached."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db.models import Exists, F, Model, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.urls import reverse

from accounts.models import User
from screening.interop.fhir import observation, terminology
from screening.interop.fhir.body_structure import closed_words
from screening.interop.fhir.elements import (
    AI_ASSERTED,
    Json,
    canonical,
    concept,
    instant,
    own_identifier,
    reference,
    resource,
)
from screening.models import DoctorVisit, Histology, Lesion, LesionImage, Prediction, Review, State
from screening.models.lesion import HAS_SYMPTOM
from screening.predictions.advice import act_words, of_lesion
from screening.predictions.details import CLINICAL_PHOTOGRAPH
from screening.predictions.outcomes import Standing, standing_of
from screening.predictions.queries import latest_review, standing_reviews
from screening.records.queries import with_withheld

UNREAD = "StructureDefinition/lesion-unread"
AWAITS = "StructureDefinition/lesion-awaits"
"""Our extensions, with the codes of ``Unread`` and ``Awaited``."""
SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"


def rows(user: User) -> QuerySet[Lesion]:
    """Lesions with an image or a symptom, with ``captured_last``."""
    images = LesionImage.objects.filter(lesion=OuterRef("pk")).latest_first()
    return (
        Lesion.objects.visible_to(user)
        .select_related("patient")
        .filter(Exists(images) | HAS_SYMPTOM)
        .annotate(captured_last=Subquery(images.values("captured_on")[:1]))
        .alias(
            changed_at=Greatest(
                F("modified"),
                F("patient__modified"),
                _last(LesionImage, "lesion"),
                _last(Prediction, "image__lesion"),
                _last(Review, "image__lesion"),
                _last(Histology, "lesion"),
                _last(DoctorVisit, "lesion"),
            )
        )
        .prefetch_related(
            Prefetch("images", with_withheld(LesionImage.objects.latest_first(), user)),
            Prefetch("images__predictions", observation.predictions(user).latest_first()),
            Prefetch("images__reviews", observation.reviews(user)),
            Prefetch(
                "histologies",
                observation.histologies(user).filter(withdrawn_at=None).gravest_first(),
            ),
            Prefetch("visits", DoctorVisit.objects.visible_to(user).standing()),
        )
    )


def render(lesion: Lesion, base: str) -> Json:
    images = list(lesion.images.all())
    findings = _findings(images)
    histologies = _standing(lesion)
    histology = next(iter(histologies), None)
    standing = standing_of(lesion, images, histologies, list(lesion.visits.all()))
    newest_review = latest_review(images[0]) if images else None
    is_examined = histology is not None or newest_review is not None
    is_final = is_examined and not standing.is_grave and not standing.unread
    has_reading = any(one.state == State.SUCCEEDED for one in findings[1])
    says = has_reading or bool(standing.outcome)
    return resource(
        "DiagnosticReport",
        lesion.pk,
        changed=_changed(lesion, images, findings),
        security=[] if is_final or not images else [AI_ASSERTED],
        extension=_beside(standing),
        identifier=[own_identifier(lesion.pk)],
        status="final" if is_final else "preliminary" if says else "registered",
        category=[concept(SECTION, "IMG", "Diagnostic Imaging")],
        code=terminology.of("observation", "lesion-report", f"Report on {lesion.label}"),
        subject=reference("Patient", lesion.patient_id),
        effectiveDateTime=_effective(lesion),
        issued=instant(_changed(lesion, images, findings)),
        performer=[{"type": "Practitioner", "display": name} for name in _signed(findings[0])],
        result=[
            reference("Observation", row.pk)
            for row in (*lesion.histologies.all(), *findings[0], *findings[1])
        ],
        media=[{"link": reference("Media", image.pk)} for image in images],
        conclusion=_conclusion(lesion, standing, histology, is_examined=is_examined),
        conclusionCode=_codes(standing, histology),
        presentedForm=[_pdf(lesion, base)],
    )


def _effective(lesion: Lesion) -> str | None:
    """The day of the last picture; without one, the day on which the symptom was marked."""
    captured: date | None = lesion.captured_last  # type: ignore[attr-defined]
    return captured.isoformat() if captured else instant(lesion.symptoms_at)


def _last(model: type[Model], lesion: str) -> Coalesce:
    rows = model._default_manager.filter(**{lesion: OuterRef("pk")}).order_by("-modified")
    return Coalesce(Subquery(rows.values("modified")[:1]), "modified")


def _pdf(lesion: Lesion, base: str) -> Json:
    """The PDF, generated on request from what the requester may see."""
    address = reverse("api:lesion-report", args=[lesion.pk])
    url = f"{base.removesuffix('/fhir/R4')}{address}"
    return {"contentType": "application/pdf", "url": url, "title": "Report of the lesion"}


Findings = tuple[list[Review], list[Prediction]]


def _findings(images: list[LesionImage]) -> Findings:
    reviews = [review for image in images for review in standing_reviews(image)]
    readings = [reading for image in images for reading in image.predictions.all()]
    return reviews, readings


def _changed(lesion: Lesion, images: list[LesionImage], findings: Findings) -> datetime:
    """``changed_at`` of the row, without another query."""
    said = (*lesion.histologies.all(), *lesion.visits.all())
    parts: tuple[Any, ...] = (lesion, lesion.patient, *images, *findings[0], *findings[1], *said)
    return max(part.modified for part in parts)


def _signed(reviews: list[Review]) -> list[str]:
    return sorted({str(review.reviewer) for review in reviews})


def _standing(lesion: Lesion) -> list[Histology]:
    """The histology that stands, malignant before benign, newest first."""
    found = list(lesion.histologies.all())
    corrected = {histology.supersedes_id for histology in found}
    return [histology for histology in found if histology.pk not in corrected]


def _conclusion(
    lesion: Lesion, standing: Standing, histology: Histology | None, *, is_examined: bool
) -> str:
    """The conclusion in words.

    Histology ranks above a clinician's last conclusion, which follows if it was signed later, and
    both rank above a model's reading. What is not settled comes first, then what is not read; what
    settled the rest comes last. is_examined: there is histology, or a conclusion on the newest
    image.
    """
    advice = of_lesion(lesion, standing)
    reading, review = standing.reading, standing.concluded_since(histology)
    said = []
    if advice and (standing.is_grave or not is_examined):
        if reading is not None and reading.reason != CLINICAL_PHOTOGRAPH:
            said.append("Read by a model, not yet by a clinician.")
        said.append(f"{advice.title}.")
        if reading is None:
            said.append(advice.text[0])
    if standing.unread:
        said.append(f"{standing.unread_word}: this does not take it into account.")
    if histology is not None:
        said.append(f"Histology: {histology.get_diagnosis_display()}. {histology.note}")
    if review is not None:
        concluded = f"{review.get_conclusion_display()}. {review.get_management_display()}."
        said.append(f"{concluded} {review.note}")
    if standing.awaits:
        said.append(f"{standing.awaits_word}.")
    if standing.settled:
        said.append(f"Warnings were settled by: {'; '.join(map(act_words, standing.settled))}.")
    said += [f"{act_words(visit)}." for visit in standing.visits if visit not in standing.settled]
    return " ".join(words.strip() for words in (*said, closed_words(lesion)) if words.strip())


def _beside(standing: Standing) -> list[Json]:
    found = ((UNREAD, standing.unread), (AWAITS, standing.awaits))
    return [{"url": canonical(url), "valueCode": code} for url, code in found if code]


def _codes(standing: Standing, histology: Histology | None) -> list[Json]:
    """Codes of a standing warning, then of what a pathologist found and a doctor concluded
    since.
    """
    review = standing.concluded_since(histology)
    found = [
        *([histology.diagnosis] if histology else []),
        *([review.conclusion] if review else []),
    ]
    warning = [terminology.of("outcome", standing.outcome)] if standing.is_grave else []
    known = [code for code in dict.fromkeys(found) if code in terminology.CLASS_NAMES]
    return warning + [terminology.diagnosis(code) for code in known]
