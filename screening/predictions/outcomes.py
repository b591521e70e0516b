"""The standing outcome of a lesion. One rule, in Python and in SQL.

One reading of each image counts (``default_reading``). The **standing outcome** of a lesion is the
most severe among its images' counting readings that nothing has settled. A later image, milder or
not assessable, settles nothing. An image is settled by

- a clinician's conclusion on it, or on a later image of the lesion (``Review.settles``),
- the lesion's histology, or a visit to a doctor, on or after the day of the image,

if the image had its place in the lesion (``LesionImage.placed_at``) when the lesion was shown to
whoever recorded the act (``Settling.shown_at``): an act settles nothing that came later. A visit,
which a layperson reports, settles no reading that nobody could have known: by then, the image must
have been told as severe or more severe. A doctor's conclusion or histology needs no reading. On a
record that a clinic follows a visit settles nothing, for anybody: the clinic decides. Nor does one
entered there settle anything after the clinic has left (``DoctorVisit.settles``). Withdrawn
images, reviews of them, and withdrawn histology and visits do not count. A symptom raises
everything below ``see_doctor`` to it, with or without pictures. It is settled by an act of someone
who was shown it marked, and may have known of it:

- a visit or a histology on or after that day,
- a conclusion on a picture of that day or later, or of the month before (``RECENT``): an older one
  does not show what is marked now,
- a conclusion after which somebody sees the lesion itself: refer, excise, removed (``IN_PERSON``).

A lesion that was removed is closed. Until it is opened again, its symptoms and its pictures up to
the day of removal no longer count, whenever they were added. A picture or a symptom of a later day
does.

A settled lesion may still await its removal, which a clinician asked for or a malignant histology
calls for, or the result of a sample (``Awaited``).

A picture without a reading has no outcome, so it hides behind a mild one: whether any is left that
no doctor has settled is told beside the outcome (``Unread``).

``with_standing`` states the rule in SQL, for lists; ``standing_of`` in Python, for one lesion that
is already loaded. A property-based test checks that they agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
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
    UUIDField,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Least, TruncDate
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone

from accounts.models import User
from ml.diagnoses import MALIGNANT
from screening.models import (
    Alert,
    DoctorVisit,
    Finding,
    Histology,
    Lesion,
    LesionImage,
    Management,
    Outcome,
    Prediction,
    Review,
)
from screening.models.alert import AlertQuerySet
from screening.models.base import knowing
from screening.models.image import (
    disclosed,
    is_later,
    latest_first,
    place_of,
)
from screening.models.lesion import HAS_SYMPTOM
from screening.models.prediction import RAISED, RAISED_AT_FIRST, PredictionQuerySet
from screening.models.review import ReviewQuerySet
from screening.models.statement import compiled
from screening.predictions.default_reading import GRAVE
from screening.predictions.queries import counting_reading, standing_reviews

SEVERITY = (Outcome.URGENT, Outcome.SEE_DOCTOR, Outcome.MONITOR, Outcome.NOT_ASSESSABLE)
"""Most severe first. Not assessable is not a finding: it hides no other outcome, and is not an
all-clear.
"""
NOTHING = len(SEVERITY)
"""The rank of a lesion without an outcome."""

Act = Review | Histology | DoctorVisit

RECENT = timedelta(days=30)
IN_PERSON = (Management.REFER, Management.EXCISE, Management.DONE)


class Awaited(TextChoices):
    """What a lesion still awaits although its warning is settled, most pressing first."""

    TREATMENT = "treatment", "Malignant: to be removed"
    REMOVAL = "removal", "To be removed"
    RESULT = "result", "Waiting for the result"


class Unread(TextChoices):
    """Pictures of a lesion without a reading, most pressing first. A reading may change the
    outcome.
    """

    NOT_READ = "not_read", "A picture could not be read"
    BEING_READ = "being_read", "A picture is being read"


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing outcome of a lesion and its reasons.

    outcome: one of ``Outcome``, or empty. reading: its source; None if it rests on a symptom alone.
    newest: the image captured last; newest_outcome: its outcome, empty until it is read. settled:
    the acts that settled images or the symptom that would be more severe, newest first. concluded:
    the clinician's conclusion that was signed last, on whichever image. visits: all visits that the
    person entered. told_too_late: the last of those that could have settled the image that the
    outcome rests on, if that was told only after the visit was entered. earlier: the
    earlier outcome of an unsettled image, if more severe than the current one; else empty. awaits:
    one of ``Awaited``, or empty. unread: one of ``Unread``, or empty.
    """

    outcome: str
    reading: Prediction | None
    newest: LesionImage | None
    newest_outcome: str
    settled: list[Act]
    concluded: Review | None
    visits: list[DoctorVisit]
    told_too_late: DoctorVisit | None
    earlier: str
    awaits: str
    unread: str

    @property
    def is_grave(self) -> bool:
        return self.outcome in GRAVE

    @property
    def awaits_word(self) -> str:
        return str(Awaited(self.awaits).label) if self.awaits else ""

    @property
    def unread_word(self) -> str:
        return str(Unread(self.unread).label) if self.unread else ""

    def concluded_since(self, histology: Histology | None) -> Review | None:
        """The conclusion signed last, unless the histology came after it."""
        if self.concluded is None or histology is None:
            return self.concluded
        return self.concluded if self.concluded.created > histology.created else None

    @property
    def is_settled(self) -> bool:
        """Whether there was an outcome and all of it has been settled."""
        return not self.outcome and bool(self.newest_outcome)

    @property
    def image(self) -> LesionImage | None:
        """The image that the outcome rests on; None if it rests on a symptom alone."""
        return self.reading.image if self.reading else None

    @property
    def is_of_newest(self) -> bool:
        """Whether the outcome rests on the newest image."""
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
    """Compute the standing outcome of a lesion that is already loaded.

    images: current ones, latest capture first, with findings as the reader may see them and
    ``is_withheld`` (``records.queries.timeline``). histologies, visits: the standing ones.
    """
    is_own = lesion.patient.clinic_id is None
    settling_visits = [visit for visit in visits if visit.settles and is_own]
    others: list[Histology | DoctorVisit] = [*histologies, *settling_visits]
    standing = [(image, review) for image in images for review in standing_reviews(image)]
    reviews = [(image, review) for image, review in standing if review.settles]
    told: list[tuple[int, Prediction]] = []
    settling: list[Act] = []
    earlier = NOTHING
    for image in images:
        reading = counting_reading(image)
        if reading is None:
            continue
        settled_by = _settling(image, reading, reviews, others)
        if settled_by or image.was_removed:
            settling += settled_by if reading.outcome_told in GRAVE else []
        else:
            told.append((rank(reading.outcome_told), reading))
            graver = graver_before(image)
            earlier = min(earlier, rank(graver.outcome_told) if graver else NOTHING)
    severity, gravest = min(told, key=lambda one: one[0], default=(NOTHING, None))
    if lesion.symptoms:
        after: list[Act] = [one for image, one in reviews if _knew(one, image, lesion)]
        after += [act for act in others if _follows(act, lesion)]
        settling += after
        if not after and lesion.symptoms_now and severity > rank(Outcome.SEE_DOCTOR):
            severity, gravest = rank(Outcome.SEE_DOCTOR), None
    newest = images[0] if images else None
    return Standing(
        outcome=of_rank(severity),
        reading=gravest,
        newest=newest,
        newest_outcome=_told_of(newest),
        settled=sorted(dict.fromkeys(settling), key=lambda act: act.created, reverse=True),
        concluded=max((one for _, one in standing), key=lambda one: one.number, default=None),
        visits=list(visits),
        told_too_late=_told_too_late(gravest, settling_visits),
        earlier=_if_graver(earlier, severity),
        awaits=_awaits(lesion, standing, histologies, visits),
        unread=_unread_of(images, reviews, histologies),
    )


def is_settled(reading: Prediction, user: User) -> bool:
    """Whether an act settles this counting reading."""
    return not _unsettled(_ranked(Prediction.objects.filter(pk=reading.pk)), user).exists()


def graver_before(image: LesionImage) -> Prediction | None:
    """The most severe reading of an image ``with_findings`` that used to count, if it was more
    severe than the one that counts now. Among equals, the last.
    """
    now = counting_reading(image)
    told = [one for one in image.predictions.all() if one.told_until]
    last_first = sorted(told, key=lambda one: one.told_until or one.created, reverse=True)
    gravest = min(last_first, key=lambda one: rank(one.outcome_told), default=None)
    if gravest is None or now is None or rank(gravest.outcome_told) >= rank(now.outcome_told):
        return None
    return gravest


def listed(
    newest: LesionImage | None, reading: Prediction | None, concluded: Review | None, row: Any
) -> Standing:
    """The standing outcome of a lesion in a list, from the SQL annotations.

    row: of ``with_standing``; reading: the one behind the outcome; concluded: the review signed
    last. What settled the outcome is shown on the lesion's own page only.
    """
    outcome = of_rank(row.standing_rank)
    own = reading if reading is not None and reading.outcome_told == outcome else None
    told, earlier = _told_of(newest), earlier_of(row)
    return Standing(
        outcome, own, newest, told, [], concluded, [], None, earlier, row.awaits, row.unread
    )


def earlier_of(row: Any) -> str:
    """``Standing.earlier`` of a lesion ``with_standing``."""
    return _if_graver(row.earlier_rank, row.standing_rank)


def with_standing(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    """Annotate ``standing_rank``, the index of the standing outcome in ``SEVERITY`` (``NOTHING``
    without one); ``earlier_rank``, that of the most severe former reading that was more severe;
    ``awaits`` (``Awaited``); and ``unread`` (``Unread``). Findings withheld from ``user`` count as
    absent, and their pictures as not waiting to be read.
    """
    return with_warning(lesions, user).annotate(
        earlier_rank=_earlier_rank(user), unread=_unread(user)
    )


def with_warning(lesions: QuerySet[Lesion], user: User) -> QuerySet[Lesion]:
    """Annotate only ``standing_rank`` and ``awaits``, which lists are sorted by."""
    return lesions.annotate(standing_rank=_standing_rank(user), awaits=awaited(user))


@compiled(Lesion, IntegerField())
def _standing_rank(user: User) -> Least:
    return _with_symptom(_standing(user), user)


@compiled(Lesion, IntegerField())
def warning_rank(user: User) -> Least:
    """``standing_rank`` if it is urgent or see a doctor, else ``NOTHING``. Most pictures are mild,
    so their acts are not looked up.
    """
    grave = _there(Prediction.objects.counting(), user).filter(
        Q(rank__lte=rank(Outcome.SEE_DOCTOR))
    )
    return _with_symptom(_unsettled(grave, user), user)


def _with_symptom(readings: PredictionQuerySet, user: User) -> Least:
    of_symptom = Case(
        When(_symptom_stands(user), then=Value(rank(Outcome.SEE_DOCTOR))), default=Value(NOTHING)
    )
    return Least(_gravest_rank(readings), of_symptom)


@compiled(Lesion, IntegerField())
def _earlier_rank(user: User) -> Coalesce:
    return _gravest_rank(_graver_before(user))


@compiled(Lesion, CharField())
def awaited(user: User) -> Case:
    """The lesion's ``Awaited``, or empty."""
    cases = (When(holds, then=Value(what.value)) for what, holds in _waits_for(user))
    return Case(*cases, default=Value(""))


@compiled(Lesion, CharField())
def _unread(user: User) -> Case:
    row = {"image": OuterRef("pk")}
    images = LesionImage.objects.filter(disclosed(user, "pk"), lesion=OuterRef("pk"))
    by_doctors = reduce(or_, (Q(Exists(act)) for act in _acts(user)[:-1]))
    left = images.filter(
        ~Exists(Prediction.objects.counting().filter(**row)),
        ~by_doctors,
        Q(lesion__closed_on=None) | Q(captured_on__gt=F("lesion__closed_on")),
    )
    is_being_read = Q(Exists(Prediction.objects.active().filter(**row)))
    return Case(
        When(Exists(left.filter(~is_being_read)), then=Value(Unread.NOT_READ.value)),
        When(Exists(left), then=Value(Unread.BEING_READ.value)),
        default=Value(""),
    )


@compiled(Lesion, BooleanField())
def waits(user: User) -> Q:
    """A condition on lesions: something remains to be done. See ``Awaited``."""
    return reduce(or_, (holds for _, holds in _waits_for(user)))


def is_malignant(user: User) -> Q:
    """A condition on lesions: a pathologist found it malignant, and no removal is recorded."""
    found = Histology.objects.standing().disclosed_to(user).filter(diagnosis__in=MALIGNANT)
    return Q(Exists(found.filter(lesion=OuterRef("pk"))), closed_on=None)


def is_grave(user: User) -> Q:
    """A condition on lesions: the standing outcome is urgent or see a doctor."""
    return Q(LessThanOrEqual(_standing_rank(user), rank(Outcome.SEE_DOCTOR)))


@compiled(Lesion, UUIDField())
def standing_reading(user: User) -> Subquery:
    """The key of the standing reading: among the most severe readings, that of the latest image."""
    found = _standing(user).order_by(F("rank"), *latest_first("image"))
    return Subquery(found.values("pk")[:1])


def _graver_before(user: User) -> PredictionQuerySet:
    """``graver_before`` for the unsettled images of the outer query's lesion."""
    now = _ranked(Prediction.objects.counting().filter(image=OuterRef("image")))
    replaced = _there(Prediction.objects.filter(told_until__isnull=False), user)
    replaced = replaced.alias(rank_now=Subquery(now.values_list(F("rank"))[:1]))
    return replaced.filter(Q(rank__lt=F("rank_now"))).exclude(_settled(user))


def _standing(user: User) -> PredictionQuerySet:
    """The counting readings of the outer query's lesion that no act has settled, with ``rank``."""
    return _unsettled(_there(Prediction.objects.counting(), user), user)


def _unsettled(counting: PredictionQuerySet, user: User) -> PredictionQuerySet:
    return counting.alias(rank_now=F("rank")).exclude(_settled(user))


def _there(readings: PredictionQuerySet, user: User) -> PredictionQuerySet:
    """Those of the outer query's lesion, with ``rank``, without images up to its removal."""
    current = readings.filter(image__lesion=OuterRef("pk"), image__withdrawn_at=None)
    left = Q(image__lesion__closed_on=None) | Q(
        image__captured_on__gt=F("image__lesion__closed_on")
    )
    return _ranked(current.disclosed_to(user).filter(left))


def _ranked(readings: PredictionQuerySet, raised: Q = RAISED) -> PredictionQuerySet:
    """Annotate ``rank``."""
    see_doctor = rank(Outcome.SEE_DOCTOR)
    ranks = [When(outcome=outcome, then=Value(n)) for n, outcome in enumerate(SEVERITY)]
    ranks.insert(see_doctor, When(raised, then=Value(see_doctor)))
    return readings.annotate(rank=Case(*ranks, output_field=IntegerField()))


def _gravest_rank(readings: PredictionQuerySet) -> Coalesce:
    return Coalesce(Subquery(readings.order_by(F("rank")).values_list(F("rank"))[:1]), NOTHING)


def _if_graver(earlier: int, standing: int) -> str:
    return of_rank(earlier) if earlier < standing else ""


def open_alerts(alerts: AlertQuerySet, user: User) -> AlertQuerySet:
    """Alerts that need attention. An act that settles the later image and was recorded after the
    alert closes it, as long as the act stands.
    """
    return alerts.open().exclude(Q(_is_acted_on(user)))


@compiled(Alert, BooleanField())
def _is_acted_on(user: User) -> Q:
    return reduce(or_, (Q(Exists(act)) for act in _acts_on_alert(user)))


def with_closing_acts(alerts: AlertQuerySet, user: User) -> AlertQuerySet:
    """Annotate the first act of each kind that closed an alert: ``review_id``, ``histology_id``,
    ``visit_id``.
    """
    first = [Subquery(act.order_by("created").values("pk")[:1]) for act in _acts_on_alert(user)]
    of_image, of_later, histology, visit = first
    return alerts.annotate(
        review_id=Coalesce(of_image, of_later), histology_id=histology, visit_id=visit
    )


@compiled(Lesion, BooleanField())
def symptom_stands(user: User) -> Q:
    """A condition on lesions: a symptom is marked and nobody has examined it since."""
    return _symptom_stands(user)


def _symptom_stands(user: User) -> Q:
    since = {"knows_until__gte": OuterRef("symptoms_at")}
    marked_at = ExpressionWrapper(OuterRef("symptoms_at"), output_field=DateTimeField())
    a_month_before = ExpressionWrapper(
        OuterRef("symptoms_at") - Value(RECENT), output_field=DateTimeField()
    )
    day, of_lesion = TruncDate(marked_at), {"lesion": OuterRef("pk")}
    reviews = conclusions(user).settling().filter(**since)
    reviews = reviews.filter(Q(knows_until__gte=F("image__placed_at")))
    histologies = knowing(Histology.objects.standing().disclosed_to(user))
    visits = knowing(DoctorVisit.objects.settling())
    acts = (
        reviews.filter(
            Q(management__in=IN_PERSON) | Q(image__captured_on__gte=TruncDate(a_month_before))
        ),
        histologies.filter(examined_on__gte=day, **of_lesion, **since),
        visits.filter(visited_on__gte=day, **of_lesion, **since),
    )
    there = Q(closed_on=None) | Q(closed_on__lt=TruncDate("symptoms_at"))
    return HAS_SYMPTOM & there & ~Q(reduce(or_, (Q(Exists(act)) for act in acts)))


def _settled(user: User) -> Q:
    """A condition on readings with ``rank_now``, the rank of their image's counting reading:
    ``_settling`` in SQL.
    """
    *by_doctors, visits = _acts(user, "image")
    of_image = Prediction.objects.filter(image=OuterRef(OuterRef("image")))
    told = _ranked(of_image, RAISED_AT_FIRST)
    known = told.filter(
        Q(rank__lte=OuterRef(OuterRef("rank_now"))), told_from__lte=OuterRef("knows_until")
    )
    acts = (*by_doctors, visits.filter(Exists(known)))
    return reduce(or_, (Q(Exists(act)) for act in acts))


def _acts_on_alert(user: User) -> Iterator[QuerySet[Any]]:
    """Acts that close the outer query's alert. Earlier conclusions did not take it into account."""
    return (act.filter(knows_until__gte=OuterRef("created")) for act in _acts(user, "later"))


def _acts(user: User, image: str = "") -> tuple[QuerySet[Any], ...]:
    """Acts that settle the image at the path ``image`` of the outer row, or the row itself: reviews
    of it or of later images, histology, visits.
    """
    path = f"{image}__" if image else ""
    lesion = OuterRef(f"{path}lesion")
    known = {"knows_until__gte": OuterRef(f"{path}placed_at")}
    day = OuterRef(f"{path}captured_on")
    return (
        *_knowing_reviews(Review.objects.settling().disclosed_to(user), image),
        knowing(Histology.objects.standing().disclosed_to(user)).filter(
            lesion=lesion, examined_on__gte=day, **known
        ),
        knowing(DoctorVisit.objects.settling()).filter(lesion=lesion, visited_on__gte=day, **known),
    )


def _knowing_reviews(reviews: ReviewQuerySet, image: str = "") -> tuple[ReviewQuerySet, ...]:
    """The reviews on the image at the path ``image`` of the outer row, or on the row itself, and
    those on later images of its lesion that took it into account.
    """
    path = f"{image}__" if image else ""
    seen = knowing(reviews).filter(
        image__lesion=OuterRef(f"{path}lesion"), image__withdrawn_at=None
    )
    earlier = is_later(place_of(image, OuterRef), place_of("image"))
    knew_it, knew_its_own = (
        Q(knows_until__gte=moment)
        for moment in (OuterRef(f"{path}placed_at"), F("image__placed_at"))
    )
    on_it = seen.filter(image=OuterRef(image or "pk"))
    return on_it, seen.filter(~earlier, knew_it, knew_its_own)


def unconcluded(images: QuerySet[LesionImage], user: User) -> QuerySet[LesionImage]:
    """Images that no conclusion took into account, whether or not it settles them: none on the
    image itself, and none on a later image of the lesion since this one arrived.
    """
    on_it, on_later = _knowing_reviews(Review.objects.disclosed_to(user))
    return images.exclude(Exists(on_it)).exclude(Exists(on_later))


def _settling(
    image: LesionImage,
    reading: Prediction | None,
    reviews: Iterable[tuple[LesionImage, Review]],
    others: Iterable[Histology | DoctorVisit],
) -> list[Act]:
    """Acts that settle an image with that counting reading, or without one."""
    of_reviews = [
        review
        for reviewed, review in reviews
        if reviewed == image
        or (reviewed.place >= image.place and review.knows_until >= _both(reviewed, image))
    ]
    of_others = [
        act
        for act in others
        if _day(act) >= image.captured_on
        and act.knows_until >= image.placed_at
        and (isinstance(act, Histology) or _was_told(image, reading, act))
    ]
    return [*of_reviews, *of_others]


def _unread_of(
    images: Iterable[LesionImage],
    reviews: Sequence[tuple[LesionImage, Review]],
    histologies: Iterable[Histology],
) -> str:
    """``_unread`` in Python."""
    found = [
        Unread.BEING_READ
        if any(one.is_active for one in image.predictions.all())
        else Unread.NOT_READ
        for image in images
        if counting_reading(image) is None
        and not image.is_withheld
        and not image.was_removed
        and not _settling(image, None, reviews, histologies)
    ]
    return next((one.value for one in Unread if one in found), "")


def _was_told(image: LesionImage, reading: Prediction | None, visit: DoctorVisit) -> bool:
    """Whether the outcome shown for the image when the visit was entered was as severe as
    ``reading``.
    """
    return reading is not None and any(
        one.told_from is not None
        and one.told_from <= visit.knows_until
        and rank(one.outcome_told_at_first) <= rank(reading.outcome_told)
        for one in image.predictions.all()
    )


def _told_too_late(reading: Prediction | None, visits: Iterable[DoctorVisit]) -> DoctorVisit | None:
    if reading is None or reading.outcome_told not in GRAVE:
        return None
    return next((one for one in visits if one.visited_on >= reading.image.captured_on), None)


def _told_of(image: LesionImage | None) -> str:
    reading = counting_reading(image) if image else None
    return reading.outcome_told if reading else ""


def _day(act: Histology | DoctorVisit) -> date:
    return act.examined_on if isinstance(act, Histology) else act.visited_on


def _follows(act: Histology | DoctorVisit, lesion: Lesion) -> bool:
    since: datetime | None = lesion.symptoms_at
    return since is not None and act.knows_until >= since and _day(act) >= timezone.localdate(since)


def _knew(review: Review, image: LesionImage, lesion: Lesion) -> bool:
    """Whether the reviewer of the image may have known of the symptom."""
    since: datetime | None = lesion.symptoms_at
    if since is None or review.knows_until < max(since, image.placed_at):
        return False
    is_recent = image.captured_on >= timezone.localdate(since - RECENT)
    return is_recent or review.management in IN_PERSON


def _awaits(
    lesion: Lesion,
    standing: Sequence[tuple[LesionImage, Review]],
    histologies: Iterable[Histology],
    visits: Sequence[DoctorVisit],
) -> str:
    """``_waits_for`` in Python. visits: latest first."""
    if lesion.is_closed:
        return ""
    if any(histology.diagnosis in MALIGNANT for histology in histologies):
        return Awaited.TREATMENT.value
    examined = [histology.knows_until for histology in histologies]
    for image, review in standing:
        if review.management != Management.EXCISE:
            continue
        answered = any(
            other.number > review.number
            and other.knows_until >= review.created
            and (at == image or (at.place >= image.place and other.knows_until >= _both(at, image)))
            for at, other in standing
        )
        since = max(review.created, image.placed_at)
        if not answered and not any(at >= since for at in examined):
            return Awaited.REMOVAL.value
    concluded = [
        review.knows_until
        for image, review in standing
        if review.settles and review.knows_until >= image.placed_at
    ]
    known_at = max((*examined, *concluded), default=None)
    for visit in visits:
        if visit.finding == Finding.BIOPSY and (known_at is None or known_at < visit.created):
            return Awaited.RESULT.value
        if visit.settles and lesion.patient.clinic_id is None:
            break  # recorded after the samples of earlier visits
    return ""


def _both(one: LesionImage, other: LesionImage) -> datetime:
    """Since when both have had their places in the lesion."""
    return max(one.placed_at, other.placed_at)


def _waits_for(user: User) -> list[tuple[Awaited, Q]]:
    """Conditions on lesions. A treatment is due after a malignant histology. A removal is due while
    a conclusion asks for it, until another one on that image or a later one, or a histology, by
    whoever was shown the image in its place. A
    result is due after a visit that took a sample, until a histology, a conclusion, or a later
    visit that may settle warnings: not one on a record that a clinic follows.
    """
    since = {"knows_until__gte": OuterRef("created")}
    earlier = is_later(place_of("image", OuterRef), place_of("image"))
    on_later = Q(~earlier, knows_until__gte=F("image__placed_at")) & Q(
        knows_until__gte=OuterRef("image__placed_at")
    )
    answers = conclusions(user, "image__lesion").filter(number__gt=OuterRef("number"), **since)
    examined = knowing(Histology.objects.standing().disclosed_to(user)).filter(**since)
    asked = conclusions(user).filter(
        ~Exists(answers.filter(Q(image=OuterRef("image")) | on_later)),
        ~Exists(
            examined.filter(
                Q(knows_until__gte=OuterRef("image__placed_at")), lesion=OuterRef("image__lesion")
            )
        ),
        management=Management.EXCISE,
    )
    visits = DoctorVisit.objects.settling().filter(lesion=OuterRef("lesion"))
    later = visits.filter(
        Q(visited_on__gt=OuterRef("visited_on"))
        | Q(visited_on=OuterRef("visited_on"), created__gt=OuterRef("created"))
    )
    concluded = conclusions(user, "lesion").settling().filter(**since)
    sampled = DoctorVisit.objects.standing().filter(
        ~Exists(later),
        ~Exists(examined.filter(lesion=OuterRef("lesion"))),
        ~Exists(concluded.filter(Q(knows_until__gte=F("image__placed_at")))),
        lesion=OuterRef("pk"),
        finding=Finding.BIOPSY,
    )
    still_there = Q(closed_on=None)
    return [
        (Awaited.TREATMENT, is_malignant(user)),
        (Awaited.REMOVAL, Q(Exists(asked)) & still_there),
        (Awaited.RESULT, Q(Exists(sampled)) & still_there),
    ]


def conclusions(user: User, lesion: str = "pk") -> ReviewQuerySet:
    """The standing reviews of the outer query's ``lesion``, with ``knows_until``."""
    reviews = knowing(Review.objects.all())
    reviews = reviews.filter(image__lesion=OuterRef(lesion), image__withdrawn_at=None)
    return reviews.disclosed_to(user).standing()
