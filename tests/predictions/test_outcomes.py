"""The standing outcome of a lesion: only a settling act lowers it, in Python and in SQL.

``STANDING_EXAMPLES=2000`` tries that many sequences of acts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from unittest.mock import patch

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import override_settings
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ml import reader
from screening.corrections import merges, moves
from screening.corrections import services as corrections
from screening.corrections.undo import may_be_undone, subject, undo
from screening.erasure import services as erasure
from screening.models import (
    Correction,
    DoctorVisit,
    Ground,
    Histology,
    Lesion,
    LesionImage,
    Modality,
    Outcome,
    Patient,
    Review,
)
from screening.models.image import present
from screening.predictions import adoption, arrivals, outcomes
from screening.predictions.details import CLINICAL_PHOTOGRAPH
from screening.predictions.queries import counting_reading
from screening.records import closing, visits
from screening.records import queries as record_queries
from screening.reviews import services as review_services
from tests.factories import (
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
    UserFactory,
)
from tests.transactions import of_the_test, rolled_back

pytestmark = pytest.mark.django_db

EXAMPLES = int(os.environ.get("STANDING_EXAMPLES", "15"))
DAY = date(2026, 3, 1)
days = st.integers(0, 4).map(lambda n: DAY + timedelta(days=n))
index = st.integers(0, 9)
which = st.integers(0, 1)
outcome = st.sampled_from([one.value for one in Outcome])
version = st.sampled_from(["2026.11.2", reader.DEFAULT_VERSION])
kinds = st.sampled_from([Modality.DERMATOSCOPIC, Modality.DERMATOSCOPIC, Modality.CLINICAL])
findings = st.sampled_from(["harmless", "removed", "biopsy"])
acts = st.one_of(
    st.tuples(st.just("add"), which, days, st.none() | st.times(), kinds),
    st.tuples(st.just("twin"), which, index, days, kinds),
    st.tuples(st.just("read"), index, outcome, version),
    st.tuples(st.just("read"), index, outcome, version),
    st.tuples(st.just("default"), version),
    st.tuples(st.just("withdraw"), index),
    st.tuples(st.just("withdraw lesion"), which),
    st.tuples(st.just("withdraw visit"), index),
    st.tuples(st.just("withdraw histology"), index),
    st.tuples(st.just("restore")),
    st.tuples(st.just("undo"), index),
    st.tuples(st.just("move"), index),
    st.tuples(st.just("redate"), index, days),
    st.tuples(st.just("kind"), index, kinds),
    st.tuples(st.just("merge"), which),
    st.tuples(st.just("review"), index),
    st.tuples(st.sampled_from(["excise", "refer"]), index),
    st.tuples(st.just("supersede"), index),
    st.tuples(st.just("histology"), which, days, st.booleans()),
    st.tuples(st.just("malignant histology"), which, days, st.booleans()),
    st.tuples(st.just("visit"), which, days, findings),
    st.tuples(st.just("correct histology"), index, days, st.booleans()),
    st.tuples(st.just("correct visit"), index, days, findings),
    st.tuples(st.just("stale review"), index, index),
    st.tuples(st.just("stale histology"), which, index, days),
    st.tuples(st.just("stale visit"), which, index, days),
    st.tuples(st.just("clock"), st.sampled_from([-30, -1, 1, 30])),
    st.tuples(st.just("close"), which, days),
    st.tuples(st.just("open"), which),
    st.tuples(st.just("symptom"), which),
    st.tuples(st.just("no symptom"), which),
    st.tuples(st.just("owner's no symptom"), which),
    st.tuples(st.just("leave")),
    st.tuples(st.just("return")),
)
CORRECTING = {"correct histology", "correct visit"}
STALE = {"stale review", "stale histology", "stale visit"}
CONCLUDING = {"review", "excise", "refer", "supersede", "histology", "malignant histology"}
SETTLING = {"visit", "close", "no symptom"} | CONCLUDING | CORRECTING | STALE
OF_IMAGE = {"read", "withdraw", "move", "redate", "kind"}
OF_IMAGE |= {"review", "excise", "refer", "stale review"}
PUTS_RIGHT = {"withdraw", "withdraw lesion", "restore", "undo"}
"""Restored or split records bring their conclusions along."""
TAKES_ALONG = {"move", "merge"}
"""The warning moves with the pictures: nothing is lost between the two lesions."""


class Clock(datetime):
    """It can be set back and forth."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) + cls.ahead


class World:
    """Two lesions of one person, changed through the write path. Rejected changes are skipped.

    is_shared: a clinic follows the record, too, and ``user`` works there; without a clinic, and
    after it has left, they are the ``owner``. places: after each act, where the images are, and the
    most severe outcome shown of each. shown: after each act, what a form of each lesion says that
    it showed. about: the lesion of an act, and which of ``places`` its form showed.
    """

    def __init__(self, born: int, is_shared: bool) -> None:
        member = MembershipFactory(role="admin")
        self.user = self.owner = self.clinician = member.user
        clinic, self.left = member.clinic if is_shared else None, None
        if is_shared:
            self.owner = UserFactory()
            self.colleague = MembershipFactory(role="admin", clinic=clinic).user
        self.patient = PatientFactory(clinic=clinic, owner=self.owner, birth_year=born)
        self.lesions = [LesionFactory(patient=self.patient) for _ in range(2)]
        self.places, self.shown, self.about = [({}, {})], [], {}
        self.look()

    def lesion(self, n):
        return Lesion.objects.filter(pk=self.lesions[n].pk).select_related("patient").first()

    @staticmethod
    def entry(name, n):
        model = Histology if name.endswith("histology") else DoctorVisit
        found = list(model.objects.filter(lesion__withdrawn_at=None).order_by("pk"))
        return found[n % len(found)] if found else None

    def image(self, n):
        images = list(LesionImage.objects.present().order_by("created", "pk"))
        return images[n % len(images)] if images else None

    def do(self, name, *args):
        self.seen = len(self.places) - 1
        with suppress(ValidationError, PermissionDenied), of_the_test():
            self._do(name, *args)
        there, told = {}, dict(self.places[-1][1])
        for image in LesionImage.objects.present().select_related("lesion__patient"):
            there[image.pk] = self.place(image)
            if (reading := counting_reading(image)) is not None:
                rank = outcomes.rank(reading.outcome_told)
                told[image.pk] = min(rank, told.get(image.pk, outcomes.NOTHING))
        self.places.append((there, told))
        self.look()
        for act, lesion in self.settling():
            self.about.setdefault(act.pk, (lesion, self.seen))

    def look(self):
        """Open a form of each lesion."""
        there = Lesion.objects.filter(pk__in=[lesion.pk for lesion in self.lesions])
        self.shown.append({one.pk: arrivals.last(one, self.user) for one in there})

    def opened(self, lesion, n):
        """A form of the lesion that was opened after one of the acts."""
        steps = [step for step, shown in enumerate(self.shown) if lesion.pk in shown]
        self.seen = steps[n % len(steps)]
        return {"shown_at": self.shown[self.seen][lesion.pk]}

    @staticmethod
    def place(image):
        return image.lesion_id, image.captured_on, image.captured_time

    def settling(self):
        """Acts that stand and settle, and the lesion that they are of."""
        reviews = Review.objects.settling().filter(image__withdrawn_at=None)
        yield from ((one, one.image.lesion_id) for one in reviews.select_related("image"))
        for entries in (Histology.objects.standing(), DoctorVisit.objects.settling()):
            yield from ((one, one.lesion_id) for one in entries)

    def unseen(self):
        """Warnings of pictures that no act covers: recorded while the picture had its present day
        and was on the act's lesion; for a visit, after the warning had been shown.
        """
        for image in LesionImage.objects.present().select_related("lesion__patient"):
            reading = counting_reading(image)
            if reading is None or not reading.is_grave or image.was_removed:
                continue
            rank = outcomes.rank(reading.outcome_told)
            if not any(self.was_about(act, image, rank) for act, _ in self.settling()):
                yield image.lesion_id, rank

    def was_about(self, act, image, rank):
        if isinstance(act, Review) and act.image_id == image.pk:
            return True
        lesion, seen = self.about[act.pk]
        then, told = self.places[seen]
        if isinstance(act, DoctorVisit) and told.get(image.pk, outcomes.NOTHING) > rank:
            return False
        return then.get(image.pk) == (lesion, *self.place(image)[1:])

    def closed_for_nothing(self):
        """Closed lesions without a standing act that says that they were removed by that day."""
        for lesion in Lesion.objects.exclude(closed_on=None):
            tissue = lesion.histologies.standing().filter(excised=True)
            said = lesion.visits.settling().filter(finding="removed")
            removed_on = {one.examined_on for one in tissue} | {one.visited_on for one in said}
            if not any(day >= lesion.closed_on for day in removed_on):
                yield lesion

    def _do(self, name, *args):
        by = {"user": self.user}
        if name == "restore":
            self._restore()
        elif name == "undo":
            made = [one for one in Correction.objects.order_by("created") if may_be_undone(one)]
            if made:
                one = made[args[0] % len(made)]
                undo(correction=one, acknowledged=True, user=self.who(subject(one)))
        elif name == "leave":
            self._leave()
        elif name == "return":
            if self.left is not None:
                erasure.undo(user=self.clinician, erasure=self.left)
                self.user, self.left = self.clinician, None
        elif name == "default":
            adoption.adopt(args[0])
        elif name == "clock":
            Clock.ahead += timedelta(minutes=args[0])
        elif name in ("withdraw visit", "withdraw histology"):
            if (entry := self.entry(name, args[0])) is not None:
                corrections.withdraw(record=entry, reason="Another spot", user=self.who(entry))
        elif name == "correct histology":
            if (entry := self.entry(name, args[0])) is not None:
                said = {"diagnosis": "bkl", "examined_on": args[1], "excised": args[2]}
                review_services.record_histology(
                    lesion=entry.lesion, supersedes=entry, **said, **by
                )
        elif name == "correct visit":
            if (entry := self.entry(name, args[0])) is not None:
                said = {"visited_on": args[1], "finding": args[2]}
                visits.record_visit(lesion=entry.lesion, supersedes=entry, user=self.owner, **said)
        elif name == "supersede":
            standing = Review.objects.standing().filter(
                image__withdrawn_at=None, image__lesion__withdrawn_at=None
            )
            if (one := standing.first()) is not None:
                said = {"conclusion": "nv", "management": "monitor", "supersedes": one}
                review_services.record_review(image=one.image, **said, **by)
        elif name in OF_IMAGE:
            if (image := self.image(args[0])) is not None:
                self._of_image(name, image, *args[1:])
        elif (lesion := self.lesion(args[0])) is not None:
            self._of_lesion(name, lesion, *args[1:])

    def _of_image(self, name, image, *args):
        by = {"user": self.user}
        if name == "read":
            told, version = args
            is_photograph = image.modality == Modality.CLINICAL
            PredictionFactory(
                image=image,
                outcome="not_assessable" if is_photograph else told,
                reason=CLINICAL_PHOTOGRAPH if is_photograph else "",
                model_version=version,
            )
        elif name == "withdraw":
            corrections.withdraw(record=image, reason="Entered in error", **by)
        elif name == "move":
            other = self.lesion(image.lesion_id == self.lesions[0].pk)
            if other is not None:
                moves.move_image(image=image, lesion=other, acknowledged=True, **by)
        elif name == "redate":
            corrections.correct_image(image=image, captured_on=args[0], **by)
        elif name == "kind":
            corrections.correct_image(image=image, modality=args[0], **by)
        else:
            managed = {"excise": "excise", "refer": "refer"}.get(name, "monitor")
            said = {"conclusion": "nv", "management": managed}
            if name == "stale review":
                said |= self.opened(image.lesion, args[0])
            review_services.record_review(image=image, **said, **by)

    def _of_lesion(self, name, lesion, *args):
        by = {"user": self.user, "lesion": lesion}
        if name == "add":
            on, at, kind = args
            self._add(lesion, captured_on=on, captured_time=at, modality=kind)
        elif name == "twin":
            n, on, kind = args
            if (image := self.image(n)) is not None and not self.has(lesion, image):
                self._add(lesion, captured_on=on, modality=kind, sha256=image.sha256)
        elif name == "withdraw lesion":
            corrections.withdraw(user=self.user, record=lesion, reason="Entered in error")
        elif name == "merge":
            into = self.lesion(lesion.pk == self.lesions[0].pk)
            if into is not None:
                merges.merge_lesions(into=into, acknowledged=True, **by)
        elif name in ("histology", "malignant histology"):
            diagnosis = "nv" if name == "histology" else "mel"
            said = {"diagnosis": diagnosis, "examined_on": args[0], "excised": args[1]}
            review_services.record_histology(**said, **by)
        elif name == "visit":
            said = {"visited_on": args[0], "finding": args[1]}
            visits.record_visit(user=self.owner, lesion=lesion, **said)
        elif name == "stale histology":
            said = {"diagnosis": "nv", "examined_on": args[1], **self.opened(lesion, args[0])}
            review_services.record_histology(**said, **by)
        elif name == "stale visit":
            said = {"finding": "harmless", "visited_on": args[1], **self.opened(lesion, args[0])}
            visits.record_visit(user=self.owner, lesion=lesion, **said)
        elif name == "close":
            closing.close(on=args[0], **by)
        elif name == "open":
            closing.reopen(**by)
        elif name == "owner's no symptom":
            closing.edit_lesion(user=self.owner, lesion=lesion, bleeding=False)
        else:
            closing.edit_lesion(bleeding=name == "symptom", **by)

    @staticmethod
    def has(lesion, picture):
        return lesion.images.filter(sha256=picture.sha256).exists()

    def _add(self, lesion, **fields):
        placed_at = arrivals.next_moment(lesion)
        LesionImageFactory(lesion=lesion, placed_at=placed_at, uploaded_by=self.user, **fields)

    @property
    def is_shared(self):
        return Patient.everything.exclude(clinic=None).filter(pk=self.patient.pk).exists()

    def _leave(self):
        """The clinic leaves the record to its owner."""
        if not self.is_shared:
            return
        asked = erasure.ask_for_record(
            user=self.user, patient=self.patient, ground=Ground.PERSON_ASKS
        )
        self.left = erasure.confirm(user=self.colleague, erasure=asked)
        self.user = self.owner

    def _restore(self):
        """Restore everything withdrawn; merged records are split again."""
        for model in (Lesion, LesionImage, DoctorVisit, Histology):
            for record in model.everything.exclude(withdrawn_at=None):
                with suppress(ValidationError), of_the_test():
                    corrections.restore(user=self.who(record), record=record, acknowledged=True)

    def who(self, record):
        """Visits are the owner's."""
        return self.owner if isinstance(record, DoctorVisit) else self.user

    def said(self):
        """Conclusions on pictures that are there."""
        return set(Review.objects.filter(present()).values_list("pk", flat=True))

    def waits(self):
        """What is due of all lesions, most pressing first: a treatment, a removal, neither."""
        found = outcomes.with_standing(Lesion.objects.all(), self.user)
        awaits = {one.awaits for one in found}
        return next((n for n, one in enumerate(("treatment", "removal")) if one in awaits), 2)

    def ranks(self):
        return [standing_rank(lesion.pk, self.user) for lesion in self.lesions]


def standing_in_python(lesion, user):
    """Compared with SQL."""
    standing_rank(lesion.pk, user)
    return record_queries.standing_of(
        lesion, record_queries.timeline(lesion, user), record_queries.histologies_of(lesion, user)
    )


def standing_rank(pk, user):
    """By the rule in Python, compared with SQL. A withdrawn lesion has no outcome."""
    found = outcomes.with_standing(Lesion.objects.filter(pk=pk), user)
    lesion = found.annotate(warning_rank=outcomes.warning_rank(user)).first()
    if lesion is None:
        return outcomes.NOTHING
    standing = outcomes.standing_of(
        lesion,
        record_queries.timeline(lesion, user),
        record_queries.histologies_of(lesion, user),
        record_queries.visits_of(lesion),
    )
    assert outcomes.rank(standing.outcome) == lesion.standing_rank
    warning = lesion.standing_rank if standing.is_grave else outcomes.NOTHING
    assert lesion.warning_rank == warning
    assert (standing.awaits, standing.unread) == (lesion.awaits, lesion.unread)
    assert standing.earlier == outcomes.earlier_of(lesion)
    grave = Lesion.objects.filter(outcomes.is_grave(user), pk=pk).exists()
    assert grave == standing.is_grave
    return lesion.standing_rank


def visit(lesion, finding="harmless"):
    return "visit", lesion, DAY, finding


PICTURE = ("add", 0, DAY, None, Modality.DERMATOSCOPIC)
"""A dermatoscopic picture of the first lesion."""
READ_URGENT = ("read", 0, "urgent", reader.DEFAULT_VERSION)
READ_MONITOR = ("read", 0, "monitor", reader.DEFAULT_VERSION)


def urgent_picture(*more):
    """An urgent dermatoscopic picture of the first lesion, and what is done next."""
    return [PICTURE, READ_URGENT, *more]


BEFORE = DAY - timedelta(days=1)
CLOSE_BOTH = [("close", 0, DAY), ("close", 1, DAY)]
TO_PHOTOGRAPH = ("kind", 0, Modality.CLINICAL)
TISSUE = ("histology", 0, DAY, False)
CORRECTED = [("histology", 0, DAY, True), ("correct histology", 0, BEFORE, False)]
LATER = [
    ("add", 0, DAY + timedelta(days=1), None, Modality.DERMATOSCOPIC),
    ("read", 0, "urgent", reader.DEFAULT_VERSION),
]
"""An urgent picture of a later day."""


TWIN_WARNS = [
    ("twin", 1, 0, DAY, Modality.DERMATOSCOPIC),
    ("read", 1, "see_doctor", reader.DEFAULT_VERSION),
]
"""The same picture on the second lesion, with another outcome."""


PICTURE_READ = [PICTURE, READ_MONITOR]


@given(st.lists(acts, max_size=10), st.sampled_from([1960, 2014]), st.booleans())
@example(urgent_picture(visit(1), ("merge", 1), ("restore",)), 1960, False)
@example([PICTURE, visit(0), READ_URGENT], 1960, False)
@example([PICTURE, READ_MONITOR, visit(0), READ_URGENT, READ_MONITOR], 1960, False)
@example([("symptom", 0), ("close", 0, DAY)], 1960, True)
@example([PICTURE, READ_MONITOR, ("kind", 0, Modality.CLINICAL), READ_MONITOR], 2014, True)
@example(urgent_picture(*CLOSE_BOTH, ("merge", 0), ("move", 0)), 1960, True)
@example([*LATER, visit(0), ("move", 0), ("redate", 0, DAY), ("undo", 0)], 1960, False)
@example(urgent_picture(("close", 1, DAY), ("move", 0), ("redate", 0, DAY)), 2014, True)
@example(urgent_picture(TO_PHOTOGRAPH, ("read", 0, "monitor", "2026.11.2")), 1960, True)
@example(urgent_picture(("histology", 0, DAY, True), ("withdraw histology", 0)), 1960, True)
@example([("symptom", 0), ("owner's no symptom", 0)], 1960, True)
@example(urgent_picture(visit(0), ("leave",), visit(0), ("return",), ("leave",)), 1960, True)
@example(urgent_picture(("leave",), visit(0, "removed"), ("return",)), 1960, True)
@example([("symptom", 0), *PICTURE_READ, ("review", 0), ("owner's no symptom", 0)], 1960, True)
@example([*CORRECTED, ("withdraw histology", 1), ("restore",)], 1960, True)
@example([*CORRECTED, ("withdraw histology", 1), *urgent_picture()], 1960, True)
@example(urgent_picture(visit(0), ("correct visit", 0, BEFORE, "harmless")), 1960, False)
@example(urgent_picture(visit(0, "removed"), ("stale visit", 0, 0, DAY)), 1960, True)
@example(urgent_picture(("stale histology", 0, 0, DAY)), 1960, True)
@example(urgent_picture(("stale visit", 0, 0, DAY)), 1960, False)
@example(urgent_picture(("excise", 0), visit(0, "biopsy"), visit(0)), 1960, True)
@example(urgent_picture(visit(0, "biopsy"), visit(0), ("refer", 0)), 1960, False)
@example(urgent_picture(("malignant histology", 0, DAY, False), TISSUE), 1960, False)
@example([("clock", 30), TISSUE, ("clock", -30), *urgent_picture()], 1960, True)
@example(urgent_picture(("review", 0), *TWIN_WARNS, ("merge", 1)), 1960, True)
@example(urgent_picture(("review", 0), *TWIN_WARNS, ("merge", 0)), 1960, True)
@example(urgent_picture(visit(0), *TWIN_WARNS, ("merge", 1)), 1960, False)
@example(urgent_picture(visit(0), *TWIN_WARNS, ("merge", 0), ("undo", 0)), 1960, False)
@example(urgent_picture(("excise", 0), *TWIN_WARNS, ("merge", 0)), 1960, True)
@example(urgent_picture(("excise", 0), *TWIN_WARNS, ("merge", 1), ("undo", 0)), 1960, True)
@example(urgent_picture(("excise", 0), ("histology", 1, DAY, False), ("merge", 1)), 1960, True)
@example(urgent_picture(("default", "2026.11.2"), READ_MONITOR), 1960, True)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_only_a_settling_act_lowers_what_is_told(done, born, is_shared):
    Clock.ahead = timedelta()
    now = patch("django.utils.timezone.datetime", Clock)
    with rolled_back(), override_settings(RETENTION_YEARS=0), now:
        only_a_settling_act_lowers(World(born, is_shared), done)


def only_a_settling_act_lowers(world, done):
    before, said, waits = world.ranks(), world.said(), world.waits()
    for act in done:
        may_lower = act[0] in SETTLING | PUTS_RIGHT or any(
            lowers(world, act)
            for lowers in (replaces, leaves, gives_back, takes_back, leaves_again)
        )
        world.do(*act)
        after = world.ranks()
        if not may_lower:
            assert min(after) <= min(before), (act, done)
            if act[0] in TAKES_ALONG:
                assert world.waits() <= waits, (act, done)
                assert world.said() >= said, (act, done)
            else:
                assert all(new <= old for new, old in zip(after, before, strict=True)), (act, done)
        for lesion, rank in world.unseen():
            assert standing_rank(lesion, world.user) <= rank, (act, done)
        if not any(one[0] in ("close", *TAKES_ALONG) for one in done):
            assert not list(world.closed_for_nothing()), (act, done)
        before, said, waits = after, world.said(), world.waits()


def replaces(world, act):
    """Whether a reading replaces another one of the same picture."""
    if act[0] != "read" or (image := world.image(act[1])) is None:
        return False
    counting = counting_reading(image)
    return counting is not None and act[3] in (adoption.default(), counting.model_version)


def leaves(world, act):
    """Whether a picture leaves the symptom behind that alone made it severe."""
    if act[0] != "move" or (image := world.image(act[1])) is None:
        return False
    counting = counting_reading(image)
    return counting is not None and counting.outcome != counting.outcome_told


def gives_back(world, act):
    """Whether a withdrawn entry had corrected another one, which applies again."""
    if act[0] not in ("withdraw visit", "withdraw histology"):
        return False
    entry = world.entry(act[0], act[1])
    return entry is not None and entry.supersedes_id is not None


def takes_back(world, act):
    """Whether the owner removes a symptom of their own record or, if a clinic follows it, does so
    after a clinician has concluded on the spot since it was marked.
    """
    if act[0] != "owner's no symptom" or (lesion := world.lesion(act[1])) is None:
        return False
    since = {"created__gte": lesion.symptoms_at} if lesion.symptoms_at else {}
    concluded = Review.objects.settling().filter(image__lesion=lesion, **since)
    return (
        not world.is_shared
        or lesion.is_closed
        or concluded.exists()
        or lesion.histologies.standing().filter(**since).exists()
    )


def leaves_again(world, act):
    """Whether the clinic leaves a record on which visits settled during an earlier absence."""
    return act[0] == "leave" and DoctorVisit.objects.standing().filter(settles=True).exists()


@pytest.fixture
def urgent(personas):
    lesion = LesionFactory(patient=personas.patient)
    image = LesionImageFactory(lesion=lesion, captured_on=DAY)
    return PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)


def test_calling_the_picture_a_photograph_hides_no_warning(personas, urgent):
    LesionImage.objects.filter(pk=urgent.image_id).update(modality="clinical")
    again = PredictionFactory(
        image=LesionImage.objects.get(pk=urgent.image_id),
        outcome="not_assessable",
        reason="clinical_photograph",
        model_version=reader.DEFAULT_VERSION,
    )
    assert not again.counts
    assert standing_rank(urgent.image.lesion_id, personas.clinician) == 0


def test_what_was_concluded_while_a_picture_was_out_does_not_settle_it(personas, urgent):
    user = personas.clinician
    corrections.withdraw(user=user, record=urgent.image, reason="Wrong spot")
    later = LesionImageFactory(lesion=urgent.image.lesion, captured_on=DAY + timedelta(days=9))
    ReviewFactory(image=later, reviewer=user)
    corrections.restore(user=user, record=LesionImage.everything.get(pk=urgent.image_id))
    assert standing_rank(urgent.image.lesion_id, user) == 0


@pytest.mark.parametrize(
    ("management", "settles"), [("none", False), ("monitor", False), ("excise", True)]
)
def test_who_is_uncertain_settles_only_by_what_is_done(personas, urgent, management, settles):
    ReviewFactory(
        image=urgent.image,
        reviewer=personas.clinician,
        conclusion="uncertain",
        management=management,
    )
    rank = standing_rank(urgent.image.lesion_id, personas.clinician)
    assert rank == (outcomes.NOTHING if settles else 0)


def test_a_visit_before_the_symptom_does_not_settle_it():
    lesion = LesionFactory(patient__own=True, patient__clinic=None, bleeding=True)
    DoctorVisitFactory(lesion=lesion, visited_on=date(2020, 1, 1))
    owner = lesion.patient.owner
    assert standing_rank(lesion.pk, owner) == outcomes.rank(Outcome.SEE_DOCTOR)
    DoctorVisitFactory(lesion=lesion, visited_on=timezone.localdate())
    assert standing_rank(lesion.pk, owner) == outcomes.NOTHING


def test_a_colleagues_conclusion_settles_nothing_for_who_concludes_first(personas):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    lesion = LesionFactory(patient=personas.patient, itching=True)
    image = LesionImageFactory(lesion=lesion, captured_on=timezone.localdate())
    ReviewFactory(image=image, reviewer=personas.admin)
    assert standing_rank(lesion.pk, personas.clinician) == outcomes.rank(Outcome.SEE_DOCTOR)
    assert standing_rank(lesion.pk, personas.admin) == outcomes.NOTHING


@pytest.mark.parametrize(
    ("taken", "management", "settles"),
    [
        (date(2016, 5, 1), "none", False),
        (date(2016, 5, 1), "monitor", False),
        (date(2016, 5, 1), "refer", True),
        (None, "none", True),
    ],
)
def test_an_old_picture_does_not_show_a_symptom_of_today(personas, taken, management, settles):
    lesion = LesionFactory(patient=personas.patient, bleeding=True)
    day = taken or timezone.localdate() - timedelta(days=20)
    image = LesionImageFactory(lesion=lesion, captured_on=day)
    ReviewFactory(image=image, reviewer=personas.clinician, management=management)
    rank = standing_rank(lesion.pk, personas.clinician)
    assert rank == (outcomes.NOTHING if settles else outcomes.rank(Outcome.SEE_DOCTOR))


def test_of_a_removed_lesion_only_what_came_later_is_told(personas, urgent):
    lesion = urgent.image.lesion
    Lesion.objects.filter(pk=lesion.pk).update(
        closed_on=DAY,
        closed_because="excised",
        closed_by=personas.clinician,
        bleeding=True,
        symptoms_at=timezone.make_aware(datetime.combine(DAY, time(9))),
    )
    earlier = LesionImageFactory(lesion=lesion, captured_on=DAY - timedelta(days=30))
    PredictionFactory(image=earlier, outcome="urgent")
    assert standing_rank(lesion.pk, personas.clinician) == outcomes.NOTHING
    Lesion.objects.filter(pk=lesion.pk).update(symptoms_at=timezone.now())
    assert standing_rank(lesion.pk, personas.clinician) == outcomes.rank(Outcome.SEE_DOCTOR)
    later = LesionImageFactory(lesion=lesion, captured_on=DAY + timedelta(days=30))
    PredictionFactory(image=later, outcome="urgent")
    assert standing_rank(lesion.pk, personas.clinician) == 0


def test_a_visit_settles_no_reading_that_nobody_could_have_known(personas):
    own, me = LesionFactory(patient=personas.own_patient), personas.self_tracker

    def read(outcome):
        return PredictionFactory(image=image, outcome=outcome, model_version=reader.DEFAULT_VERSION)

    def visit():
        visits.record_visit(user=me, lesion=own, visited_on=DAY, finding="harmless")

    image = LesionImageFactory(lesion=own, captured_on=DAY)
    visit()  # while the picture waits to be read
    read("see_doctor")
    assert standing_rank(own.pk, me) == outcomes.rank(Outcome.SEE_DOCTOR)
    visit()
    assert standing_rank(own.pk, me) == outcomes.NOTHING
    read("urgent")
    assert standing_rank(own.pk, me) == outcomes.rank(Outcome.URGENT)
    visit()
    read("monitor")
    read("urgent")  # told before
    assert standing_rank(own.pk, me) == outcomes.NOTHING


def test_calling_the_picture_of_a_child_a_photograph_hides_no_warning(personas):
    patient = PatientFactory(clinic=personas.clinic, birth_year=DAY.year - 10)
    image = LesionImageFactory(lesion__patient=patient, captured_on=DAY)
    PredictionFactory(image=image, outcome="monitor", model_version=reader.DEFAULT_VERSION)
    corrections.correct_image(user=personas.clinician, image=image, modality=Modality.CLINICAL)
    assert not image.predictions.active().exists()
    assert standing_rank(image.lesion_id, personas.clinician) == outcomes.rank(Outcome.SEE_DOCTOR)


def read_at(image, age):
    context = {"age": age, "sex": image.lesion.patient.sex, "localization": image.lesion.body_site}
    fields = {"model_version": reader.DEFAULT_VERSION, "context": context}
    return PredictionFactory(image=image, outcome="monitor", **fields)


@pytest.mark.parametrize("how", ["corrected", "moved"])
def test_a_visit_settles_no_warning_that_a_childs_age_raises_later(personas, how):
    me, adult = personas.self_tracker, personas.own_patient
    Patient.objects.filter(pk=adult.pk).update(birth_year=DAY.year - 36)
    image = LesionImageFactory(lesion__patient=adult, captured_on=DAY)
    read_at(image, 36.0)
    lesion = Lesion.objects.get(pk=image.lesion_id)
    visits.record_visit(user=me, lesion=lesion, visited_on=DAY, finding="harmless")
    assert standing_rank(image.lesion_id, me) == outcomes.NOTHING
    if how == "moved":
        child = PatientFactory(clinic=None, owner=me, birth_year=DAY.year - 11)
        moves.move_lesion(user=me, lesion=lesion, patient=child, acknowledged=True)
    else:
        Patient.objects.filter(pk=adult.pk).update(birth_year=DAY.year - 11)
    at_once = standing_rank(image.lesion_id, me)
    read_at(image, 11.0)
    see_doctor = outcomes.rank(Outcome.SEE_DOCTOR)
    assert (at_once, standing_rank(image.lesion_id, me)) == (see_doctor, see_doctor)


def test_a_visit_settles_what_was_told_of_a_child(personas):
    me, child = personas.self_tracker, personas.own_patient
    Patient.objects.filter(pk=child.pk).update(birth_year=DAY.year - 11)
    image = LesionImageFactory(lesion__patient=child, captured_on=DAY)
    read_at(image, 11.0)
    lesion = Lesion.objects.get(pk=image.lesion_id)
    assert standing_rank(lesion.pk, me) == outcomes.rank(Outcome.SEE_DOCTOR)
    visits.record_visit(user=me, lesion=lesion, visited_on=DAY, finding="harmless")
    assert standing_rank(lesion.pk, me) == outcomes.NOTHING


def test_what_was_told_of_a_child_stays_in_the_history(personas):
    me, patient = personas.self_tracker, personas.own_patient
    Patient.objects.filter(pk=patient.pk).update(birth_year=DAY.year - 11)
    image = LesionImageFactory(lesion__patient=patient, captured_on=DAY)
    before = read_at(image, 11.0)
    Patient.objects.filter(pk=patient.pk).update(birth_year=None)
    read_at(image, None)
    lesion = Lesion.objects.get(pk=image.lesion_id)
    assert standing_in_python(lesion, me).earlier == "see_doctor"
    row = outcomes.with_standing(Lesion.objects.filter(pk=lesion.pk), me).get()
    assert outcomes.earlier_of(row) == "see_doctor"
    before.refresh_from_db()
    assert before.outcome_told == "see_doctor"


def test_what_waits_for_a_removal_or_a_result(personas, urgent):
    def awaits(lesion, user):
        standing_rank(lesion.pk, user)
        return outcomes.with_standing(Lesion.objects.filter(pk=lesion.pk), user).get().awaits

    lesion, user = urgent.image.lesion, personas.clinician
    review = ReviewFactory(image=urgent.image, reviewer=user, conclusion="mel", management="excise")
    assert awaits(lesion, user) == "removal"
    HistologyFactory(lesion=lesion, recorded_by=user, examined_on=DAY)
    assert awaits(lesion, user) == ""
    assert review.settles
    own = LesionFactory(patient=personas.own_patient)
    DoctorVisitFactory(lesion=own, finding="biopsy", visited_on=DAY)
    assert awaits(own, personas.self_tracker) == "result"
    DoctorVisitFactory(lesion=own, finding="harmless", visited_on=DAY + timedelta(days=14))
    assert awaits(own, personas.self_tracker) == ""


def test_a_removal_is_awaited_until_a_later_picture_is_concluded_on(personas, urgent):
    def awaits():
        return standing_in_python(lesion, user).awaits

    lesion, user = urgent.image.lesion, personas.clinician
    earlier = LesionImageFactory(lesion=lesion, captured_on=DAY - timedelta(days=90))
    ReviewFactory(image=urgent.image, reviewer=user, conclusion="mel", management="excise")
    ReviewFactory(image=earlier, reviewer=personas.admin, management="monitor")
    assert awaits() == "removal"
    later = LesionImageFactory(lesion=lesion, captured_on=DAY + timedelta(days=9))
    ReviewFactory(image=later, reviewer=personas.admin, management="monitor")
    assert awaits() == ""


def test_a_malignant_histology_awaits_the_removal(personas, urgent):
    lesion, user = urgent.image.lesion, personas.clinician
    HistologyFactory(lesion=lesion, recorded_by=user, diagnosis="bcc", examined_on=DAY)
    assert standing_in_python(lesion, user).awaits == "treatment"
    closing.close(user=user, lesion=lesion, on=DAY)
    assert standing_in_python(Lesion.objects.get(pk=lesion.pk), user).awaits == ""
