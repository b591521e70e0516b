"""Comparisons, change marks and alerts over the API."""

from __future__ import annotations

import re
from datetime import date
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from screening import bells, tasks
from screening.comparisons import services as comparison_services
from screening.corrections.services import withdraw
from screening.models import Alert, ChangeMark, Comparison
from tests.api.conftest import pointers
from tests.factories import (
    AlertFactory,
    ChangeMarkFactory,
    ComparisonFactory,
    ImageScaleFactory,
    LesionFactory,
    LesionImageFactory,
    MeasurementFactory,
    ReviewFactory,
    measures,
)

API = "/api/v1/"


def post(client, path, **body):
    return client.post(f"{API}{path}/", body, format="json")


@pytest.fixture
def pair(lesion):
    """Two visits: the same synthetic lesion, so that the pictures can be aligned."""
    return [LesionImageFactory(lesion=lesion, captured_on=date(2026, month, 1)) for month in (1, 6)]


@pytest.fixture
def rung():
    """The notifications sent to workers about requested comparisons."""
    with (
        mock.patch.object(tasks.compare_task, "apply_async") as send,
        mock.patch.object(bells.transaction, "on_commit", lambda do, robust: do()),
    ):
        yield send


def ids(response):
    return [one["id"] for one in response.json()["results"]]


def test_two_images_are_compared_once_by_a_worker_in_whichever_order(clinician, pair, rung):
    earlier, later = pair
    for _ in range(2):
        waiting = post(clinician, "comparisons", earlier=str(later.pk), later=str(earlier.pk))
        assert (waiting.status_code, waiting["Retry-After"]) == (202, "2")
        assert waiting.json() == {"earlier": str(earlier.pk), "later": str(later.pk)}
    assert not Comparison.objects.exists()
    (((ids,), queue),) = [(call.args[0], call.kwargs) for call in rung.call_args_list]
    assert queue == {"queue": "interactive"}
    tasks.compare_task(ids)
    known = post(clinician, "comparisons", earlier=str(later.pk), later=str(earlier.pk))
    assert known.status_code == 200, known.content
    body = known.json()
    assert (body["earlier"], body["later"]) == (str(earlier.pk), str(later.pk))
    assert body["aligned"] is True
    assert [len(row) for row in body["matrix"]] == [3, 3]
    assert (body["reason"], body["differences"]) == (None, [])
    tasks.compare_task(ids)
    assert Comparison.objects.count() == 1


def test_what_was_moved_or_withdrawn_meanwhile_is_not_compared(pair, personas):
    ids = [str(image.pk) for image in pair]
    pair[0].lesion = LesionFactory(patient=personas.patient)
    pair[0].save()
    tasks.compare_task(ids)
    withdraw(user=personas.clinician, record=pair[1], reason="A finger.")
    tasks.compare_task(ids)
    assert not Comparison.objects.exists()


def test_looking_at_a_comparison_writes_nothing_and_runs_no_opencv(
    client, personas, pair, rung, monkeypatch
):
    """Neither on the page nor over the API, but for the audit log; the page polls until it is
    there.
    """
    monkeypatch.setattr(comparison_services, "_aligned", None)  # any call fails
    client.force_login(personas.viewer)
    address = f"/lesions/{pair[0].lesion_id}/compare/"
    with CaptureQueriesContext(connection) as asked:
        page = client.get(address).text
        client.get(f"{API}comparisons/")
    written = [one["sql"] for one in asked if re.match("INSERT|UPDATE|DELETE", one["sql"])]
    (logged,) = [sql for sql in written if "screening" in sql]  # the empty list shows nobody's data
    assert logged.startswith('INSERT INTO "screening_auditpart"')
    assert "are being compared" in page
    assert 'hx-trigger="every 2s, wake"' in page
    rung.assert_called_once()
    ComparisonFactory(earlier=pair[0], later=pair[1])
    again = client.get(address, headers={"HX-Request": "true"})
    assert again["HX-Refresh"] == "true"
    assert "Measured then and now" in client.get(address).text


def test_a_failed_alignment_has_a_reason_and_no_matrix(clinician, lesion):
    found = ComparisonFactory(
        later__lesion=lesion, aligned=False, matrix=[], score=0.1, reason="Too little in common."
    )
    MeasurementFactory(image=found.earlier)
    MeasurementFactory(image=found.later)
    body = clinician.get(f"{API}comparisons/{found.pk}/").json()
    assert (body["aligned"], body["matrix"]) == (False, None)
    assert body["reason"] == "Too little in common."
    told = [one["measure"] for one in body["differences"]]
    assert "asymmetry_shape" in told  # needs no common frame
    assert not [name for name in told if name.startswith(("area", "longest", "perimeter"))]


def test_differences_are_in_millimetres_only_where_both_have_a_scale(clinician, lesion):
    found = ComparisonFactory(later__lesion=lesion)
    MeasurementFactory(image=found.earlier)
    MeasurementFactory(image=found.later, values=measures(area_px=7200.0))
    area = clinician.get(f"{API}comparisons/{found.pk}/").json()["differences"][0]
    assert (area["measure"], area["unit"]) == ("area_px", "px²")
    assert (area["earlier"], area["later"]) == (3600.0, 7200.0)
    ImageScaleFactory(image=found.earlier)
    assert clinician.get(f"{API}comparisons/{found.pk}/").json()["differences"][0] == area
    ImageScaleFactory(image=found.later)
    area = clinician.get(f"{API}comparisons/{found.pk}/").json()["differences"][0]
    assert (area["measure"], area["unit"]) == ("area_mm2", "mm²")
    assert area["later"] == pytest.approx(72.0)


def test_images_of_two_lesions_are_not_compared(clinician, pair, personas):
    other = LesionImageFactory(lesion=LesionFactory(patient=personas.patient))
    for later in (other, pair[0]):
        response = post(clinician, "comparisons", earlier=str(pair[0].pk), later=str(later.pk))
        assert response.status_code == 400
        assert "same spot" in " ".join(pointers(response).values())
    assert not Comparison.objects.exists()


def test_comparisons_by_what_they_are_of(clinician, lesion):
    found = ComparisonFactory(later__lesion=lesion)
    ComparisonFactory(later__lesion=LesionFactory(patient=lesion.patient))
    for query in (
        {"lesion": lesion.pk},
        {"earlier": found.earlier_id},
        {"later": found.later_id, "aligned": "true"},
    ):
        assert ids(clinician.get(f"{API}comparisons/", query)) == [str(found.pk)]
    assert ids(clinician.get(f"{API}comparisons/", {"aligned": "false"})) == []


def test_a_mark_is_recorded_and_a_later_one_stands_above(clinician, personas, lesion):
    comparison = ComparisonFactory(later__lesion=lesion)
    for verdict in ("unchanged", "changed"):
        response = post(
            clinician,
            "change-marks",
            comparison=str(comparison.pk),
            verdict=verdict,
            note=" Seen. ",
        )
        assert response.status_code == 201, response.content
    body = response.json()
    assert (body["verdict"], body["note"]) == ("changed", "Seen.")
    assert body["marked_by"] == personas.clinician.email
    listed = clinician.get(f"{API}change-marks/", {"comparison": comparison.pk})
    assert [one["verdict"] for one in listed.json()["results"]] == ["changed", "unchanged"]
    assert len(ids(clinician.get(f"{API}change-marks/", {"verdict": "changed"}))) == 1
    assert not ids(clinician.get(f"{API}change-marks/", {"lesion": LesionFactory().pk}))


def test_an_unknown_verdict_is_refused(clinician, lesion):
    comparison = ComparisonFactory(later__lesion=lesion)
    response = post(clinician, "change-marks", comparison=str(comparison.pk), verdict="better")
    assert set(pointers(response)) == {"/verdict"}
    assert not ChangeMark.objects.exists()


def test_an_alert_names_rule_images_days_and_values(clinician, lesion):
    alert = AlertFactory(later__lesion=lesion)
    body = clinician.get(f"{API}alerts/{alert.pk}/").json()
    assert body["rule"] == "growth"
    assert body["text"] == ("Grew fast: it takes up 9 % of the earlier picture's frame, before 5 %")
    assert (body["earlier"], body["later"]) == (str(alert.earlier_id), str(alert.later_id))
    assert (body["earlier_captured_on"], body["later_captured_on"]) == ("2025-09-01", "2026-03-01")
    assert (body["before"], body["after"]) == ({"area_share": 0.05}, {"area_share": 0.09})
    assert body["created"]
    assert body["closed_at"] is None


def test_an_alert_is_closed_with_a_reason_and_stays(clinician, personas, lesion):
    alert = AlertFactory(later__lesion=lesion)
    url = f"alerts/{alert.pk}/close"
    assert set(pointers(post(clinician, url))) == {"/reason"}
    assert set(pointers(post(clinician, url, reason=" "))) == {"/reason"}
    assert Alert.objects.get().is_open
    body = post(clinician, url, reason="Seen.").json()
    assert (body["close_reason"], body["closed_by"]) == ("Seen.", personas.clinician.email)
    assert "already been closed" in " ".join(
        pointers(post(clinician, url, reason="Again.")).values()
    )
    assert ids(clinician.get(f"{API}alerts/", {"is_open": "true"})) == []
    assert ids(clinician.get(f"{API}alerts/", {"is_open": "false"})) == [str(alert.pk)]


def test_a_conclusion_on_the_later_picture_closes_an_alert(clinician, personas, lesion):
    alert = AlertFactory(later__lesion=lesion)
    review = ReviewFactory(image=alert.later, reviewer=personas.clinician)
    body = clinician.get(f"{API}alerts/{alert.pk}/").json()
    assert body["closed_at"] and body["closed_by"] == personas.clinician.email
    assert body["close_reason"] == f"{review.get_conclusion_display()}, monitor."
    assert clinician.get(f"{API}alerts/").json()["results"] == [body]
    assert ids(clinician.get(f"{API}alerts/", {"is_open": "true"})) == []
    # An uncertain one replaces it, and concludes nothing.
    ReviewFactory(
        image=alert.later, reviewer=personas.clinician, conclusion="uncertain", supersedes=review
    )
    assert clinician.get(f"{API}alerts/{alert.pk}/").json()["closed_at"] is None
    assert ids(clinician.get(f"{API}alerts/", {"is_open": "true"})) == [str(alert.pk)]


def test_alerts_by_what_they_are_of(clinician, lesion):
    alert = AlertFactory(later__lesion=lesion)
    AlertFactory(later__lesion=LesionFactory(patient=lesion.patient), rule="new_colour")
    assert ids(clinician.get(f"{API}alerts/", {"lesion": lesion.pk})) == [str(alert.pk)]
    assert ids(clinician.get(f"{API}alerts/", {"rule": "growth"})) == [str(alert.pk)]
    assert len(ids(clinician.get(f"{API}alerts/", {"patient": lesion.patient_id}))) == 2


def test_others_see_none_of_it(client_of, personas, lesion):
    mark = ChangeMarkFactory(comparison__later__lesion=lesion)
    alert = AlertFactory(later__lesion=lesion)
    colleague = client_of(personas.colleague)
    for path in ("comparisons", "change-marks", "alerts"):
        assert ids(colleague.get(f"{API}{path}/")) == []
    assert post(colleague, f"alerts/{alert.pk}/close", reason="x").status_code == 404
    images = {"earlier": str(alert.earlier_id), "later": str(alert.later_id)}
    assert set(pointers(post(colleague, "comparisons", **images))) == {"/earlier", "/later"}
    response = post(
        colleague, "change-marks", comparison=str(mark.comparison_id), verdict="changed"
    )
    assert set(pointers(response)) == {"/comparison"}
    assert comparison_services.known(alert.earlier, alert.later) is None
