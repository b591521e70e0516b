"""Read path of the worklist: which lesions a clinician should look at first, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, overload
from uuid import UUID

from django.db.models import (
    BooleanField,
    Case,
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
    UUIDField,
    When,
)
from django.utils import timezone

from accounts.models import Clinic, User
from screening.models import Alert, Lesion, LesionImage, Outcome, Patient, Reminder
from screening.models.lesion import HAS_SYMPTOM
from screening.models.statement import compiled
from screening.predictions import outcomes
from screening.predictions.outcomes import (
    Awaited,
    awaited,
    open_alerts,
    rank,
    symptom_stands,
    unconcluded,
    warning_rank,
)
from screening.records import queries as record_queries

QUEUE = 500
"""The maximum number of items to go through before starting again."""


NEVER = datetime.max.replace(tzinfo=UTC)
FOR_ORDER = (
    "pk",
    "closed_on",
    "warning_rank",
    "awaits",
    "has_alert",
    "has_symptom",
    "is_overdue",
    "latest_image_id",
    "waiting_image_id",
    "grows_again",
)


class Reason(TextChoices):
    """Why a lesion is on the list, most pressing first."""

    URGENT = "urgent", "Urgent"
    MALIGNANT = "malignant", "Malignant, not removed"
    ALERT = "alert", "Open alert"
    FLAGGED = "flagged", "See a doctor"
    SYMPTOM = "symptom", "Symptom marked"
    OVERDUE = "overdue", "Picture overdue"
    UNREVIEWED = "unreviewed", "Not reviewed yet"


class Reviewed(TextChoices):
    WAITING = "waiting", "To be reviewed"
    REVIEWED = "reviewed", "Reviewed"
    ALL = "all", "All"


class Worklist(Sequence[Any]):
    """Lesions of the clinics in which ``user`` concludes, most pressing first; among equals, the
    longest waiting first. ``keys`` has all of them. A slice is loaded on access: lesions
    ``with_latest``, with their ``reasons``.

    A lesion is reviewed (``has_review``) if each of its images is: by a conclusion on it, or on a
    later image, made since it arrived. Otherwise ``image_to_review`` is the latest image that is
    not.

    Whether a lesion is urgent or flagged depends on its standing outcome, from any of its images.
    Findings withheld from ``user`` do not affect the order: in a clinic that reviews blind it
    follows symptoms, overdue pictures and waiting time.

    Filters: a clinic, a reason, an outcome, ``reviewed`` (one of ``Reviewed``), the time in which
    the image to review was added, and a text in the patient's label and in the lesion's label, body
    site and notes.
    """

    def __init__(
        self,
        user: User,
        *,
        clinic: Clinic | UUID | None = None,
        reason: str = "",
        outcome: str = "",
        reviewed: str = Reviewed.WAITING,
        arrived_from: date | None = None,
        arrived_until: date | None = None,
        search: str = "",
    ) -> None:
        self._user = user
        names: tuple[str, ...] = FOR_ORDER
        lesions = _of(user)
        if clinic is not None:
            lesions = lesions.filter(patient__clinic=clinic)
        if search.strip():
            lesions = _found(lesions, search)
        if outcome:
            lesions, names = outcomes.with_warning(lesions, user), (*FOR_ORDER, "standing_rank")
        # The database would evaluate each rule again in a condition or an order.
        rows = list(lesions.order_by().values_list(*names, named=True))
        added = _added(rows)
        self._arrived = {row.pk: added.get(_to_review(row)) for row in rows}
        self._rows = {
            row.pk: row
            for row in rows
            if (not outcome or row.standing_rank == rank(outcome))
            and (not reason or reason in reasons(row))
            and (reviewed != Reviewed.WAITING or reasons(row))
            and (reviewed != Reviewed.REVIEWED or _is_reviewed(row))
            and _is_between(self._arrived[row.pk], arrived_from, arrived_until)
        }
        self.keys: list[UUID] = sorted(self._rows, key=self._place)

    def _place(self, key: UUID) -> tuple[int, datetime, UUID]:
        why, arrived = reasons(self._rows[key]), self._arrived[key]
        return Reason.values.index(why[0]) if why else len(Reason), arrived or NEVER, key

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, int):
            return self[place : place + 1 or None][0]
        keys, reminders = self.keys[place], Reminder.objects.filter(lesion=OuterRef("pk"))
        found = Lesion.objects.filter(pk__in=keys).select_related("patient__clinic").order_by()
        lesions = record_queries.with_latest(found, self._user).annotate(
            due_on=Subquery(reminders.active().ringing().values(day=F("rings_on"))[:1])
        )
        loaded: dict[UUID, Any] = {lesion.pk: lesion for lesion in lesions}
        for key, lesion in loaded.items():
            row = self._rows[key]
            lesion.reasons, lesion.has_review = reasons(row), _is_reviewed(row)
            lesion.image_to_review, lesion.arrived = _to_review(row), self._arrived[key]
        return [loaded[key] for key in keys if key in loaded]

    @property
    def queue(self) -> list[UUID]:
        """The items to go through one by one: lesions with an image, in the order of the list."""
        photographed = (key for key in self.keys if _to_review(self._rows[key]) is not None)
        return list(islice(photographed, QUEUE))


def _of(user: User) -> QuerySet[Lesion]:
    """The lesions, annotated with what ``reasons`` needs."""
    images = LesionImage.objects.filter(lesion=OuterRef("pk")).latest_first()
    reminders = Reminder.objects.filter(lesion=OuterRef("pk"))
    return Lesion.objects.filter(patient__in=Patient.objects.reviewable_by(user)).annotate(
        latest_image_id=Subquery(images.values("pk")[:1]),
        warning_rank=warning_rank(user),
        awaits=awaited(user),
        waiting_image_id=_waiting_image(user),
        grows_again=_grows_again(user),
        has_alert=_has_alert(user),
        has_symptom=Case(When(HAS_SYMPTOM & Q(symptom_stands(user)), then=True), default=False),
        is_overdue=Exists(reminders.overdue(timezone.localdate())),
    )


@compiled(Lesion, UUIDField())
def _waiting_image(user: User) -> Subquery:
    """The latest image that no conclusion took into account."""
    images = LesionImage.objects.filter(lesion=OuterRef("pk")).latest_first()
    return Subquery(unconcluded(images, user).values("pk")[:1])


@compiled(Lesion, BooleanField())
def _grows_again(user: User) -> Case:
    """Whether an image from after the removal waits for a conclusion."""
    images = LesionImage.objects.filter(lesion=OuterRef("pk"))
    since_removal = images.filter(captured_on__gt=OuterRef("closed_on"))
    waits = Exists(unconcluded(since_removal, user))
    return Case(When(closed_on__isnull=False, then=waits), default=False)


@compiled(Lesion, BooleanField())
def _has_alert(user: User) -> Q:
    alerts = Alert.objects.filter(lesion=OuterRef("pk")).disclosed_to(user)
    return Q(Exists(open_alerts(alerts, user)))


def _added(rows: list[Any]) -> dict[UUID | None, datetime]:
    """When the image to review of each row was added, by its key."""
    wanted = {_to_review(row) for row in rows} - {None}
    return dict(LesionImage.objects.filter(pk__in=wanted).values_list("pk", "created"))


def _to_review(row: Any) -> UUID | None:
    key: UUID | None = row.waiting_image_id or row.latest_image_id
    return key


def _is_reviewed(row: Any) -> bool:
    return row.latest_image_id is not None and row.waiting_image_id is None


def _is_between(moment: datetime | None, first: date | None, last: date | None) -> bool:
    if moment is None:
        return first is None and last is None
    day = timezone.localdate(moment)
    return (first is None or day >= first) and (last is None or day <= last)


def reasons(row: Any) -> list[str]:
    """Why a lesion is on the list: codes of ``Reason``, most pressing first."""
    holds = {
        Reason.URGENT: row.warning_rank == rank(Outcome.URGENT),
        Reason.MALIGNANT: row.awaits == Awaited.TREATMENT,
        Reason.ALERT: row.has_alert,
        Reason.FLAGGED: row.warning_rank == rank(Outcome.SEE_DOCTOR),
        Reason.SYMPTOM: row.has_symptom,
        Reason.OVERDUE: row.is_overdue,
        Reason.UNREVIEWED: row.grows_again
        or (row.waiting_image_id is not None and row.closed_on is None),
    }
    return [reason.value for reason, there in holds.items() if there]


def neighbours(items: list[UUID], pk: UUID) -> tuple[int, UUID | None, UUID | None]:
    """The position of ``pk`` (from 1; 0 if it is not listed), the item before it and the item after
    it.

    The last item, and an item that is not listed, are followed by the first other item.
    """
    others = [item for item in items if item != pk]
    first = others[0] if others else None
    if pk not in items:
        return 0, None, first
    place = items.index(pk)
    before = items[place - 1] if place else None
    after = items[place + 1] if place + 1 < len(items) else None
    return place + 1, before, after


def _found(lesions: QuerySet[Lesion], text: str) -> QuerySet[Lesion]:
    patients = Patient.objects.search(text)
    by_itself = Lesion.objects.search(text)
    return lesions.filter(Q(patient__in=patients) | Q(pk__in=by_itself.values("pk")))
