"""What a search of QIDO-RS asks for (PS3.18, 10.6): its keys, as conditions on images and on the
documents of readings.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import and_, or_

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, Replace, Right

from screening.errors import SearchError
from screening.interop.dicom import readings, uids
from screening.interop.dicom.uids import Document
from screening.interop.dicom.writer import CLASSES, FAMILY, MODALITIES
from screening.models import LesionImage, Patient, Prediction
from screening.models.image import present

Matcher = Callable[[str], Q]
DocumentMatcher = Callable[[str, Document], Q]
Readings = QuerySet[Prediction]
ALL = Q()
MOST = 500
"""Results of one answer, and UIDs in a list."""
MOST_NUMBER = 999_999_999
"""The largest limit and offset."""
MOST_WILDCARDS = 4
NUMBER = "1"
"""What ``writer`` numbers every study, series and instance with; ``readings`` every study and
instance.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """keys: what is searched for, by keyword. limit: None if there is none. fields: keywords of
    ``includefield``; all_fields: whether it was "all". fuzzy: whether fuzzy matching was asked for.
    """

    keys: dict[str, str]
    limit: int | None
    offset: int
    fields: frozenset[str]
    all_fields: bool
    fuzzy: bool

    @property
    def wants_more(self) -> bool:
        """Whether more fields are asked for than instances have anyway."""
        return self.all_fields or bool(self.fields)

    def of_images(self, told: Readings) -> Q:
        """A condition on images. told: the readings that the caller is told."""
        return self._of_studies(told) & _all(
            _IMAGE[name](text) for name, text in self.keys.items() if name in _IMAGE
        )

    def of_documents(self, document: Document, told: Readings) -> Q:
        """A condition on readings, of which there is ``document``."""
        images = LesionImage.objects.filter(self._of_studies(told))
        found = Q(image__in=images.values("pk")) & _all(
            _DOCUMENT[name](text, document) for name, text in self.keys.items() if name in _DOCUMENT
        )
        if "SOPInstanceUID" in self.keys:
            found &= _documents_named(self.keys["SOPInstanceUID"], document, told)
        return found

    def _of_studies(self, told: Readings) -> Q:
        found = _all(_STUDY[name](text) for name, text in self.keys.items() if name in _STUDY)
        if "ModalitiesInStudy" in self.keys:
            found &= _modalities_in_study(self.keys["ModalitiesInStudy"], told)
        return found


def ask(level: str, query: Sequence[tuple[str, list[str]]]) -> Asked:
    """Read the parameters of a search. level: of ``KEYS``. Raises SearchError."""
    keys: dict[str, str] = {}
    fields: set[str] = set()
    told = {"limit": "", "offset": "0", "fuzzymatching": "false"}
    for name, given in query:
        if name == "includefield":
            fields |= {word for one in given for word in one.split(",")}
        elif len(given) > 1:
            raise SearchError(f"{name} is given more than once.")
        elif name in told:
            told[name] = given[0]
        elif (keyword := _key(level, name)) in keys:
            raise SearchError(f"{keyword} is given more than once.")
        else:
            keys[keyword] = _checked(given[0])
    if told["fuzzymatching"] not in ("true", "false"):
        raise SearchError("fuzzymatching is true or false.")
    return Asked(
        keys={name: text for name, text in keys.items() if text not in ("", "*", '""')},
        limit=_number("limit", told["limit"]) if told["limit"] else None,
        offset=_number("offset", told["offset"]),
        fields=frozenset(_keyword(word) for word in fields - {"all"}),
        all_fields="all" in fields,
        fuzzy=told["fuzzymatching"] == "true",
    )


def _key(level: str, name: str) -> str:
    keyword = _keyword(name)
    if keyword not in KEYS[level]:
        known = ", ".join(KEYS[level])
        raise SearchError(f"{name[:64]} cannot be searched for here. There are {known}.")
    return keyword


def _checked(value: str) -> str:
    if "\0" in value:
        raise SearchError("No value has a NUL.")
    return value


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
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise SearchError(f"{name} is a whole number from 0 to {MOST_NUMBER:,}.")
    return int(text)


def _uids(of: Callable[..., Q]) -> Matcher:
    """A list of UIDs, separated by commas or backslashes (PS3.4, C.2.2.2.2)."""

    def matches(text: str) -> Q:
        return of(*_listed(text))

    return matches


def _listed(text: str) -> list[str]:
    wanted = re.split(r"[,\\]", text)
    if len(wanted) > MOST:
        raise SearchError(f"There are more than {MOST} UIDs in a list.")
    return wanted


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


def _modalities_in_study(text: str, told: Readings) -> Q:
    patient, day = OuterRef("lesion__patient"), OuterRef("captured_on")
    images = LesionImage.objects.filter(present(""), _modality(text))
    found = Q(Exists(images.filter(lesion__patient=patient, captured_on=day)))
    of_study = told.filter(image__lesion__patient=patient, image__captured_on=day)
    for document in Document:
        if _words(text).fullmatch(readings.MODALITIES[document]):
            found |= Q(Exists(of_study.filter(readings.HAVE[document])))
    return found


def _class(text: str) -> Q:
    wanted = _listed(text)
    return Q(modality__in=[ours for ours, uid in CLASSES.items() if uid in wanted])


def _documents_of_series(text: str, document: Document) -> Q:
    lesions = defaultdict(list)
    for uid in _listed(text):
        if (one := uids.documents_of(uid)) and one.document == document:
            lesions[one.day].append(one.owner)
    found = (Q(image__lesion__in=some, image__captured_on=day) for day, some in lesions.items())
    return reduce(or_, found, uids.NOTHING)


def _documents_named(text: str, document: Document, told: Readings) -> Q:
    """A UID is of a reading as it is told now: see ``readings``."""
    wanted = _listed(text)
    owners = [one.owner for uid in wanted if (one := uids.document_of(uid))]
    found = told.filter(pk__in=owners).select_related("image__lesion")
    return Q(pk__in=[one.pk for one in found if readings.uid_of(one, document) in wanted])


def _documents_if(is_matched: Callable[[str, Document], bool]) -> DocumentMatcher:
    """All documents of a kind, or none."""
    return lambda text, document: ALL if is_matched(text, document) else uids.NOTHING


def _all(conditions: Iterable[Q]) -> Q:
    return reduce(and_, conditions, ALL)


_EMPTY = _constant("")
_STUDY: dict[str, Matcher] = {
    "StudyDate": _day,
    "StudyTime": _EMPTY,
    "AccessionNumber": _EMPTY,
    "ReferringPhysicianName": _EMPTY,
    "PatientName": _patient_name,
    "PatientID": _patient_id,
    "StudyInstanceUID": _uids(uids.of_study),
    "StudyID": _constant(NUMBER),
    "PerformedProcedureStepStartDate": _EMPTY,
    "PerformedProcedureStepStartTime": _EMPTY,
    "RequestAttributesSequence.ScheduledProcedureStepID": _EMPTY,
    "RequestAttributesSequence.RequestedProcedureID": _EMPTY,
    "InstanceNumber": _constant(NUMBER),
}
"""Keys that say the same of an image and of what was read in it."""
_IMAGE: dict[str, Matcher] = {
    "Modality": _modality,
    "SeriesInstanceUID": _uids(uids.of_series),
    "SeriesNumber": _constant(NUMBER),
    "SOPClassUID": _class,
    "SOPInstanceUID": _uids(uids.of_instance),
}
_DOCUMENT: dict[str, DocumentMatcher] = {
    "Modality": _documents_if(
        lambda text, document: bool(_words(text).fullmatch(readings.MODALITIES[document]))
    ),
    "SeriesInstanceUID": _documents_of_series,
    "SeriesNumber": _documents_if(
        lambda text, document: bool(_words(text).fullmatch(document.value))
    ),
    "SOPClassUID": _documents_if(
        lambda text, document: readings.CLASSES[document] in _listed(text)
    ),
}
_OF_STUDY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "StudyID",
)
_OF_SERIES = (
    *_OF_STUDY,
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "RequestAttributesSequence.ScheduledProcedureStepID",
    "RequestAttributesSequence.RequestedProcedureID",
)
KEYS: dict[str, tuple[str, ...]] = {
    "studies": _OF_STUDY,
    "series": _OF_SERIES,
    "instances": (*_OF_SERIES, "SOPClassUID", "SOPInstanceUID", "InstanceNumber"),
}
"""What can be searched for at each level: the keys that PS3.18 requires, no others."""
