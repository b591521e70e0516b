"""Write path of the record. Every view, endpoint and command goes through here.

Functions take the acting ``user`` and keyword arguments only. They raise PermissionDenied when the
user may see but not do it, and ValidationError with a message that can be shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from typing import IO, Any, NamedTuple

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import WRITERS, Clinic, User
from ml import reader
from screening import duplicates, imaging, plausibility, scheduling, tasks
from screening.models import (
    ACTIVE,
    SYMPTOMS,
    Correction,
    CorrectionKind,
    Lesion,
    LesionImage,
    Modality,
    Patient,
    Prediction,
    State,
)
from screening.predictions import details

PATIENT_FIELDS = ("label", "birth_year", "sex", "skin_type")
READ_WITH = ("birth_year", "sex", "skin_type")
"""What is noted when it is edited, of a patient."""
LESION_FIELDS = ("label", "body_site", "notes", "raised", "bleeding", "itching", "changing")

BURNED_IN = (
    "The DICOM file says that text is burned into its picture, which may name the person. Export "
    "the picture without text, or say that it is to be taken all the same."
)

GROWN_BACK = (
    "This spot is recorded as removed. If something has grown back in the scar, open it again "
    "first: then a symptom can be marked."
)


class AddedImage(NamedTuple):
    image: LesionImage
    is_new: bool


@transaction.atomic
def register_patient(*, user: User, clinic: Clinic | None = None, **fields: Any) -> Patient:
    """Post: a patient of ``clinic`` exists or, without one, a record of the user's own.

    A caller who is bound to a clinic has no own record: what it registers is the clinic's.
    """
    clinic = clinic or user.bound_clinic
    if clinic is not None and not Clinic.objects.with_member(user, WRITERS).contains(clinic):
        raise PermissionDenied("Your role in this clinic does not allow adding patients.")
    patient = Patient(
        clinic=clinic, owner=None if clinic else user, birth_year=fields.get("birth_year")
    )
    plausibility.require_birth_year(patient)
    return _save(patient, PATIENT_FIELDS, fields)


@transaction.atomic
def edit_patient(*, user: User, patient: Patient, **fields: Any) -> Patient:
    """Raises ValidationError for a birth year that a day on record contradicts."""
    require_writable(user=user, patient=patient)
    before = {name: getattr(patient, name) for name in READ_WITH}
    patient.birth_year = fields.get("birth_year", patient.birth_year)
    if patient.birth_year != before["birth_year"]:
        plausibility.require_birth_year(patient)
    _save(patient, PATIENT_FIELDS, fields)
    _note_edit(user, before, {name: getattr(patient, name) for name in READ_WITH}, patient)
    read_with_new_details(image__lesion__patient=patient)
    return patient


@transaction.atomic
def open_lesion(*, user: User, patient: Patient, **fields: Any) -> Lesion:
    """Post: the patient has one lesion more. Without a label it is called "Lesion n"."""
    require_writable(user=user, patient=patient)
    # Whoever opens another, or corrects the record, waits until this transaction ends.
    if Patient.objects.select_for_update(no_key=True).filter(pk=patient.pk).first() is None:
        raise ValidationError("This record was withdrawn or merged meanwhile.")
    if not fields.get("label"):
        fields["label"] = f"Lesion {Lesion.everything.next_number(patient)}"
    return _save(_marked(Lesion(patient=patient), fields), LESION_FIELDS, fields)


@transaction.atomic
def edit_lesion(*, user: User, lesion: Lesion, **fields: Any) -> Lesion:
    require_writable(user=user, patient=lesion.patient)
    since = lesion.symptoms_at
    if lesion.is_closed and _marks(lesion, fields):
        raise ValidationError(GROWN_BACK)
    unticked = [name for name in SYMPTOMS if getattr(lesion, name) and fields.get(name) is False]
    before: dict[str, Any] = dict.fromkeys(unticked, True)
    if lesion.body_site:
        before["body_site"] = lesion.body_site
    _marked(lesion, fields)
    also = ["symptoms_at"] if lesion.symptoms_at != since else []
    _save(lesion, LESION_FIELDS, fields, also)
    # A symptom may have been what told the person to see a doctor.
    after = {name: getattr(lesion, name) for name in before}
    _note_edit(user, before, after, lesion.patient, lesion)
    read_with_new_details(image__lesion=lesion)
    return lesion


def add_image(
    *,
    user: User,
    lesion: Lesion,
    file: IO[bytes],
    captured_on: date | None = None,
    modality: str = Modality.DERMATOSCOPIC,
    is_synthetic: bool = False,
    allow_duplicate: bool = False,
) -> AddedImage:
    """Keep a picture and queue its reading, in one transaction. Captured when its file says, or
    today, unless told.

    The same picture on the same lesion is recognised: its row is returned, ``is_new`` is False, and
    nothing is read again. On another lesion it raises SamePicture, unless ``allow_duplicate``. On
    any failure neither a row nor a file stays behind.
    """
    require_writable(user=user, patient=lesion.patient)
    if captured_on is not None:
        plausibility.require_capture_day(captured_on, lesion.patient)
    return keep_image(
        user=user,
        lesion=lesion,
        clean=cleaned(file),
        captured_on=captured_on,
        modality=modality,
        is_synthetic=is_synthetic,
        allow_duplicate=allow_duplicate,
    )


def keep_image(
    *,
    user: User,
    lesion: Lesion,
    clean: imaging.CleanImage,
    captured_on: date | None,
    modality: str = Modality.DERMATOSCOPIC,
    is_synthetic: bool = False,
    allow_burned_in: bool = False,
    allow_duplicate: bool = False,
    in_batch: bool = False,
) -> AddedImage:
    """``add_image`` from where the picture is decoded: all that is left to do needs the database.

    allow_burned_in: keep a DICOM picture whose file says that text is burned into it.
    in_batch: whoever works through the batch reads it, so no bell is rung.
    """
    require_writable(user=user, patient=lesion.patient)
    burned_in = clean.said is not None and clean.said.burned_in
    if burned_in and not allow_burned_in:
        raise ValidationError({"file": BURNED_IN})
    captured_on, captured_time = _moment(captured_on, clean, lesion.patient)
    known = lesion.images.filter(sha256=clean.sha256).first()
    if known is not None:
        return AddedImage(known, False)
    if not allow_duplicate:
        duplicates.require_new(user=user, lesion=lesion, sha256=clean.sha256)
    image = LesionImage(
        lesion=lesion,
        uploaded_by=user,
        captured_on=captured_on,
        captured_time=captured_time,
        modality=modality,
        width=clean.width,
        height=clean.height,
        sha256=clean.sha256,
        camera_model=clean.camera_model,
        is_synthetic=is_synthetic,
        has_burned_in_text=burned_in,
    )
    try:
        _store(image, clean, user, in_batch=in_batch)
    except IntegrityError:  # the same picture arrived twice at the same moment
        return AddedImage(lesion.images.get(sha256=clean.sha256), False)
    return AddedImage(image, True)


def cleaned(file: IO[bytes]) -> imaging.CleanImage:
    """Raises ValidationError. Takes as long as decoding does: call it outside of transactions."""
    try:
        return imaging.clean(file)
    except imaging.InvalidImage as error:
        raise ValidationError({"file": str(error)}) from None


def _moment(
    told: date | None, clean: imaging.CleanImage, patient: Patient
) -> tuple[date, time | None]:
    """The day that is told, else the file's own, else today; the time, to the second, where the
    file's is of that day. Raises ValidationError for a day that cannot be: the file's too, where no
    other is told."""
    own = clean.captured_on
    if told is None and clean.said is not None and clean.said.no_day:
        text = f"The file says that it was taken on “{clean.said.no_day}”, which is no day."
        raise ValidationError({"captured_on": f"{text} Give the day."})
    day = told or own or timezone.localdate()
    plausibility.require_capture_day(day, patient)
    moment = clean.captured_time if day == own else None
    return day, moment.replace(microsecond=0) if moment else None


@transaction.atomic
def request_prediction(*, user: User, image: LesionImage) -> Prediction:
    """Have the image read by the current model, unless it is waiting for that already.

    Raises PermissionDenied for who is to conclude first: the reading does not exist for them yet.
    """
    require_writable(user=user, patient=image.lesion.patient)
    if LesionImage.objects.withheld_from(user).contains(image):
        raise PermissionDenied("Record your own conclusion on this picture first.")
    # Asked for twice at the same moment, the constraint lets one of them be made.
    prediction, is_new = Prediction.objects.active().get_or_create(
        image=image, model_version=reader.DEFAULT_VERSION, defaults={"requested_by": user}
    )
    if is_new:
        tasks.ring(prediction)
    return prediction


@transaction.atomic
def rescreen(*, image: LesionImage, model_version: str) -> Prediction | None:
    """Have an image read by another model version too, behind all that someone waits for.

    None if that version has read it with the thresholds it has now, or is about to. What was read
    before is left as it is.
    """
    of_version = image.predictions.filter(model_version=model_version)
    thresholds = reader.card(model_version)["thresholds_version"]
    read = Q(state=State.SUCCEEDED, thresholds_version=thresholds)
    if of_version.filter(Q(state__in=ACTIVE) | read).exists():
        return None
    return _queue(image, image.uploaded_by, model_version=model_version, is_bulk=True)


def read_with_new_details(**of: Any) -> None:
    """Have read again what was read with details that no longer stand. Called by whatever may
    change age, sex, body site, day or kind; ``of`` says of which predictions, as a filter does."""
    for prediction in details.queue_again(Prediction.objects.filter(**of)):
        tasks.ring(prediction)


def require_writable(*, user: User, patient: Patient) -> None:
    """Raise PermissionDenied unless ``user`` may change what belongs to ``patient``."""
    if not Patient.objects.writable_by(user).contains(patient):
        raise PermissionDenied("Your role allows looking at this record, not changing it.")


def _marked(lesion: Lesion, fields: dict[str, Any]) -> Lesion:
    """With the time of a newly marked symptom: whoever looked before did not know of it."""
    if _marks(lesion, fields):
        lesion.symptoms_at = timezone.now()
    return lesion


def _note_edit(
    user: User,
    before: dict[str, Any],
    after: dict[str, Any],
    patient: Patient,
    lesion: Lesion | None = None,
) -> None:
    """Leave a Correction of what differs: it decides what is told."""
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        Correction.objects.create(
            kind=CorrectionKind.EDITED,
            made_by=user,
            patient=patient,
            lesion=lesion,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def _marks(lesion: Lesion, fields: dict[str, Any]) -> bool:
    """Whether a symptom is newly marked."""
    return any(fields.get(name) and not getattr(lesion, name) for name in SYMPTOMS)


def hold(lesion: Lesion) -> None:
    """Nobody moves, merges or withdraws the lesion before this transaction ends: what is added to
    it is not left behind. Raises ValidationError where someone just did."""
    current = Lesion.objects.filter(pk=lesion.pk, patient=lesion.patient_id)
    if current.select_for_update(no_key=True).first() is None:
        raise ValidationError("This lesion was moved or withdrawn meanwhile. Look at it again.")


def _save(
    record: Any, allowed: tuple[str, ...], fields: dict[str, Any], also: Iterable[str] = ()
) -> Any:
    """Set the fields that may be set, check all rules, save. Raises TypeError for any other field.

    Of a record that is there no more is written than these fields, and ``also``: it may have been
    moved or withdrawn since it was loaded.
    """
    unknown = fields.keys() - set(allowed)
    if unknown:
        raise TypeError(f"{type(record).__name__} takes no {', '.join(sorted(unknown))}")
    for name, value in fields.items():
        setattr(record, name, value.strip() if isinstance(value, str) else value)
    record.full_clean()
    if record._state.adding:
        record.save()
    else:
        record.save(update_fields=[*fields, *also, "modified"])
    return record


def _store(image: LesionImage, clean: imaging.CleanImage, user: User, *, in_batch: bool) -> None:
    saved: list[Any] = []
    try:
        with transaction.atomic():
            image.file.save(f"image.{clean.extension}", ContentFile(clean.data), save=False)
            saved.append(image.file)
            image.thumbnail.save("thumbnail.jpg", ContentFile(clean.thumbnail), save=False)
            saved.append(image.thumbnail)
            hold(image.lesion)
            image.full_clean(validate_unique=False, validate_constraints=False)
            image.save()
            scheduling.move_on(image.lesion)
            _queue(image, user, is_bulk=in_batch, ring=not in_batch)
    except BaseException:
        for file in saved:
            file.storage.delete(file.name)
        raise


def _queue(
    image: LesionImage,
    user: User,
    *,
    model_version: str = reader.DEFAULT_VERSION,
    is_bulk: bool = False,
    ring: bool = True,
) -> Prediction:
    prediction = Prediction.objects.create(
        image=image, requested_by=user, model_version=model_version, is_bulk=is_bulk
    )
    if ring:
        tasks.ring(prediction)
    return prediction
