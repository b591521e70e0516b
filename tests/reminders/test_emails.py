"""Reminder mail: one per person, once per due day, and nothing lost if the mail server fails."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from accounts import applications
from accounts.models import Membership
from screening import tasks
from screening.models import Reminder
from screening.reminders import emails
from screening.reminders import services as reminder_services
from tests.factories import LesionFactory, ReminderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def today():
    return timezone.localdate()


@pytest.fixture
def two_due(personas, today):
    """Of the clinic's patient, set by the clinician; a third one is not due yet."""
    days = (-3, 0, 5)
    return [
        ReminderFactory(
            lesion=LesionFactory(patient=personas.patient, label=f"Spot {n}"),
            set_by=personas.clinician,
            due_on=today + timedelta(days=n),
        )
        for n in days
    ][:2]


def run(monkeypatch=None) -> list[bool]:
    """Run what beat starts, at once; returns the result of each mail's task."""
    return [emails.send(user, ids) for user, ids in emails.addressees().items()]


def test_one_mail_tells_a_person_of_all_that_is_newly_due(personas, two_due):
    assert run() == [True]
    [sent] = mail.outbox
    assert sent.to == [personas.clinician.email]
    assert sent.subject == "2 new pictures are due"
    assert "- Spot -3 (N-1), due " in sent.body
    assert "- Spot 0 (N-1), due " in sent.body
    assert "Spot 5" not in sent.body
    assert "/reminders/" in sent.body


def test_nothing_medical_is_in_it(personas, two_due):
    run()
    text = f"{mail.outbox[0].subject} {mail.outbox[0].body}".lower()
    for word in ("cancer", "melanoma", "lesion", "mole", "skin lesion", "back", "urgent", "doctor"):
        assert word not in text


def test_never_twice_of_one_day_but_again_after_it_was_put_off(personas, two_due, today):
    run()
    assert emails.addressees() == {}
    first = two_due[0]
    Reminder.objects.filter(pk=first.pk).update(snoozed_until=today - timedelta(days=1))
    assert emails.addressees() == {personas.clinician.pk: [first.pk]}
    assert run() == [True]
    # Set again, its day is before the one announced.
    reminder_services.set_reminder(user=personas.clinician, lesion=first.lesion, interval_months=1)
    Reminder.objects.filter(pk=first.pk).update(due_on=today - timedelta(days=3))
    assert emails.addressees() == {}
    assert len(mail.outbox) == 2


def test_the_same_task_twice_sends_one_mail(personas, two_due):
    [(user, ids)] = emails.addressees().items()
    assert (emails.send(user, ids), emails.send(user, ids)) == (True, False)
    assert len(mail.outbox) == 1


def test_who_is_just_being_told_is_not_told_by_another_worker(personas, two_due, monkeypatch):
    """A second worker comes while the first one is talking to the mail server."""
    [(user, ids)] = emails.addressees().items()
    beside = []
    send = EmailMessage.send

    def slowly(message, *args, **options):
        beside.append(emails.send(user, ids))
        return send(message, *args, **options)

    monkeypatch.setattr(EmailMessage, "send", slowly)
    assert emails.send(user, ids)
    assert (beside, len(mail.outbox)) == ([False], 1)


@pytest.mark.parametrize(
    "fault",
    [
        SMTPServerDisconnected("gone"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError(),
        SMTPRecipientsRefused({"clinician@north.example.org": (550, b"no")}),
    ],
)
def test_a_mail_server_that_fails_loses_nothing(personas, two_due, monkeypatch, caplog, fault):
    def fail(message, *args, **options):
        raise fault

    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
        broken.setattr(EmailMessage, "send", fail)
        assert run() == [False]
    assert personas.clinician.email not in caplog.text
    assert "was not mailed" in caplog.text
    assert not Reminder.objects.exclude(mailed_for=None).exists()
    assert run() == [True]
    assert len(mail.outbox) == 1


def test_what_an_application_set_is_told_to_an_admin(personas, two_due):
    """Nobody reads a program's mail."""
    application, _ = applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice",
        role="assistant",
        scopes=["reminders:write"],
    )
    Reminder.objects.update(set_by=application.user)
    assert run() == [True]
    assert [sent.to for sent in mail.outbox] == [[personas.admin.email]]


def test_a_bug_gives_them_back_too(personas, two_due, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(emails, "_mail", lambda user, told: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run()
    assert run() == [True]


def test_a_worker_that_died_while_mailing_is_taken_over_after_its_lease(personas, two_due):
    now = timezone.now()
    Reminder.objects.update(mailing_since=now - emails.LEASE + timedelta(minutes=1))
    assert run() == [False]
    Reminder.objects.update(mailing_since=now - emails.LEASE - timedelta(minutes=1))
    assert run() == [True]


def test_what_was_stopped_or_photographed_meanwhile_is_not_told(personas, two_due, today):
    [(user, ids)] = emails.addressees().items()
    reminder_services.stop_reminder(user=personas.clinician, reminder=two_due[0])
    Reminder.objects.filter(pk=two_due[1].pk).update(due_on=today + timedelta(days=90))
    assert emails.send(user, ids) is False
    assert mail.outbox == []


def test_the_day_that_was_told_is_kept_even_if_it_is_put_off_meanwhile(
    personas, two_due, today, monkeypatch
):
    send = EmailMessage.send

    def put_off(message, *args, **options):
        Reminder.objects.update(snoozed_until=today + timedelta(days=7))
        return send(message, *args, **options)

    monkeypatch.setattr(EmailMessage, "send", put_off)
    run()
    assert {r.mailed_for for r in Reminder.objects.all() if r.mailed_for} == {
        r.due_on for r in two_due
    }


def test_an_own_record_goes_to_its_owner(personas, today):
    reminder = ReminderFactory(
        lesion__patient=personas.own_patient, lesion__label="Arm", due_on=today
    )
    assert emails.addressees() == {personas.self_tracker.pk: [reminder.pk]}
    run()
    assert "- Arm, due " in mail.outbox[0].body
    assert "My skin" not in mail.outbox[0].body
    assert mail.outbox[0].subject == "A new picture is due"


def test_after_who_set_it_has_left_an_admin_is_told(personas, two_due):
    Membership.objects.filter(user=personas.clinician).delete()
    assert set(emails.addressees()) == {personas.admin.pk}


def test_nobody_is_told_whose_account_is_closed(personas, two_due, today):
    ReminderFactory(lesion__patient=personas.own_patient, due_on=today)
    for user in (personas.admin, personas.clinician, personas.self_tracker):
        user.is_active = False
        user.save()
    assert emails.addressees() == {}


def test_a_long_list_is_cut_and_counted(personas, today):
    for n in range(emails.NAMED + 3):
        lesion = LesionFactory(patient=personas.patient, label=f"L{n}")
        ReminderFactory(lesion=lesion, set_by=personas.clinician, due_on=today)
    run()
    assert mail.outbox[0].body.count("\n- ") == emails.NAMED + 1
    assert "- and 3 more" in mail.outbox[0].body


def test_who_to_tell_costs_two_queries_whatever_their_number(
    personas, two_due, django_assert_num_queries
):
    with django_assert_num_queries(2):
        emails.addressees()


def test_beat_starts_a_task_for_each_person(personas, two_due, today, monkeypatch):
    ReminderFactory(lesion__patient=personas.own_patient, due_on=today)
    monkeypatch.setattr(
        tasks.mail_digest_task, "delay", lambda *args: tasks.mail_digest_task(*args)
    )
    tasks.mail_reminders_task()
    assert sorted(sent.to[0] for sent in mail.outbox) == sorted(
        [personas.clinician.email, personas.self_tracker.email]
    )
