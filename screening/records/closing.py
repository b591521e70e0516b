"""Write path of closing a lesion that was removed, and reopening it. Each leaves a Correction."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from screening.models import (
    Closing,
    Correction,
    CorrectionKind,
    DoctorVisit,
    Event,
    Finding,
    Histology,
    Lesion,
    LesionImage,
    Management,
    Review,
)
from screening.models.base import Entry
from screening.predictions.arrivals import next_moment
from screening.records import services
from screening.webhooks.outbox import announce_about
from screening.write_access import lock, require_writable

_BY_HAND = "by_hand"
"""Marks the correction of a lesion that somebody reopened by hand, rather than through an undo."""


@transaction.atomic
def close(*, user: User, lesion: Lesion, on: date, is_known: bool = True) -> None:
    """Close the lesion: it raises no more reminders or alerts. If it is closed already, the earlier
    day stays, and findings after that day still count.

    is_known: whether the day of removal is exact; otherwise it was removed on that day or earlier.
    """
    lesion.refresh_from_db(fields=["closed_on", "closed_day_is_known"])  # the caller holds the lock
    if lesion.closed_on is None or on < lesion.closed_on:
        lesion.closed_day_is_known = is_known
        _set(lesion, user, CorrectionKind.CLOSED, on, Closing.EXCISED, user)


@transaction.atomic
def close_again(
    *, user: User, record: DoctorVisit | Histology | LesionImage, since: datetime
) -> None:
    """Close the lesion again if an entry or a picture that was put back says that it was removed,
    and it was closed until ``since``, when that was withdrawn or corrected.

    Not if somebody has reopened it by hand or marked a symptom since, nor if a picture arrived
    after ``since``.
    """
    found = Lesion.objects.select_for_update(no_key=True, of=("self",)).select_related("patient")
    lesion = found.get(pk=record.lesion_id)
    said: DoctorVisit | Histology | Review | None
    if isinstance(record, DoctorVisit):
        is_said = record.finding == Finding.REMOVED and record.settles_now
        said, on = record if is_said else None, record.visited_on
    elif isinstance(record, Histology):
        said, on = record if record.excised else None, record.examined_on
    else:
        said = record.reviews.standing().filter(management=Management.DONE).first()
        on = _closed_on(lesion, said) or timezone.localdate(said.created if said else None)
        if record != lesion.images.latest_first().first():  # nobody has said so of a later picture
            return
    if said is None or said.created < _opened_by_hand_at(lesion):
        return
    if lesion.symptoms and lesion.symptoms_at and lesion.symptoms_at > said.created:
        return
    reopened = lesion.corrections.filter(kind=CorrectionKind.REOPENED, created__gte=since)
    came = lesion.images.filter(placed_at__gte=since, captured_on__lte=on).exclude(pk=record.pk)
    if not reopened.exists() or came.exists():
        return
    close(user=user, lesion=lesion, on=on, is_known=isinstance(said, DoctorVisit))


def reopen_if_there_after(day: date, *, user: User, lesion: Lesion) -> None:
    """Reopen the lesion if it is closed and there is a finding on a ``day`` after its removal: it
    has grown back, or was not removed.
    """
    lesion.refresh_from_db(fields=["closed_on"])  # the caller holds the lock
    if lesion.closed_on is not None and day > lesion.closed_on:
        reopen(user=user, lesion=lesion)


@transaction.atomic
def reopen(*, user: User, lesion: Lesion) -> Lesion:
    """Reopen the lesion: it is followed again, with its former reminder. Does nothing to an open
    lesion.
    """
    require_writable(user=user, patient=lesion.patient)
    lock(lesion)
    lesion = Lesion.objects.select_related("patient").get(pk=lesion.pk)
    if lesion.is_closed:
        _set(lesion, user, CorrectionKind.REOPENED, None, "", None, **{_BY_HAND: True})
    return lesion


@transaction.atomic
def edit_lesion(*, user: User, lesion: Lesion, grown_back: bool = False, **fields: Any) -> Lesion:
    """Call ``services.edit_lesion``, and reopen a lesion that has ``grown_back``."""
    if grown_back:
        lesion = reopen(user=user, lesion=lesion)
    return services.edit_lesion(user=user, lesion=lesion, **fields)


@transaction.atomic
def reopen_unless_removed(*, user: User, lesion: Lesion, besides: Entry | None = None) -> None:
    """Reopen the lesion after an act was withdrawn, corrected or moved elsewhere, unless another
    standing act says that it was removed.

    Acts from before somebody reopened it by hand do not count, nor does ``besides``, an entry that
    replaces another and closes the lesion itself.
    """
    lesion = Lesion.everything.select_for_update(no_key=True).get(pk=lesion.pk)
    acts = (
        DoctorVisit.objects.settling().filter(lesion=lesion, finding=Finding.REMOVED),
        Histology.objects.standing().filter(lesion=lesion, excised=True),
        Review.objects.standing().filter(image__in=lesion.images.all(), management=Management.DONE),
    )
    since = _opened_by_hand_at(lesion)
    rest = (found.filter(created__gte=since) for found in acts)
    if besides is not None:
        rest = (found.exclude(pk=besides.pk) for found in rest)
    if lesion.is_closed and not any(found.exists() for found in rest):
        _set(lesion, user, CorrectionKind.REOPENED, None, "", None)


def was_closed(lesion: Lesion, since: datetime) -> bool:
    """Whether the lesion, or one merged into it directly or indirectly, was closed at or after that
    moment.
    """
    found, came = {lesion.pk}, [lesion.pk]
    while came:
        merged = Lesion.everything.filter(merged_into__in=came).exclude(pk__in=found)
        came = list(merged.values_list("pk", flat=True))
        found.update(came)
    closings = Correction.objects.filter(kind=CorrectionKind.CLOSED, created__gte=since)
    return closings.filter(lesion__in=found).exists()


def _closed_on(lesion: Lesion, said: Review | None) -> date | None:
    """The day of removal that this conclusion gave. Other acts may have closed the lesion since, on
    later days.
    """
    if said is None:
        return None
    closings = lesion.corrections.filter(kind=CorrectionKind.CLOSED, created__gte=said.created)
    days = [date.fromisoformat(one.after["closed_on"]) for one in closings]
    return min(days, default=None)


def _opened_by_hand_at(lesion: Lesion) -> datetime:
    """When somebody last reopened the lesion by hand; the earliest time possible if nobody has."""
    opened = lesion.corrections.filter(kind=CorrectionKind.REOPENED, **{f"after__{_BY_HAND}": True})
    last = opened.order_by("-created").first()
    return last.created if last else datetime.min.replace(tzinfo=UTC)


def _set(
    lesion: Lesion,
    user: User,
    kind: str,
    on: date | None,
    because: str,
    by: User | None,
    **more: bool,
) -> None:
    before = {"closed_on": lesion.closed_on.isoformat() if lesion.closed_on else None}
    lesion.closed_on, lesion.closed_because, lesion.closed_by = on, because, by
    lesion.closed_day_is_known &= on is not None
    lesion.save(
        update_fields=[
            "closed_on",
            "closed_day_is_known",
            "closed_because",
            "closed_by",
            "modified",
        ]
    )
    Correction.objects.create(
        created=next_moment(lesion),
        kind=kind,
        made_by=user,
        patient=lesion.patient,
        lesion=lesion,
        before=before,
        after={"closed_on": on.isoformat() if on else None, **more},
    )
    announce_about(lesion.patient, Event.LESION_CHANGED, lesion=lesion.pk, reveals_finding=True)
