"""QIDO-RS (PS3.18, 10.6): studies, series and instances among the images that a user may see."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import CharField, Count, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Replace, Right
from django.http import Http404

from accounts.models import User
from screening.errors import SearchError
from screening.interop.dicom import uids
from screening.interop.dicom.writer import (
    CLASSES,
    FAMILY,
    MODALITIES,
    describe_patient,
    describe_sex,
    described,
    metadata,
)
from screening.interop.dicomweb.retrieval import needed, stored_bytes
from screening.models import LesionImage, Modality, Patient
from screening.models.image import present

if TYPE_CHECKING:
    from pydicom import Dataset

Json = dict[str, Any]
Matcher = Callable[[str], Q]
ALL = Q()
MOST = 500
"""Results of one answer."""
MOST_WILDCARDS = 4
NUMBER = "1"
"""What ``writer`` numbers every study, series and instance with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """limit: None if there is none. fields: keywords of ``includefield``; all_fields: whether it
    was "all". fuzzy: whether fuzzy matching was asked for.
    """

    condition: Q
    limit: int | None
    offset: int
    fields: frozenset[str]
    all_fields: bool
    fuzzy: bool


@dataclass(frozen=True, slots=True)
class Found:
    """is_cut: there are more than one answer holds, and no smaller limit was asked for."""

    results: list[Json]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """Who asks. tells: as in ``writer.to_dicom``. base: of the addresses that are told."""

    user: User
    tells: Container[str]
    base: str


def ask(level: str, query: Sequence[tuple[str, list[str]]]) -> Asked:
    """Read the parameters of a search. level: of ``LEVELS``. Raises SearchError."""
    condition = Q()
    fields: set[str] = set()
    told = {"limit": "", "offset": "0", "fuzzymatching": "false"}
    for name, given in query:
        if name == "includefield":
            fields |= {word for one in given for word in one.split(",")}
        elif len(given) > 1:
            raise SearchError(f"{name} is given more than once.")
        elif name in told:
            told[name] = given[0]
        else:
            condition &= _condition(level, name, given[0])
    if told["fuzzymatching"] not in ("true", "false"):
        raise SearchError("fuzzymatching is true or false.")
    return Asked(
        condition=condition,
        limit=_number("limit", told["limit"]) if told["limit"] else None,
        offset=_number("offset", told["offset"]),
        fields=frozenset(_keyword(word) for word in fields - {"all"}),
        all_fields="all" in fields,
        fuzzy=told["fuzzymatching"] == "true",
    )


def find(level: str, asked: Asked, within: Q, scope: Scope) -> Found:
    """within: the study or series in the address."""
    images = LesionImage.objects.visible_to(scope.user).filter(within & asked.condition)
    size = MOST if asked.limit is None else min(asked.limit, MOST)
    rows, describe = LEVELS[level]
    ordered, end = rows(images), asked.offset + size
    found = describe(ordered[asked.offset : end], scope, asked)
    # No row is loaded that is not told: the audit log names all that are.
    is_cut = (asked.limit is None or asked.limit > MOST) and ordered[end : end + 1].exists()
    return Found([_json(one, scope.base) for one in found], is_cut)


def _by_study(images: QuerySet[LesionImage]) -> QuerySet[Any, Any]:
    return (
        images.order_by("-captured_on", "lesion__patient")
        .values("lesion__patient", "captured_on")
        .annotate(instances=Count("pk"), **_lesions_by_modality())
    )


def _studies(groups: QuerySet[Any, Any], scope: Scope, asked: Asked) -> list[Dataset]:
    return [_study(group, patient, scope) for group, patient in _of_patients(groups, scope.user)]


def _by_series(images: QuerySet[LesionImage]) -> QuerySet[Any, Any]:
    return (
        images.order_by("-captured_on", "lesion__patient", "lesion", "modality")
        .values("lesion__patient", "lesion", "captured_on", "modality")
        .annotate(instances=Count("pk"))
    )


def _series(groups: QuerySet[Any, Any], scope: Scope, asked: Asked) -> list[Dataset]:
    return [_a_series(group, patient, scope) for group, patient in _of_patients(groups, scope.user)]


def _by_instance(images: QuerySet[LesionImage]) -> QuerySet[Any, Any]:
    return needed(images.order_by("-captured_on", "lesion__patient", "lesion", "modality", "pk"))


def _instances(images: QuerySet[Any, Any], scope: Scope, asked: Asked) -> list[Dataset]:
    return [_instance(image, scope, asked) for image in images]


class Level(NamedTuple):
    """rows: what one result is made of each. describe: the results."""

    rows: Callable[[QuerySet[LesionImage]], QuerySet[Any, Any]]
    describe: Callable[[QuerySet[Any, Any], Scope, Asked], list[Dataset]]


LEVELS = {
    "studies": Level(_by_study, _studies),
    "series": Level(_by_series, _series),
    "instances": Level(_by_instance, _instances),
}


def _lesions_by_modality() -> dict[str, Count]:
    return {
        modality: Count("lesion", distinct=True, filter=Q(modality=modality))
        for modality in Modality.values
    }


def _of_patients(groups: Any, user: User) -> list[tuple[Json, Patient]]:
    groups = list(groups)
    keys = {group["lesion__patient"] for group in groups}
    patients = Patient.objects.visible_to(user).in_bulk(keys)
    return [(group, patients[group["lesion__patient"]]) for group in groups]


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


def _study(group: Json, patient: Patient, scope: Scope) -> Dataset:
    found = _begun(patient, group["captured_on"], scope)
    series = {modality: group[modality] for modality in Modality.values if group[modality]}
    found.ModalitiesInStudy = [MODALITIES[modality] for modality in series]
    found.NumberOfStudyRelatedSeries = sum(series.values())
    found.NumberOfStudyRelatedInstances = group["instances"]
    return found


def _a_series(group: Json, patient: Patient, scope: Scope) -> Dataset:
    found = _begun(patient, group["captured_on"], scope)
    found.Modality = MODALITIES[group["modality"]]
    found.SeriesNumber = NUMBER
    found.SeriesInstanceUID = uids.series_uid(
        group["lesion"], group["captured_on"], group["modality"]
    )
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


def _instance(image: LesionImage, scope: Scope, asked: Asked) -> Dataset:
    wanted = _OF_INSTANCES | asked.fields
    if asked.all_fields or wanted > _OF_INSTANCES:
        told = _whole(image, scope)
    else:
        told = described(image, scope.tells)
    if not asked.all_fields:
        for element in list(told):
            if element.keyword not in wanted:
                del told[element.tag]
    told.InstanceAvailability = "ONLINE"
    return told


def _whole(image: LesionImage, scope: Scope) -> Dataset:
    """Without what describes the pixels, if the file is lost: the others are still found."""
    try:
        return metadata(image, stored_bytes(image), scope.tells, plain=True)
    except Http404:
        return described(image, scope.tells)


def _json(row: Dataset, base: str) -> Json:
    address = f"{base}/studies/{row.StudyInstanceUID}"
    if "SeriesInstanceUID" in row:
        address += f"/series/{row.SeriesInstanceUID}"
    if "SOPInstanceUID" in row:
        address += f"/instances/{row.SOPInstanceUID}"
    row.RetrieveURL = address
    told: Json = row.to_json_dict()
    return told


def _condition(level: str, name: str, value: str) -> Q:
    if "\0" in value:
        raise SearchError("No value has a NUL.")
    keyword = _keyword(name)
    matcher = KEYS[level].get(keyword)
    if matcher is None:
        known = ", ".join(KEYS[level])
        raise SearchError(f"{name[:64]} cannot be searched for here. There are {known}.")
    return matcher(value) if value not in ("", "*", '""') else ALL


def _keyword(name: str) -> str:
    """Of a keyword or a tag, or a path of two of them. Raises SearchError."""
    from pydicom.datadict import keyword_for_tag, tag_for_keyword

    found = []
    for part in name.split("."):
        is_tag = re.fullmatch(r"[0-9A-Fa-f]{8}", part)
        keyword = keyword_for_tag(int(part, 16)) if is_tag else part
        if not keyword or tag_for_keyword(keyword) is None:
            raise SearchError(f"{name[:64]} is neither a parameter nor an attribute of DICOM.")
        found.append(keyword)
    return ".".join(found)


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise SearchError(f"{name} is a whole number.")
    return int(text)


def _uids(of: Callable[..., Q]) -> Matcher:
    """A list of UIDs, separated by commas or backslashes (PS3.4, C.2.2.2.2)."""

    def matches(text: str) -> Q:
        wanted = re.split(r"[,\\]", text)
        if len(wanted) > MOST:
            raise SearchError(f"There are more than {MOST} UIDs in a list.")
        return of(*wanted)

    return matches


def _words(text: str) -> re.Pattern[str]:
    """Wildcards (PS3.4, C.2.2.2.4) as a pattern."""
    if text.count("*") > MOST_WILDCARDS:
        raise SearchError(f"There are more than {MOST_WILDCARDS} asterisks in a value.")
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one) or re.escape(one) for one in text), re.IGNORECASE)


def _constant(stored: str) -> Matcher:
    """An attribute that is the same in all we write."""
    return lambda text: ALL if _words(text).fullmatch(stored) else uids.NOTHING


def _day(text: str) -> Q:
    """A date, or a range of dates that may be open at one end."""
    begins, dash, ends = text.partition("-")
    try:
        first, last = (
            datetime.strptime(part, "%Y%m%d").date() if part else None  # noqa: DTZ007  a day
            for part in (begins, ends if dash else begins)
        )
    except ValueError:
        raise SearchError("A date is YYYYMMDD, a range YYYYMMDD-YYYYMMDD.") from None
    found = Q(captured_on__gte=first) if first else ALL
    return found & Q(captured_on__lte=last) if last else found


def _patient_name(text: str) -> Q:
    """The pseudonym, whose given name is the end of our identifier: see ``describe_patient``."""
    return _pseudonymous(Concat(Value(f"{FAMILY}^"), Right(_IDENTIFIER, 8)), text)


def _patient_id(text: str) -> Q:
    return _pseudonymous(_IDENTIFIER, text.replace("-", ""))


# SQLite stores it without hyphens.
_IDENTIFIER = Replace(Cast("pk", CharField()), Value("-"), Value(""))


def _pseudonymous(said: Combinable, text: str) -> Q:
    named = Patient.objects.annotate(said=said).filter(said__iregex=f"^{_words(text).pattern}$")
    return Q(lesion__patient__in=named.values("pk"))


def _modality(text: str) -> Q:
    pattern = _words(text)
    return Q(modality__in=[ours for ours, code in MODALITIES.items() if pattern.fullmatch(code)])


def _modalities_in_study(text: str) -> Q:
    of_study = {
        "lesion__patient": OuterRef("lesion__patient"),
        "captured_on": OuterRef("captured_on"),
    }
    return Q(Exists(LesionImage.objects.filter(present(""), _modality(text), **of_study)))


def _class(text: str) -> Q:
    wanted = re.split(r"[,\\]", text)
    return Q(modality__in=[ours for ours, uid in CLASSES.items() if uid in wanted])


_EMPTY = _constant("")
_STUDY: dict[str, Matcher] = {
    "StudyDate": _day,
    "StudyTime": _EMPTY,
    "AccessionNumber": _EMPTY,
    "ModalitiesInStudy": _modalities_in_study,
    "ReferringPhysicianName": _EMPTY,
    "PatientName": _patient_name,
    "PatientID": _patient_id,
    "StudyInstanceUID": _uids(uids.of_study),
    "StudyID": _constant(NUMBER),
}
_SERIES: dict[str, Matcher] = {
    "Modality": _modality,
    "SeriesInstanceUID": _uids(uids.of_series),
    "SeriesNumber": _constant(NUMBER),
    "PerformedProcedureStepStartDate": _EMPTY,
    "PerformedProcedureStepStartTime": _EMPTY,
    "RequestAttributesSequence.ScheduledProcedureStepID": _EMPTY,
    "RequestAttributesSequence.RequestedProcedureID": _EMPTY,
}
_INSTANCE: dict[str, Matcher] = {
    "SOPClassUID": _class,
    "SOPInstanceUID": _uids(uids.of_instance),
    "InstanceNumber": _constant(NUMBER),
}
KEYS: dict[str, dict[str, Matcher]] = {
    "studies": _STUDY,
    "series": _STUDY | _SERIES,
    "instances": _STUDY | _SERIES | _INSTANCE,
}
"""What can be searched for at each level: the keys that PS3.18 requires, no others."""
