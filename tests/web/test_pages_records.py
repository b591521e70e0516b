"""Patients and lesions: what people see, enter, and may not do."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.urls import reverse

from accounts.roles import Role
from ml import reader
from screening.models import Lesion, Patient
from screening.records import closing
from tests.factories import (
    AlertFactory,
    ClinicFactory,
    ComparisonFactory,
    DoctorVisitFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReviewFactory,
)
from tests.long_records import lengthen

pytestmark = pytest.mark.django_db

NEW = reverse("patient_new")


def page(client, user, name, *args, **query):
    client.force_login(user)
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200
    return response


def read(lesion, outcome="monitor", captured_on=date(2026, 3, 1), **fields):
    return PredictionFactory(
        image__lesion=lesion,
        image__captured_on=captured_on,
        outcome=outcome,
        model_version=reader.DEFAULT_VERSION,
        **fields,
    )


def in_order(response, *words):
    text = response.content.decode()
    places = [text.index(word) for word in words]
    return places == sorted(places)


def test_first_way_of_a_self_tracker_is_short(client, personas):
    home = page(client, personas.stranger, "home")
    assert NEW in home.content.decode()
    assert "My skin" in home.content.decode()
    record = client.post(NEW, {"label": "My skin", "birth_year": "1980", "sex": "female"})
    patient = Patient.objects.get(owner=personas.stranger)
    assert record.url == reverse("lesion_new", args=[patient.pk])
    lesion = client.post(record.url, {"body_site": "back"})
    assert lesion.url == reverse("image_new", args=[Lesion.objects.get(patient=patient).pk])
    assert client.get(lesion.url).status_code == 200


def test_a_clinic_is_offered_only_where_one_may_write(client, personas):
    MembershipFactory(user=personas.viewer, clinic=ClinicFactory(name="West"), role=Role.ASSISTANT)
    choices = page(client, personas.viewer, "patient_new").context["form"].fields["clinic"].queryset
    assert [str(clinic) for clinic in choices] == ["West"]
    refused = client.post(NEW, {"label": "X", "clinic": str(personas.clinic.pk), "confirms": "on"})
    assert "clinic" in refused.context["form"].errors
    assert not Patient.objects.filter(label="X").exists()


def test_a_clinics_patient_and_an_own_record(client, personas):
    client.force_login(personas.assistant)
    response = client.post(
        NEW, {"label": "N-2", "clinic": str(personas.clinic.pk), "confirms": "on"}
    )
    patient = Patient.objects.get(label="N-2")
    assert (patient.clinic, patient.owner) == (personas.clinic, None)
    assert response.url == reverse("patient", args=[patient.pk])
    client.post(NEW, {"label": "Mine", "clinic": ""})
    assert Patient.objects.get(label="Mine").owner == personas.assistant


def test_a_refused_form_keeps_what_was_typed_and_says_why(client, personas):
    client.force_login(personas.clinician)
    typed = {
        "label": "N-1",
        "birth_year": "1968",
        "clinic": str(personas.clinic.pk),
        "confirms": "on",
    }
    text = client.post(NEW, typed).content.decode()
    assert "Another record of this clinic has this name." in text
    assert 'value="1968"' in text
    text = client.post(NEW, typed | {"label": "N-9", "birth_year": "68"}).content.decode()
    assert (
        text.count("Give the birth year with four digits") == 2
    )  # beside the field, and in the summary
    text = client.post(NEW, typed | {"label": "N-9", "birth_year": "2050"}).content.decode()
    assert "The birth year 2050 lies in the future." in text
    text = client.post(NEW, typed | {"label": ""}).content.decode()
    assert 'href="#id_label"' in text
    assert 'aria-invalid="true"' in text


def test_edits_are_saved(client, personas):
    client.force_login(personas.self_tracker)
    patient = personas.own_patient
    client.post(reverse("patient_edit", args=[patient.pk]), {"label": "Me", "skin_type": "III"})
    patient.refresh_from_db()
    assert (patient.label, patient.skin_type, patient.birth_year) == ("Me", "III", None)
    lesion = LesionFactory(patient=patient)
    edit = reverse("lesion_edit", args=[lesion.pk])
    assert "label" in client.post(edit, {"label": ""}).context["form"].errors
    answer = client.post(edit, {"label": "Knee", "body_site": "lower extremity", "itching": "on"})
    assert answer.url == reverse("lesion", args=[lesion.pk])
    lesion.refresh_from_db()
    assert (lesion.label, lesion.symptoms) == ("Knee", ["itching"])


def test_a_viewer_looks_and_cannot_write(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    text = page(client, personas.viewer, "patient", personas.patient.pk).content.decode()
    assert reverse("lesion_new", args=[personas.patient.pk]) not in text
    assert "Add picture" not in text
    for name, pk in (("patient_edit", personas.patient.pk), ("image_new", lesion.pk)):
        refused = client.get(reverse(name, args=[pk]))
        assert refused.status_code == 403
        assert "You may look at this record" in refused.content.decode()


def test_strangers_find_nothing(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    for user in (personas.stranger, personas.colleague, personas.self_tracker):
        client.force_login(user)
        for name, pk in (("patient", personas.patient.pk), ("lesion", lesion.pk)):
            assert client.get(reverse(name, args=[pk])).status_code == 404
        assert "N-1" not in client.get(reverse("patients")).content.decode()


def test_patients_are_searched_and_paged(client, personas):
    for number in range(30):
        PatientFactory(clinic=personas.clinic, label=f"Q-{number:02}")
    first = page(client, personas.clinician, "patients")
    assert len(first.context["page"].object_list) == 25
    second = page(client, personas.clinician, "patients", page=2)
    assert len(second.context["page"].object_list) == 6
    found = page(client, personas.clinician, "patients", q=" q-07 ")
    assert [patient.label for patient in found.context["page"]] == ["Q-07"]
    assert (
        "Nothing here is called"
        in page(client, personas.clinician, "patients", q="zzz").content.decode()
    )


def test_a_patients_lesions_most_severe_first(client, personas):
    for label, outcome in (("Arm", "monitor"), ("Knee", "urgent"), ("Ear", "see_doctor")):
        read(LesionFactory(patient=personas.patient, label=label), outcome)
    response = page(client, personas.clinician, "patient", personas.patient.pk)
    assert [one.label for one in response.context["page"].object_list] == ["Knee", "Ear", "Arm"]
    found = page(client, personas.clinician, "patient", personas.patient.pk, q="kne")
    assert [one.label for one in found.context["page"].object_list] == ["Knee"]


def test_empty_pages_say_what_to_do_next(client, personas):
    text = page(client, personas.self_tracker, "patient", personas.own_patient.pk).content.decode()
    assert "No spot yet" in text
    assert reverse("lesion_new", args=[personas.own_patient.pk]) in text
    lesion = LesionFactory(patient=personas.own_patient)
    text = page(client, personas.self_tracker, "lesion", lesion.pk).content.decode()
    assert "No picture yet" in text
    assert reverse("image_new", args=[lesion.pk]) in text


def test_a_lesions_images_by_day_of_capture_with_chart_and_table(client, personas):
    lesion = LesionFactory(patient=personas.patient, itching=True, notes="Since spring")
    read(lesion, "urgent", date(2026, 5, 1), p_malignant=0.6)
    read(lesion, "monitor", date(2025, 5, 1), p_malignant=0.02)
    response = page(client, personas.clinician, "lesion", lesion.pk)
    assert in_order(response, "<span>1 May 2026</span></a>", "<span>1 May 2025</span></a>")
    text = response.content.decode()
    assert "Show as table" in text
    assert ">60 %</td>" in text
    assert "Marked as itching" in text
    assert "Since spring" in text
    # "Monitor" is never shown for a lesion with a symptom.
    assert "outcome-monitor" not in text


def test_no_chart_of_a_single_day(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    for _ in range(2):
        read(lesion, "monitor", date(2026, 5, 1))
    response = page(client, personas.clinician, "lesion", lesion.pk)
    assert response.context["chart"] is None
    assert "data-chart" not in response.content.decode()
    read(lesion, "monitor", date(2026, 6, 1))
    assert "data-chart" in page(client, personas.clinician, "lesion", lesion.pk).content.decode()


def test_what_stands_is_not_folded_away(client, personas):
    """Only charts, measures, the place and what is to be filled in may be."""
    lesion = LesionFactory(patient=personas.patient)
    earlier = read(lesion, "urgent", date(2025, 5, 1)).image
    later = read(lesion, "monitor", date(2026, 5, 1)).image
    AlertFactory(earlier=earlier, later=later, lesion=lesion)
    text = page(client, personas.viewer, "lesion", lesion.pk).content.decode()
    unfolded = re.sub(r"<details.*?</details>", "", text, flags=re.DOTALL)
    for words in (
        "See a doctor this week",
        "It does not change the earlier warning",
        "Changed since 1 May 2025",
        "<strong>Open.</strong>",
    ):
        assert words in unfolded


def test_no_chart_without_a_finished_reading(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    PredictionFactory(queued=True, image__lesion=lesion)
    response = page(client, personas.clinician, "lesion", lesion.pk)
    assert response.context["chart"] is None
    assert "data-poll" in response.content.decode()


def test_a_lesion_page_asks_no_more_once_all_is_read(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    read(lesion)
    assert "data-poll" not in page(client, personas.clinician, "lesion", lesion.pk).content.decode()


def test_home_shows_what_needs_attention_first(client, personas):
    urgent = LesionFactory(patient=personas.patient, label="Flagged")
    calm = LesionFactory(patient=personas.patient, label="Calm")
    failed = LesionFactory(patient=personas.patient, label="Unread")
    read(urgent, "urgent")
    read(calm, "monitor")
    PredictionFactory(failed=True, image__lesion=failed)
    response = page(client, personas.clinician, "home")
    assert in_order(response, "Flagged", "Unread", "Calm")
    assert response.content.decode().count("Flagged") == 1
    ReviewFactory(image=urgent.images.get(), reviewer=personas.clinician)
    calmer = page(client, personas.clinician, "home")
    assert calmer.context["attention"] == []
    assert "not an all-clear" in calmer.content.decode()


def test_home_says_nothing_about_spots_that_do_not_exist(client, personas):
    assert "is flagged now" not in page(client, personas.self_tracker, "home").content.decode()
    lesion = LesionFactory(patient=personas.own_patient)
    read(lesion, "monitor")
    assert "No spot is flagged now" in page(client, personas.self_tracker, "home").content.decode()


def test_the_disclaimer_stands_on_every_page(client, personas):
    for name, args in (("home", []), ("patients", []), ("patient", [personas.patient.pk])):
        text = page(client, personas.clinician, name, *args).content.decode()
        assert "Research software, not a medical device." in text


def test_add_image_leads_from_anywhere_to_the_lesion(client, personas):
    lesion = LesionFactory(patient=personas.own_patient)
    home = page(client, personas.self_tracker, "home").content.decode()
    chooser = reverse("patient", args=[personas.own_patient.pk])
    assert f"{chooser}?add=image" in home
    text = page(
        client, personas.self_tracker, "patient", personas.own_patient.pk, add="image"
    ).content.decode()
    assert reverse("image_new", args=[lesion.pk]) in text


@pytest.mark.parametrize("who", ["clinician", "self_tracker"])
def test_a_patient_with_200_lesions_of_20_images_opens_in_eleven_queries(
    client, personas, who, django_assert_max_num_queries
):
    """Session, user, patient with rights, count, lesions, their latest images, predictions and
    reviews, memberships; own records for those in no clinic; the audit log."""
    user = getattr(personas, who)
    patient = personas.own_patient if who == "self_tracker" else personas.patient
    lengthen(patient, user, 200, 20)
    client.force_login(user)
    with django_assert_max_num_queries(11):
        response = client.get(reverse("patient", args=[patient.pk]))
    assert len(response.context["page"].object_list) == 25


@pytest.mark.parametrize("name", ["home", "patients", "patient", "lesion"])
def test_pages_cost_the_same_for_few_and_forlengthen(
    client, personas, name, django_assert_num_queries, django_assert_max_num_queries
):
    # Five, because from then on a patient's lesions are compared with one another.
    first = lengthen(personas.patient, personas.clinician, 5, 2)[0]
    ReviewFactory(image=first.images.latest_first().first(), reviewer=personas.clinician)
    args = {"patient": [personas.patient.pk], "lesion": [first.pk]}.get(name, [])
    client.force_login(personas.clinician)
    with django_assert_max_num_queries(17) as few:
        client.get(reverse(name, args=args))
    lengthen(personas.patient, personas.clinician, 20, 2)
    for number in range(10):
        PatientFactory(clinic=personas.clinic, label=f"Z{number}")
        image = LesionImageFactory(lesion=first, captured_on=date(2026, 2, 1 + number))
        PredictionFactory(image=image, outcome="urgent")
        PredictionFactory(queued=True, image=LesionImageFactory(lesion__patient=personas.patient))
        ReviewFactory(image=image, reviewer=personas.clinician)
    with django_assert_num_queries(len(few)):
        client.get(reverse(name, args=args))


def test_a_patients_timeline_shows_all_lesions_with_images(client, personas):
    first, second = (LesionFactory(patient=personas.patient, label=name) for name in ("A", "B"))
    LesionFactory(patient=personas.patient, label="no image")
    PredictionFactory(image__lesion=first, outcome="monitor")
    PredictionFactory(image__lesion=second, outcome="urgent")
    AlertFactory(later__lesion=second)
    ComparisonFactory(later__lesion=first).marks.create(
        marked_by=personas.clinician, verdict="unchanged"
    )
    DoctorVisitFactory(lesion=first, recorded_by=personas.clinician)
    response = page(client, personas.viewer, "patient_timeline", personas.patient.pk)
    chart = response.context["chart"]
    assert chart.figure["layout"]["yaxis"]["ticktext"] == ["B", "A"]  # what needs attention on top
    assert {row[2] for row in chart.rows} == {"Picture", "Alert", "Looked at", "Doctor’s visit"}
    assert reverse("lesion", args=[first.pk]) in response.content.decode()


def test_a_timeline_without_images_says_so(client, personas):
    response = page(client, personas.viewer, "patient_timeline", personas.patient.pk)
    assert response.context["chart"] is None
    assert "No picture yet" in response.content.decode()


@pytest.mark.parametrize(("lesions", "images"), [(1, 1), (200, 20)])
def test_a_patients_timeline_costs_the_same_however_long(
    client, personas, lesions, images, django_assert_max_num_queries
):
    """Session, user, patient, count, lesions, images, predictions, reviews, alerts, marks,
    histologies, visits, memberships, the audit log."""
    lengthen(personas.patient, personas.clinician, lesions, images)
    client.force_login(personas.clinician)
    with django_assert_max_num_queries(14):
        client.get(reverse("patient_timeline", args=[personas.patient.pk]))


def test_what_changed_on_a_removed_lesion_waits_for_nobody(client, personas):
    alert = AlertFactory(later__lesion__patient=personas.patient)
    followed = page(client, personas.clinician, "lesion", alert.lesion_id).content.decode()
    assert "<strong>Open.</strong>" in followed
    closing.close(user=personas.clinician, lesion=alert.lesion, on=alert.later.captured_on)
    removed = page(client, personas.clinician, "lesion", alert.lesion_id).content.decode()
    assert "Removed since." in removed and "<strong>Open.</strong>" not in removed
