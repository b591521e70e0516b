"""The worklist: order, filters, and going through it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from screening.models import Alert, Reminder, Review
from screening.records import queries as record_queries
from screening.reviews import worklist
from tests.clients import shown
from tests.factories import (
    AlertFactory,
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    PredictionFactory,
    ReminderFactory,
    ReviewFactory,
)

pytestmark = pytest.mark.django_db

CHOSEN = {"conclusion": "nv", "management": "monitor"}


def chosen(lesion, **fields):
    return CHOSEN | shown(lesion.images.latest_first().first()) | fields


def lesion_of(patient, label, outcome="monitor", **fields):
    """A lesion with one image, read as ``outcome``."""
    lesion = LesionFactory(patient=patient, label=label, **fields)
    PredictionFactory(image=LesionImageFactory(lesion=lesion), outcome=outcome)
    return lesion


def alert_on(lesion, *, is_reviewed=False):
    later = lesion.images.get()
    earlier = LesionImageFactory(lesion=lesion, captured_on=date(2025, 9, 1))
    if is_reviewed:
        ReviewFactory(image=later)
    return AlertFactory(lesion=lesion, earlier=earlier, later=later)


def overdue(lesion):
    ReminderFactory(lesion=lesion, due_on=timezone.localdate() - timedelta(days=15))


@pytest.fixture
def six(personas):
    """One for each reason, created in another order than expected."""
    patient = personas.patient
    lesion_of(patient, "unreviewed")
    late = lesion_of(patient, "overdue")
    overdue(late)
    ReviewFactory(image=late.images.get())
    lesion_of(patient, "symptom", "not_assessable", itching=True)
    lesion_of(patient, "flagged", "see_doctor")
    changed = lesion_of(patient, "alert")
    alert_on(changed, is_reviewed=True)
    found = lesion_of(patient, "malignant", "urgent")
    ReviewFactory(image=found.images.get())
    HistologyFactory(lesion=found, diagnosis="mel")
    lesion_of(patient, "urgent", "urgent")
    done = lesion_of(patient, "done", "urgent")
    ReviewFactory(image=done.images.get())


def labels(user, **narrowing):
    return [one.label for one in worklist.Worklist(user, **narrowing)]


def test_what_needs_eyes_first_comes_first(personas, six):
    order = ["urgent", "malignant", "alert", "symptom", "flagged", "overdue", "unreviewed"]
    assert labels(personas.clinician) == order
    assert labels(personas.clinician, reviewed="all") == [*order, "done"]
    assert set(labels(personas.clinician, reviewed="reviewed")) == {
        "malignant",
        "alert",
        "overdue",
        "done",
    }


def test_every_lesion_says_why_it_is_there(personas, six):
    found = {one.label: one.reasons for one in worklist.Worklist(personas.admin, reviewed="all")}
    assert found == {
        "urgent": ["urgent", "unreviewed"],
        "malignant": ["malignant"],
        "alert": ["alert"],
        "flagged": ["flagged", "unreviewed"],
        "symptom": ["flagged", "symptom", "unreviewed"],
        "overdue": ["overdue"],
        "unreviewed": ["unreviewed"],
        "done": [],
    }


def test_of_those_alike_what_has_waited_longest_comes_first(personas):
    for label, day in (("second", 2), ("first", 1), ("third", 3)):
        lesion = lesion_of(personas.patient, label, "urgent")
        lesion.images.update(created=datetime(2026, 3, day, tzinfo=UTC))
    assert labels(personas.clinician) == ["first", "second", "third"]


def test_it_is_for_those_who_conclude_on_patients_of_their_clinic(personas, six):
    lesion_of(personas.own_patient, "own", "urgent")
    assert len(labels(personas.admin)) == 7
    for user in (personas.assistant, personas.viewer, personas.colleague, personas.self_tracker):
        assert labels(user) == []


def test_a_closed_alert_and_a_snoozed_or_stopped_reminder_are_no_reasons(personas, six):
    Alert.objects.update(
        closed_at=timezone.now(), closed_by=personas.admin, close_reason="Seen, unchanged."
    )
    Reminder.objects.update(snoozed_until=timezone.localdate() + timedelta(days=1))
    assert labels(personas.clinician) == ["urgent", "malignant", "symptom", "flagged", "unreviewed"]
    Reminder.objects.update(snoozed_until=None, stopped_at=timezone.now())
    assert "overdue" not in labels(personas.clinician)


@pytest.mark.parametrize(
    ("late", "put_off_by", "is_overdue"),
    [(0, 0, 0), (14, 0, 0), (15, 0, 1), (40, 30, 0), (40, 25, 1)],
)
def test_a_picture_is_overdue_after_two_weeks(personas, late, put_off_by, is_overdue):
    """As its badge says: counted from the snoozed day."""
    lesion = lesion_of(personas.patient, "late")
    ReviewFactory(image=lesion.images.get())
    day = timezone.localdate() - timedelta(days=late)
    until = day + timedelta(days=put_off_by)
    reminder = ReminderFactory(lesion=lesion, due_on=day, snoozed_until=until)
    assert (reminder.standing == "overdue") == is_overdue
    assert (labels(personas.clinician) == ["late"]) == is_overdue
    [row] = worklist.Worklist(personas.clinician, reviewed="all")
    assert row.due_on == until


def test_it_is_narrowed_by_all_that_the_form_asks(personas):
    south = MembershipFactory(user=personas.clinician, clinic__name="South").clinic
    there = lesion_of(PatientFactory(clinic=south, label="S-9"), "there", "urgent")
    here = lesion_of(personas.patient, "here", "see_doctor", notes="blue dots")
    here.images.update(created=datetime(2026, 3, 10, 9, tzinfo=UTC))
    there.images.update(created=datetime(2026, 3, 12, 9, tzinfo=UTC))
    user = personas.clinician
    assert labels(user, clinic=south) == ["there"]
    assert labels(user, outcome="see_doctor") == ["here"]
    assert labels(user, search=" s-9 ") == ["there"]
    assert labels(user, search="blue") == ["here"]
    assert labels(user, arrived_from=date(2026, 3, 11)) == ["there"]
    assert labels(user, arrived_until=date(2026, 3, 11)) == ["here"]
    assert labels(user, arrived_from=date(2026, 3, 10), arrived_until=date(2026, 3, 10)) == ["here"]


def test_what_is_withheld_orders_nothing(personas):
    """Symptoms and waiting time do: they are not findings."""
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    for label, outcome, symptom in (
        ("calm", "monitor", False),
        ("urgent", "urgent", False),
        ("itching", "monitor", True),
    ):
        lesion_of(personas.patient, label, outcome, itching=symptom)
    alert_on(lesion_of(personas.patient, "alert"))
    assert labels(personas.clinician) == ["itching", "calm", "urgent", "alert"]
    assert labels(personas.clinician, outcome="urgent") == []
    assert labels(personas.clinician, reason="alert") == []
    everything = worklist.Worklist(personas.clinician, reviewed="all")
    calm = next(one for one in everything if one.label == "calm").images.get()
    ReviewFactory(image=calm, reviewer=personas.admin)
    assert "calm" in labels(personas.clinician)  # a colleague's review settles nothing
    ReviewFactory(image=calm, reviewer=personas.clinician)
    assert "calm" not in labels(personas.clinician)


def test_neighbours():
    assert worklist.neighbours(["a", "b", "c"], "b") == (2, "a", "c")
    assert worklist.neighbours(["a", "b", "c"], "a") == (1, None, "b")
    assert worklist.neighbours(["a", "b", "c"], "c") == (3, "b", None)
    assert worklist.neighbours(["a", "b"], "x") == (0, None, "a")
    assert worklist.neighbours(["a"], "a") == (1, None, None)
    assert worklist.neighbours([], "x") == (0, None, None)


def listed(client, user, **query):
    client.force_login(user)
    response = client.get(reverse("worklist"), query)
    assert response.status_code == 200
    return response


def test_the_page_lists_filters_and_pages(client, personas, six):
    response = listed(client, personas.clinician)
    assert len(response.context["page"].object_list) == 7
    response = listed(client, personas.clinician, reason="urgent")
    html = response.content.decode()
    assert [one.label for one in response.context["page"]] == ["urgent"]
    assert '<option value="urgent" selected>Urgent</option>' in html
    item = reverse("worklist_item", args=[response.context["page"].object_list[0].pk])
    assert f'href="{item}?reason=urgent"' in html
    for number in range(30):
        lesion_of(personas.patient, f"more {number}")
    assert len(listed(client, personas.clinician, page=2).context["page"].object_list) == 12


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"reason": "boredom"}, "Select a valid choice"),
        ({"clinic": "x"}, "is not a valid UUID"),
        ({"arrived_from": "yesterday"}, "Enter a valid date"),
    ],
)
def test_a_wrong_filter_is_said_and_left_out(client, personas, six, query, message):
    response = listed(client, personas.clinician, **query)
    assert message in response.content.decode()
    assert len(response.context["page"].object_list) == 7


def test_a_clinic_of_others_cannot_be_asked_for(client, personas, six):
    foreign = personas.colleague.memberships.get().clinic
    response = listed(client, personas.clinician, clinic=foreign.pk)
    assert "Select a valid choice" in response.content.decode()


def test_an_empty_list_says_what_comes_here(client, personas):
    assert "Nothing to review" in listed(client, personas.clinician).content.decode()
    narrowed = listed(client, personas.clinician, reason="urgent").content.decode()
    assert "No lesion matches these filters" in narrowed
    assert "For a clinic's clinicians" in listed(client, personas.viewer).content.decode()


def test_it_is_in_the_navigation_of_those_who_conclude(client, personas):
    for user, offered in ((personas.clinician, True), (personas.viewer, False)):
        client.force_login(user)
        assert (f'href="{reverse("worklist")}"' in client.get("/").content.decode()) == offered


def item_of(lesion, query=""):
    return reverse("worklist_item", args=[lesion.pk]) + query


def test_after_signing_the_next_item_opens_in_the_same_filter(client, personas):
    first, second, other = (
        lesion_of(personas.patient, label, outcome)
        for label, outcome in (("a", "urgent"), ("b", "urgent"), ("c", "see_doctor"))
    )
    client.force_login(personas.clinician)
    query = "?reason=urgent"
    answer = client.post(item_of(first, query), chosen(first))
    assert answer.url == item_of(second, query)
    page = client.get(answer.url).content.decode()
    assert "Your conclusion on a is signed." in page
    assert reverse("image", args=[first.images.get().pk]) in page
    answer = client.post(item_of(second, query), chosen(second))
    assert answer.url == reverse("worklist") + query
    assert Review.objects.count() == 2
    assert client.get(item_of(other)).status_code == 200


def test_a_refused_conclusion_stays_on_the_item(client, personas):
    lesion = lesion_of(personas.patient, "a", "urgent")
    client.force_login(personas.clinician)
    answer = client.post(item_of(lesion), chosen(lesion, conclusion="other", management="refer"))
    assert answer.status_code == 200
    assert "Say in the note what it is." in answer.content.decode()
    assert not Review.objects.exists()


@pytest.mark.parametrize("conclusion", ["nv", "uncertain"])
def test_a_conclusion_closes_the_alerts_unless_nothing_is_concluded(client, personas, conclusion):
    lesion = lesion_of(personas.patient, "a")
    alert_on(lesion)
    client.force_login(personas.clinician)
    client.post(item_of(lesion), chosen(lesion, conclusion=conclusion))
    assert Review.objects.count() == 1
    [alert] = record_queries.alerts_of(lesion, personas.clinician)
    assert alert.is_open == (conclusion == "uncertain")
    assert ("alert" in row_of(lesion, personas.clinician).reasons) == alert.is_open
    if not alert.is_open:
        assert alert.close_reason == "Melanocytic nevus (mole), monitor."
        assert alert.closed_by == personas.clinician


def row_of(lesion, user):
    return next(one for one in worklist.Worklist(user, reviewed="all") if one == lesion)


def test_an_alert_found_after_the_conclusion_waits(personas):
    lesion = lesion_of(personas.patient, "a")
    ReviewFactory(image=lesion.images.get(), reviewer=personas.clinician)
    alert_on(lesion)
    assert "alert" in row_of(lesion, personas.clinician).reasons


def test_an_item_hides_the_reading_where_the_clinic_reviews_first(client, personas):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    lesion = lesion_of(personas.patient, "a", "urgent")
    client.force_login(personas.clinician)
    before = client.get(item_of(lesion)).content.decode()
    assert "Your conclusion comes first" in before
    assert "advice-urgent" not in before
    client.post(item_of(lesion), chosen(lesion))
    assert "advice-urgent" in client.get(item_of(lesion)).content.decode()


def test_a_lesion_without_an_image_has_nothing_to_review(client, personas):
    lesion = LesionFactory(patient=personas.patient)
    overdue(lesion)
    assert (
        reverse("lesion", args=[lesion.pk]) in listed(client, personas.clinician).content.decode()
    )
    assert client.get(item_of(lesion)).url == reverse("lesion", args=[lesion.pk])
    assert worklist.Worklist(personas.clinician).queue == []


@pytest.mark.parametrize("name", ["worklist", "worklist_item"])
def test_pages_cost_the_same_for_few_and_for_many(
    client, personas, name, django_assert_num_queries, django_assert_max_num_queries
):
    first = lesion_of(personas.patient, "first", "urgent")
    alert_on(first, is_reviewed=True)
    client.force_login(personas.clinician)
    url = item_of(first) if name == "worklist_item" else reverse(name)
    budget = {"worklist": 12, "worklist_item": 19}[name]
    with django_assert_max_num_queries(budget) as few:
        client.get(url)
    for number in range(20):
        lesion = lesion_of(personas.patient, f"L{number}", "see_doctor")
        alert_on(lesion)
        overdue(lesion)
        ReviewFactory(image=lesion.images.latest_first().first())
    with django_assert_num_queries(len(few)):
        client.get(url)


@pytest.mark.parametrize("is_blind", [False, True])
def test_a_picture_dated_before_the_reviewed_one_is_to_be_reviewed(client, personas, is_blind):
    personas.clinic.review_before_reading = is_blind
    personas.clinic.save()
    lesion = lesion_of(personas.patient, "reviewed")
    latest = lesion.images.get()
    ReviewFactory(image=latest, reviewer=personas.clinician)
    assert not worklist.Worklist(personas.clinician)
    added = LesionImageFactory(lesion=lesion, captured_on=latest.captured_on - timedelta(days=90))
    PredictionFactory(image=added, outcome="urgent" if is_blind else "monitor")
    [listed] = worklist.Worklist(personas.clinician)
    assert listed.reasons == ["unreviewed"]
    assert (listed.image_to_review, listed.arrived) == (added.pk, added.created)
    client.force_login(personas.clinician)
    url = reverse("worklist_item", args=[lesion.pk])
    assert client.get(url).context["image"] == added
    assert client.post(url, CHOSEN | shown(added)).status_code == 302
    assert not worklist.Worklist(personas.clinician)


def test_a_later_conclusion_covers_the_pictures_before_it(personas):
    lesion = lesion_of(personas.patient, "reviewed")
    latest = lesion.images.get()
    LesionImageFactory(lesion=lesion, captured_on=latest.captured_on - timedelta(days=90))
    ReviewFactory(image=latest, reviewer=personas.clinician)
    assert not worklist.Worklist(personas.clinician)
