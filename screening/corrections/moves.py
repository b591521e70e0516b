"""Write path of moving a record from the wrong lesion or patient, with everything that belongs to
it.

Functions as in ``screening.records.services``. The user may write both places, and both belong to
the same clinic and owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import User
from screening.corrections.consequences import follow
from screening.corrections.journal import checked_reason, held, note, require_same_keeper, touch
from screening.models import (
    CorrectionKind,
    DoctorVisit,
    Histology,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
    Review,
)
from screening.models.lesion import number_of, numbered
from screening.predictions import services as prediction_services
from screening.predictions.arrivals import next_moment
from screening.records import closing, plausibility


@transaction.atomic
def move_image(
    *,
    user: User,
    image: LesionImage,
    lesion: Lesion,
    reason: str = "",
    acknowledged: bool = False,
    is_undone: bool = False,
) -> LesionImage:
    """Move the picture to ``lesion``, with its readings and conclusions.

    acknowledged: the user knows that it was read or reviewed where it is; otherwise such a picture
    is not moved. Earlier conclusions on the lesion did not take the picture into account. It is
    read again if the model would get other patient details. is_undone: it returns to where it was.
    """
    reason = checked_reason(reason)
    image, lesion = held(image, lesion, user=user)
    before = image.lesion
    if lesion == before:
        raise ValidationError({"lesion": "The picture already belongs to this spot."})
    require_same_keeper(before.patient, lesion.patient, "lesion")
    if lesion.images.filter(sha256=image.sha256).exists():
        raise ValidationError(
            {"lesion": f"The same picture is on “{lesion}” already. Withdraw this one instead."}
        )
    require_acknowledged(acknowledged, findings_of(before.images.filter(pk=image.pk), user))
    if not is_undone:
        require_followed(lesion, "lesion")
    plausibility.require_capture_day(image.captured_on, lesion.patient)
    placed_at = image.placed_at
    bring([image], lesion)
    _note_move(image, before, placed_at, user=user, reason=reason)
    closing.reopen_unless_removed(user=user, lesion=before)
    touch(before, lesion)
    prediction_services.read_with_new_details(image=image)
    follow([image], before, lesion)
    image.refresh_from_db()
    return image


@transaction.atomic
def move_lesion(
    *,
    user: User,
    lesion: Lesion,
    patient: Patient,
    reason: str = "",
    acknowledged: bool = False,
    called: Mapping[str, list[str]] | None = None,
) -> Lesion:
    """Move the lesion to ``patient``, with its images and all its records.

    acknowledged: as in ``move_image``, for its images. called: see ``hand_over``.
    """
    reason = checked_reason(reason)
    lesion, patient = held(lesion, patient, user=user)
    before = lesion.patient
    if patient == before:
        raise ValidationError({"patient": "The spot already belongs to this patient."})
    require_same_keeper(before, patient, "patient")
    require_acknowledged(acknowledged, findings_of(lesion.images.all(), user))
    label = lesion.label
    hand_over([lesion], patient, user=user, called=called)
    plausibility.require_birth_year(patient)
    changed = {"patient": patient.pk}
    note(
        CorrectionKind.MOVED,
        lesion,
        user=user,
        reason=reason,
        before={"patient": before.pk, "label": label},
        after={**changed, "label": lesion.label},
        patient=before,
    )
    note(CorrectionKind.MOVED, lesion, user=user, reason=reason, after=changed)
    touch(before, patient)
    prediction_services.read_with_new_details(image__lesion=lesion)
    lesion.refresh_from_db()
    return lesion


def findings_of(images: QuerySet[LesionImage], user: User, since: datetime | None = None) -> str:
    """The findings on pictures where they are now, in words; empty if none. since: only readings
    and conclusions from then on. Users who must conclude first get the same text whatever there is.
    """
    one = images.count() == 1
    if LesionImage.objects.withheld_from(user).filter(pk__in=images.values("pk")).exists():
        these = "This picture" if one else "These pictures"
        return f"{these} may have readings and conclusions here."
    readings = Prediction.objects.finished().filter(image__in=images)
    reviews = Review.objects.filter(image__in=images)
    if since is not None:
        readings, reviews = (
            readings.filter(Q(finished_at__gte=since) | Q(told_from__gte=since)),
            reviews.filter(created__gte=since),
        )
    parts = [
        f"{count} {word if count == 1 else f'{word}s'}"
        for count, word in ((readings.count(), "reading"), (reviews.count(), "conclusion"))
        if count
    ]
    this = "This picture has" if one else "These pictures have"
    return f"{this} {' and '.join(parts)} here." if parts else ""


def require_followed(lesion: Lesion, field: str = NON_FIELD_ERRORS) -> None:
    """Raise ValidationError for a closed lesion, in which a moved picture would lose its warning.
    field: the form's field to blame, if any.
    """
    if lesion.is_closed:
        text = (
            f"“{lesion}” is recorded as removed. Open it again first: pictures of a removed spot "
            "raise no warning."
        )
        raise ValidationError({field: text})


def require_acknowledged(acknowledged: bool, *texts: str) -> None:
    """Raise ValidationError with what the user must know, unless they acknowledged it."""
    found = " ".join(filter(None, texts))
    if found and not acknowledged:
        raise ValidationError({"acknowledged": f"{found} Confirm that this goes with it."})


def bring(images: list[LesionImage], lesion: Lesion) -> None:
    """Assign the images to ``lesion`` from now on. Call it in a correction that has locked both."""
    now = next_moment(lesion, *{image.lesion for image in images})
    there = lesion.images.exclude(pk__in=[image.pk for image in images])
    pictures = set(there.values_list("sha256", flat=True))
    for image in images:
        if image.lesion_id != lesion.pk and not image.is_withdrawn:
            image.is_twin = image.sha256 in pictures
            pictures.add(image.sha256)
        image.lesion, image.placed_at = lesion, now
        image.save(update_fields=["lesion", "placed_at", "is_twin", "modified"])


def put_back(image: LesionImage, placed_at: str | None, since: datetime) -> None:
    """Restore the image's former acts after a correction from ``since`` on was undone: what settled
    it before settles it again, unless somebody concluded on the lesion in between. placed_at: the
    former value, ISO 8601.
    """
    if placed_at is None or was_concluded(image.lesion, since):
        return
    image.placed_at = datetime.fromisoformat(placed_at)
    image.save(update_fields=["placed_at", "modified"])


def was_concluded(lesion: Lesion, since: datetime) -> bool:
    """Whether anybody concluded on the lesion at or after that moment."""
    acts: tuple[QuerySet[Any], ...] = (
        Review.objects.filter(image__lesion=lesion),
        Histology.objects.filter(lesion=lesion),
        DoctorVisit.objects.filter(lesion=lesion),
    )
    return any(found.filter(created__gte=since).exists() for found in acts)


def was_changed(image: LesionImage, since: datetime) -> bool:
    """Whether the picture was corrected or put back after that moment."""
    kinds = (CorrectionKind.EDITED, CorrectionKind.RESTORED)
    return image.corrections.filter(kind__in=kinds, created__gt=since).exists()


def hand_over(
    lesions: Iterable[Lesion],
    patient: Patient,
    *,
    user: User,
    called: Mapping[str, list[str]] | None = None,
) -> dict[str, list[str]]:
    """Assign the lesions to ``patient``.

    A lesion that returns gets its former number; a lesion whose number is taken gets the next one.
    Call it in a correction that has locked both. Returns, by lesion, its label before and after,
    where they differ. called: such a result of the move to be undone; each lesion gets its former
    label unless it was renamed since.
    """
    in_use = set(Lesion.everything.filter(patient=patient).values_list("label", flat=True))
    taken, found, renamed = Lesion.everything.labels(patient), list(lesions), {}
    number = max(
        Lesion.everything.next_number(patient),
        *(number_of(lesion.label) + 1 for lesion in found if lesion.label not in taken),
        0,
    )
    for lesion in found:
        lesion.patient = patient
        lesion.save(update_fields=["patient", "modified"])
        for image in LesionImage.everything.filter(lesion=lesion):
            image.save(update_fields=["modified"])
    for lesion in found:
        before, since = (called or {}).get(str(lesion.pk), ("", ""))
        if not since and number_of(lesion.label):
            before, since = _label_at(lesion, patient), lesion.label
        is_back = bool(before) and lesion.label == since
        label = before if is_back else lesion.label
        if number_of(label) and label in (in_use if is_back else taken):
            label, number = numbered(patient, number), number + 1
        if label == lesion.label:
            continue
        renamed[str(lesion.pk)] = [lesion.label, label]
        was, lesion.label = {"label": lesion.label}, label
        lesion.save(update_fields=["label", "modified"])
        note(CorrectionKind.EDITED, lesion, user=user, before=was, after={"label": label})
    return renamed


def _label_at(lesion: Lesion, patient: Patient) -> str:
    """The label that the lesion had when it was last moved away from ``patient``; else empty."""
    moves = lesion.corrections.filter(kind=CorrectionKind.MOVED, image=None)
    last = moves.filter(before__patient=str(patient.pk)).order_by("-created").first()
    return str(last.before.get("label", "")) if last else ""


def _note_move(
    image: LesionImage, before: Lesion, placed_at: datetime, *, user: User, reason: str
) -> None:
    """Log the move in the record that it left and, if the patient differs, in the record that it
    joined, without naming the other patient there.
    """
    now = image.lesion
    was = {
        "lesion": before.pk,
        "patient": before.patient_id,
        "label": before.label,
        "placed_at": placed_at.isoformat(),
    }
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
