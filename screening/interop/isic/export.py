"""The record as ISIC metadata: our data in its terms, and the columns it gave us unchanged.

Where both have a value, ours wins; but if ours is a coarser form of ISIC's (``trunk`` for
"Trunk:Lateral trunk:Axilla"), the finer term is returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from django.db import models
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from accounts.models import User
from screening.interop.identifiers import MANIFEST
from screening.interop.isic import columns, terms
from screening.interop.isic.columns import BIRTH_YEARS_MAY_DIFFER_BY
from screening.interop.tables import Columns, Value
from screening.models import (
    SYMPTOMS,
    BatchRow,
    Histology,
    Lesion,
    LesionImage,
    Modality,
    Patient,
)
from screening.records.queries import with_withheld

ROWS_AT_ONCE = 500

ISIC_COLUMNS: Columns = {
    "filename": str,
    "isic_id": str,
    "patient_id": str,
    "patient": str,
    "lesion_id": str,
    "lesion": str,
    "acquisition_day": int,
    "captured_on": date,
    "age": int,
    "sex": str,
    "fitzpatrick_skin_type": str,
    "anatom_site": str,
    "anatom_site_general": str,
    "anatom_site_special": str,
    "localization": str,
    "image_type": str,
    "dermoscopic_type": str,
    "tbp_tile_type": str,
    "image_manipulation": str,
    "diagnosis": str,
    "diagnosis_confirm_type": str,
    "dx": str,
    "mel_thick_mm": str,
    "mel_mitotic_index": str,
    "mel_ulcer": str,
    "melanocytic": str,
    "clin_size_long_diam_mm": str,
    "concomitant_biopsy": str,
    "personal_hx_mm": str,
    "family_hx_mm": str,
    "attribution": str,
    "copyright_license": str,
    "mel_class": str,
    "mel_type": str,
    "nevus_type": str,
    "benign_malignant": str,
    "target": str,
    **dict.fromkeys(columns.ONE_HOT, str),
    "anatom_site_general_challenge": str,
    "site": str,
    "skin_tone_class": str,
    "dataset": str,
    **dict.fromkeys(SYMPTOMS, bool),
}
_FINER = (
    "mel_mitotic_index",
    "mel_ulcer",
    "melanocytic",
    "mel_class",
    "mel_type",
    "nevus_type",
    "benign_malignant",
    "target",
    *columns.ONE_HOT,
)
"""Those of a diagnosis that nothing of ours has a place for: they fall with it."""
_DIAGNOSTIC = (
    "diagnosis",
    "diagnosis_confirm_type",
    "dx",
    "mel_thick_mm",
    "concomitant_biopsy",
    *_FINER,
)
WHOSE = {
    **dict.fromkeys(ISIC_COLUMNS, "images"),
    **dict.fromkeys(
        (
            "patient_id",
            "patient",
            "age",
            "sex",
            "fitzpatrick_skin_type",
            "skin_tone_class",
            "personal_hx_mm",
            "family_hx_mm",
        ),
        "patients",
    ),
    **dict.fromkeys(
        (
            "lesion_id",
            "lesion",
            *SYMPTOMS,
            "anatom_site",
            "anatom_site_general",
            "anatom_site_special",
            "anatom_site_general_challenge",
            "site",
            "localization",
            "clin_size_long_diam_mm",
        ),
        "lesions",
    ),
    **dict.fromkeys(_DIAGNOSTIC, "histologies"),
}
"""The resource that each column belongs to: programs see only the columns that they may read."""


class Days(models.TextChoices):
    """How the day of capture is told: the archive takes no dates."""

    COUNTED = "acquisition_day", "Days since the patient's first image"
    DATES = "captured_on", "Dates"


_OLDEST_TOLD = 85  # ISIC gives no higher age, since the oldest could be identified


def isic_columns(days: str) -> Columns:
    """The columns of the table. Only one of ``Days`` is among them."""
    left_out = set(Days.values) - {days}
    return {name: kind for name, kind in ISIC_COLUMNS.items() if name not in left_out}


def isic_rows(images: QuerySet[LesionImage], user: User, days: str) -> Iterator[list[Value]]:
    """The metadata of ``images`` that ``user`` may see, without diagnoses of those they must
    conclude on first.
    """
    names = isic_columns(days)
    of_patient = LesionImage.objects.present().filter(lesion__patient=OuterRef("lesion__patient"))
    first = of_patient.latest_first().reverse().values("captured_on")[:1]
    ordered = (
        with_withheld(images, user)
        .annotate(first_day=Subquery(first))
        .select_related("lesion__patient")
        .prefetch_related(
            "lesion__identifiers",
            "lesion__patient__identifiers",
            Prefetch(
                "batch_rows",
                BatchRow.objects.filter(was_known=False).only("image_id", "source", "values"),
                to_attr="told",
            ),
            Prefetch(
                "lesion__histologies",
                Histology.objects.standing().disclosed_to(user).gravest_first(),
            ),
        )
        .order_by("pk")
    )
    page: list[Any] = list(ordered[:ROWS_AT_ONCE])
    while page:
        for image in page:
            record = isic_record(image)
            withheld = _DIAGNOSTIC if image.is_withheld else ()
            yield [None if name in withheld else record.get(name) for name in names]
        page = list(ordered.filter(pk__gt=page[-1].pk)[:ROWS_AT_ONCE])


def isic_record(image: Any) -> dict[str, Value]:
    """The non-empty columns. image: with ``first_day`` and ``told``."""
    told: dict[str, str] = image.told[0].source if image.told else {}
    patient = image.lesion.patient
    record: dict[str, Value] = {name: told[name] for name in ISIC_COLUMNS if told.get(name)}
    record |= {
        "filename": f"{image.pk}.{str(image.file.name).rpartition('.')[2]}",
        "patient_id": _identifier(patient),
        "patient": patient.label,
        "lesion_id": _identifier(image.lesion),
        "lesion": image.lesion.label,
        "acquisition_day": (image.captured_on - image.first_day).days,
        "captured_on": image.captured_on,
        "sex": patient.sex,
        "fitzpatrick_skin_type": patient.skin_type,
        "image_manipulation": "synthetic" if image.is_synthetic else told.get("image_manipulation"),
    }
    record |= dict.fromkeys(image.lesion.symptoms, True)
    if image.age is not None:
        record["age"] = _age(image.age, told)
    record |= _site(image.lesion, told) | _kind(image, told) | _diagnosis(image.lesion, told)
    return {name: value for name, value in record.items() if value not in ("", None)}


def _identifier(record: Patient | Lesion) -> str:
    """As a manifest named it first, else our own: labels of two patients' lesions may be alike."""
    named = (one.value for one in record.identifiers.all() if one.system == MANIFEST)
    return next(named, str(record.pk))


def _age(ours: int, told: dict[str, str]) -> int:
    """The age as given for this image, if it still agrees with the birth year."""
    said = (told.get("age") or told.get("age_approx") or "").removesuffix("+")
    if said and abs(float(said) - ours) <= BIRTH_YEARS_MAY_DIFFER_BY:
        ours = int(float(said))
    return min(ours, _OLDEST_TOLD)


def _site(lesion: Lesion, told: dict[str, str]) -> dict[str, Value]:
    names = ("anatom_site", "anatom_site_general", "anatom_site_special")
    said = {name: told.get(name, "") for name in names}
    said["anatom_site"] = said["anatom_site"] or _path(told, "anatom_site")
    collected: dict[str, Value] = {
        name: None
        for name in ("anatom_site_general_challenge", "site")
        if terms.site_of_general(told.get(name, ""), "") != lesion.body_site
    }
    if any(said.values()):
        ours = terms.site_of_path(said["anatom_site"]) if said["anatom_site"] else None
        if ours is None:
            general, special = said["anatom_site_general"], said["anatom_site_special"]
            ours = terms.site_of_general(general, special)
        if ours == lesion.body_site:
            return {**said, **collected, "localization": lesion.body_site}
    site = terms.SITES.get(lesion.body_site, ("", "", ""))
    return {**dict(zip(names, site, strict=True)), **collected, "localization": lesion.body_site}


def _kind(image: LesionImage, told: dict[str, str]) -> dict[str, Value]:
    said = told.get("image_type", "")
    if terms.IMAGE_TYPES.get(said.lower()) == image.modality:
        return {"image_type": said}
    dermoscopic = image.modality == Modality.DERMATOSCOPIC
    return {
        "image_type": terms.IMAGE_TYPE_OF[Modality(image.modality)],
        "dermoscopic_type": told.get("dermoscopic_type") if dermoscopic else None,
        "tbp_tile_type": None,
    }


def _diagnosis(lesion: Lesion, told: dict[str, str]) -> dict[str, Value]:
    """The pathologist's diagnosis, if recorded; else the manifest's."""
    said = told.get("diagnosis") or _path(told, "diagnosis")
    histology = next(iter(lesion.histologies.all()), None)
    if histology is None:
        dx, how = told.get("dx", ""), told.get("dx_type", "")
        return {
            "diagnosis": said or terms.DIAGNOSES.get(dx),
            "diagnosis_confirm_type": terms.CONFIRMED_BY.get(how)
            or told.get("diagnosis_confirm_type"),
        }
    fine = said and terms.diagnosis_of_path(said) == histology.diagnosis
    record: dict[str, Value] = {
        "diagnosis": said if fine else terms.DIAGNOSES.get(histology.diagnosis),
        "diagnosis_confirm_type": terms.HISTOPATHOLOGY,
        "dx": histology.diagnosis,
        "mel_thick_mm": str(histology.breslow_mm) if histology.breslow_mm else None,
    }
    if not fine:
        record |= dict.fromkeys(_FINER)
    return record


def _path(told: dict[str, str], name: str) -> str:
    return ":".join(told.get(level, "") for level in columns.LEVELS[name]).rstrip(":")
