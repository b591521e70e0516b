"""``manage.py demo`` and ``manage.py screen``."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from ml import reader
from screening.management.commands import demo
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
