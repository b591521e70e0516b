"""A lesion is closed exactly while a standing act says that it was removed."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from pypdf import PdfReader

from accounts import services as account_services
from screening.corrections import merges, moves, services
from screening.models import Correction, Lesion, Prediction
from screening.models.prediction import TOLD
from screening.predictions import outcomes
from screening.records import closing, visits
from screening.records import services as record_services
from screening.reviews import services as review_services
from tests.clients import Program
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    PredictionFactory,
    UserFactory,
    picture,
)
from tests.records.test_services import add

DAY = date(2026, 3, 15)


@pytest.fixture
def image(personas):
    return LesionImageFactory(lesion__patient=personas.patient, captured_on=DAY)


@pytest.fixture
def own(personas):
    return LesionFactory(patient=personas.own_patient)


def is_closed(lesion):
    return Lesion.everything.get(pk=lesion.pk).is_closed


def conclude(user, image, management="done"):
    review_services.record_review(user=user, image=image, conclusion="nv", management=management)


def examine(user, lesion, excised=True, **more):
    return review_services.record_histology(
        user=user, lesion=lesion, diagnosis="nv", examined_on=DAY, excised=excised, **more
    )


def visit(user, lesion, on=DAY):
    return visits.record_visit(user=user, lesion=lesion, visited_on=on, finding="removed")


def withdraw(user, record):
    services.withdraw(user=user, record=record, reason="Another spot.")


def test_a_visit_is_withdrawn(personas, own):
    first, second = (visit(personas.self_tracker, own) for _ in range(2))
    withdraw(personas.self_tracker, first)
    assert is_closed(own)
    withdraw(personas.self_tracker, second)
    assert not is_closed(own)
    assert Correction.objects.filter(kind="reopened", lesion=own).count() == 1


def test_a_conclusion_is_superseded(personas, image):
    conclude(personas.clinician, image)
    conclude(personas.clinician, image, "done")
    assert is_closed(image.lesion)
    conclude(personas.clinician, image, "excise")
    assert not is_closed(image.lesion)


def test_a_histology_is_corrected(personas, image):
    first = examine(personas.clinician, image.lesion)
    examine(personas.clinician, image.lesion, excised=False)
    assert is_closed(image.lesion)  # on another lesion: nothing was withdrawn
    examine(personas.clinician, image.lesion, excised=None, supersedes=first)
    assert not is_closed(image.lesion)


def test_what_another_said_keeps_it_closed(personas, image):
    conclude(personas.clinician, image)
    examine(personas.clinician, image.lesion)
    conclude(personas.clinician, image, "monitor")
    assert is_closed(image.lesion)


def test_the_picture_of_the_conclusion_is_withdrawn(personas, image):
    conclude(personas.clinician, image)
    withdraw(personas.clinician, image)
    assert not is_closed(image.lesion)


def test_or_moved_elsewhere(personas, image):
    before = image.lesion
    conclude(personas.clinician, image)
    to = LesionFactory(patient=personas.patient)
    moves.move_image(user=personas.clinician, image=image, lesion=to, acknowledged=True)
    assert not is_closed(before)


def test_or_goes_back_to_the_lesion_that_was_merged(personas, image):
    merged, into = image.lesion, LesionFactory(patient=personas.patient)
    merges.merge_lesions(user=personas.clinician, lesion=merged, into=into, acknowledged=True)
    image.refresh_from_db()
    conclude(personas.clinician, image)
    assert is_closed(into)
    services.restore(user=personas.clinician, record=merged, acknowledged=True)
    assert not is_closed(into)


def reopen(user, lesion):
    closing.reopen(user=user, lesion=lesion)


def mark(user, lesion):
    lesion.refresh_from_db()
    record_services.edit_lesion(user=user, lesion=lesion, bleeding=True)


def told(lesion):
    """To the person whose record it is, or else to anyone of the clinic."""
    reader = lesion.patient.owner or UserFactory()
    found = outcomes.with_standing(Lesion.objects.filter(pk=lesion.pk), reader)
    return found.get().standing_rank


def test_what_was_said_before_it_was_opened_by_hand_closes_nothing(personas, own):
    me = personas.self_tracker
    visit(me, own, date(2026, 1, 5))
    reopen(me, own)
    PredictionFactory(image__lesion=own, image__captured_on=DAY, outcome="urgent")
    own.refresh_from_db()
    wrong = visit(me, own, date(2026, 4, 1))
    assert is_closed(own)
    withdraw(me, wrong)
    assert not is_closed(own)
    assert told(own) == outcomes.rank("urgent")


def test_a_visit_from_before_that_is_put_back_closes_nothing(personas, own):
    me = personas.self_tracker
    first = visit(me, own)
    reopen(me, own)
    mark(me, own)
    withdraw(me, first)
    services.restore(user=me, record=first)
    assert not is_closed(own)
    assert told(own) == outcomes.rank("see_doctor")


def test_a_symptom_marked_meanwhile_keeps_it_open(personas, own):
    me = personas.self_tracker
    first = visit(me, own)
    withdraw(me, first)
    mark(me, own)
    services.restore(user=me, record=first)
    assert not is_closed(own)
    assert told(own) == outcomes.rank("see_doctor")


def test_or_of_a_lesion_that_is_taken_apart(personas, own):
    me = personas.self_tracker
    visit(me, own)
    other = LesionFactory(patient=own.patient)
    merges.merge_lesions(user=me, lesion=other, into=own)
    assert not is_closed(own)
    mark(me, own)
    services.restore(user=me, record=other)
    assert not is_closed(own)
    assert told(own) == outcomes.rank("see_doctor")


def test_the_day_of_the_removal_is_corrected(personas, image):
    for on in (date(2026, 6, 20), date(2026, 3, 20)):
        review_services.record_review(
            user=personas.clinician,
            image=image,
            conclusion="nv",
            management="done",
            removed_on=on,
        )
    lesion = Lesion.objects.get(pk=image.lesion_id)
    assert lesion.closed_on == date(2026, 3, 20)
    grown = LesionImageFactory(lesion=lesion, captured_on=date(2026, 5, 1))
    PredictionFactory(image=grown, outcome="urgent")
    assert told(lesion) == outcomes.rank("urgent")


def test_a_later_day_hides_no_more(personas, own):
    visit(personas.self_tracker, own)
    visit(personas.self_tracker, own, date(2026, 6, 1))
    assert Lesion.objects.get(pk=own.pk).closed_on == DAY


def test_the_first_removal_counts_though_another_was_recorded_meanwhile(personas, own):
    seen = Lesion.objects.get(pk=own.pk)
    visit(personas.self_tracker, own)
    visit(personas.self_tracker, seen, date(2026, 6, 1))  # by a page that knew of none
    assert Lesion.objects.get(pk=own.pk).closed_on == DAY


def test_a_symptom_marked_again_is_not_taken_away_by_taking_apart(personas, own):
    me = personas.self_tracker
    other = LesionFactory(patient=own.patient, bleeding=True)
    merges.merge_lesions(user=me, lesion=other, into=own)
    own.refresh_from_db()
    record_services.edit_lesion(user=me, lesion=own, bleeding=False)
    mark(me, own)
    services.restore(user=me, record=other)
    assert told(own) == outcomes.rank("see_doctor")


def test_whoever_adds_a_picture_of_a_removed_lesion_is_told_that_it_raises_no_warning(
    personas, client, own
):
    me = personas.self_tracker
    visit(me, own)
    words = f"{own}: Removed on 15 Mar 2026. This picture, of 1 Mar 2026, raises no warning."
    old = add(me, own, captured_on=date(2026, 3, 1)).image
    assert old.removed_words.startswith(words)
    later = add(me, own, seed=1, captured_on=date(2026, 3, 16)).image
    assert not later.removed_words
    client.force_login(me)
    page = client.get(reverse("image_new", args=[own.pk])).content.decode()
    assert "Removed on 15 Mar 2026." in page and "raises no warning" in page
    answer = client.post(
        reverse("api:image-list"),
        {
            "lesion": str(own.pk),
            "file": SimpleUploadedFile("a.jpg", picture(2), "image/jpeg"),
            "captured_on": "2026-03-01",
        },
    )
    assert words in answer.json()["remark"]


def urgent(lesion):
    image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 3, 1))
    PredictionFactory(image=image, outcome="urgent")
    return image


def test_a_visit_that_is_put_back_closes_nothing_over_what_was_merged_into_it(personas, own):
    me = personas.self_tracker
    removed = visit(me, own)
    other = LesionFactory(patient=own.patient)
    urgent(other)
    merges.merge_lesions(user=me, lesion=other, into=own, acknowledged=True)
    assert not is_closed(own)
    withdraw(me, removed)
    services.restore(user=me, record=removed)
    assert not is_closed(own)
    assert told(own) == outcomes.rank("urgent")


def test_nor_over_a_picture_that_came_while_it_was_withdrawn(personas, own):
    me = personas.self_tracker
    removed = visit(me, own)
    withdraw(me, removed)
    urgent(own)
    services.restore(user=me, record=removed)
    assert not is_closed(own)
    assert told(own) == outcomes.rank("urgent")


def test_nor_does_a_merge_that_is_undone_over_a_picture_that_was_moved_there(personas, own):
    me = personas.self_tracker
    visit(me, own)
    other, third = (LesionFactory(patient=own.patient) for _ in range(2))
    image = urgent(third)
    merges.merge_lesions(user=me, lesion=other, into=own)
    moves.move_image(user=me, image=image, lesion=own, acknowledged=True)
    services.restore(user=me, record=other, acknowledged=True)
    assert told(own) == outcomes.rank("urgent")


def test_what_is_withdrawn_and_put_back_closes_as_before(personas, own):
    me = personas.self_tracker
    urgent(own)
    removed = visit(me, own)
    withdraw(me, removed)
    assert told(own) == outcomes.rank("urgent")
    services.restore(user=me, record=removed)
    assert is_closed(own)


def test_what_was_marked_on_a_removed_spot_is_told_as_past(client, personas):
    """Until it is opened again, on every page, in the report and for other systems."""
    lesion = LesionFactory(patient=personas.patient, label="Left calf", bleeding=True)
    image = LesionImageFactory(lesion=lesion, captured_on=timezone.localdate())
    PredictionFactory(image=image, outcome="monitor")
    user = personas.clinician
    program = Program(account_services.create_api_key(user=user, name="test")[1])
    client.force_login(user)

    def told():
        pages = [
            client.get(reverse(name, args=[pk])).text
            for name, pk in (
                ("lesion", lesion.pk),
                ("worklist_item", lesion.pk),
                ("image", image.pk),
                ("patient", lesion.patient_id),
            )
        ]
        report = client.get(reverse("lesion_report", args=[lesion.pk]))
        parts = PdfReader(BytesIO(b"".join(report.streaming_content))).pages
        fhir = program.get(f"/fhir/R4/BodyStructure/{lesion.pk}").json()["description"]
        return [*pages, " ".join(part.extract_text() for part in parts), fhir]

    def now(texts):
        return ["arked as bleeding" in text.replace("Was marked", "") for text in texts]

    assert sum(now(told())) >= 4
    closing.close(user=user, lesion=lesion, on=timezone.localdate())
    texts = told()
    assert not any("Marked as bleeding" in one or "is marked as" in one for one in texts)
    assert sum("Was marked as bleeding" in one for one in texts) >= 3
    assert image.predictions.get().outcome_told == "monitor"
    assert [one.told for one in Prediction.objects.annotate(told=TOLD)] == ["monitor"]
    closing.reopen(user=user, lesion=lesion)
    assert sum(now(told())) >= 4
    assert [one.told for one in Prediction.objects.annotate(told=TOLD)] == ["see_doctor"]
