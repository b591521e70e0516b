"""Read path of lesions over time, for the pages, the API and the charts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import (
    BooleanField,
    CharField,
    Count,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    UUIDField,
    prefetch_related_objects,
)

from accounts.models import User
from screening.measurements.millimetres import with_scale
from screening.models import (
    Alert,
    DoctorVisit,
    Histology,
    Lesion,
    LesionImage,
    Management,
    Measurement,
    Modality,
    Outcome,
    Patient,
    Prediction,
    Review,
    State,
)
from screening.models.alert import AlertQuerySet
from screening.models.image import disclosed, latest_first, present
from screening.models.prediction import TOLD
from screening.models.review import ReviewQuerySet
from screening.models.statement import compiled
from screening.models.visibility import PatientQuerySet
from screening.predictions import outcomes
from screening.predictions.advice import act_found
from screening.predictions.queries import counting_reading

NUMBERS = (
    "probabilities",
    "balanced_probabilities",
    "image_logits",
    "context_terms",
    "context",
)
"""Fields of a reading that are not needed to decide whether it counts."""
ORDINALS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd"}
MANAGED = {
    Management.EXCISE: Outcome.URGENT,
    Management.REFER: Outcome.SEE_DOCTOR,
    Management.MONITOR: Outcome.MONITOR,
    Management.NONE: Outcome.MONITOR,
}
"""The outcome by which a lesion is sorted after a clinician's conclusion, until it is closed."""
TO_BE_REMOVED = (outcomes.Awaited.TREATMENT, outcomes.Awaited.REMOVAL)
FOR_ORDER = (
    "pk",
    "modified",
    "closed_on",
    "standing_rank",
    "awaits",
    "management_now",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An image whose readings by two model versions differ in outcome."""

    image_id: UUID
    before: Prediction
    after: Prediction


def patients_overview(user: User) -> PatientQuerySet:
    """Visible patients with ``lesion_count`` (None for no lesions) and ``last_captured_on``."""
    lesions = Lesion.objects.filter(patient=OuterRef("pk")).order_by().values("patient")
    images = LesionImage.objects.present().filter(lesion__patient=OuterRef("pk")).latest_first()
    return (
        Patient.objects.visible_to(user)
        .select_related("clinic")
        .annotate(
            lesion_count=Subquery(lesions.annotate(n=Count("pk")).values("n")),
            last_captured_on=Subquery(images.values("captured_on")[:1]),
        )
        .order_by("label", "pk")
    )


def with_latest(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    """Annotate what ``outcomes.with_standing`` does, plus ``image_count``, ``latest_image_id``,
    ``management`` (from a clinician's last conclusion), ``management_now`` (the same, unless a
    histology came after it), ``visited`` (the finding of the last visit, as the person reported it)
    and ``histology``, as far as ``user`` may see them. The latest image is the one captured last.
    """
    images = LesionImage.objects.filter(lesion=OuterRef("pk")).latest_first()
    count = LesionImage.objects.filter(lesion=OuterRef("pk")).order_by().values("lesion")
    visits = DoctorVisit.objects.standing().filter(lesion=OuterRef("pk"))
    with_standing = outcomes.with_standing(_with_decisions(lesions, user), user)
    return with_standing.annotate(  # type: ignore[no-redef]
        image_count=Subquery(count.annotate(n=Count("pk")).values("n")),
        latest_image_id=Subquery(images.values("pk")[:1]),
        visited=Subquery(visits.values("finding")[:1]),
    )


def _with_decisions(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    return lesions.annotate(
        management=_management(user),
        management_now=_management_now(user),
        histology=_diagnosis(user),
    )


@compiled(Lesion, CharField())
def _management(user: User) -> Subquery:
    return Subquery(conclusions(user).values("management")[:1])


@compiled(Lesion, CharField())
def _management_now(user: User) -> Subquery:
    tissue = Histology.objects.standing().disclosed_to(user)
    since = tissue.filter(lesion=OuterRef("image__lesion"), created__gt=OuterRef("created"))
    return Subquery(conclusions(user).filter(~Exists(since)).values("management")[:1])


@compiled(Lesion, CharField())
def _diagnosis(user: User) -> Subquery:
    found = Histology.objects.standing().disclosed_to(user).filter(lesion=OuterRef("pk"))
    return Subquery(found.gravest_first().values("diagnosis")[:1])


def with_told(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    """Annotate lesions ``with_latest`` with ``latest_outcome``, the outcome of the latest image,
    and ``standing_image_id``, the image behind the standing outcome.
    """
    return lesions.alias(standing_id=outcomes.standing_reading(user)).annotate(
        latest_outcome=_latest_outcome(user),
        standing_image_id=Subquery(
            Prediction.objects.filter(pk=OuterRef("standing_id")).values("image"),
            output_field=UUIDField(),
        ),
    )


@compiled(Lesion, CharField())
def _latest_outcome(user: User) -> Subquery:
    images = LesionImage.objects.filter(lesion=OuterRef(OuterRef("pk"))).latest_first()
    latest = Prediction.objects.counting().disclosed_to(user)
    latest = latest.filter(image=Subquery(images.values("pk")[:1])).annotate(told=TOLD)
    return Subquery(latest.values("told")[:1])


def with_acts(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    """Annotate ``is_acted_on``: there is a conclusion, a histology or a visit. Of most there is
    none, which saves ``attach_settled_by`` their pictures and readings.
    """
    return lesions.annotate(is_acted_on=_is_acted_on(user))


@compiled(Lesion, BooleanField())
def _is_acted_on(user: User) -> Q:
    reviews = Review.objects.disclosed_to(user).filter(image__lesion=OuterRef("pk"))
    histologies = Histology.objects.disclosed_to(user).filter(lesion=OuterRef("pk"))
    visits = DoctorVisit.objects.filter(lesion=OuterRef("pk"))
    return Q(Exists(reviews)) | Q(Exists(histologies)) | Q(Exists(visits))


def attach_settled_by(lesions: Sequence[Lesion], user: User) -> None:
    """Set ``settled_by`` on lesions ``with_acts``: what settled their warnings, newest first, as
    far as ``user`` may see it.
    """
    acted: list[Any] = [one for one in lesions if one.is_acted_on]  # type: ignore[attr-defined]
    if acted:
        prefetch_related_objects(acted, *_settling(user))
    for lesion in lesions:
        row: Any = lesion
        row.settled_by = _settled_by(lesion) if row.is_acted_on else []


def _settling(user: User) -> tuple[Prefetch[Any], ...]:
    readings = Prediction.objects.disclosed_to(user).latest_first().defer(*NUMBERS)
    images = with_withheld(LesionImage.objects.latest_first(), user).prefetch_related(
        Prefetch("predictions", readings), Prefetch("reviews", _reviews(user))
    )
    histologies = Histology.objects.standing().disclosed_to(user)
    return (
        Prefetch("images", images),
        Prefetch("histologies", histologies.select_related("recorded_by")),
        Prefetch("visits", DoctorVisit.objects.standing().select_related("recorded_by")),
    )


def _settled_by(lesion: Lesion) -> list[outcomes.Act]:
    images, histologies = list(lesion.images.all()), list(lesion.histologies.all())
    return outcomes.standing_of(lesion, images, histologies, list(lesion.visits.all())).settled


def most_severe_first(rows: Iterable[T]) -> list[T]:
    """Sort lesions ``with_latest``, or ``rows_for_order``, by what needs attention; those without a
    reading come last.

    The clinician's last decision counts along with the standing outcome, whichever is more severe,
    unless a pathologist has examined the lesion since. Among equals, the last changed comes first.
    Sorted here, because the database would evaluate each rule again wherever it appears in a
    condition or an order.
    """
    last_changed = sorted(sorted(rows, key=_key), key=_modified, reverse=True)
    return sorted(last_changed, key=_attention)


def _key(row: Any) -> UUID:
    key: UUID = row.pk
    return key


def _modified(row: Any) -> datetime:
    moment: datetime = row.modified
    return moment


def _attention(row: Any) -> int:
    """The rank of what is most pressing about a lesion."""
    standing: int = row.standing_rank
    if row.closed_on is not None:
        return standing
    if row.awaits in TO_BE_REMOVED:
        return min(standing, outcomes.rank(Outcome.URGENT))
    if row.management_now not in MANAGED:
        return standing
    return min(standing, outcomes.rank(MANAGED[row.management_now]))


def rows_for_order(lesions: QuerySet[Lesion], user: User, *names: str) -> Iterable[Any]:
    """The fields that ``most_severe_first`` sorts by, and ``names``, of each lesion. The rows are
    not models, and have nothing else.
    """
    found = outcomes.with_warning(_with_decisions(lesions, user), user)
    return found.order_by().values_list(*FOR_ORDER, *names, named=True)


def keys_by_severity(lesions: QuerySet[Lesion], user: User) -> list[UUID]:
    """The keys of these lesions, as ``most_severe_first`` sorts them."""
    return [row.pk for row in most_severe_first(rows_for_order(lesions, user))]


def with_keys(keys: Sequence[UUID], user: User) -> list[Lesion]:
    """The lesions with these keys, in this order, ``with_latest``."""
    found = with_latest(Lesion.objects.filter(pk__in=keys), user).select_related("patient")
    lesions = {lesion.pk: lesion for lesion in found.order_by()}
    return [lesions[key] for key in keys if key in lesions]


def attach_latest_images(lesions: list[Lesion], user: User) -> list[Lesion]:
    """Set ``latest_image`` (or None) and ``standing`` on each lesion of ``with_latest``, in five
    queries.
    """
    found = LesionImage.objects.filter(
        pk__in=[lesion.latest_image_id for lesion in lesions if lesion.latest_image_id]
    ).select_related("lesion__patient")
    latest = list(with_standing_reading(with_findings(found, user), user))
    images, readings = {image.pk: image for image in latest}, _standing_readings(latest)
    signed = _signed_last(lesions, user)
    for lesion in lesions:
        row: Any = lesion
        row.latest_image = images.get(row.latest_image_id)
        reading = readings.get(row.latest_image_id)
        row.standing = outcomes.listed(row.latest_image, reading, signed.get(lesion.pk), row)
    return lesions


def _signed_last(lesions: list[Any], user: User) -> dict[UUID, Review]:
    """The last conclusion by lesion, for lesions ``with_latest``. No query if there is none."""
    concluded = [lesion.pk for lesion in lesions if lesion.management]
    if not concluded:
        return {}
    found = _reviews(user).standing().filter(image__lesion__in=concluded, image__withdrawn_at=None)
    rows = found.select_related("reviewer", "image").order_by("number")
    return {review.image.lesion_id: review for review in rows}


def standing_beside(image: LesionImage) -> Prediction | None:
    """The standing reading of the lesion of an image ``with_standing_reading``."""
    return _standing_readings([image]).get(image.pk)


def with_standing_reading(images: QuerySet[LesionImage], user: User) -> QuerySet[LesionImage]:
    """Annotate ``standing_id``: the most severe reading of the lesion that nothing has settled."""
    return images.annotate(standing_id=outcomes.standing_reading(user, "lesion"))


def _standing_readings(images: list[LesionImage]) -> dict[UUID, Prediction]:
    """The standing reading by image, for images ``with_standing_reading`` and findings. One query
    if any reading is of another image.
    """
    wanted = {image.pk: image.standing_id for image in images}  # type: ignore[attr-defined]
    known = {one.pk: one for image in images if (one := counting_reading(image))}
    missing = {pk for pk in wanted.values() if pk} - known.keys()
    if missing:
        readings = Prediction.objects.select_related("image__lesion__patient")
        known |= readings.in_bulk(missing)
    return {image: known[pk] for image, pk in wanted.items() if pk}


def conclusions(user: User) -> QuerySet[Review]:
    """Conclusions on the outer query's lesion, latest first."""
    return outcomes.conclusions(user).order_by("-number")


def with_withheld(images: QuerySet[LesionImage], user: User) -> QuerySet[LesionImage]:
    """``is_withheld``: ``user`` sees the findings only after their own conclusion."""
    return images.annotate(is_withheld=~disclosed(user, "pk"))  # type: ignore[no-redef]


def with_findings(images: QuerySet[LesionImage], user: User) -> QuerySet[LesionImage]:
    """Prefetch what ``predictions.queries`` reads of an image, as far as ``user`` may see
    it, and ``is_withheld``.
    """
    return with_withheld(images, user).prefetch_related(
        Prefetch("predictions", Prediction.objects.disclosed_to(user).latest_first()),
        Prefetch("reviews", _reviews(user)),
    )


def _reviews(user: User) -> ReviewQuerySet:
    return Review.objects.disclosed_to(user).select_related("reviewer", "superseded_by")


def with_measures(images: QuerySet[LesionImage], user: User) -> QuerySet[LesionImage]:
    """Prefetch what ``measurements.queries.current`` and ``scale_of`` read, as far as ``user`` may
    see it. Each measurement has the ``model_version`` of its mask (None for a drawn outline).
    """
    measurements = (
        Measurement.objects.disclosed_to(user)
        .select_related("outline__drawn_by", "prediction")
        .defer(*(f"prediction__{name}" for name in NUMBERS))
        .annotate(model_version=F("prediction__model_version"))
    )
    return with_scale(images).prefetch_related(Prefetch("measurements", measurements))


def previous(image: LesionImage) -> LesionImage | None:
    """The image of the same lesion captured just before this one."""
    found: LesionImage | None = image.lesion.images.before(image).latest_first().first()
    return found


def timeline(lesion: Lesion, user: User) -> list[LesionImage]:
    """All images of a lesion with findings and measurements, latest capture first."""
    images = lesion.images.latest_first().select_related("lesion__patient")
    return tell_apart(list(with_measures(with_findings(images, user), user)))


def images_of(lesions: list[Lesion], user: User) -> list[LesionImage]:
    """All images of these lesions with their findings, latest capture first."""
    images = LesionImage.objects.filter(lesion__in=lesions).latest_first()
    return tell_apart(list(with_findings(images.select_related("lesion__patient"), user)))


def tell_apart(images: list[LesionImage]) -> list[LesionImage]:
    """Give images of one lesion and day a distinguishing ``of_day``: the time if each has a
    different one, else its number. images: all of their lesions.
    """
    days: dict[Any, list[LesionImage]] = defaultdict(list)
    for image in sorted(images, key=lambda one: one.place):
        days[image.lesion_id, image.captured_on].append(image)
    for same in days.values():
        times = {f"{one.captured_time:%H:%M}" for one in same if one.captured_time}
        for n, image in enumerate(same if len(same) > 1 else [], 1):
            nth = f" ({n}{ORDINALS.get(n, 'th')} that day)"
            is_timed = len(times) == len(same)
            image.of_day = f", {image.captured_time:%H:%M}" if is_timed else nth
    return images


def alerts_of(lesion: Lesion, user: User, images: list[LesionImage] | None = None) -> list[Alert]:
    """Open alerts first, then closed ones; the latest pair of images first. images: of
    ``timeline``, if already loaded.
    """
    found = lesion.alerts.disclosed_to(user).select_related("earlier", "later", "closed_by")
    ordered = found.order_by(*latest_first("later"), *latest_first("earlier"))
    alerts = sorted(closed_by_acts(ordered, user), key=lambda alert: not alert.is_open)
    if alerts and images is None:
        images = tell_apart(list(lesion.images.all()))
    of_day = {image.pk: image.of_day for image in images or []}
    for alert in alerts:
        for image in (alert.earlier, alert.later):
            image.of_day = of_day[image.pk]
    return alerts


def closed_by_acts(alerts: AlertQuerySet, user: User) -> list[Alert]:
    return tell_closing(list(outcomes.with_closing_acts(alerts, user)))


def tell_closing(found: list[Any]) -> list[Alert]:
    """Set who closed each alert ``with_closing_acts``, when and why, as for an alert closed by
    hand. Not stored: it holds as long as the act stands.
    """
    waiting = [alert for alert in found if alert.is_open]
    acts: list[Any] = []
    for kind, name, by in (
        (Review, "review_id", "reviewer"),
        (Histology, "histology_id", "recorded_by"),
        (DoctorVisit, "visit_id", "recorded_by"),
    ):
        wanted = {pk for alert in waiting if (pk := getattr(alert, name))}
        rows = kind._default_manager.select_related(by)
        acts.append(rows.in_bulk(wanted) if wanted else {})
    for alert in waiting:
        keys = (alert.review_id, alert.histology_id, alert.visit_id)
        closing = [rows[pk] for rows, pk in zip(acts, keys, strict=True) if pk in rows]
        if closing:
            act = min(closing, key=lambda one: one.created)
            alert.closed_at, alert.closed_by = act.created, _author(act)
            alert.close_reason = f"{act_found(act)}."
    return found


def _author(act: outcomes.Act) -> User:
    return act.reviewer if isinstance(act, Review) else act.recorded_by


def histologies_of(lesion: Lesion, user: User) -> list[Histology]:
    """The histology that ``user`` may see, malignant before benign."""
    if not getattr(lesion, "has_histologies", True):
        return []
    found = lesion.histologies.standing().disclosed_to(user)
    return list(found.gravest_first().select_related("recorded_by"))


def recorded_histologies(lesion: Lesion, user: User) -> list[Histology]:
    """All histology, including corrected entries but not withdrawn ones, newest first."""
    found = lesion.histologies.disclosed_to(user)
    return list(found.select_related("recorded_by", "superseded_by"))


def standing_of(
    lesion: Lesion, images: list[LesionImage], histologies: list[Histology]
) -> outcomes.Standing:
    """The standing outcome of a lesion. images: of ``timeline``; histologies: of
    ``histologies_of``.
    """
    return outcomes.standing_of(lesion, images, histologies, visits_of(lesion))


def with_visits_and_histologies(lesions: QuerySet[Lesion]) -> QuerySet[Lesion]:
    """Annotate ``has_visits`` and ``has_histologies``: most lesions have none, which saves a query
    for each.
    """
    lesion = OuterRef("pk")
    return lesions.annotate(
        has_visits=Exists(DoctorVisit.objects.filter(lesion=lesion)),
        has_histologies=Exists(Histology.objects.filter(lesion=lesion)),
    )


def visits_of(lesion: Lesion) -> list[DoctorVisit]:
    """Standing visits, latest first."""
    if not getattr(lesion, "has_visits", True):
        return []
    return list(lesion.visits.standing().select_related("recorded_by"))


def entered_visits(lesion: Lesion) -> list[DoctorVisit]:
    """All visits, including corrected entries but not withdrawn ones, latest first."""
    return list(lesion.visits.select_related("recorded_by", "superseded_by"))


def withheld(user: User) -> QuerySet[Lesion]:
    """Lesions with an image of which ``user`` sees the findings only after their own conclusion."""
    images = LesionImage.objects.withheld_from(user).filter(lesion=OuterRef("pk"))
    return Lesion.objects.visible_to(user).filter(Exists(images))


def unfinished(user: User) -> QuerySet[Prediction]:
    """Readings that are waiting, running or failed with no later one, newest first."""
    newest = Prediction.objects.filter(image=OuterRef("image")).latest_first()
    return (
        Prediction.objects.visible_to(user)
        .exclude(state=State.SUCCEEDED)
        .alias(newest=Subquery(newest.values("pk")[:1]))
        .filter(pk=F("newest"))
        .select_related("image__lesion__patient")
        .latest_first()
    )


def disagreements(model_version: str) -> Iterator[Disagreement]:
    """Images whose reading by ``model_version`` has another outcome than the one that counts."""
    readings = (
        Prediction.objects.finished()
        .filter(Q(model_version=model_version) | Q(told_from__isnull=False, told_until=None))
        .filter(present())
        .exclude(image__modality=Modality.CLINICAL)
        .only("image_id", "model_version", "outcome", "p_malignant", "created")
        .order_by("image_id", "created", "pk")
    )
    for image_id, found in groupby(readings.iterator(), key=lambda reading: reading.image_id):
        by_version = {reading.model_version == model_version: reading for reading in found}
        if len(by_version) == 2 and by_version[True].outcome != by_version[False].outcome:
            yield Disagreement(image_id, by_version[False], by_version[True])


def with_merged(patients: Iterable[UUID]) -> list[UUID]:
    """The patients, and all patients merged into them."""
    found: set[UUID] = set()
    new = set(patients)
    while new:
        found |= new
        merged = Patient.everything.filter(merged_into__in=new).values_list("pk", flat=True)
        new = set(merged) - found
    return sorted(found)
