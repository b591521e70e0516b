"""One row of a batch: import its patient, lesion and image, or try to. Raises RowRefused with a
message for the user.
"""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Clinic, User
from screening.batches.archives import Batchable
from screening.batches.lines import INLINE
from screening.batches.manifests import COLUMN_OF, contradicts
from screening.errors import LeaseLost, PictureRefused, RowRefused
from screening.images import cleaning
from screening.images import services as image_services
from screening.interop import identifiers
from screening.interop.dicom.services import take_scale, take_site
from screening.interop.isic.terms import HISTOPATHOLOGY
from screening.models import SYMPTOMS, Batch, BatchRow, Histology, Lesion, LesionImage, Patient
from screening.predictions.queries import latest_prediction
from screening.records import services as record_services
from screening.reviews import services as review_services

OWN_RECORD = "My skin"
WITHDRAWN = "was withdrawn here, so the row is not imported again. Put it back first."
WITHDRAWN_HISTOLOGY = (
    "The histology of this lesion was withdrawn, so it is not recorded again. Put it back, or "
    "record it on the lesion's page."
)


class _Tried(Exception):
    """Undoes what an import wrote."""


def check(row: BatchRow, archive: Batchable) -> list[list[str]]:
    """Import the row and undo it: whatever would refuse it then is told now. Returns what an import
    would remark. Rows of one batch are not checked against one another.
    """
    trial = copy(row)
    with suppress(_Tried):
        import_row(trial, archive, is_trial=True)
    return trial.problems


def import_row(row: BatchRow, archive: Batchable, *, is_trial: bool = False) -> None:
    """Import the row and its image in one transaction, and queue the reading. is_trial: raise
    _Tried in the end, so that nothing is kept.

    The picture is decoded before the transaction, which would otherwise hold a database lock. From
    a DICOM file the pixel size is adopted, and the body site if the table has none. The day comes
    from the table, else the file, else the upload. Raises PermissionDenied if the uploader may no
    longer add here.
    """
    batch, values = row.batch, row.values
    try:
        picture = BytesIO(archive.picture(row.entry, row.offset))
        clean = cleaning.clean(picture)
    except (PictureRefused, cleaning.InvalidImage) as reason:
        raise RowRefused([[_column(row), str(reason)]]) from None
    said = clean.said
    try:
        with image_services.files_only_with_rows() as stored:
            captured_on = _day(values, clean)
            lesion, is_opened = _lesion(batch, _aged(values, captured_on))
            _require_there(row, lesion, clean)
            if said is not None:
                take_site(batch.created_by, lesion, said)
            added = image_services.keep_image(
                user=batch.created_by,
                lesion=lesion,
                clean=clean,
                captured_on=captured_on,
                modality=values["modality"],
                is_synthetic=values["is_synthetic"],
                in_batch=True,
            )
            if added.is_new:
                stored += added.image.stored_files
            if said is not None and added.is_new:
                take_scale(batch.created_by, added.image, said)
            shown_at = added.image.placed_at if is_opened else lesion.created
            untold = _record_histology(batch.created_by, added.image, values["diagnosis"], shown_at)
            if added.is_new:
                _mark_symptoms(batch.created_by, lesion, values["lesion_fields"])
            row.problems = [*_unlike(lesion, values), *untold]
            for words in (added.image.words_on_kind(values["modality"]), added.remark):
                if words:
                    row.problems.append(["image_type", words])
            if words := added.image.removed_words:
                row.problems.append(["captured_on", words])
            _finish(row, added)
            if is_trial:
                raise _Tried
    except ValidationError as error:
        raise RowRefused(_problems(error)) from None


def _day(values: dict[str, Any], clean: cleaning.CleanImage) -> date | None:
    """The table's day, else the file's, else the upload's. None if the file's is not a date; the
    write path reports that.
    """
    told = date.fromisoformat(values["captured_on"])
    if values.get("day_is_told", True):
        return told
    return None if clean.no_day else clean.captured_on or told


def _aged(values: dict[str, Any], captured_on: date | None) -> dict[str, Any]:
    """The birth year, computed from the age on the day of capture."""
    fields, assumed = values["patient_fields"], date.fromisoformat(values["captured_on"])
    if captured_on is None or values.get("age") is None:
        return values
    if fields.get("birth_year") != assumed.year - values["age"]:
        return values
    counted = fields | {"birth_year": captured_on.year - values["age"]}
    return values | {"patient_fields": counted}


def _finish(row: BatchRow, added: image_services.AddedImage) -> None:
    row.image = added.image
    row.prediction = latest_prediction(added.image)
    finished = BatchRow.objects.filter(
        pk=row.pk, state=BatchRow.State.RUNNING, attempts=row.attempts
    ).update(
        state=BatchRow.State.IMPORTED,
        image=row.image,
        prediction=row.prediction,
        problems=row.problems,
        was_known=not added.is_new,
        followed_up=not added.is_new,
        lease_expires_at=None,
    )
    if not finished:
        raise LeaseLost


def _lesion(batch: Batch, values: dict[str, Any]) -> tuple[Lesion, bool]:
    """The patient's lesion with this identifier, and whether it was created."""
    user = batch.created_by
    # Two workers must not create one lesion twice. SQLite serialises transactions anyway.
    if batch.clinic_id:
        Clinic.objects.select_for_update(no_key=True).get(pk=batch.clinic_id)
    else:
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
    patient = _patient(batch, values)
    named = values["lesion"]
    known: Lesion | None = _known(patient.lesions.all(), named)
    if known is not None:
        return known, False
    gone = Lesion.everything.filter(patient=patient, merged_into=None).exclude(withdrawn_at=None)
    if _known(gone, named) is not None:
        raise RowRefused([["lesion_id", f"This lesion {WITHDRAWN}"]])
    fields = {"label": named, **values["lesion_fields"]}
    lesion = record_services.open_lesion(user=user, patient=patient, **fields)
    identifiers.name_by_manifest(user=user, record=lesion, value=named)
    return lesion, True


def _require_there(row: BatchRow, lesion: Lesion, clean: cleaning.CleanImage) -> None:
    """Raise RowRefused for a picture that was withdrawn from the lesion: a batch that is sent again
    must not restore a mistake.
    """
    same = LesionImage.everything.filter(lesion=lesion, sha256=clean.sha256)
    if same.exists() and not same.filter(withdrawn_at=None).exists():
        raise RowRefused([[_column(row), f"This picture {WITHDRAWN}"]])


def _mark_symptoms(user: User, lesion: Lesion, said: dict[str, Any]) -> None:
    """Mark the symptoms that a new picture of a known lesion comes with. None is removed, and none
    is marked on a lesion that was removed.
    """
    marked = {name: True for name in SYMPTOMS if said.get(name) and not getattr(lesion, name)}
    if marked and not lesion.is_closed:
        record_services.edit_lesion(user=user, lesion=lesion, **marked)


def _unlike(lesion: Lesion, values: dict[str, Any]) -> list[list[str]]:
    """Where the row differs from an existing record, which is left unchanged."""
    found = []
    for record, fields in (
        (lesion.patient, values["patient_fields"]),
        (lesion, values["lesion_fields"]),
    ):
        for name, value in fields.items():
            kept = getattr(record, name)
            if value and (not kept or contradicts(name, value, kept)):
                word = name.replace("_", " ")
                text = (
                    f"The row says {word} {_written(value)}. The {record._meta.verbose_name}'s "
                    f"record, which is left as it is, says {_written(kept)}. Correct it if it is "
                    "wrong."
                )
                found.append([COLUMN_OF.get(name, name), text])
    return found


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value or "none")


def _record_histology(
    user: User, image: LesionImage, said: dict[str, str], shown_at: datetime
) -> list[list[str]]:
    """Record the pathologist's diagnosis, if the manifest has one and ``user`` may record it.
    Otherwise the row keeps it as the manifest gave it.

    The same diagnosis is recorded once; a different one is added beside it. A withdrawn one is not
    recorded again: the result is the message about that. shown_at: nobody was shown what is on a
    lesion that the row did not create, so the histology settles nothing there.
    """
    lesion = image.lesion
    if said.get("confirmed_by") != HISTOPATHOLOGY:
        return []
    same = Histology.everything.filter(lesion=lesion, diagnosis=said["diagnosis"])
    if same.filter(withdrawn_at=None).exists():
        return []
    if same.exists():
        is_told = same.disclosed_to(user).exists()
        return [["diagnosis", WITHDRAWN_HISTOLOGY]] if is_told else []
    if Patient.objects.reviewable_by(user).contains(lesion.patient):
        thickness = Decimal(said.get("breslow_mm", 0))
        named = f": {said['named']}" if "named" in said else ""
        review_services.record_histology(
            user=user,
            lesion=lesion,
            diagnosis=said["diagnosis"],
            examined_on=min(image.captured_on, timezone.localdate()),
            breslow_mm=thickness or None,
            note=f"From the manifest of a batch{named}",
            shown_at=shown_at,
        )
    return []


def _patient(batch: Batch, values: dict[str, Any]) -> Patient:
    user, label = batch.created_by, values["patient"]
    target = Q(clinic=batch.clinic_id) if batch.clinic_id else Q(owner=user)
    of_target = Patient.objects.filter(target)
    if not label and of_target.count() == 1:  # the uploader's own skin
        return of_target.get()
    named = label or OWN_RECORD
    known: Patient | None = _known(of_target, named)
    if known is not None:
        return known
    kept = Patient.everything.filter(target, merged_into=None, erased_from=None)
    if _known(kept.exclude(withdrawn_at=None), named) is not None:
        raise RowRefused([["patient_id", f"This patient {WITHDRAWN}"]])
    fields = {"label": named, **values["patient_fields"]}
    patient = record_services.register_patient(user=user, clinic=batch.clinic, **fields)
    if label:
        identifiers.name_by_manifest(user=user, record=patient, value=label)
    return patient


def _known(records: QuerySet[Any], value: str) -> Any:
    """Find a record by its name in an export or a manifest, its label, or that of a record merged
    into it; else by another system's identifier, if only one record has it.
    """
    if (named := identifiers.named_in_manifest(records, value)) is not None:
        return named
    for by_label in (records.filter(label=value), records.filter(merged__label=value)):
        if (found := by_label.first()) is not None:
            return found
    identified = list(records.filter(identifiers__value=value).distinct()[:2])
    return identified[0] if len(identified) == 1 else None


def _column(row: BatchRow) -> str:
    return "image" if row.entry else INLINE


def _problems(error: ValidationError) -> list[list[str]]:
    if not hasattr(error, "error_dict"):
        return [["", text] for text in error.messages]
    return [
        ["" if name == NON_FIELD_ERRORS else name, text]
        for name, texts in error.message_dict.items()
        for text in texts
    ]
