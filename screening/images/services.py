"""Write path of images: checked, cleaned, and stored with their first reading queued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, time
from typing import IO, NamedTuple

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.fields.files import FieldFile
from django.utils import timezone

from accounts.models import User
from ml.opening.limits import SCREEN_SIDE
from screening import bells
from screening.images import cleaning, duplicates, quota
from screening.images.dicom import Said
from screening.models import Event, Lesion, LesionImage, Modality, Patient, Setback
from screening.predictions.arrivals import next_moment
from screening.predictions.services import enqueue
from screening.records import plausibility
from screening.records.services import hold
from screening.reminders import schedule
from screening.webhooks.outbox import announce_about
from screening.write_access import require_writable

ONE_SWEEP = 50
BURNED_IN = (
    "The DICOM file says that text is burned into its picture, which may name the person. Export "
    "the picture without text, or confirm that it should be added anyway."
)

CAPTURE = (
    "The DICOM file is a Secondary Capture, which does not say what it shows. Export the picture "
    "as the camera took it, or confirm that it is a photograph of this lesion."
)


class AddedImage(NamedTuple):
    """remark: the notice if the picture's DICOM file calls it another kind than it is here."""

    image: LesionImage
    is_new: bool
    remark: str = ""


def add_image(
    *,
    user: User,
    lesion: Lesion,
    file: IO[bytes],
    captured_on: date | None = None,
    modality: str = "",
    is_synthetic: bool = False,
    allow_duplicate: bool = False,
) -> AddedImage:
    """Store a picture and queue its reading, in one transaction. The day of capture is the given
    one, else the file's, else today. The modality is the given one; else a DICOM file that is an
    ordinary photograph is clinical, and every other picture dermatoscopic.

    The same picture on the same lesion is recognised: its row is returned, ``is_new`` is False, and
    nothing is read again. On another lesion it raises SamePicture, unless ``allow_duplicate``. On
    any failure neither a row nor a file remains.
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


def require_a_photograph(
    said: Said, *, allow_burned_in: bool = False, allow_capture: bool = False
) -> None:
    """Raise ValidationError for a DICOM file whose picture may name the person or show a screen."""
    if said.burned_in and not allow_burned_in:
        raise ValidationError({"file": BURNED_IN})
    if said.is_capture and not allow_capture:
        raise ValidationError({"file": CAPTURE})


def keep_image(
    *,
    user: User,
    lesion: Lesion,
    clean: cleaning.CleanImage,
    captured_on: date | None = None,
    modality: str = "",
    is_synthetic: bool = False,
    allow_burned_in: bool = False,
    allow_capture: bool = False,
    allow_duplicate: bool = False,
    in_batch: bool = False,
) -> AddedImage:
    """The part of ``add_image`` after decoding, which needs only the database. An outer transaction
    must be ``files_only_with_rows``.

    allow_burned_in: accept a DICOM picture whose file says that text is burned into it.
    allow_capture: accept a Secondary Capture. in_batch: the batch worker reads it, so no other
    worker is notified.
    """
    require_writable(user=user, patient=lesion.patient)
    said = clean.said or Said()
    require_a_photograph(said, allow_burned_in=allow_burned_in, allow_capture=allow_capture)
    captured_on, captured_time = _moment(captured_on, clean, lesion.patient)
    known = lesion.images.filter(sha256=clean.sha256).first()
    if known is not None:
        return AddedImage(known, False, _remark(said, known))
    if not allow_duplicate:
        duplicates.require_new(user=user, lesion=lesion, sha256=clean.sha256)
    size = len(clean.data) + len(clean.thumbnail) + len(clean.screen)
    image = LesionImage(
        lesion=lesion,
        uploaded_by=user,
        captured_on=captured_on,
        captured_time=captured_time,
        modality=modality or _modality(said),
        width=clean.width,
        height=clean.height,
        sha256=clean.sha256,
        stored_bytes=size,
        camera_model=clean.camera_model,
        is_synthetic=is_synthetic,
        has_burned_in_text=said.burned_in,
    )
    try:
        _store(image, clean, user, in_batch=in_batch, allow_duplicate=allow_duplicate)
    except IntegrityError:  # the same picture arrived twice at the same moment
        known = lesion.images.get(sha256=clean.sha256)
        return AddedImage(known, False, _remark(said, known))
    return AddedImage(image, True, _remark(said, image))


@contextmanager
def files_only_with_rows() -> Iterator[list[FieldFile]]:
    """A transaction that stores files. If it fails, even at its commit, the files in the list are
    deleted.
    """
    stored: list[FieldFile] = []
    try:
        with transaction.atomic():
            yield stored
    except BaseException:
        for file in stored:
            file.storage.delete(str(file.name))
        raise


def cleaned(file: IO[bytes]) -> cleaning.CleanImage:
    """The cleaned picture. Raises ValidationError. Decoding is slow: call it outside
    transactions.
    """
    try:
        return cleaning.clean(file)
    except cleaning.InvalidImage as error:
        raise ValidationError({"file": str(error)}) from None


def give_screen(image: LesionImage) -> None:
    """Store a screen-size copy of a larger picture that has none, because it predates them or was
    imported.

    Raises InvalidImage, Busy, OSError, and ValidationError if the quota is used up. For workers
    only, because it decodes. If it runs twice at once, or the picture is erased meanwhile, one file
    remains, or none.
    """
    if image.screen or not image.has_screen:
        return
    with image.file.open("rb") as file:
        data = cleaning.screen(file)
    made, patient = image.screen, image.lesion.patient
    with files_only_with_rows() as stored:
        made.save("screen.jpg", ContentFile(data), save=False)
        stored.append(made)
        quota.take_room(len(data), user=patient.owner_id, clinic=patient.clinic_id)
        without = LesionImage.everything.filter(pk=image.pk, screen="")
        more = {"stored_bytes": F("stored_bytes") + len(data)}
        is_first = without.update(screen=made.name, **more)
    if not is_first:
        made.storage.delete(str(made.name))
        image.refresh_from_db(fields=["screen"])


def ask_for_screen(image: LesionImage) -> None:
    """Have a worker make what ``give_screen`` makes, unless it rests after it failed."""
    resting = Setback.objects.filter(image=image, rests_until__gt=timezone.now())
    if image.has_screen and not resting.exists():
        bells.remind_of_follow_up(image.pk)


def without_screen() -> list[LesionImage]:
    """Some large pictures without a screen-size copy that nobody has tried to create. Failed ones
    are in ``setbacks.due``.
    """
    large = Q(width__gt=SCREEN_SIDE) | Q(height__gt=SCREEN_SIDE)
    left = LesionImage.objects.present().filter(large, screen="", setback=None)
    return list(left.order_by("created")[:ONE_SWEEP])


def _moment(
    told: date | None, clean: cleaning.CleanImage, patient: Patient
) -> tuple[date, time | None]:
    """The day given, else the file's, else today; the time, to the second, if the file's is on that
    day. Raises ValidationError for an impossible day, including the file's if no other is given.
    """
    own = clean.captured_on
    if told is None and clean.no_day:
        text = f"The file says that it was taken on “{clean.no_day}”, which is no day."
        raise ValidationError({"captured_on": f"{text} Give the day."})
    day = told or own or timezone.localdate()
    plausibility.require_capture_day(day, patient)
    moment = clean.captured_time if day == own else None
    return day, moment.replace(microsecond=0) if moment else None


def _modality(said: Said) -> Modality:
    return Modality.CLINICAL if said.is_ordinary else Modality.DERMATOSCOPIC


def _remark(said: Said, image: LesionImage) -> str:
    if said.is_dermoscopic and image.modality == Modality.CLINICAL:
        return (
            "Its DICOM file calls it dermoscopic, but it is here as an ordinary photograph, which "
            "is not read: correct its kind if that is wrong."
        )
    if said.is_ordinary and image.modality == Modality.DERMATOSCOPIC:
        return (
            "Its DICOM file calls it an ordinary photograph, but it is here as dermatoscopic, and "
            "is read as such: correct its kind if that is wrong."
        )
    return ""


def _store(
    image: LesionImage,
    clean: cleaning.CleanImage,
    user: User,
    *,
    in_batch: bool,
    allow_duplicate: bool = False,
) -> None:
    with files_only_with_rows() as stored:
        image.file.save(f"image.{clean.extension}", ContentFile(clean.data), save=False)
        stored.append(image.file)
        image.thumbnail.save("thumbnail.jpg", ContentFile(clean.thumbnail), save=False)
        stored.append(image.thumbnail)
        if clean.screen:
            image.screen.save("screen.jpg", ContentFile(clean.screen), save=False)
            stored.append(image.screen)
        hold(image.lesion)
        if not allow_duplicate:  # another lesion of the patient got it meanwhile
            duplicates.require_new(user=user, lesion=image.lesion, sha256=clean.sha256)
        # Earlier conclusions were made without seeing it.
        image.placed_at = next_moment(image.lesion)
        image.full_clean(validate_unique=False, validate_constraints=False)
        patient = image.lesion.patient
        quota.take_room(image.stored_bytes or 0, user=patient.owner_id, clinic=patient.clinic_id)
        image.save()
        schedule.reschedule(image.lesion)
        announce_about(
            image.lesion.patient, Event.IMAGE_CREATED, image=image.pk, lesion=image.lesion_id
        )
        enqueue(image, user, is_bulk=in_batch, ring=not in_batch)
