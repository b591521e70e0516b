"""Two releases run side by side: an older process reverts no reading."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from ml import reader
from screening import sweeper, tasks
from screening.corrections import services as corrections
from screening.interop.fhir import device
from screening.models import Adoption, LesionImage, Prediction, State
from screening.predictions import adoption, details, queue
from screening.predictions import services as prediction_services
from screening.predictions.queries import latest_attempt
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory

pytestmark = pytest.mark.django_db

OLD, NEW = "2026.11.2", reader.DEFAULT_VERSION
"""Of OLD only the card is kept, as in a process of another release."""


@pytest.fixture
def runs(monkeypatch):
    """Makes this process one of the release whose default is that version, already running."""

    Adoption.objects.all().delete()
    monkeypatch.setattr(sweeper, "close_old_connections", lambda: None)  # it is the test's own

    def by(version):
        monkeypatch.setattr(adoption, "own_version", lambda: version)

    return by


@pytest.fixture
def release(runs):
    """The same, and starts it. OLD was the first here, then NEW."""

    def by(version):
        runs(version)
        adoption.adopt_own()

    by(OLD)
    by(NEW)
    return by


def finishes(image, version, outcome="monitor"):
    """A reading by that version finishes in this process."""
    running = PredictionFactory(image=image, running=True, model_version=version)
    result = {"outcome": outcome, "weights_sha256": "a" * 64}
    assert queue.finish(running, state=State.SUCCEEDED, **result)
    return running


def counting(image):
    return Prediction.objects.counting().get(image=image).model_version


def adopted():
    return list(Adoption.objects.order_by("number").values_list("number", "model_version"))


def test_a_newer_release_adopts_its_version_when_it_starts(release):
    assert adoption.default() == NEW
    release(OLD)
    assert adoption.default() == NEW
    assert adopted() == [(1, OLD), (2, NEW)]


def test_whoever_asks_writes_nothing(runs, client, personas, django_assert_num_queries):
    runs(OLD)
    with django_assert_num_queries(1) as asked:
        assert adoption.default() == OLD
    assert asked[0]["sql"].startswith("SELECT")
    adoption.adopt_own()
    runs(NEW)
    image = LesionImageFactory(lesion__patient=personas.patient)
    PredictionFactory(image=image, model_version=OLD)
    client.force_login(personas.clinician)
    for name, pk in (("lesion", image.lesion_id), ("image", image.pk)):
        assert client.get(reverse(name, args=[pk])).status_code == 200
    assert adoption.default() == OLD and adopted() == [(1, OLD)]


def test_before_its_version_is_adopted_a_newer_release_replaces_nothing(release, runs):
    image = LesionImageFactory()
    finishes(image, NEW, "urgent")
    runs("2026.99.1")
    finishes(image, "2026.99.1")
    assert counting(image) == NEW
    adoption.adopt_own()
    finishes(image, "2026.99.1")
    assert counting(image) == "2026.99.1"


@pytest.mark.parametrize(
    "start",
    [
        lambda: call_command("adopt"),
        sweeper.sweep_once,
        tasks._ring_for_all_that_waits,
    ],
    ids=["after the migrations", "sweep", "worker"],
)
def test_each_start_of_a_release_adopts_its_version(release, runs, start):
    runs("2026.99.1")
    assert adoption.default() == NEW
    start()
    start()
    assert adopted() == [(1, OLD), (2, NEW), (3, "2026.99.1")]


def test_versions_are_compared_by_their_numbers(release):
    for later in ("2026.11.10", "2026.12.1", "2027.1.1"):
        release(later)
        assert adoption.default() == later
    release("2026.11.9")
    assert adoption.default() == "2027.1.1"


def test_an_older_process_replaces_no_reading_of_the_default(release):
    image = LesionImageFactory()
    finishes(image, NEW, "urgent")
    release(OLD)
    finishes(image, OLD)
    assert counting(image) == NEW


def test_what_an_older_process_read_is_read_by_the_default(release):
    release(OLD)
    image = LesionImageFactory()
    finishes(image, OLD)
    assert counting(image) == OLD  # better than nothing
    again = image.predictions.active().get()
    assert (again.model_version, again.is_bulk) == (NEW, True)
    release(NEW)
    Prediction.objects.filter(pk=again.pk).delete()
    finishes(image, NEW)
    assert counting(image) == NEW and not image.predictions.active().exists()


def test_what_waits_for_a_version_that_is_gone_is_read_by_the_default(release):
    """The picture was added right before the new release was installed."""
    image = LesionImageFactory()
    queue.process(PredictionFactory(image=image, queued=True, model_version=OLD).pk)
    assert [one.state for one in image.predictions.filter(model_version=OLD)] == [State.FAILED]
    [again] = image.predictions.active()
    assert again.model_version == NEW
    queue.process(again.pk)
    assert counting(image) == NEW


def test_an_older_process_asks_for_the_default_and_leaves_it_to_a_newer_one(release, personas):
    later = "2026.99.1"
    release(later)
    release(NEW)
    image = LesionImageFactory(lesion=LesionFactory(patient=personas.patient))
    asked = prediction_services.request_prediction(user=personas.clinician, image=image)
    assert asked.model_version == later
    queue.process(asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.attempts, asked.setbacks) == (State.QUEUED, 0, 1)
    release(later)  # nobody has it
    Prediction.objects.update(rests_until=None)
    queue.process(asked.pk)
    asked.refresh_from_db()
    assert asked.state == State.FAILED and "not available" in asked.failure


def test_corrected_details_are_read_by_the_default(release, personas):
    release(OLD)
    image = LesionImageFactory(lesion=LesionFactory(patient=personas.patient))
    finishes(image, NEW)
    Prediction.objects.update(context={"age": 21.0, "sex": "female", "localization": "back"})
    [again] = details.queue_some_again()
    assert again.model_version == NEW
    assert details.queue_some_again() == []


def test_only_the_operator_goes_back(release):
    later = "2026.99.1"
    release(later)
    release(NEW)  # the newer release is taken back
    image = LesionImageFactory()
    PredictionFactory(image=image, model_version=later)
    finishes(image, NEW)
    assert counting(image) == later
    call_command("rescreen", "--no-wait", stdout=StringIO())
    assert adopted() == [(1, OLD), (2, NEW), (3, later), (4, NEW)]
    [again] = image.predictions.active()
    Prediction.objects.filter(pk=again.pk).delete()
    finishes(image, NEW)
    assert counting(image) == NEW
    release(later)
    assert adoption.default() == NEW  # a process of the newer release that still runs


def test_what_waits_for_the_default_is_told_and_what_is_read_beside_it_is_not(release):
    counts = PredictionFactory(model_version=NEW)
    other = PredictionFactory(image=counts.image, queued=True, model_version=OLD)
    image = LesionImage.objects.get()
    assert (latest_attempt(image), device.render(OLD, "")["status"]) == (counts, "inactive")
    adoption.adopt(OLD)
    assert (latest_attempt(image), device.render(OLD, "")["status"]) == (other, "active")


def test_what_the_operator_went_back_to_ends_with_its_network(release):
    """A later release keeps only the card of OLD, so that nothing can read with it."""
    adoption.adopt(OLD)  # by ``rescreen`` of an earlier release
    release(NEW)
    assert adoption.default() == NEW
    release(OLD)  # a process of the earlier release that still runs
    assert adoption.default() == NEW


def test_a_picture_that_comes_back_is_read_by_the_version_adopted_meanwhile(release, personas):
    release(OLD)
    image = LesionImageFactory(lesion__patient=personas.patient)
    finishes(image, OLD)
    corrections.withdraw(user=personas.clinician, record=image, reason="Blurred")
    release(NEW)
    call_command("rescreen", "--no-wait", stdout=StringIO())
    image.refresh_from_db()
    corrections.restore(user=personas.clinician, record=image)
    assert [one.model_version for one in image.predictions.active()] == [NEW]


def test_a_new_installation_adopts_its_own():
    adoption.adopt_own()
    image = LesionImageFactory()
    finishes(image, NEW)
    finishes(image, OLD)
    assert counting(image) == NEW and adopted() == [(1, NEW)]
