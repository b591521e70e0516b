"""The reports: complete, limited to what the reader may see, bounded, and logged."""

from __future__ import annotations

import re
import tracemalloc
from datetime import date, timedelta
from io import BytesIO

import pytest
from django.urls import reverse
from pypdf import PdfReader

from ml import reader
from screening.body_map import queries as body_map_queries
from screening.measurements import outlines
from screening.measurements import services as measurement_services
from screening.models import Lesion, Patient
from screening.predictions.advice import DISCLAIMER
from screening.report.lesion_report import lesion_report
from screening.report.patient_report import IN_FULL, patient_report
from screening.reviews import services as review_services
from tests.factories import (
    AlertFactory,
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    LesionPositionFactory,
    MeasurementFactory,
    PatientFactory,
    PredictionFactory,
    PredictionMapsFactory,
    ReviewFactory,
    measures,
)
from tests.privacy.entries import looks_at

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def lesion(personas):
    return LesionFactory(patient=personas.patient, label="Λ: épaule & <côté>")


def read(lesion, day=date(2026, 3, 1), **fields):
    reading = PredictionFactory(
        image__lesion=lesion,
        image__captured_on=day,
        **{"model_version": reader.DEFAULT_VERSION, "outcome": "see_doctor", **fields},
    )
    PredictionMapsFactory(prediction=reading)
    return reading


def pages(file) -> list[str]:
    """The text of each page, in one line."""
    with file:
        return [" ".join(page.extract_text().split()) for page in PdfReader(file).pages]


def told(lesion, user) -> str:
    lesions = body_map_queries.with_position(Lesion.objects.select_related("patient__clinic"))
    fresh = lesions.get(pk=lesion.pk)
    return " ".join(pages(lesion_report(fresh, user)[0]))


def fetched(client, user, name, pk):
    client.force_login(user)
    response = client.get(reverse(name, args=[pk]))
    assert response.status_code == 200
    return response, BytesIO(response.getvalue())


def test_it_is_streamed_as_pdf_and_every_picture_in_it_is_logged(client, personas, lesion):
    readings = [read(lesion, date(2025, month, 1)) for month in range(1, 7)]
    response, file = fetched(client, personas.viewer, "lesion_report", lesion.pk)
    assert response.streaming
    assert response["Content-Type"] == "application/pdf"
    assert "no-store" in response["Cache-Control"]
    name = response["Content-Disposition"]
    assert "skincheck-lesion-report.pdf" in name
    found = PdfReader(file)
    assert found.metadata.title == "Report of a lesion"
    newest_first = [reading.image for reading in reversed(readings)]
    for shown in (newest_first[n] for n in (0, 1, 2, 5)):
        (entry,) = looks_at(shown)
        assert (entry.actor, entry.what) == (personas.viewer.pk, "lesion_report")


def test_each_page_has_disclaimer_number_and_day(client, personas, lesion):
    for n in range(40):
        read(lesion, date(2025, 1, 1) + timedelta(days=n))
    _, file = fetched(client, personas.viewer, "lesion_report", lesion.pk)
    found = pages(file)
    assert len(found) > 1
    for number, page in enumerate(found, 1):
        assert f"Page {number} of {len(found)}" in page
        assert DISCLAIMER in page
        assert "Printed " in page


def test_what_stands_comes_before_a_newer_picture_that_could_not_be_assessed(personas, lesion):
    read(lesion, date(2026, 1, 1), outcome="monitor")
    read(lesion, date(2026, 3, 1), outcome="not_assessable", reason="clinical_photograph")
    found = told(lesion, personas.clinician)
    stands = found.index("Monitor: keep watching this spot")
    assert (
        stands < found.index("The newest picture: not assessable") < found.index("NOT ASSESSABLE")
    )
    assert "nothing has settled it" not in found


def test_a_persons_own_report_is_one_page_without_internals(personas):
    own = LesionFactory(patient=personas.own_patient, label="Spot on the arm")
    earlier, later = (read(own, date(2026, month, 1)).image for month in (1, 3))
    AlertFactory(lesion=own, earlier=earlier, later=later)
    fresh = body_map_queries.with_position(Lesion.objects.select_related("patient__clinic"))
    [page] = pages(lesion_report(fresh.get(pk=own.pk), personas.self_tracker)[0])
    for words in ("See a doctor", "What stands", "Rule", "Not meant for", DISCLAIMER):
        assert words.lower() in page.lower()
    assert reverse("model_version", args=[reader.DEFAULT_VERSION]) in page.replace(" ", "")


def test_a_visit_is_among_what_was_recorded(personas):
    own = LesionFactory(patient=personas.own_patient)
    read(own)
    DoctorVisitFactory(lesion=own, visited_on=date(2026, 3, 15), finding="watch")
    found = told(own, personas.self_tracker)
    assert "15 Mar 2026 Doctor’s visit Keep watching it" in found


def test_no_report_prints_the_names_of_a_cards_fields(personas, lesion):
    read(lesion)
    found = told(lesion, personas.clinician)
    assert "Known limits: " in found
    assert not re.search(r"[a-z]+(_[a-z]+)+|\b[a-z]+(\.[a-z_]+)+\b|isic2017", found)


def test_it_tells_in_the_words_of_the_house(personas, lesion):
    reading = read(lesion, date(2026, 3, 1), p_malignant=0.2)
    read(lesion, date(2025, 3, 1), outcome="monitor")
    found = told(lesion, personas.clinician)
    assert "Λ: épaule & <côté>" in found
    assert "N-1" in found
    assert "See a doctor within two weeks" in found
    assert "Show this lesion to a doctor" in found
    assert f"Model {reading.model_version}" in found
    assert "Known limits: " in found
    assert "1 Mar 2026" in found
    assert "20 %" in found
    assert "Drawn by SkinCheck" in found


def test_what_people_concluded_stands_above_what_was_read(personas, lesion):
    reading = read(lesion)
    review_services.record_review(
        user=personas.clinician,
        image=reading.image,
        conclusion="bcc",
        management="excise",
        note="Arborising vessels.\nExcise.",
    )
    HistologyFactory(lesion=lesion, diagnosis="bcc", note="Nodular.")
    found = told(lesion, personas.viewer)
    order = ["Histology, the pathologist", "Nodular.", "A clinician's conclusion", "Excise or"]
    order += ["Arborising vessels.", "The software's reading"]
    places = [found.index(word) for word in order]
    assert places == sorted(places)


def test_it_says_where_on_the_body_the_lesion_lies(personas, lesion):
    assert "Back" in told(lesion, personas.viewer)
    LesionPositionFactory(lesion=lesion, view="front", region="thigh", side="left")
    assert "Left thigh, front" in told(lesion, personas.viewer)


def test_millimetres_only_with_a_scale(personas, lesion):
    image = read(lesion).image
    measurement_services.measure_image(image)
    found = told(lesion, personas.clinician)
    assert "pixels" in found
    assert " mm" not in found.replace("No millimetres", "")
    scale = {"source": "field_of_view", "mm_per_pixel": 20 / image.width}
    outlines.set_scale(user=personas.clinician, image=image, **scale)
    assert " mm" in told(lesion, personas.clinician)


def test_a_picture_that_shows_no_skin_leaves_its_tone_open(personas, lesion):
    for day, angle in ((date(2026, 1, 1), 40.0), (date(2026, 3, 1), None)):
        prediction = read(lesion, day)
        MeasurementFactory(
            image=prediction.image, prediction=prediction, values=measures(ita_degrees=angle)
        )
    shown = told(lesion, personas.clinician)
    assert "Tone of the skin around" in shown
    assert "40°" in shown


def test_alerts_are_named_with_their_state(personas, lesion):
    later, earlier = read(lesion).image, read(lesion, date(2025, 9, 1)).image
    AlertFactory(lesion=lesion, earlier=earlier, later=later, rule="growth")
    found = told(lesion, personas.viewer)
    assert "Grew fast" in found
    assert "9 % of the earlier picture's frame, before 5 %" in found
    assert "Open" in found


def test_nothing_is_given_away_to_who_is_to_conclude_first(personas, lesion):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    reading = read(lesion, p_malignant=0.77, outcome="urgent")
    measurement_services.measure_image(reading.image)
    AlertFactory(lesion=lesion, later=reading.image)
    ReviewFactory(image=reading.image, reviewer=personas.admin, conclusion="mel", note="Clear.")
    found = told(lesion, personas.clinician)
    assert "your own conclusion first" in found
    for word in ("77 %", "doctor this week", "Melanoma", "Clear.", "Grew fast", "Asymmetry"):
        assert word not in found
    assert "Melanoma" in told(lesion, personas.viewer)
    file, _ = patient_report(Patient.objects.get(pk=personas.patient.pk), personas.clinician)
    overview = pages(file)[0]
    assert "Your own conclusion first" in overview
    assert "77 %" not in overview


def test_a_lesion_without_an_image_or_a_reading_has_a_report_too(personas, lesion):
    assert "There is no picture yet" in told(lesion, personas.clinician)
    LesionImageFactory(lesion=lesion)
    PredictionFactory(image__lesion=lesion, queued=True)
    assert "There is none to show" in told(lesion, personas.clinician)


def test_a_lost_picture_does_not_lose_the_report(personas, lesion, caplog):
    image = read(lesion).image
    image.file.storage.delete(image.file.name)
    image.thumbnail.storage.delete(image.thumbnail.name)
    assert "missing" in told(lesion, personas.clinician)
    assert "a stored file is missing or damaged" in caplog.text


def test_a_note_longer_than_a_page_is_printed_whole(personas, lesion):
    reading = read(lesion)
    note = " ".join(f"word{n}" for n in range(560))
    ReviewFactory(image=reading.image, note=note)
    HistologyFactory(lesion=lesion, note=note)
    found = told(lesion, personas.viewer)
    assert found.count("word559") == 2


def test_a_patient_s_report_has_all_lesions_and_those_that_need_eyes_in_full(personas):
    for n in range(IN_FULL + 2):
        read(LesionFactory(patient=personas.patient, label=f"Flagged {n}"))
    quiet = LesionFactory(patient=personas.patient, label="Quiet")
    read(quiet, outcome="monitor")
    settled = LesionFactory(patient=personas.patient, label="Settled")
    read(settled, outcome="urgent")
    HistologyFactory(lesion=settled, diagnosis="nv")
    file, images = patient_report(
        Patient.objects.select_related("clinic").get(pk=personas.patient.pk), personas.viewer
    )
    found = " ".join(pages(file))
    assert f"the first {IN_FULL} of {IN_FULL + 2} lesions" in found
    assert (
        found.count(f"Flagged {IN_FULL + 1}"),
        found.count("Quiet"),
        found.count("Settled"),
    ) == (2, 1, 1)
    assert found.index("Quiet") < found.index("Settled")
    assert "Histology: Melanocytic nevus" in found
    assert len(images) == IN_FULL + 4


def test_two_hundred_lesions_cost_few_queries_and_little_memory(
    personas, django_assert_max_num_queries
):
    """Pictures are embedded as small copies, one by one: 200 large ones leave nothing in memory."""
    patient = PatientFactory(clinic=personas.clinic)
    for n in range(200):
        lesion = LesionFactory(patient=patient)
        for month in (1, 2):
            image = LesionImageFactory(lesion=lesion, captured_on=date(2026, month, 1))
            PredictionFactory(image=image, outcome="see_doctor" if n < 9 else "monitor")
    fresh = Patient.objects.select_related("clinic").get(pk=patient.pk)
    first, _ = lesion_report(
        body_map_queries.with_position(fresh.lesions.all())[0], personas.viewer
    )
    first.close()  # fonts are loaded once per process, and must not be counted
    tracemalloc.start()
    with django_assert_max_num_queries(8 + 16 * IN_FULL):
        file, images = patient_report(fresh, personas.viewer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(images) == 200 + IN_FULL
    assert peak < 60_000_000
    with file:
        assert file.seek(0, 2) < 4_000_000
