"""The record that ``manage.py demo`` creates."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.models import Clinic, User
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
from tests.test_commands import _embedded, run  # noqa: F401  a fixture


@pytest.fixture(scope="module")
def _demo(shared_rows) -> tuple[str, Path]:
    with shared_rows() as media, override_settings(EMBEDDED=True):
        return run("demo"), media


@pytest.fixture
def demo_printed(db, _demo, settings) -> str:
    """Created once for all tests here."""
    printed, media = _demo
    shutil.copytree(media, settings.MEDIA_ROOT)
    return printed


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


def test_the_demo_has_a_clinic_and_an_own_record(client, demo_printed):
    clinician = User.objects.get(email=demo.CLINICIAN)
    tracker = User.objects.get(email=demo.SELF_TRACKER)
    assert [p.label for p in Patient.objects.visible_to(clinician)] == ["Demo patient 1"]
    assert [p.owner for p in Patient.objects.visible_to(tracker)] == [tracker]
    for user in (clinician, tracker):
        assert user.email in demo_printed
        assert client.login(username=user.email, password=demo.EMBEDDED_PASSWORD)


def test_the_demo_follows_a_growing_spot_over_a_year(demo_printed):
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


def test_the_demo_patient_has_a_lesion_of_each_kind(demo_printed):
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


def test_the_demo_writes_no_alert_by_hand(demo_printed):
    assert not Alert.objects.exists()


def test_once_it_is_read_the_growing_spot_alone_alerts_by_its_shape_and_colour(
    demo_printed, monkeypatch
):
    """As the workers do. Not by the model's probability: another version may read another."""
    monkeypatch.setattr(
        tasks.follow_up_task, "apply_async", lambda args, **_: tasks.follow_up_task(*args)
    )
    for prediction in Prediction.objects.order_by("image__captured_on"):
        tasks.read_prediction_task(str(prediction.pk))
    alerts = Alert.objects.select_related("lesion", "later")
    assert {alert.lesion.label for alert in alerts} == {"Growing spot"}
    newest = Lesion.objects.get(label="Growing spot").images.latest_first().first()
    rules = {alert.rule for alert in alerts if alert.later == newest}
    assert "focal_change" in rules
    assert "risk_rise" not in rules


def test_every_demo_picture_is_marked_and_waits_to_be_read(demo_printed):
    assert LesionImage.objects.exists()
    assert not LesionImage.objects.filter(is_synthetic=False).exists()
    assert not LesionImage.objects.filter(predictions=None).exists()


def test_the_demo_again_adds_nothing(demo_printed):
    before = rows()

    assert demo.EMBEDDED_PASSWORD in run("demo")
    assert rows() == before
