"""The standing outcome of a lesion: nothing but a settling act lowers it, in Python and in SQL."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml import reader
from screening.corrections import services as corrections
from screening.models import DoctorVisit, Lesion, LesionImage, Outcome, Review
from screening.predictions import outcomes
from screening.records import queries as record_queries
from tests.factories import (
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)

DAY = date(2026, 3, 1)
days = st.integers(0, 4).map(lambda n: DAY + timedelta(days=n))
index = st.integers(0, 9)
outcome = st.sampled_from([one.value for one in Outcome])
version = st.sampled_from(["2026.11.2", reader.DEFAULT_VERSION])
acts = st.one_of(
    st.tuples(st.just("add"), days, st.none() | st.times()),
    st.tuples(st.just("read"), index, outcome, version),
    st.tuples(st.just("withdraw"), index),
    st.tuples(st.just("restore"), index),
    st.tuples(st.just("move"), index),
    st.tuples(st.just("redate"), index, days),
    st.tuples(st.just("review"), index),
    st.tuples(st.just("supersede"), index),
    st.tuples(st.just("histology"), days),
    st.tuples(st.just("visit"), days),
    st.tuples(st.just("withdraw visit"), index),
    st.tuples(st.just("symptom")),
)
LOWERING = {"withdraw", "restore", "review", "histology", "visit", "supersede"}
"""The settling acts; what is put back brings its conclusions along. A picture that moves takes its
warning along; a reading may replace one of the same image, by the default version."""


class World:
    """Two lesions of one person, changed as the write path changes them."""

    def __init__(self) -> None:
        self.owner = UserFactory()
        patient = PatientFactory(clinic=None, owner=self.owner)
        self.lesions = [LesionFactory(patient=patient) for _ in range(2)]
        self.shas = count()

    def images(self):
        return list(LesionImage.objects.order_by("created"))

    def image(self, n):
        images = self.images()
        return images[n % len(images)] if images else None

    def do(self, name, *args):
        now = timezone.now()
        if name == "add":
            LesionImageFactory(
                lesion=self.lesions[0],
                uploaded_by=self.owner,
                captured_on=args[0],
                captured_time=args[1],
                file="a.jpg",
                thumbnail="b.jpg",
            )
        elif name == "symptom":
            Lesion.objects.filter(pk=self.lesions[0].pk).update(bleeding=True, symptoms_at=now)
        elif name == "histology":
            HistologyFactory(lesion=self.lesions[0], recorded_by=self.owner, examined_on=args[0])
        elif name == "visit":
            DoctorVisitFactory(lesion=self.lesions[0], visited_on=args[0])
        elif name == "withdraw visit":
            one = DoctorVisit.objects.first()
            if one:
                withdraw(DoctorVisit, one.pk, self.owner)
        elif name == "restore":
            restore(LesionImage)
        elif name == "supersede":
            one = Review.objects.standing().first()
            if one:
                ReviewFactory(image=one.image, reviewer=self.owner, supersedes=one)
        elif (image := self.image(args[0])) is not None:
            images = LesionImage.objects.filter(pk=image.pk)
            if name == "read":
                PredictionFactory(image=image, outcome=args[1], model_version=args[2])
            elif name == "withdraw":
                withdraw(LesionImage, image.pk, self.owner)
            elif name == "move":
                other = self.lesions[image.lesion_id == self.lesions[0].pk]
                images.update(lesion=other, placed_at=now)
            elif name == "redate":
                images.update(captured_on=args[1], placed_at=now)
            elif name == "review":
                ReviewFactory(image=image, reviewer=self.owner)

    def ranks(self):
        return [standing_rank(lesion.pk, self.owner) for lesion in self.lesions]


def withdraw(model, pk, user):
    model.objects.filter(pk=pk).update(
        withdrawn_at=timezone.now(), withdrawn_by=user, withdrawn_because="Entered in error"
    )


def restore(model):
    model.everything.update(withdrawn_at=None, withdrawn_by=None, withdrawn_because="")


def standing_rank(pk, user):
    """By the rule in Python; that in SQL says the same."""
    lesion = outcomes.with_standing(Lesion.objects.filter(pk=pk), user).get()
    standing = outcomes.standing_of(
        lesion,
        record_queries.timeline(lesion, user),
        record_queries.histologies_of(lesion, user),
        list(lesion.visits.all()),
    )
    assert outcomes.rank(standing.outcome) == lesion.standing_rank
    assert standing.awaits == lesion.awaits
    assert standing.earlier == outcomes.listed(None, None, lesion).earlier
    grave = Lesion.objects.filter(outcomes.is_grave(user), pk=pk).exists()
    assert grave == standing.is_grave
    return lesion.standing_rank


@given(st.lists(acts, max_size=14))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_only_a_settling_act_lowers_what_is_told(done):
    world = World()
    before = world.ranks()
    for act in done:
        replaced = replaces_a_reading(world, act)
        world.do(*act)
        after = world.ranks()
        if act[0] not in LOWERING and not replaced:
            # Together: a picture that moves takes its warning along.
            assert min(after) <= min(before), (act, done)
            if act[0] != "move":
                assert all(new <= old for new, old in zip(after, before, strict=True)), (act, done)
        before = after


def replaces_a_reading(world, act):
    if act[0] != "read" or (image := world.image(act[1])) is None:
        return False
    counting = image.counting_reading
    return counting is not None and act[3] in (reader.DEFAULT_VERSION, counting.model_version)


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
        symptoms_at=timezone.now(),
    )
    earlier = LesionImageFactory(lesion=lesion, captured_on=DAY - timedelta(days=30))
    PredictionFactory(image=earlier, outcome="urgent")
    assert standing_rank(lesion.pk, personas.clinician) == outcomes.NOTHING
    later = LesionImageFactory(lesion=lesion, captured_on=DAY + timedelta(days=30))
    PredictionFactory(image=later, outcome="urgent")
    assert standing_rank(lesion.pk, personas.clinician) == 0


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
