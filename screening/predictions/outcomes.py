"""What is told of a lesion: its standing outcome. The one rule, in Python and in SQL.

Of each image one reading counts (``screening.predictions.counting``). The **standing outcome** of a
lesion is the most severe among its images' counting readings that nothing has settled. A later
image, milder or not assessable, settles nothing. An image is settled by

- a clinician's conclusion on it, or on a later image of the lesion (``Review.settles``),
- the lesion's histology, or a visit to a doctor, of the day of the image or later,

each recorded after the image had its place in the lesion (``LesionImage.placed_at``): what was
concluded before did not take it into account. Withdrawn images, reviews of them and withdrawn
visits do not count. A symptom lifts all below ``see_doctor`` to it, with pictures or without, until
one of these acts follows the day it was marked.

``with_standing`` says so in SQL, for lists; ``standing_of`` in Python, for one lesion that is at
hand. A property-based test holds them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import (
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
    Value,
    When,
)
from django.db.models.functions import Coalesce, Least, TruncDate
from django.utils import timezone

from accounts.models import User
from screening.models import (
    DoctorVisit,
    Histology,
    Lesion,
    LesionImage,
    Outcome,
    Prediction,
    Review,
)
from screening.models.alert import AlertQuerySet
from screening.models.image import is_later, place_of
from screening.models.lesion import HAS_SYMPTOM
from screening.models.prediction import TOLD, PredictionQuerySet
from screening.predictions.counting import GRAVE

SEVERITY = (Outcome.URGENT, Outcome.SEE_DOCTOR, Outcome.MONITOR, Outcome.NOT_ASSESSABLE)
"""The most severe first. Not assessable is no finding: it hides none, and it is no all-clear."""
NOTHING = len(SEVERITY)
"""The rank of a lesion of which nothing is told."""

Act = Review | Histology | DoctorVisit


@dataclass(frozen=True, slots=True)
class Standing:
    """What is told of a lesion.

    outcome: one of ``Outcome``, or empty. reading: whose it is; None where a symptom alone says so.
    newest: the image captured last; newest_outcome: what is told of it, empty while it is not read.
    settled: by what, of the images and the symptom that would say more; the newest act first.
    visits: all that the person entered. earlier: what was told before of an image that nothing has
    settled, if graver than the outcome; else empty.
    """

    outcome: str
    reading: Prediction | None
    newest: LesionImage | None
    newest_outcome: str
    settled: list[Act]
    visits: list[DoctorVisit]
    earlier: str

    @property
    def is_grave(self) -> bool:
        return self.outcome in GRAVE

    @property
    def is_settled(self) -> bool:
        """Whether something was told, and nothing of it stands any more."""
        return not self.outcome and bool(self.newest_outcome)

    @property
    def image(self) -> LesionImage | None:
        """The image that says so; None where a symptom alone does."""
        return self.reading.image if self.reading else None

    @property
    def is_of_newest(self) -> bool:
        """Whether the newest image says all there is to say."""
        return self.outcome == self.newest_outcome and (
            self.image is None or self.image == self.newest
        )


def rank(outcome: str) -> int:
    return SEVERITY.index(Outcome(outcome)) if outcome else NOTHING


def of_rank(rank: int) -> str:
    return SEVERITY[rank].value if rank < NOTHING else ""


def standing_of(
    lesion: Lesion,
    images: Sequence[LesionImage],
    histologies: Iterable[Histology],
    visits: Sequence[DoctorVisit],
) -> Standing:
    """The rule, of a lesion that is at hand.

    images: current ones, the one captured last first, with findings as the reader may see them
    (``tracking.timeline``). histologies: those that stand. visits: current ones.
    """
    others: list[Histology | DoctorVisit] = [*histologies, *visits]
    standing = [(image, review) for image in images for review in image.standing_reviews]
    reviews = [(image, review) for image, review in standing if review.settles]
    told: list[tuple[int, Prediction]] = []
    settling: list[Act] = []
    earlier = NOTHING
    for image in images:
        reading = image.counting_reading
        if reading is None:
            continue
        settled_by = _settling(image, reviews, others)
        if settled_by:
            settling += settled_by if reading.outcome_told in GRAVE else []
        else:
            told.append((rank(reading.outcome_told), reading))
            graver = graver_before(image)
            earlier = min(earlier, rank(graver.outcome_told) if graver else NOTHING)
    severity, gravest = min(told, key=lambda one: one[0], default=(NOTHING, None))
    if lesion.symptoms:
        acts = [*(review for _, review in reviews), *others]
        after = [act for act in acts if _follows(act, lesion)]
        settling += after
        if not after and severity > rank(Outcome.SEE_DOCTOR):
            severity, gravest = rank(Outcome.SEE_DOCTOR), None
    newest = images[0] if images else None
    return Standing(
        outcome=of_rank(severity),
        reading=gravest,
        newest=newest,
        newest_outcome=_told_of(newest),
        settled=sorted(dict.fromkeys(settling), key=lambda act: act.created, reverse=True),
        visits=list(visits),
        earlier=_if_graver(earlier, severity),
    )


def graver_before(image: LesionImage) -> Prediction | None:
    """Of an image ``with_findings``: the gravest reading that counted before, the last one of those
    alike, if it said more than the one that counts now."""
    now = image.counting_reading
    told = [one for one in image.predictions.all() if one.told_until]
    last_first = sorted(told, key=lambda one: one.told_until or one.created, reverse=True)
    gravest = min(last_first, key=lambda one: rank(one.outcome_told), default=None)
    if gravest is None or now is None or rank(gravest.outcome_told) >= rank(now.outcome_told):
        return None
    return gravest


def listed(newest: LesionImage | None, reading: Prediction | None, row: Any) -> Standing:
    """A lesion of a list: the same from what SQL found, ``row`` of ``with_standing`` and the
    ``reading`` that it is of. By what it was settled is told on the lesion's own page."""
    outcome = of_rank(row.standing_rank)
    own = reading if reading is not None and reading.outcome_told == outcome else None
    earlier = _if_graver(row.earlier_rank, row.standing_rank)
    return Standing(outcome, own, newest, _told_of(newest), [], [], earlier)


def with_standing(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    """Annotate ``standing_rank``, the place of the standing outcome in ``SEVERITY`` (``NOTHING``
    without one), and ``earlier_rank``, that of the gravest reading that counted before and said
    more; as ``user`` may see it: what is withheld from ``user`` counts as not there."""
    of_readings = _gravest_rank(unsettled(user))
    of_symptom = Case(
        When(symptom_stands(user), then=Value(rank(Outcome.SEE_DOCTOR))),
        default=Value(NOTHING),
        output_field=IntegerField(),
    )
    return lesions.annotate(
        standing_rank=Least(of_readings, of_symptom),
        earlier_rank=_gravest_rank(_graver_before(user)),
    )


def is_grave(user: User) -> Q:
    """Condition on lesions: the standing outcome is urgent or see a doctor."""
    return Q(
        Exists(unsettled(user).filter(Q(rank__lte=rank(Outcome.SEE_DOCTOR))))
    ) | symptom_stands(user)


def unsettled(user: User, lesion: str = "pk") -> PredictionQuerySet:
    """Counting readings of the outer query's ``lesion`` that nothing has settled, with ``rank``."""
    return _unsettled(Prediction.objects.counting(), user, lesion)


def _graver_before(user: User) -> PredictionQuerySet:
    """Of the outer query's lesion: ``graver_before`` of the images that nothing has settled."""
    replaced = _unsettled(Prediction.objects.filter(told_until__isnull=False), user, "pk")
    now = _ranked(Prediction.objects.counting().filter(image=OuterRef("image")))
    return replaced.filter(Q(rank__lt=Subquery(now.values_list(F("rank"))[:1])))


def _unsettled(readings: PredictionQuerySet, user: User, lesion: str) -> PredictionQuerySet:
    current = readings.filter(image__lesion=OuterRef(lesion), image__withdrawn_at=None)
    return _ranked(current.disclosed_to(user).exclude(_settled(user)))


def _ranked(readings: PredictionQuerySet) -> PredictionQuerySet:
    """Annotate ``rank``."""
    ranks = (When(told=outcome, then=Value(n)) for n, outcome in enumerate(SEVERITY))
    return readings.alias(told=TOLD).annotate(rank=Case(*ranks, output_field=IntegerField()))


def _gravest_rank(readings: PredictionQuerySet) -> Coalesce:
    return Coalesce(Subquery(readings.order_by(F("rank")).values_list(F("rank"))[:1]), NOTHING)


def _if_graver(earlier: int, standing: int) -> str:
    return of_rank(earlier) if earlier < standing else ""


def open_alerts(alerts: AlertQuerySet, user: User) -> AlertQuerySet:
    """Those that wait for someone. An act that settles what the later image says, and came after
    the alert, closes it: as long as that act stands."""
    return alerts.open().exclude(reduce(or_, (Q(Exists(act)) for act in _acts_on_alert(user))))


def with_closing_acts(alerts: AlertQuerySet, user: User) -> AlertQuerySet:
    """Annotate the first act of each kind that closed an alert: ``review_id``, ``histology_id``,
    ``visit_id``."""
    first = [Subquery(act.order_by("created").values("pk")[:1]) for act in _acts_on_alert(user)]
    of_image, of_later, histology, visit = first
    return alerts.annotate(
        review_id=Coalesce(of_image, of_later), histology_id=histology, visit_id=visit
    )


def symptom_stands(user: User) -> Q:
    """Condition on lesions: a symptom is marked, and nobody has looked at it since."""
    since = {"created__gte": OuterRef("symptoms_at")}
    marked_at = ExpressionWrapper(OuterRef("symptoms_at"), output_field=DateTimeField())
    day, of_lesion = TruncDate(marked_at), {"lesion": OuterRef("pk")}
    reviews = Review.objects.settling().disclosed_to(user)
    histologies = Histology.objects.standing().disclosed_to(user)
    acts = (
        reviews.filter(image__lesion=OuterRef("pk"), image__withdrawn_at=None, **since),
        histologies.filter(examined_on__gte=day, **of_lesion, **since),
        DoctorVisit.objects.filter(visited_on__gte=day, **of_lesion, **since),
    )
    return HAS_SYMPTOM & ~Q(reduce(or_, (Q(Exists(act)) for act in acts)))


def _settled(user: User) -> Q:
    """Condition on readings: ``_settling`` in SQL."""
    return reduce(or_, (Q(Exists(act)) for act in _acts(user, "image")))


def _acts_on_alert(user: User) -> Iterator[QuerySet[Any]]:
    """Of the outer query's alert. What was concluded before it did not take it into account."""
    return (act.filter(created__gte=OuterRef("created")) for act in _acts(user, "later"))


def _acts(user: User, image: str) -> tuple[QuerySet[Any], ...]:
    """What settles the outer row's ``image``: reviews of it, of later ones, histology, visits."""
    lesion = OuterRef(f"{image}__lesion")
    known = {"created__gte": OuterRef(f"{image}__placed_at")}
    seen = Review.objects.settling().disclosed_to(user)
    reviews = seen.filter(image__lesion=lesion, image__withdrawn_at=None)
    earlier = is_later(place_of(image, OuterRef), place_of("image"))
    of_later = reviews.filter(~earlier, **known)
    day = OuterRef(f"{image}__captured_on")
    return (
        reviews.filter(image=OuterRef(image)),
        of_later.filter(created__gte=F("image__placed_at")),
        Histology.objects.standing()
        .disclosed_to(user)
        .filter(lesion=lesion, examined_on__gte=day, **known),
        DoctorVisit.objects.filter(lesion=lesion, visited_on__gte=day, **known),
    )


def _settling(
    image: LesionImage,
    reviews: Iterable[tuple[LesionImage, Review]],
    others: Iterable[Histology | DoctorVisit],
) -> list[Act]:
    """The acts that settle what an image says."""
    of_reviews = [
        review
        for reviewed, review in reviews
        if reviewed == image
        or (
            reviewed.place >= image.place
            and review.created >= max(reviewed.placed_at, image.placed_at)
        )
    ]
    of_others = [
        act for act in others if _day(act) >= image.captured_on and act.created >= image.placed_at
    ]
    return [*of_reviews, *of_others]


def _told_of(image: LesionImage | None) -> str:
    reading = image.counting_reading if image else None
    return reading.outcome_told if reading else ""


def _day(act: Histology | DoctorVisit) -> date:
    return act.examined_on if isinstance(act, Histology) else act.visited_on


def _follows(act: Act, lesion: Lesion) -> bool:
    since: datetime | None = lesion.symptoms_at
    if since is None or act.created < since:
        return False
    return isinstance(act, Review) or _day(act) >= timezone.localdate(since)
