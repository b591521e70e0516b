"""What follows a reading: measurements, comparisons with the neighbours, alerts."""

from datetime import date, timedelta
from io import BytesIO
from unittest import mock

import numpy as np
import pytest
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import ContentFile
from django.utils import timezone
from PIL import Image

from ml import reader
from screening import sweeper, tasks
from screening.comparisons import alerts
from screening.comparisons import follow_up as follow_ups
from screening.comparisons import presenters as comparison_presenters
from screening.comparisons import services as comparison_services
from screening.images import synthetic
from screening.measurements import masks, millimetres, outlines
from screening.measurements import queries as measurement_queries
from screening.measurements import services as measurement_services
from screening.models import Alert, Comparison, Measurement, Outline, Reminder, State
from screening.predictions import queue as predictions_queue
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    MeasurementFactory,
    MembershipFactory,
    PredictionFactory,
    PredictionMapsFactory,
    UserFactory,
)

LIMITS = {"growth": 0.3, "one_sided": 0.2, "focal": 12.0, "gained": 0.05, "risk": 1.5}


def mask_png(mask):
    buffer = BytesIO()
    Image.fromarray(mask).convert("L").save(buffer, "PNG")
    return buffer.getvalue()


def photographed(lesion, on, radius=0.2, **fields):
    """An image of a synthetic lesion with a reading whose mask fits it."""
    drawn = synthetic.draw_lesion(seed=3, radius=radius, size=(400, 300))
    y, x = np.mgrid[0:150, 0:200]
    mask = np.hypot(x - 99.5, (y - 74.5) * 1.15) < radius * 150
    image = LesionImageFactory(
        lesion=lesion,
        captured_on=on,
        width=400,
        height=300,
        file=ContentFile(synthetic.jpeg(drawn), name="image.jpg"),
    )
    reading = PredictionFactory(
        **{"image": image, "model_version": reader.DEFAULT_VERSION, "p_malignant": 0.1} | fields
    )
    PredictionMapsFactory(prediction=reading, mask=mask_png(mask))
    return image


@pytest.fixture
def limits(monkeypatch):
    """The card's repeatability, whatever the shipped card contains."""
    card = {**reader.card(), "repeatability": {"limits": LIMITS}}
    monkeypatch.setattr(reader, "card", lambda version="": card)


@pytest.fixture
def lesion(db):
    return LesionFactory()


def test_an_image_is_measured_once_in_its_own_pixels(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    found = measurement_services.measure_image(image)
    assert measurement_services.measure_image(image) == found
    # An ellipse of 0.2 of the height, slightly flattened.
    assert found.values["area_px"] == pytest.approx(np.pi * 60 * 60 / 1.15, rel=0.05)
    assert found.values["longest_diameter_px"] == pytest.approx(120, rel=0.05)
    assert found.values["centre"] == pytest.approx([200, 150], abs=2)
    assert measurement_queries.current(image) == found


def test_no_millimetres_without_a_scale(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    values = measurement_services.measure_image(image).values
    assert set(millimetres.in_millimetres(values, millimetres.scale_of(image)).values()) == {None}
    outlines.set_scale(user=_writer(image), image=image, source="field_of_view", mm_per_pixel=0.05)
    found = millimetres.in_millimetres(values, millimetres.scale_of(image))
    assert found["longest_diameter_mm"] == pytest.approx(6, rel=0.05)
    assert found["area_mm2"] == pytest.approx(values["area_px"] / 400, rel=1e-6)


def test_two_points_on_a_ruler_give_the_scale(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    assert outlines.by_ruler(image, [(0.1, 0.1), (0.1, 0.5)], 6) == pytest.approx(6 / 120)
    assert outlines.by_field_of_view(image, 20) == pytest.approx(20 / 400)
    with pytest.raises(ValidationError, match="farther apart"):
        outlines.by_ruler(image, [(0.1, 0.1), (0.11, 0.1)], 6)
    with pytest.raises(ValidationError, match="larger than 0"):
        outlines.set_scale(user=_writer(image), image=image, source="ruler", mm_per_pixel=0)


def draw(image, points):
    drawn = outlines.draw_outline(user=_writer(image), image=image, points=points)
    measurement_services.measure_image(image)
    return drawn


def test_a_drawn_outline_stands_above_the_mask_which_stays(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    by_model = measurement_services.measure_image(image)
    square = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    draw(image, square)
    drawn = measurement_queries.current(image)
    assert drawn.outline is not None
    assert drawn.values["area_px"] == pytest.approx(400 * 300 / 4, rel=0.03)
    assert masks.mask_of(image, (150, 200)).mean() == pytest.approx(0.25, abs=0.01)
    assert Measurement.objects.filter(pk=by_model.pk).exists()
    again = draw(image, square[:3])
    assert measurement_queries.current(image).outline == again


def test_a_page_waits_for_the_measures_within_a_new_outline(lesion, client):
    """A worker measures: no request decodes a picture or runs OpenCV."""
    image = photographed(lesion, date(2026, 1, 1))
    measurement_services.measure_image(image)
    client.force_login(_writer(image))
    points = {"points": " ".join(f"{x},{y}" for x, y in SMALL)}
    response = client.post(f"/images/{image.pk}/outline/", points, follow=True)
    text = response.content.decode()
    assert "The outline is saved. The picture is measured soon." in text
    assert "Measured in a moment." in text
    assert "Longest diameter" not in text, "within the outline before"
    tasks.follow_up_task(str(image.pk))
    text = client.get(f"/images/{image.pk}/").content.decode()
    assert "Longest diameter" in text
    assert "the outline drawn by" in text


def test_a_new_outline_that_nobody_measures_leaves_the_measures_before(lesion, client):
    image = photographed(lesion, date(2026, 1, 1))
    measurement_services.measure_image(image)
    outlines.draw_outline(user=_writer(image), image=image, points=SMALL)
    Outline.objects.update(created=timezone.now() - timedelta(minutes=5))
    client.force_login(_writer(image))
    text = client.get(f"/images/{image.pk}/").content.decode()
    assert "Longest diameter" in text
    assert "the outline found by the software" in text


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(0.1, 0.1), (0.9, 0.9)], "3 to 200"),
        ([(0.1, 0.1), (0.9, 0.1), (1.2, 0.9)], "leaves"),
        ([(0.1, 0.1), (0.101, 0.1), (0.1, 0.101)], "almost nothing"),
        ([(0.1, 0.1), (0.9, 0.9), (0.9, 0.2), (0.1, 0.8)], "crosses"),
    ],
)
def test_an_outline_must_enclose_something(lesion, points, message):
    image = photographed(lesion, date(2026, 1, 1))
    with pytest.raises(ValidationError, match=message):
        outlines.draw_outline(user=_writer(image), image=image, points=points)
    assert not image.outlines.exists()


def test_who_may_not_write_may_not_draw(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    square = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75)]
    with pytest.raises(PermissionDenied):
        outlines.draw_outline(user=UserFactory(), image=image, points=square)
    with pytest.raises(PermissionDenied):
        outlines.set_scale(user=UserFactory(), image=image, source="ruler", mm_per_pixel=0.1)


def test_an_image_is_compared_with_the_one_before_and_the_one_after(lesion):
    first, last, middle = (photographed(lesion, date(2026, m, 1)) for m in (1, 9, 5))
    found = comparison_services.compare_with_neighbours(middle)
    assert {(one.earlier, one.later) for one in found} == {(first, middle), (middle, last)}
    assert all(one.aligned for one in found)
    assert np.array(found[0].matrix) == pytest.approx(np.eye(3)[:2], abs=0.5)
    assert comparison_services.compare(last, middle) == comparison_services.compare(middle, last)
    assert Comparison.objects.count() == 2


def test_only_images_of_one_lesion_are_compared(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    for other in (image, photographed(LesionFactory(), date(2026, 2, 1))):
        with pytest.raises(ValidationError, match="same spot"):
            comparison_services.compare(image, other)


def test_a_stored_matrix_fits_copies_of_any_size():
    matrix = [[2.0, 0.0, 10.0], [0.0, 2.0, -4.0]]
    half = comparison_services.scaled(matrix, later=0.5, earlier=0.5)
    # The centre of a copy's pixel is that of four of the image's.
    assert half @ [0, 0, 1] == pytest.approx(((np.array(matrix) @ [0.5, 0.5, 1]) - 0.5) / 2)


def test_growth_raises_an_alert_once(lesion, limits):
    earlier = photographed(lesion, date(2026, 1, 1), 0.16)
    later = photographed(lesion, date(2026, 6, 1), 0.26)
    writer = _writer(earlier)
    for image in (earlier, later):  # the same field of view: its own structure must not decide
        outlines.set_scale(user=writer, image=image, source="field_of_view", mm_per_pixel=0.05)
        measurement_services.measure_image(image)
    comparison = comparison_services.compare(earlier, later)
    found = alerts.apply(comparison)
    assert "growth" in [alert.rule for alert in found]
    assert alerts.apply(comparison) == found
    assert {(a.earlier, a.later, a.lesion) for a in found} == {(earlier, later, lesion)}


def test_the_same_picture_again_raises_none(lesion, limits):
    images = [photographed(lesion, date(2026, month, 1)) for month in (1, 6)]
    assert alerts.apply(comparison_services.compare(*images)) == []


def test_a_rise_of_the_risk_by_one_version_raises_an_alert(lesion, limits):
    earlier = photographed(lesion, date(2026, 1, 1), p_malignant=0.04)
    later = photographed(lesion, date(2026, 6, 1), p_malignant=0.6)
    PredictionFactory(image=later, model_version="newer", p_malignant=0.01)
    (alert,) = alerts.apply(comparison_services.compare(earlier, later))
    assert alert.rule == "risk_rise"
    assert (alert.before, alert.after) == ({"p_malignant": 0.04}, {"p_malignant": 0.6})


def test_a_reading_that_does_not_count_changes_no_measure_comparison_or_alert(lesion, limits):
    """Even if newer: one by an older version, requested since."""
    dates = date(2026, 1, 1), date(2026, 6, 1)
    earlier, later = (photographed(lesion, on, p_malignant=0.1) for on in dates)
    for image, p_malignant in ((earlier, 0.01), (later, 0.9)):
        other = PredictionFactory(image=image, model_version="older", p_malignant=p_malignant)
        whole = mask_png(np.ones((150, 200), bool))
        PredictionMapsFactory(
            prediction=other,
            mask=whole if image == later else mask_png(np.hypot(*np.mgrid[-75:75, -100:100]) < 20),
        )
        assert masks.masked_prediction(image).counts
        assert measurement_services.measure_image(image).prediction.counts
        MeasurementFactory(image=image, prediction=other)  # from before this rule
        assert measurement_queries.current(image).prediction.counts
    comparison = comparison_services.compare(earlier, later)
    assert alerts.apply(comparison) == []
    readings = comparison_presenters.readings_of(
        [earlier, later], lesion.patient.owner or UserFactory()
    )
    assert all(one.counts for one in readings.values())
    assert comparison_presenters.rows(comparison, readings)[0].change == "0 points"


def test_what_counts_since_is_measured_by_the_sweep(lesion):
    image = photographed(lesion, date(2026, 1, 1), model_version="older")
    measurement_services.measure_image(image)
    assert not measurement_services.unmeasured()
    new = PredictionFactory(image=image, model_version=reader.DEFAULT_VERSION)
    PredictionMapsFactory(prediction=new)
    assert measurement_services.unmeasured() == [image]
    assert measurement_services.measure_image(image).prediction == new
    assert not measurement_services.unmeasured()


def test_short_term_monitoring_is_told_by_the_reminder(lesion, limits):
    earlier = photographed(lesion, date(2026, 1, 1), 0.2)
    later = photographed(lesion, date(2026, 4, 1), 0.15)
    comparison = comparison_services.compare(earlier, later)
    assert alerts.apply(comparison) == []
    Reminder.objects.create(
        lesion=lesion, set_by=UserFactory(), interval_months=3, due_on=date(2026, 4, 1)
    )
    assert [alert.rule for alert in alerts.apply(comparison)] == ["short_term_change"]


def test_without_measured_repeatability_no_rule_is_applied(lesion, monkeypatch):
    bare = {key: value for key, value in reader.card().items() if key != "repeatability"}
    monkeypatch.setattr(reader, "card", lambda version="": bare)
    images = [photographed(lesion, date(2026, month, 1), r) for month, r in ((1, 0.1), (2, 0.3))]
    assert alerts.apply(comparison_services.compare(*images)) == []


def test_the_task_does_it_all_and_the_sweep_repeats_it(lesion, limits, monkeypatch):
    first = photographed(lesion, date(2026, 1, 1))
    second = photographed(lesion, date(2026, 6, 1))
    photographed(lesion, date(2026, 7, 1), outcome="not_assessable", reason="blurred")
    asked = []
    monkeypatch.setattr(tasks.follow_up_task, "apply_async", lambda args, **_: asked.append(*args))
    sweeper.sweep_follow_ups()
    sweeper.sweep_follow_ups()  # the first reminder is enough for a while
    assert sorted(asked) == sorted([str(first.pk), str(second.pk)])
    tasks.follow_up_task(str(first.pk))
    tasks.follow_up_task(str(second.pk))
    asked.clear()
    cache.clear()
    sweeper.sweep_follow_ups()
    assert asked == []
    assert Comparison.objects.count() == 2
    assert not Alert.objects.exists()


def test_the_sweep_repeats_a_comparison_that_was_lost(lesion, limits, monkeypatch):
    """The worker died between measuring and comparing."""
    images = [photographed(lesion, date(2026, month, 1)) for month in (1, 6)]
    alone = photographed(LesionFactory(), date(2026, 1, 1))
    for image in (*images, alone):
        measurement_services.measure_image(image)
    asked = []
    monkeypatch.setattr(tasks.follow_up_task, "apply_async", lambda args, **_: asked.append(*args))
    sweeper.sweep_follow_ups()
    assert asked == []  # another worker may be about to compare it
    Measurement.objects.update(created=timezone.now() - timedelta(minutes=5))
    sweeper.sweep_follow_ups()
    assert asked == [str(image.pk) for image in images]
    tasks.follow_up_task(asked[0])
    asked.clear()
    cache.clear()
    sweeper.sweep_follow_ups()
    assert asked == []
    Comparison.objects.all().delete()
    Measurement.objects.update(created=timezone.now() - timedelta(days=2))
    sweeper.sweep_follow_ups()
    assert asked == []


def queued(**fields):
    return PredictionFactory(queued=True, model_version=reader.DEFAULT_VERSION, **fields)


def test_pictures_that_people_wait_for_are_read_before_a_follow_up(lesion):
    image = photographed(lesion, date(2026, 1, 1))
    awaited, of_a_batch = [queued(), queued()], queued(is_bulk=True)
    tasks.follow_up_task(str(image.pk))
    measured = Measurement.objects.get(image=image)
    for reading in awaited:
        reading.refresh_from_db()
        assert reading.finished_at < measured.created
    of_a_batch.refresh_from_db()
    assert of_a_batch.state == State.QUEUED


def test_a_picture_that_arrives_meanwhile_is_read_before_the_comparison(
    lesion, limits, monkeypatch
):
    photographed(lesion, date(2026, 1, 1))
    newer = photographed(lesion, date(2026, 6, 1))
    measure_image, arrived = measurement_services.measure_image, []

    def measure(image):
        arrived.append(queued())
        return measure_image(image)

    monkeypatch.setattr(measurement_services, "measure_image", measure)
    tasks.follow_up_task(str(newer.pk))
    [reading] = arrived
    reading.refresh_from_db()
    assert reading.finished_at < Comparison.objects.get().created


def test_readings_do_not_put_a_follow_up_off_for_long(lesion, monkeypatch):
    image, reading = photographed(lesion, date(2026, 1, 1)), queued()
    monkeypatch.setattr(follow_ups, "READINGS_FIRST", 0)
    tasks.follow_up_task(str(image.pk))
    assert measurement_queries.current(image) is not None
    reading.refresh_from_db()
    assert reading.state == State.QUEUED


def test_a_reading_that_fails_stops_no_follow_up(lesion, monkeypatch):
    image, _ = photographed(lesion, date(2026, 1, 1)), queued()
    monkeypatch.setattr(predictions_queue, "process", mock.Mock(side_effect=RuntimeError))
    tasks.follow_up_task(str(image.pk))
    assert measurement_queries.current(image) is not None


def _writer(image):
    return MembershipFactory(clinic=image.lesion.patient.clinic).user


SQUARE = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
SMALL = [(0.4, 0.4), (0.55, 0.4), (0.55, 0.55), (0.4, 0.55)]


def grown(lesion):
    """Two images with one field of view, and the resulting alert."""
    before = photographed(lesion, date(2026, 1, 1), 0.16)
    after = photographed(lesion, date(2026, 6, 1), 0.26)
    for image in (before, after):
        outlines.set_scale(
            user=_writer(image), image=image, source="field_of_view", mm_per_pixel=0.05
        )
    follow_up(before, after)
    return before, after


def follow_up(*images):
    for image in images:
        tasks.follow_up_task(str(image.pk))


def test_an_outline_drawn_anew_is_compared_and_alerts_anew(lesion, limits):
    before, after = grown(lesion)
    old = Comparison.objects.get()
    grew = Alert.objects.get(rule="growth")
    assert grew.is_open

    outlines.draw_outline(user=_writer(after), image=after, points=SMALL)
    follow_up(after)
    old.refresh_from_db()
    grew.refresh_from_db()
    assert old.replaced_at is not None
    assert comparison_services.known(before, after) == Comparison.objects.standing().get() != old
    assert (grew.replaced_at is None, grew.is_open) == (False, False)
    assert not Alert.objects.open().filter(rule="growth").exists()

    outlines.draw_outline(user=_writer(after), image=after, points=SQUARE)
    follow_up(after, before)
    assert Comparison.objects.standing().count() == 1
    assert Alert.objects.open().filter(rule="growth").count() == 1
    assert Alert.objects.filter(rule="growth").count() == 2, "what was told stays in the history"


def test_an_alert_stands_until_the_new_outline_is_looked_at(lesion, limits):
    _, after = grown(lesion)
    outlines.draw_outline(user=_writer(after), image=after, points=SMALL)
    assert Alert.objects.get(rule="growth").is_open


def test_an_outline_that_cannot_be_measured_shows_no_older_figures(lesion, client, monkeypatch):
    from ml.lesion.measure import NotMeasurable
    from screening.measurements import presenters as measurement_presenters

    image = photographed(lesion, date(2026, 6, 1))
    measurement_services.measure_image(image)
    assert measurement_presenters.measured_in(image).figures

    def fails(pixels, mask):
        raise NotMeasurable("The outline holds too few pixels to be measured.")

    monkeypatch.setattr("ml.lesion.measure.measure", fails)
    writer = _writer(image)
    client.force_login(writer)
    points = " ".join(f"{x},{y}" for x, y in SMALL)
    client.post(f"/images/{image.pk}/outline/", {"points": points})
    tasks.follow_up_task(str(image.pk))
    assert measurement_queries.current(image) is None
    shown = measurement_presenters.measured_in(image)
    assert (shown.figures, shown.failure) == (
        [],
        "The outline holds too few pixels to be measured.",
    )
    text = client.get(f"/images/{image.pk}/").content.decode()
    assert "The outline holds too few pixels to be measured." in text
    assert "Longest diameter" not in text


def test_a_comparison_older_than_an_outline_is_found_by_the_sweep(lesion, limits):
    before = photographed(lesion, date(2026, 1, 1))
    after = photographed(lesion, date(2026, 6, 1))
    follow_up(before, after)
    draw(after, SMALL)
    Measurement.objects.update(created=timezone.now() - timedelta(minutes=5))
    assert comparison_services.uncompared() == [after]
    follow_up(after)
    assert comparison_services.uncompared() == []


@pytest.mark.parametrize(("p_malignant", "change"), [(0.02, "+1 point"), (0.03, "+2 points")])
def test_a_point_is_one(lesion, p_malignant, change):
    before = photographed(lesion, date(2026, 1, 1), p_malignant=0.01)
    after = photographed(lesion, date(2026, 6, 1), p_malignant=p_malignant)
    comparison = comparison_services.compare(before, after)
    readings = comparison_presenters.readings_of([before, after], _writer(after))
    assert comparison_presenters.rows(comparison, readings)[0].change == change


def test_no_rule_is_applied_to_a_reading_with_other_details(lesion, limits):
    before = photographed(lesion, date(2026, 1, 1), p_malignant=0.01)
    after = photographed(lesion, date(2026, 6, 1), p_malignant=0.6)
    lesion.patient.sex = "male"
    lesion.patient.save()
    follow_up(before, after)
    assert not Alert.objects.exists()
