"""The correction pages, and the history with its undo."""

from __future__ import annotations

import re
from datetime import date, time

import pytest
from django.urls import reverse

from screening.corrections import merges, moves, services
from screening.models import Correction, Lesion, LesionImage, Patient
from tests.clients import shown
from tests.factories import (
    DoctorVisitFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
)
from tests.transactions import rolled_back

MADE = ("withdrawn", "moved", "edited")


@pytest.fixture
def image(personas):
    return LesionImageFactory(
        lesion__patient=personas.patient, lesion__label="Shoulder", captured_on=date(2026, 3, 1)
    )


@pytest.fixture
def assistant(client, personas):
    client.force_login(personas.assistant)
    return client


def post(client, name, record, act, **fields):
    url = reverse(name, args=[record.pk])
    return client.post(url, {"act": act, **fields}, follow=True)


def test_an_images_day_is_corrected(assistant, image):
    response = post(
        assistant,
        "image_correct",
        image,
        "details",
        captured_on="2025-12-24",
        captured_time="",
        modality="dermatoscopic",
    )
    assert response.redirect_chain[-1][0] == reverse("image", args=[image.pk])
    assert "The picture is corrected." in response.text
    assert LesionImage.objects.get().captured_on == date(2025, 12, 24)


def test_what_is_refused_stays_typed(assistant, image):
    response = post(
        assistant, "image_correct", image, "details", captured_on="2100-01-01", modality="clinical"
    )
    assert "lies in the future" in response.text
    assert 'value="2100-01-01"' in response.text


def test_one_that_was_read_is_moved_after_a_warning(assistant, personas, image):
    PredictionFactory(image=image)
    other = LesionFactory(patient=personas.patient)
    response = assistant.get(reverse("image_correct", args=[image.pk]))
    assert "This picture has 1 reading here." in response.text
    response = post(assistant, "image_correct", image, "move", lesion=other.pk)
    assert "Confirm that this goes with it" in response.text
    post(assistant, "image_correct", image, "move", lesion=other.pk, acknowledged="on")
    assert other.images.get() == image


def test_it_goes_to_another_patients_lesion(assistant, personas, image):
    other = LesionFactory(patient__clinic=personas.clinic, label="Elbow")
    url = f"{reverse('image_correct', args=[image.pk])}?patient={other.patient_id}"
    assert "Elbow" in assistant.get(url).text
    assistant.post(url, {"act": "move", "lesion": other.pk})
    assert other.images.get() == image


def test_nobody_elses_lesions_are_offered(assistant, personas, image):
    LesionFactory(patient=personas.patient)
    theirs = LesionFactory(label="Elbow")
    for patient in (theirs.patient, personas.own_patient):
        url = f"{reverse('image_correct', args=[image.pk])}?patient={patient.pk}"
        text = assistant.get(url).text
        assert "Elbow" not in text
        assert str(patient) not in text
    response = assistant.post(url, {"act": "move", "lesion": theirs.pk})
    assert "Select a valid choice" in response.text


def test_a_withdrawn_image_is_put_back_from_its_lesion(assistant, image):
    response = post(assistant, "image_correct", image, "withdraw", reason="")
    assert "This field is required" in response.text
    response = post(assistant, "image_correct", image, "withdraw", reason="A finger.")
    assert response.redirect_chain[-1][0] == reverse("lesion", args=[image.lesion_id])
    assert "The picture of 1 Mar 2026 was withdrawn." in response.text
    assert "Reason: A finger." in response.text
    thumbnail = reverse("withdrawn_thumbnail", args=[image.pk])
    assert thumbnail in response.text
    shown = assistant.get(thumbnail)
    assert shown.getvalue()  # reading to the end closes the file
    assert shown.status_code == 200
    assert assistant.get(reverse("media", args=[image.pk, "thumbnail"])).status_code == 404
    undo = reverse("correction_undo", args=[Correction.objects.get().pk])
    assert undo in response.text
    response = assistant.post(undo, follow=True)
    assert response.redirect_chain[-1][0] == reverse("image", args=[image.pk])
    assert LesionImage.objects.get() == image


def test_who_only_looks_sees_what_was_corrected_and_no_more(client, assistant, personas, image):
    post(assistant, "image_correct", image, "withdraw", reason="A finger.")
    client.force_login(personas.viewer)
    text = client.get(reverse("lesion", args=[image.lesion_id])).text
    assert "was withdrawn" in text
    assert "withdrawn/" not in text
    assert "/undo/" not in text


def test_undoing_is_offered_to_whom_it_is_granted_and_to_nobody_else(client, personas):
    """Every kind of correction, on every page that lists them, for every persona."""
    owner = MembershipFactory(clinic=personas.clinic, role="clinician").user
    patient, other, twin = PatientFactory.create_batch(3, clinic=personas.clinic, owner=owner)
    lesion, second = LesionFactory.create_batch(2, patient=patient)
    image, moved, corrected = LesionImageFactory.create_batch(3, lesion=lesion)
    gone, merged = LesionFactory.create_batch(2, patient=patient)
    visit = DoctorVisitFactory(lesion=lesion, recorded_by=owner)
    histology = HistologyFactory(lesion=lesion)
    away = LesionFactory(patient=other)
    for record in (image, visit, gone, histology):
        services.withdraw(user=owner, record=record, reason="A finger.")
    moves.move_image(user=owner, image=moved, lesion=second)
    moves.move_lesion(user=owner, lesion=away, patient=patient)
    merges.merge_lesions(user=owner, lesion=merged, into=lesion)
    merges.merge_patients(user=owner, patient=twin, into=patient)
    services.correct_image(user=owner, image=corrected, captured_on=date(2025, 1, 1))
    pages = [
        reverse("withdrawn"),
        reverse("patient", args=[patient.pk]),
        *(reverse("lesion", args=[one.pk]) for one in patient.lesions.all()),
    ]
    everyone = {"owner": owner, "admin": personas.admin, "clinician": personas.clinician}
    everyone |= {who: getattr(personas, who) for who in ("assistant", "viewer", "colleague")}
    offered = {}
    for who, user in everyone.items():
        client.force_login(user)
        texts = [client.get(page).text for page in pages]
        links = {link for text in texts for link in re.findall(r'"(/[^"]+/undo/)"', text)}
        assert {client.get(link).status_code for link in links} <= {200}, who
        offered[who] = links
        for correction in Correction.objects.all():
            link = reverse("correction_undo", args=[correction.pk])
            with rolled_back():
                response = client.post(link, {"acknowledged": "on"})
            assert (response.status_code == 302) == (link in links), (who, correction.kind)
    of_visit = reverse("correction_undo", args=[Correction.objects.get(visit=visit).pk])
    assert offered["owner"] - offered["admin"] == {of_visit}
    of_histology = Correction.objects.get(histology=histology)
    of_clinicians = {reverse("correction_undo", args=[of_histology.pk])}
    assert offered["admin"] == offered["clinician"] == offered["assistant"] | of_clinicians
    assert of_clinicians.isdisjoint(offered["assistant"])
    assert len(offered["admin"]) == 8
    assert not offered["viewer"] | offered["colleague"]


def test_two_lesions_become_one_and_the_address_leads_on(assistant, image):
    into = LesionFactory(patient=image.lesion.patient)
    response = post(assistant, "lesion_correct", image.lesion, "merge", into=into.pk)
    where = reverse("lesion", args=[into.pk])
    assert response.redirect_chain[-1] == (where, 301)
    assert "Shoulder was merged into" in response.text
    undo = reverse("correction_undo", args=[Correction.objects.get().pk])
    assistant.post(undo)
    assert assistant.get(reverse("lesion", args=[image.lesion_id])).status_code == 200
    assert image.lesion.images.get() == image


def test_what_was_read_goes_along_after_a_warning(client, assistant, personas, image):
    """As for one picture, for all pictures of a lesion or a patient; and back again."""
    PredictionFactory(image=image)
    into, to = LesionFactory(patient=personas.patient), PatientFactory(clinic=personas.clinic)
    acts = (
        ("lesion_correct", image.lesion, "move", {"patient": to.pk}),
        ("patient_correct", to, "merge", {"into": personas.patient.pk}),
        ("lesion_correct", image.lesion, "merge", {"into": into.pk}),
    )
    for name, record, act, where in acts:
        text = assistant.get(reverse(name, args=[record.pk])).text
        assert "This picture has 1 reading here." in text
        assert "Confirm that this goes with it" in post(assistant, name, record, act, **where).text
        response = post(assistant, name, record, act, **where, acknowledged="on")
        assert "Confirm" not in response.text
    assert into.images.get() == image
    PredictionFactory(image=image)
    undo = reverse("correction_undo", args=[Correction.objects.filter(kind="merged")[0].pk])
    assert "This picture has 1 reading here." in assistant.get(undo).text
    assert "Confirm that this goes with it" in assistant.post(undo).text
    assistant.post(undo, {"acknowledged": "on"})
    assert image.lesion.images.get() == image


def test_a_lesion_goes_to_another_patient(assistant, personas, image):
    to = PatientFactory(clinic=personas.clinic)
    post(assistant, "lesion_correct", image.lesion, "move", patient=to.pk)
    assert to.lesions.get() == image.lesion


def test_a_withdrawn_lesion_is_put_back_from_its_patient(assistant, image):
    response = post(assistant, "lesion_correct", image.lesion, "withdraw", reason="A scar.")
    assert "Shoulder was withdrawn." in response.text
    assert not Lesion.objects.exists()
    assistant.post(reverse("correction_undo", args=[Correction.objects.get().pk]))
    assert Lesion.objects.get() == image.lesion


def test_two_patients_become_one(assistant, personas, image):
    into = PatientFactory(clinic=personas.clinic, label="N-2")
    response = post(assistant, "patient_correct", personas.patient, "merge", into=into.pk)
    assert response.redirect_chain[-1] == (reverse("patient", args=[into.pk]), 301)
    assert "The record of N-1 was merged into N-2." in response.text
    assert into.lesions.get() == image.lesion


def test_a_withdrawn_patient_is_put_back_from_the_list(assistant, personas):
    response = post(assistant, "patient_correct", personas.patient, "withdraw", reason="A test.")
    assert response.redirect_chain[-1][0] == reverse("withdrawn")
    undo = reverse("correction_undo", args=[Correction.objects.get().pk])
    assert undo in response.text
    assert reverse("withdrawn") in assistant.get(reverse("patients")).text
    PatientFactory(clinic=personas.clinic, label=personas.patient.label)
    response = assistant.post(undo, {"label": ""})
    assert "Another record of this clinic has this name now" in response.text
    assistant.post(undo, {"label": "N-1b"})
    assert Patient.objects.get(pk=personas.patient.pk).label == "N-1b"


def test_among_many_patients_one_searches(assistant, personas, image):
    for _ in range(101):
        PatientFactory(clinic=personas.clinic)
    last = PatientFactory(clinic=personas.clinic, label="Z-last")
    url = reverse("lesion_correct", args=[image.lesion_id])
    assert "Z-last" not in assistant.get(url).text
    assert "Z-last" in assistant.get(f"{url}?q=z-la").text
    post(assistant, "lesion_correct", image.lesion, "move", patient=last.pk)
    assert last.lesions.get() == image.lesion


@pytest.mark.parametrize("name", ["image_correct", "lesion_correct", "patient_correct"])
def test_the_way_there_is_a_plain_link(assistant, image, name):
    record = {
        "image_correct": image,
        "lesion_correct": image.lesion,
        "patient_correct": image.lesion.patient,
    }[name]
    page = assistant.get(reverse(name.removesuffix("_correct"), args=[record.pk]))
    assert page.text.count(reverse(name, args=[record.pk])) == 1


def test_a_correction_made_since_is_not_undone_over(assistant, image):
    for day in ("2025-12-24", "2025-12-25"):
        post(
            assistant,
            "image_correct",
            image,
            "details",
            captured_on=day,
            modality="dermatoscopic",
        )
    first = Correction.objects.order_by("created")[0]
    response = assistant.post(reverse("correction_undo", args=[first.pk]))
    assert "can no longer be undone" in response.text
    assert LesionImage.objects.get().captured_on == date(2025, 12, 25)


@pytest.mark.parametrize("name", ["image_correct", "lesion_correct", "patient_correct"])
def test_each_field_has_a_name_of_its_own(assistant, personas, image, name):
    """With several forms on a page, a label must not refer to another form's field."""
    LesionFactory(patient=personas.patient)
    PatientFactory(clinic=personas.clinic)
    record = {"image": image, "lesion": image.lesion, "patient": personas.patient}
    url = reverse(name, args=[record[name.removesuffix("_correct")].pk])
    ids = re.findall(r' id="([^"]+)"', assistant.get(url).text)
    assert len(ids) == len(set(ids))
    assert "withdraw_reason" in ids


def test_a_visit_is_taken_back_from_the_lesions_page(client, personas):
    image = LesionImageFactory(lesion__patient=personas.own_patient, captured_on=date(2026, 3, 1))
    PredictionFactory(image=image, outcome="urgent")
    visit = DoctorVisitFactory(lesion=image.lesion)
    client.force_login(personas.self_tracker)
    page, correct = (
        reverse("lesion", args=[image.lesion_id]),
        reverse("visit_correct", args=[visit.pk]),
    )
    told = client.get(page).text
    assert "See a doctor this week" not in told and correct in told
    assert "it is harmless" in client.get(correct).text
    response = post(client, "visit_correct", visit, "withdraw", reason="Another spot.")
    assert response.redirect_chain[-1][0] == page
    assert "See a doctor this week" in response.text
    undo = re.search(r'href="(/corrections/[^"]+/undo/)"', response.text)
    assert "See a doctor this week" not in client.post(undo[1], {}, follow=True).text


def test_a_histology_is_taken_back_from_the_lesions_page(client, personas, image):
    PredictionFactory(image=image, outcome="urgent")
    histology = HistologyFactory(lesion=image.lesion, diagnosis="mel", note="Superficial.")
    page, correct = (
        reverse("lesion", args=[image.lesion_id]),
        reverse("histology_correct", args=[histology.pk]),
    )
    client.force_login(personas.assistant)
    assert correct not in client.get(page).text
    assert client.get(correct).status_code == 403
    client.force_login(personas.clinician)
    told = client.get(page).text
    assert "See a doctor this week" not in told and correct in told
    assert correct in client.get(reverse("lesion_histology", args=[image.lesion_id])).text
    assert "Histology of 20 Mar 2026: Melanoma" in client.get(correct).text
    response = post(client, "histology_correct", histology, "withdraw", reason="Another spot.")
    assert response.redirect_chain[-1][0] == page
    above, _, history = response.text.partition('id="corrections"')
    assert "Urgent" in above and "Superficial" not in above
    assert "The histology of 20 Mar 2026 (Melanoma) was withdrawn." in history
    assert "Reason: Another spot." in history and str(personas.clinician) in history
    undo = re.search(r'href="(/corrections/[^"]+/undo/)"', response.text)
    assert "Superficial" in client.post(undo[1], {}, follow=True).text


def test_an_entry_is_corrected_from_its_page(client, personas, image):
    """The form starts from what was entered."""
    of_visit = DoctorVisitFactory(lesion__patient=personas.own_patient, note="At the clinic.")
    of_tissue = HistologyFactory(lesion=image.lesion, diagnosis="nv", note="At the clinic.")
    for entry, name, user in (
        (of_visit, "visit_correct", personas.self_tracker),
        (of_tissue, "histology_correct", personas.clinician),
    ):
        client.force_login(user)
        correct = reverse(name, args=[entry.pk])
        again = re.search(r'href="([^"]+)">enter it again', client.get(correct).text)
        text = client.get(again[1]).text
        assert f'value="{entry.pk}" selected' in text and "At the clinic." in text
        typed = {"supersedes": str(entry.pk), **shown(entry.lesion), "note": "Elsewhere."}
        typed |= {"visited_on": "2026-03-16", "finding": "watch"}
        typed |= {"examined_on": "2026-03-16", "diagnosis": "bkl"}
        response = client.post(again[1], typed, follow=True)
        assert response.status_code == 200 and response.redirect_chain
        later = type(entry).objects.get(supersedes=entry)
        text = client.get(again[1].partition("?")[0]).text
        assert "(corrected on" in text and "Elsewhere." in text
        assert reverse(name, args=[later.pk]) in text and correct not in text
        about = client.get(reverse(name, args=[later.pk])).text
        assert "What it had corrected counts again" in about


def test_a_form_saved_unchanged_changes_nothing(assistant, image):
    LesionImage.objects.filter(pk=image.pk).update(captured_time=time(12, 50, 49))
    image.refresh_from_db()
    shown = assistant.get(reverse("image_correct", args=[image.pk])).text
    assert 'value="12:50:49"' in shown
    post(
        assistant,
        "image_correct",
        image,
        "details",
        captured_on="2026-03-01",
        captured_time="12:50:49",
        modality="dermatoscopic",
    )
    again = LesionImage.objects.get()
    assert (again.captured_time, again.placed_at) == (time(12, 50, 49), image.placed_at)
    assert not Correction.objects.exists()


@pytest.mark.parametrize("act", ["withdraw", "move", "details"])
def test_an_undo_leaves_settled_what_was_settled(assistant, personas, image, act):
    PredictionFactory(image=image, outcome="urgent")
    HistologyFactory(lesion=image.lesion, recorded_by=personas.clinician)
    to = LesionFactory(patient=personas.patient)
    fields = {
        "withdraw": {"reason": "A slip."},
        "move": {"lesion": to.pk, "acknowledged": "on"},
        "details": {"captured_on": "2025-12-24", "modality": "dermatoscopic"},
    }
    post(assistant, "image_correct", image, act, **fields[act])
    undo = reverse("correction_undo", args=[Correction.objects.get(kind__in=MADE).pk])
    assistant.post(undo, {"acknowledged": "on"})
    again = LesionImage.objects.get()
    assert (again.lesion, again.placed_at) == (image.lesion, image.placed_at)
