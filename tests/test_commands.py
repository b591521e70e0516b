"""``manage.py demo`` and ``manage.py screen``."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Clinic, User
from ml import reader
from screening import tasks
from screening.management.commands import demo
from screening.models import (
    Alert,
    Histology,
    Lesion,
    LesionImage,
    LesionPosition,
    Patient,
    Prediction,
    Reminder,
    Review,
)
from screening.predictions import advice
from tests.factories import picture


def run(*arguments: str, **options: object) -> str:
    output = StringIO()
    call_command(*arguments, stdout=output, **options)
    return output.getvalue()


# demo


@pytest.fixture(autouse=True)
def _embedded(settings):
    settings.EMBEDDED = True  # also where the tests run on PostgreSQL and Redis


def rows() -> list[int]:
    models = (
        User,
        Clinic,
        Patient,
        Lesion,
        LesionImage,
        Prediction,
        Review,
        Reminder,
        Histology,
        LesionPosition,
    )
    return [model.objects.count() for model in models]


def test_the_demo_has_a_clinic_and_an_own_record(db, client):
    printed = run("demo")

    clinician = User.objects.get(email=demo.CLINICIAN)
    tracker = User.objects.get(email=demo.SELF_TRACKER)
    assert [p.label for p in Patient.objects.visible_to(clinician)] == ["Demo patient 1"]
    assert [p.owner for p in Patient.objects.visible_to(tracker)] == [tracker]
    for user in (clinician, tracker):
        assert user.email in printed
        assert client.login(username=user.email, password=demo.EMBEDDED_PASSWORD)


def test_the_demo_follows_a_growing_spot_over_a_year(db):
    run("demo")

    dates = [
        image.captured_on
        for image in LesionImage.objects.filter(lesion__label="Growing spot").order_by(
            "captured_on"
        )
    ]
    assert len(dates) == len(demo.GROWING)
    today = timezone.localdate()
    assert dates[0] == today - timedelta(days=365)
    assert today - timedelta(days=30) < dates[-1] < today


def test_the_demo_patient_has_a_lesion_of_each_kind(db):
    run("demo")

    patient = Patient.objects.get(label="Demo patient 1")
    assert patient.lesions.count() == 5
    assert LesionPosition.objects.filter(lesion__patient=patient).count() == 5
    assert {lesion.body_site for lesion in patient.lesions.all()} >= {"back", "abdomen", "chest"}
    assert {r.image.lesion.label for r in Review.objects.all()} == {"Quiet spot", "Removed spot"}
    today = timezone.localdate()
    due = Reminder.objects.due(today).filter(lesion__patient=patient)
    assert [reminder.lesion.label for reminder in due] == ["Quiet spot"]
    assert Histology.objects.get().lesion.label == "Removed spot"
    assert Lesion.objects.get(label="Itching spot").symptoms == ["itching"]
    own = Reminder.objects.due(today).exclude(lesion__patient=patient)
    assert [reminder.lesion.label for reminder in own] == ["Spot on the arm"]


def test_the_demo_writes_no_alert_by_hand(db):
    run("demo")

    assert not Alert.objects.exists()


def test_once_it_is_read_the_growing_spot_alone_alerts_by_its_shape_and_colour(db, monkeypatch):
    """As the workers do. Not by the model's probability: another version may read another."""
    run("demo")
    monkeypatch.setattr(
        tasks.follow_up_task, "apply_async", lambda args, **_: tasks.follow_up_task(*args)
    )
    for prediction in Prediction.objects.order_by("image__captured_on"):
        tasks.read_prediction_task(str(prediction.pk))
    alerts = Alert.objects.select_related("lesion", "later")
    assert {alert.lesion.label for alert in alerts} == {"Growing spot"}
    newest = Lesion.objects.get(label="Growing spot").images.latest_first().first()
    rules = {alert.rule for alert in alerts if alert.later == newest}
    assert rules >= {"asymmetric_enlargement", "focal_change"}
    assert "risk_rise" not in rules


def test_every_demo_picture_is_marked_and_waits_to_be_read(db):
    run("demo")

    assert LesionImage.objects.exists()
    assert not LesionImage.objects.filter(is_synthetic=False).exists()
    assert not LesionImage.objects.filter(predictions=None).exists()


def test_the_demo_again_adds_nothing(db):
    run("demo")
    before = rows()

    assert demo.EMBEDDED_PASSWORD in run("demo")
    assert rows() == before


def test_only_an_embedded_installation_gets_the_known_password(db, settings, client):
    settings.EMBEDDED = False
    printed = run("demo")

    assert demo.EMBEDDED_PASSWORD not in printed
    assert not client.login(username=demo.CLINICIAN, password=demo.EMBEDDED_PASSWORD)
    password = next(line for line in printed.splitlines() if demo.CLINICIAN in line).split()[-1]
    assert client.login(username=demo.CLINICIAN, password=password)
    assert "(as it was set before)" in run("demo")


# screen


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    path = tmp_path / "spot.jpg"
    path.write_bytes(picture())
    return path


def test_screen_tells_the_outcome_and_what_it_means(spot):
    printed = run("screen", str(spot), age="58", sex="female", site="back")

    row = printed.splitlines()[0]
    assert row.startswith("spot.jpg")
    assert any(word in row for word in ("Urgent", "See a doctor", "Monitor", "Not assessable"))
    assert printed.splitlines()[-1] == advice.DISCLAIMER


def test_screen_stores_nothing(spot, settings):
    # Without the ``db`` fixture any query would fail.
    run("screen", str(spot))
    assert not Path(settings.MEDIA_ROOT).exists()


def test_screen_as_json_has_one_object_a_line(spot):
    lines = run("screen", str(spot), str(spot), json=True).splitlines()

    assert len(lines) == 2
    told = json.loads(lines[0])
    assert told["image"] == str(spot)
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    assert told["model_version"] == reader.DEFAULT_VERSION
    assert told["disclaimer"] == advice.DISCLAIMER


def test_the_context_counts(spot):
    young = json.loads(run("screen", str(spot), json=True, age="10", site="abdomen"))
    old = json.loads(run("screen", str(spot), json=True, age="85", site="face"))
    assert old["p_malignant"] > young["p_malignant"]


def test_one_unreadable_file_does_not_keep_the_others_from_being_read(spot, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(picture()[:2000])
    missing = tmp_path / "missing.jpg"
    output, errors = StringIO(), StringIO()

    with pytest.raises(CommandError, match="2 of 3 could not be read") as failure:
        call_command("screen", broken, missing, spot, stdout=output, stderr=errors)

    assert failure.value.returncode == 1
    assert output.getvalue().startswith("spot.jpg")
    assert "broken.jpg: The picture is damaged" in errors.getvalue()
    assert "missing.jpg: No such file" in errors.getvalue()


@pytest.mark.parametrize("wrong", [{"age": "old"}, {"sex": "x"}, {"site": "elbow"}])
def test_a_context_that_the_model_does_not_know_is_refused(spot, wrong):
    with pytest.raises(CommandError):
        run("screen", str(spot), **wrong)


def test_without_a_model_it_says_so(spot, monkeypatch):
    monkeypatch.setattr(reader, "DEFAULT_VERSION", "none")

    def unavailable():
        raise reader.ModelUnavailable("there is no model version none")

    monkeypatch.setattr(reader, "load", unavailable)
    with pytest.raises(CommandError, match="there is no model version none"):
        run("screen", str(spot))
