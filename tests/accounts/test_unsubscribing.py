"""Reminders by email: ended by one click without a log-in (RFC 8058), or on the account page."""

from __future__ import annotations

import re

import pytest

from accounts import unsubscribing
from screening.reminders import emails
from tests.clients import Browser, Program
from tests.factories import ReminderFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def reminder(personas):
    return ReminderFactory(lesion__patient=personas.own_patient, set_by=personas.self_tracker)


def link_to(user) -> str:
    return re.search(r"<https?://[^/]+(/[^>]+)>", unsubscribing.headers(user)["List-Unsubscribe"])[
        1
    ]


def test_one_click_ends_the_mail(personas, reminder, mailoutbox):
    user = personas.self_tracker
    assert set(emails.addressees()) == {user.pk}
    emails.send(user.pk, [reminder.pk])
    sent = mailoutbox[0].extra_headers
    assert sent["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    path = re.search(r"<https?://[^/]+(/[^>]+)>", sent["List-Unsubscribe"])[1]
    # As a mail program sends it: no cookie, no token.
    answer = Program().post(path, "List-Unsubscribe=One-Click", content_type="text/plain")
    assert answer.status_code == 200
    user.refresh_from_db()
    assert not user.mails_reminders
    ReminderFactory(lesion__patient=personas.own_patient, set_by=user)
    assert not emails.addressees()


def test_looking_at_the_link_changes_nothing(client, personas):
    assert client.get(link_to(personas.self_tracker)).status_code == 200
    personas.self_tracker.refresh_from_db()
    assert personas.self_tracker.mails_reminders


def test_a_forged_link_ends_no_mail(client, personas):
    assert client.post(link_to(personas.self_tracker)[:-3] + "xx/").status_code == 404


def test_the_account_page_switches_it(personas):
    client = Browser()
    client.force_login(personas.self_tracker)
    for wanted in (False, True):
        client.post("/account/mail/")
        personas.self_tracker.refresh_from_db()
        assert personas.self_tracker.mails_reminders is wanted
