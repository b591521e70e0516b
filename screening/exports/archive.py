"""The ZIP: one file after the other, written while it is downloaded, with its SHA-256."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.db.models import Max
from django.utils import timezone

from accounts.models import Clinic, User
from screening.batches.results import RESULT_COLUMNS, results_of
from screening.body_map import queries as body_map_queries
from screening.errors import Busy, Damaged, KeyDestroyed
from screening.exports import records
from screening.exports.account import account_of
from screening.exports.schema import FORMAT, VERSION, schema
from screening.interop.fhir import bundles
from screening.interop.isic import export as isic
from screening.interop.tables import as_csv
from screening.models import Correction, Export, Lesion, LesionImage, Patient, Prediction
from screening.models.signatures import export_keys, sign_export
from screening.privacy import queries as audit_queries
from screening.records import queries as record_queries
from screening.report.lesion_report import lesion_report
from screening.report.patient_report import patient_report

CHUNK = 1_000_000
README = """\
Everything that SkinCheck keeps about {subject}, on {day}.

reports/      to read: a PDF for each record and each spot
pictures/     the pictures as they are stored, byte for byte; thumbnails/ the small ones
accesses.jsonl  who looked at the records or changed them, one a line
tables/       readings and pictures as CSV, for a spreadsheet
fhir/         the same as FHIR R4, for another system
records/      all records as JSON, one a line: see schema.json
people.json   the accounts that the records name; clinics.json the clinics
{account}manifest.json the size and SHA-256 of every file

Records and pictures that were withdrawn as entered in error are among them. They have a day in
"withdrawn_at" and a reason, and are in records/ and pictures/ only.

Research software, not a medical device. It cannot diagnose or rule out skin cancer. A doctor must
judge any lesion that worries you.
"""
_ACCOUNT = "account.json  your account: name, address, keys, log-ins\n"

Step = Callable[[], None]
"""Called after each file."""


@dataclass(frozen=True, slots=True)
class Plan:
    """patients: whose records are written. steps: the expected number of files."""

    user: User
    patients: list[UUID]
    with_account: bool
    steps: int


def plan(export: Export) -> Plan:
    """The content of the export at this moment."""
    user = export.requested_by
    if export.patient_id is None:
        own = Patient.everything.filter(owner=user).values_list("pk", flat=True)
        patients = record_queries.with_merged(own)
    else:
        patients = record_queries.with_merged([export.patient_id])
    here = {"lesion__patient__in": patients}
    images = LesionImage.everything.filter(**here).count()
    present = Patient.objects.filter(pk__in=patients).count()
    lesions = Lesion.objects.filter(patient__in=patients).count()
    steps = 2 * images + len(records.KINDS) + 2 * present + lesions + 3
    return Plan(user, patients, export.patient_id is None, steps)


def write(made: Plan, into: IO[bytes], step: Step) -> None:
    """Write the ZIP. Memory holds a page of rows, or one report. Raises Busy if a correction moved
    something meanwhile: files written before may contradict those after.
    """
    before = _last_correction(made.patients)
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as file:
        archive = _Archive(file, step)
        archive.add("README.txt", [_readme(made).encode()])
        _write_documents(made, archive)
        _write_records(made, archive)
        archive.add("accesses.jsonl", _accesses(made.patients))
        _write_pictures(made, archive)
        archive.close(_about(made))
    if _last_correction(made.patients) != before:
        raise Busy("The record was corrected meanwhile.")


class _Archive:
    def __init__(self, file: zipfile.ZipFile, step: Step) -> None:
        self._file, self._step = file, step
        self._made = timezone.now()
        self.files: dict[str, dict[str, Any]] = {}
        self.missing: list[str] = []

    def add(self, name: str, parts: Iterable[bytes], *, is_small: bool = False) -> None:
        """is_small: already compressed, so it is stored as it is."""
        info = zipfile.ZipInfo(name, self._made.timetuple()[:6])
        info.compress_type = zipfile.ZIP_STORED if is_small else zipfile.ZIP_DEFLATED
        digest, size = sha256(), 0
        with self._file.open(info, "w", force_zip64=True) as entry:
            for part in parts:
                entry.write(part)
                digest.update(part)
                size += len(part)
        self.files[name] = {"sha256": digest.hexdigest(), "bytes": size}
        self._step()

    def add_json(self, name: str, value: Any) -> None:
        self.add(name, [json.dumps(value, ensure_ascii=False, indent=1).encode()])

    def close(self, about: dict[str, Any]) -> None:
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "created": records.plain(self._made),
            **about,
            "missing": sorted(self.missing),
            "files": self.files,
            "signed_by": export_keys()[0],
        }
        manifest["signature"] = sign_export(manifest)
        self._file.writestr("manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1))


def _write_documents(made: Plan, archive: _Archive) -> None:
    """The files for people and for other systems. Withdrawn records are left out."""
    user, base = made.user, f"{settings.SITE_URL}/fhir/R4"
    patients = Patient.objects.filter(pk__in=made.patients).select_related("clinic")
    for patient in list(patients):
        parts = bundles.everything(patient, [], user, base, strict=True)
        archive.add(f"fhir/{patient.pk}.json", (part.encode() for part in parts))
        report, _ = patient_report(patient, user)
        archive.add(f"reports/{patient.pk}.pdf", _chunks(report))
    lesions = Lesion.objects.filter(patient__in=made.patients).select_related("patient__clinic")
    placed = body_map_queries.with_position(lesions).order_by("pk")
    for page in records.pages(placed, records.ROWS_AT_ONCE):
        for lesion in page:
            report, _ = lesion_report(lesion, user)
            archive.add(f"reports/lesions/{lesion.pk}.pdf", _chunks(report))
    readings = Prediction.objects.visible_to(user).filter(image__lesion__patient__in=made.patients)
    archive.add("tables/readings.csv", as_csv(RESULT_COLUMNS, results_of(readings)))
    images = LesionImage.objects.visible_to(user).filter(lesion__patient__in=made.patients)
    columns = isic.isic_columns(isic.Days.DATES)
    archive.add("tables/images.csv", as_csv(columns, isic.isic_rows(images, user, isic.Days.DATES)))


def _write_records(made: Plan, archive: _Archive) -> None:
    """Write the last kind first. A row is newer than the rows it refers to, so these are found
    later even if both are added meanwhile.
    """
    people = records.People()
    for kind in reversed(records.KINDS):
        lines = _lines(kind, made.patients, people, archive.missing)
        archive.add(f"records/{kind.name}.jsonl", lines)
    accounts = User.objects.filter(pk__in=people.users).order_by("pk")
    archive.add_json("people.json", [_person(one) for one in accounts])
    clinics = Clinic.objects.filter(pk__in=people.clinics).order_by("pk")
    archive.add_json("clinics.json", [_clinic(one) for one in clinics])
    if made.with_account:
        archive.add_json("account.json", account_of(made.user))
    archive.add_json("schema.json", schema())


def _lines(
    kind: records.Kind, patients: list[UUID], people: records.People, missing: list[str]
) -> Iterator[bytes]:
    """The rows. A row that cannot be opened is left out and added to ``missing``."""
    for page in records.pages(kind.rows(patients), kind.at_once):
        for row in page:
            try:
                line = records.written(kind, row, patients)
            except (Damaged, KeyDestroyed):
                missing.append(f"records/{kind.name}/{row.pk}")
                continue
            people.note(kind, row)
            yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _accesses(patients: list[UUID]) -> Iterator[bytes]:
    """The audit log's entries about these records, without others' records."""
    entries = audit_queries.about(patients).order_by("pk")
    for page in records.pages(entries, records.ROWS_AT_ONCE):
        names = audit_queries.names_of(entry.actor for entry in page)
        for entry in page:
            line = {
                "number": entry.number,
                "at": records.plain(entry.at),
                "act": entry.act,
                "through": entry.through,
                "what": entry.what,
                "actor": records.plain(entry.actor),
                "name": names.get(entry.actor, "") if entry.actor else "",
                **audit_queries.touched(entry, patients),
            }
            yield json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _write_pictures(made: Plan, archive: _Archive) -> None:
    images = LesionImage.everything.filter(lesion__patient__in=made.patients).order_by("pk")
    for page in records.pages(images, records.ROWS_AT_ONCE):
        for image in page:
            for rendition in ("file", "thumbnail"):
                path = records.path_of(image, rendition)
                try:
                    with getattr(image, rendition).open("rb") as stored:
                        picture = stored.read()
                except (FileNotFoundError, Damaged):
                    archive.missing.append(path)
                    continue
                archive.add(path, [picture], is_small=True)


def _person(user: User) -> dict[str, str]:
    """Other people by name only: their address is in their own export."""
    return {"id": str(user.pk), "first_name": user.first_name, "last_name": user.last_name}


def _clinic(clinic: Clinic) -> dict[str, Any]:
    return {
        "id": str(clinic.pk),
        "name": clinic.name,
        "review_before_reading": clinic.review_before_reading,
        "requires_second_factor": clinic.requires_second_factor,
        "requires_bound_keys": clinic.requires_bound_keys,
    }


def _readme(made: Plan) -> str:
    subject = "you" if made.with_account else "one patient"
    account = _ACCOUNT if made.with_account else ""
    return README.format(subject=subject, day=f"{timezone.localdate()}", account=account)


def _about(made: Plan) -> dict[str, Any]:
    return {
        "site": settings.SITE_URL,
        "requested_by": str(made.user.pk),
        "of": "account" if made.with_account else "patient",
        "patients": [str(pk) for pk in made.patients],
    }


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while part := file.read(CHUNK):
            yield part


def _last_correction(patients: list[UUID]) -> Any:
    """When these records were last corrected. Every move, merge and withdrawal adds a correction to
    the record that it left.
    """
    return Correction.objects.filter(patient__in=patients).aggregate(last=Max("created"))["last"]
