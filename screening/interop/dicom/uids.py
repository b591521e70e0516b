"""Unique identifiers in DICOM. Ours are made of our UUIDs, so that they lead back to the rows.

An image is ``2.25.<image>`` (PS3.5, B.2), or the SOP Instance UID that it was received with, if
that was kept. A series holds the pictures of one modality of one lesion on one day,
``2.25.<lesion>.<day>.<kind>``; a study all of one patient on one day, ``2.25.<patient>.<day>``. A
model's reading of a picture is a document, ``2.25.<reading>.<kind>.<moment>``, in a series of its
kind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from enum import Enum
from functools import reduce
from operator import or_
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from screening.models import ExternalIdentifier, LesionImage, Modality

SYSTEM = "urn:dicom:uid"
"""The system of identifiers that keep a UID as ``urn:oid:…``."""
_PREFIX = "urn:oid:"
VALID = re.compile(r"(?=.{1,64}\Z)(0|[1-9]\d*)(\.(0|[1-9]\d*))*\Z")
_OURS = re.compile(r"2\.25\.(\d{1,39})(?:\.(\d{8}))?(?:\.([12]))?\Z")
_DOCUMENT = re.compile(r"2\.25\.(\d{1,39})\.([34])\.\d{1,14}\Z")
_DOCUMENTS = re.compile(r"2\.25\.(\d{1,39})\.(\d{8})\.([34])\Z")
_KINDS: dict[str, str] = {Modality.DERMATOSCOPIC: "1", Modality.CLINICAL: "2"}
_MODALITIES = {kind: modality for modality, kind in _KINDS.items()}
NOTHING = Q(pk__in=())


class Document(Enum):
    """The documents of a reading. The value is part of their UIDs."""

    REPORT = "3"
    MASK = "4"


class DocumentUid(NamedTuple):
    """What the UID of a document names: a reading or, for a series, a lesion."""

    owner: UUID
    document: Document
    day: date | None = None


def uid_of(identity: UUID) -> str:
    return f"2.25.{identity.int}"


def instance_uid(image: LesionImage) -> str:
    """Reads ``image.identifiers``."""
    kept = (
        one.value.removeprefix(_PREFIX) for one in image.identifiers.all() if one.system == SYSTEM
    )
    return next((uid for uid in kept if VALID.match(uid)), uid_of(image.pk))


def series_uid(lesion: UUID, day: date, modality: str) -> str:
    return f"{uid_of(lesion)}.{day:%Y%m%d}.{_KINDS[modality]}"


def study_uid(patient: UUID, day: date) -> str:
    return f"{uid_of(patient)}.{day:%Y%m%d}"


def document_uid(reading: UUID, document: Document, moment: datetime) -> str:
    """moment: when what the reading shows changed last."""
    return f"{uid_of(reading)}.{document.value}.{round(moment.timestamp() * 1000)}"


def document_series_uid(lesion: UUID, day: date, document: Document) -> str:
    return f"{uid_of(lesion)}.{day:%Y%m%d}.{document.value}"


def kept(uid: str) -> dict[str, str]:
    """The identifier that keeps ``uid``."""
    return {"system": SYSTEM, "value": f"{_PREFIX}{uid}"}


def of_instance(*wanted: str) -> Q:
    """A condition on images: they have one of these UIDs. It nests no deeper for many."""
    named = ExternalIdentifier.objects.filter(
        system=SYSTEM,
        value__in=[kept(uid)["value"] for uid in wanted],
        kind=ExternalIdentifier.Kind.IMAGE,
    )
    ours = [image for image, day, kind in _all_read(wanted) if day is None and not kind]
    return Q(pk__in=named.values("image")) | Q(pk__in=ours)


def of_series(*wanted: str) -> Q:
    """A condition on images: they are in one of these series. It has one part for each day and
    modality.
    """
    lesions = defaultdict(list)
    for lesion, day, kind in _all_read(wanted):
        if kind:
            lesions[day, _MODALITIES[kind]].append(lesion)
    together = (
        Q(lesion__in=some, captured_on=day, modality=modality)
        for (day, modality), some in lesions.items()
    )
    return reduce(or_, together, NOTHING)


def of_study(*wanted: str) -> Q:
    """A condition on images: they are in one of these studies. It has one part for each day."""
    patients = defaultdict(list)
    for patient, day, kind in _all_read(wanted):
        if day is not None and not kind:
            patients[day].append(patient)
    together = (Q(lesion__patient__in=some, captured_on=day) for day, some in patients.items())
    return reduce(or_, together, NOTHING)


def lesion_of(uid: str) -> UUID | None:
    """The lesion whose pictures a series of ours holds; None for any other UID."""
    ours = _read(uid)
    return ours[0] if ours and ours[2] else None


def document_of(uid: str) -> DocumentUid | None:
    """What ``document_uid`` encoded, without the moment; None for any other UID."""
    if not (found := _DOCUMENT.match(uid)) or int(found[1]) >= 1 << 128:
        return None
    return DocumentUid(UUID(int=int(found[1])), Document(found[2]))


def documents_of(uid: str) -> DocumentUid | None:
    """What ``document_series_uid`` encoded; None for any other UID."""
    if not (found := _DOCUMENTS.match(uid)) or not (ours := _read(f"2.25.{found[1]}.{found[2]}")):
        return None
    return DocumentUid(ours[0], Document(found[3]), ours[1])


def _all_read(wanted: Iterable[str]) -> list[tuple[UUID, date | None, str]]:
    """The parts of those UIDs that are ours."""
    return [ours for uid in wanted if (ours := _read(uid))]


def _read(uid: str) -> tuple[UUID, date | None, str] | None:
    if not (found := _OURS.match(uid)):
        return None
    number, day, kind = found.groups()
    try:
        told = datetime.strptime(day, "%Y%m%d").date() if day else None  # noqa: DTZ007  a day
        return UUID(int=int(number)), told, kind or ""
    except ValueError:
        return None
