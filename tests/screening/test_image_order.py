"""The order of a lesion's images: the same in Python, in SQL, and in how two are told apart."""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, time
from itertools import combinations, product

import pytest
from django.db.models import Exists, OuterRef

from screening import comparing, tracking
from screening.models import LesionImage, Prediction
from screening.models.image import is_later, latest_first, place_of
from tests.factories import LesionFactory, LesionImageFactory, PredictionFactory
from tests.test_architecture import ALL

pytestmark = pytest.mark.django_db

DAYS = (date(2026, 3, 1), date(2026, 3, 2))
TIMES = (None, time(0, 0), time(9, 30), time(9, 30, 0, 500_000), time(23, 59, 59))
ADDED = (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 1, 0, 0, 0, 1, tzinfo=UTC))


@pytest.fixture
def images() -> list[LesionImage]:
    """One of each combination, the latest day added first."""
    lesion = LesionFactory()
    return [
        LesionImageFactory(lesion=lesion, captured_on=day, captured_time=moment, created=added)
        for day, moment, added in product(reversed(DAYS), reversed(TIMES), reversed(ADDED))
    ]


def test_python_and_sql_agree_on_the_order(images: list[LesionImage]) -> None:
    in_python = sorted(images, key=lambda image: image.place, reverse=True)
    assert list(LesionImage.objects.latest_first()) == in_python
    assert list(LesionImage.objects.all()) == in_python
    for image in images:
        PredictionFactory(image=image)
    by_reading = Prediction.objects.order_by(*latest_first("image"))
    assert [reading.image for reading in by_reading] == in_python


def test_every_pair_is_told_apart_the_same_way(images: list[LesionImage]) -> None:
    later = LesionImage.objects.filter(is_later(place_of(), place_of(ref=OuterRef)))
    followed = LesionImage.objects.annotate(
        followed=Exists(later.filter(lesion=OuterRef("lesion")))
    ).filter(followed=True)
    assert list(followed) == sorted(images, key=lambda image: image.place, reverse=True)[1:]
    for one, other in combinations(images, 2):
        first, second = comparing.in_order(one, other)
        assert first.place < second.place
        assert list(LesionImage.objects.filter(pk=first.pk).before(second)) == [first]
        assert not LesionImage.objects.filter(pk=second.pk).before(first)
    assert not LesionImage.objects.filter(pk=images[0].pk).before(images[0])


def test_the_previous_image_is_the_one_before_it_in_that_order(images: list[LesionImage]) -> None:
    ordered = sorted(images, key=lambda image: image.place)
    assert [tracking.previous(image) for image in ordered] == [None, *ordered[:-1]]


def test_of_one_day_the_hour_counts_more_than_the_upload() -> None:
    """And a picture without an hour, kept before hours were, stays before one added after it."""
    lesion = LesionFactory()
    morning, evening, unknown = (
        LesionImageFactory(
            lesion=lesion, captured_time=moment, created=datetime(2026, 4, day, tzinfo=UTC)
        )
        for day, moment in ((3, time(8)), (2, time(20)), (1, None))
    )
    assert list(lesion.images.latest_first()) == [evening, morning, unknown]


def test_no_other_place_orders_images_by_their_day() -> None:
    """``order_by`` and sort keys that name the day of capture leave out the hour."""
    for module, path in ALL:
        if module == "screening.models.image":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("order_by", "sorted", ".sort", "Index")
            ):
                asked = [*node.args, *(keyword.value for keyword in node.keywords)]
                assert "captured_on" not in " ".join(map(ast.unparse, asked)), module
