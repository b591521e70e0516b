"""Write path of clinicians' conclusions and pathologists' diagnoses. Signed, never edited.

Functions as in ``screening.records.services``. ``docs/decisions.md`` explains how signing works and
what it proves.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from ml.diagnoses import MALIGNANT
from screening.formatting import day
from screening.models import Event, Histology, Lesion, LesionImage, Management, Patient, Review
from screening.models.signatures import sign
from screening.predictions import arrivals
from screening.predictions.queries import standing_reviews
from screening.records import closing, plausibility
from screening.records.services import hold
from screening.reviews import chain
from screening.webhooks import outbox

STILL_THERE = (Management.EXCISE, Management.REFER, Management.MONITOR)
"""Decisions on a lesion that was not removed."""


@transaction.atomic
def record_review(
    *,
    user: User,
    image: LesionImage,
    conclusion: str,
    management: str,
    note: str = "",
    supersedes: Review | None = None,
    removed_on: date | None = None,
    shown_at: datetime | None = None,
) -> Review:
    """Record a signed conclusion beside the prediction. It supersedes the user's own standing
    conclusion on this image. A user without one may name a colleague's to supersede.

    removed_on: the day on which the lesion was removed, which closes it; None if unknown. shown_at:
    see ``Settling``; None if the user was shown everything. Raises ValidationError for a superseded
    review that does not stand on this image.
    """
    require_reviewer(user, image.lesion.patient)
    hold(image.lesion)
    if not image.lesion.images.contains(image):
        raise ValidationError(
            "This picture was moved or withdrawn in the meantime. Check it again."
        )
    review = Review(
        image=image, reviewer=user, conclusion=conclusion, management=management, note=note.strip()
    )
    known = arrivals.shown(image.lesion, shown_at, user)
    if management == Management.DONE:
        _require_removal(image, removed_on, known)
    elif removed_on is not None:
        raise ValidationError({"removed_on": f"Only with “{Management.DONE.label}”."})
    review.full_clean(exclude=["number", "supersedes", "previous_signature", "signature"])
    chain.lock()
    review.supersedes = _superseded(user, image, supersedes)
    review.created = arrivals.next_moment(image.lesion)
    review.shown_at = known
    _seal(review)
    review.save(force_insert=True)
    if management == Management.DONE:
        last = removed_on or timezone.localdate()
        closing.close(user=user, lesion=image.lesion, on=last, is_known=removed_on is not None)
    elif review.supersedes is not None:
        closing.reopen_unless_removed(user=user, lesion=image.lesion)
    if management in STILL_THERE:
        closing.reopen_if_there_after(image.captured_on, user=user, lesion=image.lesion)
    _announce(review)
    return review


def replaceable(*, user: User, image: LesionImage) -> list[Review]:
    """Standing reviews by colleagues that a first review by ``user`` may supersede.

    The image is ``with_findings``, so that a colleague's review is named only to users who may see
    it.
    """
    standing = standing_reviews(image)
    return [] if any(one.reviewer_id == user.pk for one in standing) else standing


@transaction.atomic
def record_histology(
    *,
    user: User,
    lesion: Lesion,
    diagnosis: str,
    examined_on: date,
    breslow_mm: Decimal | None = None,
    excised: bool | None = None,
    note: str = "",
    supersedes: Histology | None = None,
    shown_at: datetime | None = None,
) -> Histology:
    """Record the pathologist's diagnosis. It ranks above every reading and conclusion, and closes a
    lesion that was ``excised`` completely.

    supersedes: the standing entry that this one corrects; others stay beside it. shown_at: as in
    ``record_review``. Raises ValidationError for a superseded entry that does not stand on this
    lesion.
    """
    require_reviewer(user, lesion.patient)
    hold(lesion)
    if supersedes is not None and not lesion.histologies.standing().contains(supersedes):
        raise ValidationError({"supersedes": "That histology no longer stands for this lesion."})
    plausibility.require_past_day(
        examined_on, lesion.patient, field="examined_on", what="The day of the examination"
    )
    histology = Histology(
        lesion=lesion,
        recorded_by=user,
        diagnosis=diagnosis,
        examined_on=examined_on,
        breslow_mm=breslow_mm,
        excised=excised,
        note=note.strip(),
        supersedes=supersedes,
        shown_at=arrivals.shown(lesion, shown_at, user),
        created=arrivals.next_moment(lesion),
    )
    histology.full_clean()
    histology.save()
    _announce_histology(histology, Event.HISTOLOGY_CREATED)
    if supersedes is not None:
        _announce_histology(supersedes, Event.HISTOLOGY_CHANGED)
        closing.reopen_unless_removed(user=user, lesion=lesion, besides=histology)
    if excised:
        closing.close(user=user, lesion=lesion, on=examined_on, is_known=False)
    elif diagnosis in MALIGNANT:
        _reopen_if_left(user, histology)
    return histology


def sign_again(review: Review) -> None:
    """Chain and sign a review that another installation signed. From now on this installation
    vouches that it is unchanged. Call it in the transaction that stores the review.
    """
    chain.lock()
    _seal(review)


def require_reviewer(user: User, patient: Patient) -> None:
    if not Patient.objects.reviewable_by(user).contains(patient):
        raise PermissionDenied("Only a clinician of the patient's clinic records a conclusion.")


def _reopen_if_left(user: User, histology: Histology) -> None:
    """Reopen a lesion with malignant tissue left: not removed completely, as far as is known after
    its removal, or examined after a picture of a later day.
    """
    lesion: Lesion = histology.lesion
    lesion.refresh_from_db(fields=["closed_on", "closed_day_is_known"])
    if lesion.closed_on is None:
        return
    is_after = histology.examined_on >= lesion.closed_on or not lesion.closed_day_is_known
    grown_back = lesion.images.filter(
        captured_on__gt=lesion.closed_on, captured_on__lte=histology.examined_on
    )
    if (histology.excised is False and is_after) or grown_back.exists():
        closing.reopen(user=user, lesion=lesion)


def _require_removal(image: LesionImage, removed_on: date | None, known: datetime) -> None:
    """Raise ValidationError for an impossible day of removal, and for an unknown one if a later
    picture shows the lesion, or a picture arrived after what the user had ``known``: closing would
    hide a picture that nobody has examined.
    """
    if removed_on is not None:
        plausibility.require_past_day(
            removed_on, image.lesion.patient, field="removed_on", what="The day of the removal"
        )
        return
    later = Q(captured_on__gt=image.captured_on) | Q(placed_at__gt=known)
    newest = image.lesion.images.exclude(pk=image.pk).filter(later).latest_first().first()
    if newest is not None:
        which = "later" if newest.captured_on > image.captured_on else "new"
        text = (
            f"There is a {which} picture, of {day(newest.captured_on)}. Say when it was removed, "
            "or conclude on that."
        )
        raise ValidationError({"removed_on": text})


def _superseded(user: User, image: LesionImage, named: Review | None) -> Review | None:
    standing = image.reviews.standing()
    own: Review | None = standing.filter(reviewer=user).first()
    if named is None or named == own:
        return own
    if own is not None:
        raise ValidationError(
            {"supersedes": "Your new conclusion supersedes your own earlier one on this picture."}
        )
    if not standing.contains(named):
        raise ValidationError({"supersedes": "That conclusion no longer stands for this picture."})
    return named


def _announce(review: Review) -> None:
    lesion = review.image.lesion
    outbox.announce_about(
        lesion.patient,
        Event.REVIEW_RECORDED,
        review=review.pk,
        image=review.image_id,
        lesion=lesion.pk,
    )


def _announce_histology(histology: Histology, event: Event) -> None:
    lesion = histology.lesion
    outbox.announce_about(lesion.patient, event, histology=histology.pk, lesion=lesion.pk)


def _seal(review: Review) -> None:
    """Number the review, chain it to the last one and sign it."""
    last = chain.last()
    review.number = last.number + 1 if last else 1
    review.previous_signature = last.signature if last else ""
    review.signature = sign(review.signed_content)
