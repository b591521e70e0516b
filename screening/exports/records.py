"""The tables of an export: which rows belong to a record, and each row as JSON.

The fields are those of the models, so that a new field cannot be forgotten. ``docs/export.md``
lists them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import reduce
from operator import and_
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q, QuerySet

from accounts.models import Clinic, User
from screening.models import (
    Adoption,
    Alert,
    Announcement,
    AuditEntry,
    AuditPart,
    AuditSegment,
    AuditSubject,
    Batch,
    BatchRow,
    CalendarFeed,
    ChangeMark,
    Comparison,
    Consent,
    Correction,
    DataKey,
    Delivery,
    DeliveryAttempt,
    DicomDelivery,
    DicomNode,
    DoctorVisit,
    Erasure,
    Export,
    ExternalIdentifier,
    Following,
    Heartbeat,
    Histology,
    IdempotentRequest,
    ImageScale,
    Lesion,
    LesionImage,
    LesionPosition,
    Measurement,
    Opinion,
    Outline,
    Patient,
    Prediction,
    PredictionMaps,
    Reminder,
    Review,
    ReviewSeal,
    Setback,
    Share,
    ShareOpening,
    Trace,
    Webhook,
)

ROWS_AT_ONCE = 200

Row = dict[str, Any]
Within = Callable[[list[UUID]], Q]


def of(*paths: str, or_none: str = "") -> Within:
    """Rows that belong to the patients by every one of ``paths``, and by the path ``or_none``
    unless it is empty.
    """

    def within(patients: list[UUID]) -> Q:
        found = reduce(and_, (Q(**{f"{path}__in": patients}) for path in paths))
        if not or_none:
            return found
        relation = or_none.partition("__")[0]
        return found & (Q(**{relation: None}) | Q(**{f"{or_none}__in": patients}))

    return within


def _itself(patients: list[UUID]) -> Q:
    return Q(pk__in=patients)


def _of_what_is_here_now(patients: list[UUID]) -> Q:
    """Corrections of what belongs to the patients now, wherever it was before. What was moved to
    another record belongs to that record.
    """
    itself = {"image": None, "visit": None, "histology": None}
    return (
        Q(image__lesion__patient__in=patients)
        | Q(visit__lesion__patient__in=patients)
        | Q(histology__lesion__patient__in=patients)
        | Q(**itself, lesion__patient__in=patients)
        | Q(**itself, lesion=None, patient__in=patients)
    )


def _with_rows(patients: list[UUID]) -> Q:
    rows = BatchRow.objects.filter(image__lesion__patient__in=patients)
    return Q(pk__in=rows.values("batch"))


@dataclass(frozen=True, slots=True)
class Kind:
    """One table. name: of its file. omitted: fields that are not exported. newer: fields that older
    exports lack; is_newer: older exports lack the file.
    """

    name: str
    model: type[models.Model]
    within: Within
    about: str
    omitted: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    is_newer: bool = False
    at_once: int = field(default=ROWS_AT_ONCE)

    @property
    def fields(self) -> list[Any]:
        kept = self.model._meta.concrete_fields
        return [one for one in kept if one.name not in self.omitted]

    def rows(self, patients: list[UUID]) -> QuerySet[Any]:
        return self.model._base_manager.filter(self.within(patients)).order_by("pk")


KINDS = (
    Kind("patients", Patient, _itself, "Whose skin it is.", omitted=("erased_from",)),
    Kind("consents", Consent, of("patient"), "To research, with those that were withdrawn."),
    Kind(
        "followings",
        Following,
        of("patient"),
        "Clinics that the owner invited to the record.",
        newer=("label_before",),
        is_newer=True,
    ),
    Kind("lesions", Lesion, of("patient"), "Spots, with their symptoms."),
    Kind(
        "images",
        LesionImage,
        of("lesion__patient"),
        "Pictures, with the paths of their files.",
        omitted=("screen", "data_key"),
        newer=("is_twin",),
    ),
    Kind(
        "visits",
        DoctorVisit,
        of("lesion__patient"),
        "Visits that the person reported.",
        newer=("shown_at", "supersedes", "settles"),
    ),
    Kind("positions", LesionPosition, of("lesion__patient"), "Places on the body map."),
    Kind("readings", Prediction, of("image__lesion__patient"), "By a model, in every state."),
    Kind(
        "maps",
        PredictionMaps,
        of("prediction__image__lesion__patient"),
        "Where in a picture a model found evidence.",
        at_once=20,
    ),
    Kind("scales", ImageScale, of("image__lesion__patient"), "Sizes of a picture's pixels."),
    Kind("outlines", Outline, of("image__lesion__patient"), "Drawn by people."),
    Kind("measurements", Measurement, of("image__lesion__patient"), "Size, shape and colours."),
    Kind(
        "comparisons",
        Comparison,
        of("earlier__lesion__patient", "later__lesion__patient"),
        "Two pictures of a lesion, aligned.",
    ),
    Kind(
        "change_marks",
        ChangeMark,
        of("comparison__earlier__lesion__patient", "comparison__later__lesion__patient"),
        "What people saw in a comparison.",
    ),
    Kind(
        "alerts",
        Alert,
        of("lesion__patient", "earlier__lesion__patient", "later__lesion__patient"),
        "Changes that a rule found.",
    ),
    Kind(
        "reviews",
        Review,
        of("image__lesion__patient"),
        "Conclusions that clinicians signed.",
        newer=("shown_at",),
    ),
    Kind(
        "histologies",
        Histology,
        of("lesion__patient"),
        "Diagnoses by pathologists.",
        newer=("shown_at", "withdrawn_at", "withdrawn_by", "withdrawn_because"),
    ),
    Kind("reminders", Reminder, of("lesion__patient"), "When the next picture is due."),
    Kind(
        "identifiers", ExternalIdentifier, ExternalIdentifier.of_patients, "Names in other systems."
    ),
    Kind(
        "batches",
        Batch,
        _with_rows,
        "Uploads that brought pictures of this record.",
        omitted=("archive",),
    ),
    Kind("batch_rows", BatchRow, of("image__lesion__patient"), "Their lines of this record."),
    Kind(
        "corrections",
        Correction,
        _of_what_is_here_now,
        "Changes, with the values before.",
        newer=("histology",),
    ),
    Kind(
        "shares",
        Share,
        of("patient", or_none="lesion__patient"),
        "Links for doctors, without their secrets.",
        omitted=("secret_sha256", "code_hash"),
        newer=("message",),
    ),
    Kind(
        "share_openings",
        ShareOpening,
        of("share__patient", or_none="image__lesion__patient"),
        "What was looked at through a link.",
    ),
    Kind(
        "opinions",
        Opinion,
        of("share__patient", or_none="lesion__patient"),
        "What doctors said through a link.",
    ),
)
"""The kinds, ordered so that each refers only to earlier ones and to itself."""

LEFT_OUT: dict[type[models.Model], str] = {
    Webhook: "an address of the account or clinic: in account.json",
    Announcement: "events of the last thirty days: they name records by identifier",
    Delivery: "messages to such an address: they name records by identifier",
    DeliveryAttempt: "the same",
    DicomNode: "a clinic's archive, with its credentials",
    DicomDelivery: "that a picture was sent to one: in accesses.jsonl",
    CalendarFeed: "a secret link",
    Export: "a file like this one",
    IdempotentRequest: "answers to a program, kept for a day",
    Setback: "what the software tries again",
    Erasure: "what is to be erased here, and what was",
    Trace: "what must not be found here",
    DataKey: "what pictures are encrypted with here: they leave in the clear",
    ReviewSeal: "this site's own: an import signs again",
    Heartbeat: "no person's data",
    Adoption: "no person's data",
    AuditEntry: "in accesses.jsonl: the chain is of this installation",
    AuditSubject: "the same",
    AuditPart: "the same, seconds later",
    AuditSegment: "no person's data",
}


class People:
    """The accounts and clinics that the rows name."""

    def __init__(self) -> None:
        self.users: set[UUID] = set()
        self.clinics: set[UUID] = set()

    def note(self, kind: Kind, row: models.Model) -> None:
        for one in kind.fields:
            target = one.related_model
            value = getattr(row, one.attname)
            if value is not None and target in (User, Clinic):
                (self.users if target is User else self.clinics).add(value)


def written(kind: Kind, row: models.Model, patients: list[UUID]) -> Row:
    """The row as JSON values by field."""
    values = {one.name: plain(getattr(row, one.attname)) for one in kind.fields}
    if isinstance(row, LesionImage):
        values |= {"file": path_of(row, "file"), "thumbnail": path_of(row, "thumbnail")}
    if isinstance(row, Correction):
        values |= _where_it_is(row, patients)
    return values


def path_of(image: LesionImage, rendition: str) -> str:
    """The path of a picture's file within the ZIP."""
    folder = {"file": "pictures", "thumbnail": "thumbnails"}[rendition]
    extension = str(getattr(image, rendition).name).rpartition(".")[2]
    return f"{folder}/{image.pk}.{extension}"


def read(kind: Kind, values: Row) -> dict[str, Any]:
    """The values of ``written`` as the model takes them. A missing newer field is left out, because
    the model has a default. Raises ValidationError.
    """
    found = {}
    for one in kind.fields:
        if one.name not in values and one.name in kind.newer:
            continue
        value = values[one.name]
        target = one.target_field if one.is_relation else one
        found[one.attname] = None if value is None else target.to_python(value)
    return found


def pages(rows: QuerySet[Any], at_once: int) -> Iterator[list[Any]]:
    """The rows by primary key, page by page, so that no cursor stays open while others write."""
    page = list(rows[:at_once])
    while page:
        yield page
        page = list(rows.filter(pk__gt=page[-1].pk)[:at_once])


def _where_it_is(row: Correction, patients: list[UUID]) -> Row:
    """The lesion and patient of a correction. Others' records are replaced by the present ones, so
    that none is named.
    """
    at = row.image or row.visit or row.histology
    lesion = at.lesion if at else row.lesion
    named = row.lesion
    if lesion is None or named is None:
        return {}
    lesion_here = named if named.patient_id in patients else lesion
    patient_here = row.patient_id if row.patient_id in patients else lesion.patient_id
    return {"lesion": plain(lesion_here.pk), "patient": plain(patient_here)}


def plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case date() | time():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case bytes() | memoryview():
            return base64.b64encode(bytes(value)).decode()
        case models.fields.files.FieldFile():
            return str(value.name)
    return value
