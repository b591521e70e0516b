"""Write path of what is with the wrong lesion or patient: moved, with all that belongs to it.

Functions as in ``screening.intake``. The user may write where it is and where it goes,
and both are kept by the same clinic and the same person.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from screening import closing, intake, plausibility
from screening.corrections.following import follow
from screening.corrections.holding import held, note, require_same_keeper, stated, touch
from screening.models import (
    CorrectionKind,
    Lesion,
    LesionImage,
    Patient,
)


@transaction.atomic
def move_image(
    *,
    user: User,
    image: LesionImage,
    lesion: Lesion,
    reason: str = "",
    acknowledged: bool = False,
) -> LesionImage:
    """Post: the picture is of ``lesion``; its readings and conclusions go with it.

    acknowledged: the user knows that it was read or reviewed where it is; without it such a picture
    is not moved. What was concluded of the lesion before did not take the picture into account. It
    is read again where the model would be told something else of the patient.
    """
    reason = stated(reason)
    image, lesion = held(image, lesion, user=user)
    before = image.lesion
    if lesion == before:
        raise ValidationError({"lesion": "The picture is of this lesion already."})
    require_same_keeper(before.patient, lesion.patient, "lesion")
    if lesion.images.filter(sha256=image.sha256).exists():
        raise ValidationError(
            {"lesion": f"The same picture is on {lesion} already. Withdraw this one instead."}
        )
    if not acknowledged and (found := findings_of(image, user)):
        raise ValidationError({"acknowledged": f"{found} Confirm that this goes with it."})
    plausibility.require_capture_day(image.captured_on, lesion.patient)
    bring([image], lesion)
    _note_move(image, before, user=user, reason=reason)
    closing.reopen_unless_removed(user=user, lesion=before)
    touch(before, lesion)
    intake.read_with_new_details(image=image)
    follow([image], before, lesion)
    image.refresh_from_db()
    return image


@transaction.atomic
def move_lesion(*, user: User, lesion: Lesion, patient: Patient, reason: str = "") -> Lesion:
    """Post: the lesion is of ``patient``, with its images and all that is known of it."""
    reason = stated(reason)
    lesion, patient = held(lesion, patient, user=user)
    before = lesion.patient
    if patient == before:
        raise ValidationError({"patient": "The lesion is of this patient already."})
    require_same_keeper(before, patient, "patient")
    hand_over([lesion], patient)
    plausibility.require_birth_year(patient)
    changed = {"patient": patient.pk}
    note(
        CorrectionKind.MOVED,
        lesion,
        user=user,
        reason=reason,
        before={"patient": before.pk},
        after=changed,
        patient=before,
    )
    note(CorrectionKind.MOVED, lesion, user=user, reason=reason, after=changed)
    touch(before, patient)
    intake.read_with_new_details(image__lesion=lesion)
    lesion.refresh_from_db()
    return lesion


def findings_of(image: LesionImage, user: User) -> str:
    """What there is of a picture where it is, in words; empty where nothing is. Who is to conclude
    first is told the same whatever there is."""
    if LesionImage.objects.withheld_from(user).contains(image):
        return "This picture may have readings and conclusions here."
    reviews, readings = image.reviews.count(), image.predictions.finished().count()
    if not reviews and not readings:
        return ""
    parts = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in (
            (readings, "reading", "readings"),
            (reviews, "conclusion", "conclusions"),
        )
        if count
    ]
    return f"This picture has {' and '.join(parts)} here."


def bring(images: list[LesionImage], lesion: Lesion) -> None:
    """Post: the images are of ``lesion``, beginning now. Within a correction that holds both."""
    now = timezone.now()
    for image in images:
        image.lesion, image.placed_at = lesion, now
        image.save(update_fields=["lesion", "placed_at", "modified"])
    if lesion.symptoms:  # what was concluded of these images says nothing of the symptom
        lesion.symptoms_at = now
        lesion.save(update_fields=["symptoms_at", "modified"])


def hand_over(lesions: Iterable[Lesion], patient: Patient) -> None:
    """Post: the lesions are of ``patient``. Within a correction that holds both."""
    for lesion in lesions:
        lesion.patient = patient
        lesion.save(update_fields=["patient", "modified"])
        for image in LesionImage.everything.filter(lesion=lesion):
            image.save(update_fields=["modified"])


def _note_move(image: LesionImage, before: Lesion, *, user: User, reason: str) -> None:
    """In the record that it was in and, if that is another patient's, in the one that it is in: of
    the other one without its name."""
    now = image.lesion
    was = {"lesion": before.pk, "patient": before.patient_id, "label": before.label}
    since = {"lesion": now.pk, "patient": now.patient_id}
    is_near = before.patient_id == now.patient_id
    note(
        CorrectionKind.MOVED,
        image,
        user=user,
        reason=reason,
        before=was,
        after={**since, "label": now.label} if is_near else since,
        patient=before.patient,
        lesion=before,
    )
    if not is_near:
        note(CorrectionKind.MOVED, image, user=user, reason=reason, after=since)
