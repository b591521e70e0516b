"""One row of metadata, in the column names of ISIC or HAM10000, converted to our terms.

Both collections' names are accepted, and our API's own. ISIC columns that have no place in our
models are kept unchanged (``source``), so that an export returns them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ml.diagnoses import Diagnosis
from ml.types import MAX_AGE
from screening.interop.isic import terms
from screening.models import SYMPTOMS, BodySite, Conclusion, Sex, SkinType
from screening.records import plausibility

# ISIC rounds ages, and years pass between two images.
BIRTH_YEARS_MAY_DIFFER_BY = 10


PICTURE = ("image", "filename", "file", "image_name", "isic_id", "image_id")
PATIENT = ("patient_id", "patient")
LESION = ("lesion_id", "lesion")
AGE = ("age", "age_approx")
# The 2020 challenge uses the second name.
SITE_GENERAL = ("anatom_site_general", "anatom_site_general_challenge", "site")
# The truth of the challenges of 2018 and 2019 and of MILK10k: 1 in the column of the class.
# Squamous cell carcinoma is none of HAM10000's classes.
ONE_HOT: dict[str, str] = {
    **{one.value: one for one in Diagnosis},
    "ak": Diagnosis.AKIEC,
    "scc": Conclusion.OTHER,
    "sccka": Conclusion.OTHER,
    "inf": Conclusion.OTHER,
    "ben_oth": Conclusion.OTHER,
    "mal_oth": Conclusion.OTHER,
    "unk": "",
}
SKIN_TYPE = ("skin_type", "fitzpatrick_skin_type")
LEVELS = {
    name: tuple(f"{name}_{level}" for level in range(1, 6)) for name in ("anatom_site", "diagnosis")
}
# Values converted from these columns are also kept as given, so that an export can return them.
KEPT = (
    "age",
    "age_approx",
    "sex",
    "anatom_site",
    *LEVELS["anatom_site"],
    *SITE_GENERAL,
    "anatom_site_special",
    "diagnosis",
    *LEVELS["diagnosis"],
    "diagnosis_confirm_type",
    "personal_hx_mm",
    "family_hx_mm",
    "clin_size_long_diam_mm",
    "fitzpatrick_skin_type",
    "melanocytic",
    "concomitant_biopsy",
    "mel_mitotic_index",
    "mel_thick_mm",
    "mel_ulcer",
    "patient_id",
    "lesion_id",
    "acquisition_day",
    "image_manipulation",
    "image_type",
    "dermoscopic_type",
    "tbp_tile_type",
    "attribution",
    "copyright_license",
    "isic_id",
    "dx",
    "dx_type",
    "mel_class",
    "mel_type",
    "nevus_type",
    "benign_malignant",
    "target",
    *ONE_HOT,
    "skin_tone_class",
    "dataset",
)
KNOWN = {
    *PICTURE,
    *PATIENT,
    *LESION,
    *AGE,
    *SKIN_TYPE,
    *KEPT,
    *SYMPTOMS,
    "birth_year",
    "body_site",
    "captured_on",
    "image_base64",
    "localization",
    "modality",
    "pixels_x",
    "pixels_y",
    "rcm_case_id",
}
_NOTHING = {"", "unknown", "na", "n/a", "nan", "none", "null"}
_YES, _NO = {"true", "yes", "1"}, {"false", "no", "0"}


@dataclass
class Row:
    """One parsed line. problems: [column, reason] pairs; if there are any, nothing is imported.
    modality: empty if the table does not say it.
    """

    captured_on: date
    day_is_told: bool = True
    age: int | None = None
    picture: str = ""
    patient: str = ""
    patient_fields: dict[str, Any] = field(default_factory=dict)
    lesion: str = ""
    lesion_fields: dict[str, Any] = field(default_factory=dict)
    modality: str = ""
    is_synthetic: bool = False
    diagnosis: dict[str, str] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    problems: list[list[str]] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """The values that the import needs, as JSON."""
        return {
            "patient": self.patient,
            "patient_fields": self.patient_fields,
            "lesion": self.lesion,
            "lesion_fields": self.lesion_fields,
            "captured_on": self.captured_on.isoformat(),
            "day_is_told": self.day_is_told,
            "age": self.age,
            "modality": self.modality,
            "is_synthetic": self.is_synthetic,
            "diagnosis": self.diagnosis,
        }


def parse(record: dict[str, str], *, captured_on: date, day_is_told: bool = True) -> Row:
    """Parse ``record``, keyed by lower-case column. captured_on: the day of rows without one, and
    of ISIC's ``acquisition_day`` 0. day_is_told: whether the user gave it; otherwise the day in the
    picture's file takes precedence.
    """
    return _Parser(record, captured_on, day_is_told).row


class _Parser:
    def __init__(self, record: dict[str, str], captured_on: date, day_is_told: bool) -> None:
        self._record = record
        self.row = Row(captured_on)
        dated = self._said("captured_on") or self._said("acquisition_day")
        self.row.day_is_told = day_is_told or bool(dated)
        self._column, self.row.picture = self._first(PICTURE)
        self._identifiers()
        self.row.captured_on = self._day(self.row.captured_on)
        self._patient_fields()
        self._lesion_fields()
        self._kind_of_picture()
        self._diagnosis()
        self.row.source = {name: record[name].strip() for name in KEPT if self._said(name)}

    def _said(self, name: str) -> str:
        return said(self._record.get(name, ""))

    def _first(self, names: tuple[str, ...]) -> tuple[str, str]:
        """The first column with a value, and the value; without one, the column that exists."""
        for name in names:
            if value := self._said(name):
                return name, value
        return next((name for name in names if name in self._record), names[0]), ""

    def _refuse(self, column: str, reason: str) -> None:
        self.row.problems.append([column, reason])

    def _identifiers(self) -> None:
        row, record = self.row, self._record
        if row.picture and record.get("image_base64"):
            self._refuse(self._column, "Name a file or send image_base64, not both.")
        elif not row.picture and not record.get("image_base64"):
            self._refuse(self._column, "No picture is named.")
        for name, names, fields in (
            ("patient", PATIENT, row.patient_fields),
            ("lesion", LESION, row.lesion_fields),
        ):
            column, value = self._first(names)
            if len(value) > 80 or not value.isprintable():
                self._refuse(column, "An identifier has at most 80 characters, all printable.")
                continue
            setattr(row, name, value)
            label = self._said(name)
            if label in ("", value):
                continue
            if len(label) > 80 or not label.isprintable():
                self._refuse(name, "A name has at most 80 characters, all printable.")
            else:
                fields["label"] = label

    def _day(self, captured_on: date) -> date:
        column, day = "captured_on", captured_on
        if text := self._said("captured_on"):
            try:
                day = date.fromisoformat(text)
            except ValueError:
                self._refuse(column, f"“{text}” is no day. Write it as 2026-03-12.")
                return captured_on
        elif text := self._said("acquisition_day"):
            column = "acquisition_day"
            if not re.fullmatch(r"-?\d{1,5}(\.0+)?", text):
                self._refuse(column, f"“{text}” is no number of days.")
                return captured_on
            day = captured_on + timedelta(days=int(float(text)))
        if why := plausibility.wrong_capture_day(day):
            if column == "acquisition_day":
                why += " Give the day of acquisition_day 0 with the batch."
            self._refuse(column, why)
        return day

    def _patient_fields(self) -> None:
        fields = self.row.patient_fields
        column, text = self._first(AGE)
        if text:
            age = number("85" if text == "85+" else text)
            if age is None or not 0 <= age <= MAX_AGE:
                self._refuse(column, f"“{text}” is no age: years, from 0 to {MAX_AGE}.")
            else:
                self._born(column, self.row.captured_on.year - int(age))
                self.row.age = int(age)
        if text := self._said("birth_year"):
            year = number(text)
            if year is None or year != int(year):
                self._refuse("birth_year", f"“{text}” is no year of birth.")
            else:
                self._born("birth_year", int(year))
        if text := self._said("sex"):
            if text.lower() not in (Sex.FEMALE, Sex.MALE):
                self._refuse("sex", f"“{text}” is neither female, male nor unknown.")
            else:
                fields["sex"] = text.lower()
        column, text = self._first(SKIN_TYPE)
        if text:
            if text.upper() not in SkinType.values:
                self._refuse(column, f"“{text}” is no skin type from I to VI.")
            else:
                fields["skin_type"] = text.upper()

    def _born(self, column: str, year: int) -> None:
        why = plausibility.wrong_birth_year(year)
        why = why or plausibility.wrong_age(self.row.captured_on, year)
        if why:
            self._refuse(column, why)
        else:
            self.row.patient_fields["birth_year"] = year

    def _lesion_fields(self) -> None:
        fields = self.row.lesion_fields
        column, site = self._site()
        if site is None:
            among = ", ".join(value for value in BodySite.values if value)
            self._refuse(
                column,
                f"“{self._said(column)}” is no body site of ISIC or HAM10000. HAM10000's: {among}.",
            )
        elif site:
            fields["body_site"] = site
        for name in SYMPTOMS:
            text = self._said(name).lower()
            if text and text not in _YES | _NO:
                self._refuse(name, f"“{text}” is neither true nor false.")
            elif text:
                fields[name] = text in _YES

    def _site(self) -> tuple[str, str | None]:
        column, text = self._first(("localization", "body_site"))
        if text:
            return column, text.lower() if text.lower() in BodySite.values else None
        column, path = self._path("anatom_site")
        if path:
            return column, terms.site_of_path(path)
        of_general, general = self._first(SITE_GENERAL)
        if general:
            return of_general, terms.site_of_general(general, self._said("anatom_site_special"))
        return column, ""

    def _path(self, name: str) -> tuple[str, str]:
        """A path in a hierarchy, from one column or from five."""
        if path := self._said(name):
            return name, path
        levels = [self._said(level) for level in LEVELS[name]]
        return LEVELS[name][0], ":".join(levels).rstrip(":")

    def _kind_of_picture(self) -> None:
        column, text = self._first(("image_type", "modality"))
        if text:
            modality = terms.IMAGE_TYPES.get(text.lower())
            if modality is None:
                among = ", ".join(terms.IMAGE_TYPES)
                self._refuse(column, f"“{text}” is no kind of picture that is taken here: {among}.")
            else:
                self.row.modality = modality
        text = self._said("image_manipulation").lower()
        if text and text not in ("altered", "instrument only", "synthetic"):
            self._refuse(
                "image_manipulation",
                f"“{text}” is none of ISIC's words: altered, instrument only, synthetic.",
            )
        self.row.is_synthetic = text == "synthetic"

    def _one_hot(self) -> str:
        """The only class with a 1; "" if there is none or if there are several."""
        chosen = [name for name in ONE_HOT if number(self._said(name)) == 1]
        return chosen[0] if len(chosen) == 1 else ""

    def _diagnosis(self) -> None:
        said = self.row.diagnosis
        column, path = self._path("diagnosis")
        if text := self._said("dx").lower():
            if text not in Conclusion.values or text == Conclusion.UNCERTAIN:
                among = ", ".join(v for v in Conclusion.values if v != Conclusion.UNCERTAIN)
                self._refuse("dx", f"“{text}” is no diagnosis of HAM10000: {among}.")
                return
            said["diagnosis"] = text
        elif path:
            said["diagnosis"] = terms.diagnosis_of_path(path)
            said["named"] = path
        elif diagnosis := ONE_HOT.get(self._one_hot(), ""):
            said["diagnosis"] = diagnosis
        how = self._said("dx_type") or self._said("diagnosis_confirm_type").lower()
        how = terms.CONFIRMED_BY.get(how, how)
        if how and how not in terms.CONFIRMED_BY.values() and how != terms.BY_ONE:
            column = "dx_type" if self._said("dx_type") else "diagnosis_confirm_type"
            among = ", ".join((*terms.CONFIRMED_BY.values(), terms.BY_ONE))
            self._refuse(
                column, f"“{how}” is no way to confirm a diagnosis that ISIC knows: {among}."
            )
        elif said and how:
            said["confirmed_by"] = how
        if text := self._said("mel_thick_mm"):
            thickness = _decimal(text.lower().removesuffix("mm").strip())
            if thickness is None or not 0 <= thickness < 100:
                self._refuse("mel_thick_mm", f"“{text}” is no thickness in millimetres.")
            elif said.get("diagnosis") != Diagnosis.MEL:
                self._refuse("mel_thick_mm", "Only a melanoma has a thickness.")
            else:
                said["breslow_mm"] = str(thickness)


def said(value: str) -> str:
    """The value of a cell; "" for the words for nothing."""
    value = value.strip()
    return "" if value.lower() in _NOTHING else value


def number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,4}(\.\d+)?", text) else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text).quantize(Decimal("0.01"))
    except InvalidOperation:  # also for non-finite and for huge numbers
        return None
