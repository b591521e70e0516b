"""What pages say of one picture against another, and of the newest against the one before."""

from __future__ import annotations

from datetime import date

import pytest

from ml.types import REGISTRATION_VERSION
from screening.comparisons.presenters import differences, since_last, unmeasured
from screening.measurements.queries import outlines_of
from screening.models import Comparison
from screening.records import queries
from tests.factories import (
    AlertFactory,
    ComparisonFactory,
    LesionFactory,
    LesionImageFactory,
    MeasurementFactory,
    OutlineFactory,
    PredictionFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient)


def pictures(lesion, count):
    days = [date(2026, 1 + n, 1) for n in range(count)]
    images = [LesionImageFactory(lesion=lesion, captured_on=day) for day in days]
    for image in images:
        PredictionFactory(image=image, told_from=image.created)
    return images


def since(lesion, user):
    images = queries.timeline(lesion, user)
    return since_last(images, queries.alerts_of(lesion, user, images))


def test_one_picture_shows_no_change(lesion, personas):
    pictures(lesion, 1)
    assert since(lesion, personas.viewer).title == "One picture so far"


def test_two_that_nobody_compared_are_not_called_unchanged(lesion, personas):
    pictures(lesion, 2)
    assert since(lesion, personas.viewer).title == "Not compared with 1 Jan 2026"


def test_two_that_do_not_fit_ask_whether_it_is_the_same_spot(lesion, personas):
    earlier, later = pictures(lesion, 2)
    ComparisonFactory(
        earlier=earlier,
        later=later,
        aligned=False,
        matrix=[],
        reason="They differ too much.",
        algorithm_version=REGISTRATION_VERSION,
    )
    assert "Is it the same spot?" in since(lesion, personas.viewer).text


def test_without_measures_no_change_is_denied(lesion, personas):
    earlier, later = pictures(lesion, 2)
    ComparisonFactory(earlier=earlier, later=later, algorithm_version=REGISTRATION_VERSION)
    assert since(lesion, personas.viewer).title == "Not measured since 1 Jan 2026"
    for image in (earlier, later):
        MeasurementFactory(image=image, prediction=image.predictions.get())
    told = since(lesion, personas.viewer)
    assert told.title == "No change found since 1 Jan 2026"
    assert "can miss a change" in told.text


def test_the_same_picture_twice_is_no_two(lesion, personas):
    _, newest = pictures(lesion, 2)
    LesionImageFactory(
        lesion=lesion, captured_on=newest.captured_on, sha256=newest.sha256, is_twin=True
    )
    assert since(lesion, personas.viewer).title == "Not compared with 1 Jan 2026"


def test_alerts_of_the_newest_pair_are_named_and_no_others(lesion, personas):
    first, second, third = pictures(lesion, 3)
    AlertFactory(lesion=lesion, earlier=first, later=second, rule="growth")
    assert since(lesion, personas.viewer).title == "Not compared with 1 Feb 2026"
    for rule in ("new_colour", "growth"):
        AlertFactory(lesion=lesion, earlier=second, later=third, rule=rule)
    told = since(lesion, personas.viewer)
    assert told.title == "Changed since 1 Feb 2026"
    assert set(told.text.rstrip(".").lower().split("; ")) == {"a new colour", "grew fast"}
    assert told.is_open


def test_what_was_drawn_since_is_not_told_of_what_was_compared(lesion, personas):
    earlier, later = pictures(lesion, 2)
    for image in (earlier, later):
        MeasurementFactory(image=image, prediction=image.predictions.get())
    comparison = ComparisonFactory(earlier=earlier, later=later)
    assert differences(comparison) and not unmeasured(comparison)
    drawn = OutlineFactory(image=later)
    MeasurementFactory(image=later, prediction=None, outline=drawn)
    comparison = Comparison.objects.get()
    assert differences(comparison) == []
    again = ComparisonFactory(earlier=earlier, later=later, outlines=outlines_of(earlier, later))
    assert differences(again)


def test_it_is_said_which_picture_could_not_be_measured(lesion, personas, client):
    earlier, later = pictures(lesion, 2)
    MeasurementFactory(image=earlier, prediction=earlier.predictions.get())
    why = "The outline encloses too little to be measured."
    drawn = OutlineFactory(image=later)
    MeasurementFactory(image=later, prediction=None, outline=drawn, values={}, failure=why)
    ComparisonFactory(earlier=earlier, later=later, outlines=outlines_of(earlier, later))
    client.force_login(personas.viewer)
    page = client.get(f"/lesions/{lesion.pk}/compare/").text
    assert f"Not measured, 1 Feb 2026: {why}" in page
    assert "Chance of cancer or its precursor, as read" in page
    assert "Not measured, 1 Jan 2026" not in page


def test_the_table_tells_in_the_readers_words_what_a_difference_may_mean(lesion, personas, client):
    earlier, later = pictures(lesion, 2)
    for image in (earlier, later):
        MeasurementFactory(image=image, prediction=image.predictions.get())
    ComparisonFactory(earlier=earlier, later=later, algorithm_version=REGISTRATION_VERSION)
    client.force_login(personas.viewer)
    page = client.get(f"/lesions/{lesion.pk}/compare/").text
    assert "<td>may be angle or light</td>" in page
    later.measurements.all().delete()
    page = client.get(f"/lesions/{lesion.pk}/compare/").text
    assert "1 Feb 2026: it needs a reading that found the lesion" in page


@pytest.mark.parametrize("aligned", [True, False])
def test_no_difference_is_called_small_between_what_may_be_two_spots(lesion, aligned):
    earlier, later = pictures(lesion, 2)
    for image in (earlier, later):
        MeasurementFactory(image=image, prediction=image.predictions.get())
    comparison = ComparisonFactory(
        earlier=earlier,
        later=later,
        algorithm_version=REGISTRATION_VERSION,
        **({} if aligned else {"aligned": False, "matrix": [], "reason": "They differ too much."}),
    )
    found = {one.name: one.beyond for one in differences(comparison)}
    assert found
    if aligned:
        assert False in found.values()
    else:
        assert set(found.values()) == {None}
