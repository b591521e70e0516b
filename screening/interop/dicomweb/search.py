"""QIDO-RS (PS3.18, 10.6): studies, series and instances among the images that a user may see, and
the documents of readings, in series of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet
from django.http import Http404

from accounts.models import User
from screening.errors import Unreadable
from screening.interop.dicom import readings, uids
from screening.interop.dicom.uids import Document
from screening.interop.dicom.writer import (
    MODALITIES,
    describe_patient,
    describe_sex,
    described,
    metadata,
)
from screening.interop.dicomweb import retrieval
from screening.interop.dicomweb.keys import MOST, NUMBER, Asked, Readings
from screening.models import LesionImage, Modality, Patient, Prediction

if TYPE_CHECKING:
    from pydicom import Dataset

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """is_cut: there are more than one answer holds, and no smaller limit was asked for."""

    results: list[Json]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """Who asks. tells: as in ``writer.to_dicom``. tells_readings: whether they may be read. base:
    of the addresses that are told.
    """

    user: User
    tells: Container[str]
    tells_readings: bool
    base: str

    @property
    def told(self) -> Readings:
        return readings.listed_to(self.user) if self.tells_readings else Prediction.objects.none()


class Within(NamedTuple):
    """The study or series in the address."""

    study: str = ""
    series: str = ""


class Source(NamedTuple):
    """rows: what one result is made of each, in a fixed order. describe: the results."""

    rows: QuerySet[Any, Any]
    describe: Callable[[QuerySet[Any, Any]], list[Dataset]]


def find(level: str, asked: Asked, within: Within, scope: Scope) -> Found:
    """level: of ``keys.KEYS``. Raises SearchError."""
    sources = LEVELS[level](asked, within, scope)
    size = MOST if asked.limit is None else min(asked.limit, MOST)
    found = _page(sources, asked.offset, size)
    # No row is loaded that is not told: the audit log names all that are.
    may_be_cut = len(found) == MOST and (asked.limit is None or asked.limit > MOST)
    is_cut = may_be_cut and sum(one.rows.count() for one in sources) > asked.offset + MOST
    return Found([_json(one, scope.base) for one in found], is_cut)


def _page(sources: list[Source], begin: int, size: int) -> list[Dataset]:
    """As if the sources were one list."""
    found: list[Dataset] = []
    for rows, describe in sources:
        if not (wanted := size - len(found)):
            break
        part = describe(rows[begin : begin + wanted])
        found += part
        begin = max(0, begin - rows.count()) if begin and not part else 0
    return found


def _studies(asked: Asked, within: Within, scope: Scope) -> list[Source]:
    """A reading is in the study of its picture, so pictures lead to all of them."""
    rows = (
        _images(asked, within, scope)
        .order_by("-captured_on", "lesion__patient")
        .values(of_patient=F("lesion__patient"), day=F("captured_on"))
        .annotate(instances=Count("pk"), **_lesions_by_modality())
    )
    return [Source(rows, partial(_told_of_studies, scope=scope))]


def _series(asked: Asked, within: Within, scope: Scope) -> list[Source]:
    rows = (
        _images(asked, within, scope)
        .order_by("-captured_on", "lesion__patient", "lesion", "modality")
        .values(
            "modality", of_patient=F("lesion__patient"), of_lesion=F("lesion"), day=F("captured_on")
        )
        .annotate(instances=Count("pk"))
    )
    of_images = Source(rows, partial(_told_of_series, scope=scope, document=None))
    return [of_images, *(_series_of(one, asked, within, scope) for one in Document)]


def _series_of(document: Document, asked: Asked, within: Within, scope: Scope) -> Source:
    rows = (
        _readings(document, asked, within, scope)
        .order_by("-image__captured_on", "image__lesion__patient", "image__lesion")
        .values(
            of_patient=F("image__lesion__patient"),
            of_lesion=F("image__lesion"),
            day=F("image__captured_on"),
        )
        .annotate(instances=Count("pk"))
    )
    return Source(rows, partial(_told_of_series, scope=scope, document=document))


def _instances(asked: Asked, within: Within, scope: Scope) -> list[Source]:
    images = _images(asked, within, scope)
    order = ("-captured_on", "lesion__patient", "lesion", "modality", "pk")
    rows = retrieval.needed(images.order_by(*order))
    of_images = Source(rows, partial(_told_of_images, scope=scope, asked=asked))
    return [of_images, *(_instances_of(one, asked, within, scope) for one in Document)]


def _instances_of(document: Document, asked: Asked, within: Within, scope: Scope) -> Source:
    found = readings.needed(_readings(document, asked, within, scope))
    rows = found.order_by("-image__captured_on", "image__lesion__patient", "image__lesion", "pk")
    if asked.wants_more:
        rows = rows.select_related("maps")
    return Source(rows, partial(_told_of_documents, scope=scope, asked=asked, document=document))


LEVELS = {"studies": _studies, "series": _series, "instances": _instances}


def _images(asked: Asked, within: Within, scope: Scope) -> QuerySet[LesionImage]:
    visible = LesionImage.objects.visible_to(scope.user)
    return visible.filter(retrieval.within(*within) & asked.of_images(scope.told))


def _readings(document: Document, asked: Asked, within: Within, scope: Scope) -> Readings:
    told = scope.told.filter(retrieval.holding(document, *within))
    return told.filter(asked.of_documents(document, scope.told))


def _lesions_by_modality() -> dict[str, Count]:
    return {
        modality: Count("lesion", distinct=True, filter=Q(modality=modality))
        for modality in Modality.values
    }


def _of_patients(groups: Any, user: User) -> list[tuple[Json, Patient]]:
    groups = list(groups)
    keys = {group["of_patient"] for group in groups}
    patients = Patient.objects.visible_to(user).in_bulk(keys)
    return [(group, patients[group["of_patient"]]) for group in groups]


def _begun(patient: Patient, day: date, scope: Scope) -> Dataset:
    from pydicom import Dataset

    found = Dataset()
    found.SpecificCharacterSet = "ISO_IR 192"
    describe_patient(found, patient)
    if "patients" in scope.tells:
        describe_sex(found, patient)
    found.StudyDate = day.strftime("%Y%m%d")
    found.StudyTime = found.AccessionNumber = ""
    found.StudyID = NUMBER
    found.StudyInstanceUID = uids.study_uid(patient.pk, day)
    found.InstanceAvailability = "ONLINE"
    return found


def _told_of_studies(groups: QuerySet[Any, Any], scope: Scope) -> list[Dataset]:
    found = _of_patients(groups, scope.user)
    documents = _documents_of([group for group, _ in found], scope)
    return [_study(group, patient, documents, scope) for group, patient in found]


class Documents(NamedTuple):
    """Of one kind in one study."""

    series: int
    instances: int


Held = dict[tuple[UUID, date], dict[Document, Documents]]
"""By patient and day, the documents of readings."""


def _documents_of(groups: list[Json], scope: Scope) -> Held:
    told = scope.told.filter(
        image__lesion__patient__in={group["of_patient"] for group in groups},
        image__captured_on__in={group["day"] for group in groups},
    ).order_by()
    held: Held = {}
    for document in Document:
        rows = told.filter(readings.HAVE[document]).values_list(
            "image__lesion__patient", "image__captured_on"
        )
        counted = rows.annotate(Count("image__lesion", distinct=True), Count("pk"))
        for patient, day, series, instances in counted:
            held.setdefault((patient, day), {})[document] = Documents(series, instances)
    return held


def _study(group: Json, patient: Patient, held: Held, scope: Scope) -> Dataset:
    found = _begun(patient, group["day"], scope)
    series = {modality: group[modality] for modality in Modality.values if group[modality]}
    documents = held.get((patient.pk, group["day"]), {})
    found.ModalitiesInStudy = [
        *(MODALITIES[modality] for modality in series),
        *(readings.MODALITIES[document] for document in documents),
    ]
    found.NumberOfStudyRelatedSeries = sum(series.values()) + sum(
        one.series for one in documents.values()
    )
    found.NumberOfStudyRelatedInstances = group["instances"] + sum(
        one.instances for one in documents.values()
    )
    return found


def _told_of_series(
    groups: QuerySet[Any, Any], scope: Scope, document: Document | None
) -> list[Dataset]:
    """document: None of pictures."""
    return [
        _a_series(group, patient, document, scope)
        for group, patient in _of_patients(groups, scope.user)
    ]


def _a_series(group: Json, patient: Patient, document: Document | None, scope: Scope) -> Dataset:
    lesion, day = group["of_lesion"], group["day"]
    found = _begun(patient, day, scope)
    if document is None:
        found.Modality = MODALITIES[group["modality"]]
        found.SeriesNumber = NUMBER
        found.SeriesInstanceUID = uids.series_uid(lesion, day, group["modality"])
    else:
        found.Modality = readings.MODALITIES[document]
        found.SeriesNumber = document.value
        found.SeriesInstanceUID = uids.document_series_uid(lesion, day, document)
    found.NumberOfSeriesRelatedInstances = group["instances"]
    return found


_OF_INSTANCES = {
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
}


def _told_of_images(images: QuerySet[Any, Any], scope: Scope, asked: Asked) -> list[Dataset]:
    return [
        _asked_for(_whole(one, scope) if asked.wants_more else described(one, scope.tells), asked)
        for one in images
    ]


def _told_of_documents(
    found: QuerySet[Any, Any], scope: Scope, asked: Asked, document: Document
) -> list[Dataset]:
    describe = _whole_document if asked.wants_more else readings.header
    return [_asked_for(describe(one, document, scope.tells), asked) for one in found]


def _asked_for(told: Dataset, asked: Asked) -> Dataset:
    if not asked.all_fields:
        wanted = _OF_INSTANCES | asked.fields
        for element in list(told):
            if element.keyword not in wanted:
                del told[element.tag]
    told.InstanceAvailability = "ONLINE"
    return told


def _whole(image: LesionImage, scope: Scope) -> Dataset:
    """Without what describes the pixels, if the file is lost: the others are still found."""
    try:
        return metadata(image, retrieval.stored_bytes(image), scope.tells, plain=True)
    except Http404:
        return described(image, scope.tells)


def _whole_document(reading: Prediction, document: Document, tells: Container[str]) -> Dataset:
    """Without what describes the mask, if it cannot be opened."""
    try:
        return readings.without_pixels(readings.dataset(reading, document, tells))
    except Unreadable:
        return readings.header(reading, document, tells)


def _json(row: Dataset, base: str) -> Json:
    address = f"{base}/studies/{row.StudyInstanceUID}"
    if "SeriesInstanceUID" in row:
        address += f"/series/{row.SeriesInstanceUID}"
    if "SOPInstanceUID" in row:
        address += f"/instances/{row.SOPInstanceUID}"
    row.RetrieveURL = address
    told: Json = row.to_json_dict()
    return told
