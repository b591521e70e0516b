"""Read path of the worklist: which of a clinician's lesions to look at first, and why."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
    When,
)
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Clinic, User
from screening.models import Alert, Lesion, LesionImage, Outcome, Patient, Reminder
from screening.predictions.outcomes import Awaited, open_alerts, rank, symptom_stands, unconcluded
from screening.records import queries as record_queries

QUEUE = 500
"""The maximum number of items to go through; at the end, start again."""


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


CONDITIONS: dict[str, Q] = {
    Reason.URGENT: Q(standing_rank=rank(Outcome.URGENT)),
    Reason.MALIGNANT: Q(awaits=Awaited.TREATMENT),
    Reason.ALERT: Q(has_alert=True),
    Reason.FLAGGED: Q(standing_rank=rank(Outcome.SEE_DOCTOR)),
    Reason.SYMPTOM: Q(has_symptom=True),
    Reason.OVERDUE: Q(is_overdue=True),
    Reason.UNREVIEWED: Q(has_review=False, latest_image_id__isnull=False, closed_on=None),
}


def of(user: User) -> QuerySet[Lesion]:
    """Lesions of the clinics in which ``user`` concludes, most pressing first; among equals, the
    longest waiting first.

    A lesion is reviewed (``has_review``) if each of its images is: by a conclusion on it, or on a
    later one since it came. Else ``image_to_review`` is the last one that is not.

    Whether a lesion is urgent or flagged depends on its standing outcome, from any of its images.
    Findings withheld from ``user`` do not affect the order: in a clinic that reviews blind it
    follows symptoms, overdue pictures and waiting time.
    """
    patients = Patient.objects.reviewable_by(user)
    lesions = record_queries.with_latest(Lesion.objects.filter(patient__in=patients), user)
    added = LesionImage.objects.filter(pk=OuterRef("image_to_review")).values("created")[:1]
    latest = LesionImage.objects.filter(lesion=OuterRef("pk")).latest_first()
    waiting = unconcluded(latest, user)
    alerts = Alert.objects.filter(lesion=OuterRef("pk")).disclosed_to(user)
    reminders = Reminder.objects.filter(lesion=OuterRef("pk"))
    annotated = lesions.annotate(
        has_review=ExpressionWrapper(
            ~Exists(waiting) & Q(latest_image_id__isnull=False), output_field=BooleanField()
        ),
        image_to_review=Coalesce(Subquery(waiting.values("pk")[:1]), "latest_image_id"),
        has_alert=Exists(open_alerts(alerts, user)),
        has_symptom=Case(When(symptom_stands(user), then=True), default=False),
        is_overdue=Exists(reminders.overdue(timezone.localdate())),
        due_on=Subquery(reminders.active().ringing().values(day=F("rings_on"))[:1]),
    ).annotate(arrived=Subquery(added, output_field=DateTimeField()))
    pressing = Case(
        *(When(condition, then=n) for n, condition in enumerate(CONDITIONS.values())),
        default=len(CONDITIONS),
        output_field=IntegerField(),
    )
    return (
        annotated.alias(pressing=pressing)
        .select_related("patient__clinic")
        .order_by("pressing", "arrived", "pk")
    )


def narrowed(
    lesions: QuerySet[Lesion],
    *,
    clinic: Clinic | UUID | None = None,
    reason: str = "",
    outcome: str = "",
    reviewed: str = Reviewed.WAITING,
    arrived_from: date | None = None,
    arrived_until: date | None = None,
    search: str = "",
) -> QuerySet[Lesion]:
    """Filter ``of(user)``. arrived: when the latest image was added. search: in the patient's label
    and in the lesion's label, body site and notes.
    """
    if clinic is not None:
        lesions = lesions.filter(patient__clinic=clinic)
    if reason:
        lesions = lesions.filter(CONDITIONS[reason])
    if outcome:
        lesions = lesions.filter(Q(standing_rank=rank(outcome)))
    if reviewed == Reviewed.WAITING:
        lesions = lesions.filter(Q(pressing__lt=len(CONDITIONS)))
    elif reviewed == Reviewed.REVIEWED:
        lesions = lesions.filter(Q(has_review=True))
    if arrived_from is not None:
        lesions = lesions.filter(Q(arrived__date__gte=arrived_from))
    if arrived_until is not None:
        lesions = lesions.filter(Q(arrived__date__lte=arrived_until))
    return _found(lesions, search) if search.strip() else lesions


def reasons(lesion: Lesion) -> list[str]:
    """Why a lesion of ``of(user)`` is on the list: codes of ``Reason``, most pressing first."""
    row: Any = lesion
    waits = row.latest_image_id is not None and not row.has_review and not lesion.is_closed
    holds = {
        Reason.URGENT: row.standing_rank == rank(Outcome.URGENT),
        Reason.MALIGNANT: row.awaits == Awaited.TREATMENT,
        Reason.ALERT: row.has_alert,
        Reason.FLAGGED: row.standing_rank == rank(Outcome.SEE_DOCTOR),
        Reason.SYMPTOM: row.has_symptom,
        Reason.OVERDUE: row.is_overdue,
        Reason.UNREVIEWED: waits,
    }
    return [reason.value for reason, there in holds.items() if there]


def queue(lesions: QuerySet[Lesion]) -> list[UUID]:
    """The items to go through one by one: lesions with an image, in the order of the list."""
    return list(
        lesions.filter(Q(latest_image_id__isnull=False)).values_list("pk", flat=True)[:QUEUE]
    )


def neighbours(items: list[UUID], pk: UUID) -> tuple[int, UUID | None, UUID | None]:
    """The position of ``pk`` (from 1; 0 if it is not listed), the item before it and the item after
    it.

    After an item that is last or not listed comes the first other item.
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
