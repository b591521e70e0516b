"""The order of a lesion's images: the same in Python, in SQL, and in the labels that distinguish
them.
"""

from __future__ import annotations

import ast
from datetime import UTC, date, datetime, time
from io import BytesIO
from itertools import combinations, product

import pytest
from django.db.models import Exists, OuterRef
from django.urls import reverse
from pypdf import PdfReader

from screening.comparisons import services as comparison_services
from screening.models import LesionImage, Prediction
from screening.models.image import is_later, latest_first, place_of
from screening.records import queries as record_queries
from tests.factories import AlertFactory, LesionFactory, LesionImageFactory, PredictionFactory
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
        first, second = comparison_services.in_order(one, other)
        assert first.place < second.place
        assert list(LesionImage.objects.filter(pk=first.pk).before(second)) == [first]
        assert not LesionImage.objects.filter(pk=second.pk).before(first)
    assert not LesionImage.objects.filter(pk=images[0].pk).before(images[0])


def test_the_previous_image_is_the_one_before_it_in_that_order(images: list[LesionImage]) -> None:
    ordered = sorted(images, key=lambda image: image.place)
    assert [record_queries.previous(image) for image in ordered] == [None, *ordered[:-1]]


def test_of_one_day_the_hour_counts_more_than_the_upload() -> None:
    """A picture without a time, from before times were stored, stays before one added after it."""
    lesion = LesionFactory()
    morning, evening, unknown = (
        LesionImageFactory(
            lesion=lesion, captured_time=moment, created=datetime(2026, 4, day, tzinfo=UTC)
        )
        for day, moment in ((3, time(8)), (2, time(20)), (1, None))
    )
    assert list(lesion.images.latest_first()) == [evening, morning, unknown]


def test_no_other_place_orders_images_by_their_day() -> None:
    """``order_by`` and sort keys that use the day of capture alone ignore the time. A study of
    DICOM is a whole day.
    """
    for module, path in ALL:
        if module in ("screening.models.image", "screening.interop.dicomweb.search"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("order_by", "sorted", ".sort", "Index")
            ):
                asked = [*node.args, *(keyword.value for keyword in node.keywords)]
                assert "captured_on" not in " ".join(map(ast.unparse, asked)), module


@pytest.mark.parametrize(
    ("times", "labels"),
    [
        ((time(9, 5), time(14, 0)), ("12 Mar 2026, 09:05", "12 Mar 2026, 14:00")),
        ((None, None), ("12 Mar 2026 (1st that day)", "12 Mar 2026 (2nd that day)")),
        ((None, time(14, 0)), ("12 Mar 2026 (1st that day)", "12 Mar 2026 (2nd that day)")),
        ((time(14, 0), time(14, 0)), ("12 Mar 2026 (1st that day)", "12 Mar 2026 (2nd that day)")),
    ],
)
def test_two_pictures_of_one_day_are_called_apart(client, personas, times, labels) -> None:
    lesion = LesionFactory(patient=personas.patient)
    earlier, later = (
        LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 12), captured_time=one)
        for one in times
    )
    LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 2), captured_time=time(8))
    AlertFactory(lesion=lesion, earlier=earlier, later=later)
    for image in (earlier, later):
        PredictionFactory(image=image, outcome="monitor")
    client.force_login(personas.clinician)
    for name in ("lesion", "lesion_compare"):
        shown = client.get(reverse(name, args=[lesion.pk])).content.decode()
        assert all(label in shown for label in labels), name
        assert "2 Jan 2026" in shown and "2 Jan 2026," not in shown
    item = client.get(reverse("worklist_item", args=[lesion.pk])).content.decode()
    assert f"Changed from {labels[0]} to {labels[1]}" in item
    report = client.get(reverse("lesion_report", args=[lesion.pk]))
    pages = PdfReader(BytesIO(b"".join(report.streaming_content))).pages
    printed = " ".join(" ".join(page.extract_text().split()) for page in pages)
    assert all(label in printed for label in labels)
