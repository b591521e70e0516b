"""An invitation from the mail to the membership, and every case in which it must not work."""

from __future__ import annotations

import re
from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected

import pytest
from allauth.account.models import EmailAddress
from django.core import mail, signing
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.utils import timezone

from accounts import invitations, services
from accounts.models import INVITATION_DAYS, Invitation
from accounts.roles import Role
from screening import tasks
from tests.clients import Browser
from tests.factories import PASSWORD, MembershipFactory, UserFactory


@pytest.fixture
def invite(personas, django_capture_on_commit_callbacks):
    """Send an invitation through the clinic's page; returns the path of the mailed link."""

    def send(email: str = "new@example.org", role: str = "assistant") -> str:
        client = Browser()
        client.force_login(personas.admin)
        mail.outbox.clear()
        with django_capture_on_commit_callbacks(execute=True):
            client.post(
                f"/clinics/{personas.clinic.pk}/invitations/", {"email": email, "role": role}
            )
        (message,) = mail.outbox
        assert message.to == [email.lower()]
        return re.search(r"/invitations/\S+", message.body)[0]

    return send


def test_the_invited_person_sees_who_invites_and_joins(client, personas, invite):
    path = invite("Tracker@Example.org")
    client.force_login(personas.self_tracker)
    page = client.get(path)
    assert page.status_code == 200
    text = page.content.decode()
    assert "North clinic" in text and "assistant" in text and str(personas.admin) in text
    assert not personas.self_tracker.memberships.exists(), "looking must not accept"

    answer = client.post(path, follow=True)
    assert answer.request["PATH_INFO"] == f"/clinics/{personas.clinic.pk}/"
    assert personas.self_tracker.memberships.get().role == Role.ASSISTANT
    assert Invitation.objects.get().accepted_at

    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_a_visitor_signs_up_and_comes_back(client, personas, invite):
    path = invite()
    answer = client.get(path)
    assert answer.status_code == 302
    login = client.get(answer["Location"]).content.decode()
    signup = re.search(r'href="(/accounts/signup/\?next=[^"]+)"', login)[1].replace("&amp;", "&")
    form = client.get(signup).content.decode()
    next_ = re.search(r'name="next" value="([^"]+)"', form)[1]
    answer = client.post(
        "/accounts/signup/",
        {
            "email": "new@example.org",
            "password1": PASSWORD,
            "password2": PASSWORD,
            "next": next_,
            "of_age": "on",
            "agrees": "on",
        },
        follow=True,
    )
    assert answer.request["PATH_INFO"] == path
    assert "Join North clinic" in answer.content.decode()


def test_someone_elses_link_does_not_open(client, personas, invite):
    path = invite()
    client.force_login(personas.stranger)
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 403
        assert "for someone else" in answer.content.decode()
    assert not personas.stranger.memberships.exists()
    assert Invitation.objects.open().count() == 1


def _forged(path: str) -> str:
    return path[:-5] + ("aaaa/" if path[-5:] != "aaaa/" else "bbbb/")


def _signed_for_something_else(path: str) -> str:
    return f"/invitations/{signing.dumps(str(Invitation.objects.get().pk), salt='other')}/"


def _withdrawn(path: str) -> str:
    invitation = Invitation.objects.get()
    invitations.withdraw(user=invitation.invited_by, invitation=invitation)
    return path


@pytest.mark.parametrize("spoil", [_forged, _signed_for_something_else, _withdrawn])
def test_a_spoilt_link_says_so(client, personas, invite, spoil):
    path = spoil(invite("tracker@example.org"))
    client.force_login(personas.self_tracker)
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 404
        assert "no longer works" in answer.content.decode()
    assert not personas.self_tracker.memberships.exists()


def test_a_link_expires(client, personas, monkeypatch):
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email="tracker@example.org", role="viewer"
    )
    then = timezone.now() - timedelta(days=INVITATION_DAYS, minutes=1)
    with monkeypatch.context() as earlier:
        earlier.setattr("django.core.signing.time.time", then.timestamp)
        token = invitations.token_of(invitation)
    Invitation.objects.update(created=then)
    client.force_login(personas.self_tracker)
    assert client.post(f"/invitations/{token}/").status_code == 404
    assert not personas.self_tracker.memberships.exists()
    client.force_login(personas.admin)
    assert "expired on" in client.get(f"/clinics/{personas.clinic.pk}/").content.decode()


def test_inviting_again_replaces_the_first_link(client, personas, invite):
    first, second = invite("tracker@example.org"), invite("tracker@example.org", "viewer")
    client.force_login(personas.self_tracker)
    assert client.get(first).status_code == 404
    client.post(second)
    assert personas.self_tracker.memberships.get().role == Role.VIEWER


def test_a_member_is_not_invited_again(client, personas):
    client.force_login(personas.admin)
    answer = client.post(
        f"/clinics/{personas.clinic.pk}/invitations/",
        {"email": personas.viewer.email.upper(), "role": "admin"},
    )
    assert answer.status_code == 200
    assert "is already a member of North clinic" in answer.content.decode()
    assert not Invitation.objects.exists()
    assert not mail.outbox


def test_an_admin_withdraws(client, personas, invite):
    invite()
    client.force_login(personas.admin)
    pk = Invitation.objects.get().pk
    answer = client.post(f"/clinics/{personas.clinic.pk}/invitations/{pk}/withdraw/", follow=True)
    assert "is withdrawn" in answer.content.decode()
    assert not Invitation.objects.open().exists()


def test_another_clinics_admin_cannot_withdraw(client, personas, invite):
    invite()
    other = UserFactory()
    clinic = services.found_clinic(user=other, name="Other")
    client.force_login(other)
    pk = Invitation.objects.get().pk
    assert client.post(f"/clinics/{clinic.pk}/invitations/{pk}/withdraw/").status_code == 404
    assert Invitation.objects.open().count() == 1


def test_a_mail_server_that_is_away_is_asked_again(
    client, personas, monkeypatch, django_capture_on_commit_callbacks
):
    """The page says so and does not fail; a permanent rejection does not stop the others."""

    def away(self: EmailMessage) -> None:
        raise SMTPServerDisconnected

    def refuse_the_first(self: EmailMessage) -> int:
        if self.to == ["first@example.org"]:
            raise SMTPRecipientsRefused({})
        return send(self)

    send = EmailMessage.send
    client.force_login(personas.admin)
    path = f"/clinics/{personas.clinic.pk}/"
    monkeypatch.setattr(EmailMessage, "send", away)
    for name in ("first", "second"):
        with django_capture_on_commit_callbacks(execute=True):
            answer = client.post(
                f"{path}invitations/", {"email": f"{name}@example.org", "role": "viewer"}
            )
        assert answer.status_code == 302
    page = client.get(path).content.decode()
    assert page.count("not sent yet") == 2
    assert not mail.outbox

    monkeypatch.setattr(EmailMessage, "send", refuse_the_first)
    tasks.mail_invitations_task()
    assert not mail.outbox  # its sender may still be sending it
    Invitation.objects.update(created=timezone.now() - timedelta(minutes=11))
    tasks.mail_invitations_task()
    assert [message.to for message in mail.outbox] == [["second@example.org"]]
    tasks.mail_invitations_task()
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)  # the mail is sent once it is committed
def test_the_page_does_not_blame_a_mail_server_that_took_the_mail(client, personas):
    client.force_login(personas.admin)
    path = f"/clinics/{personas.clinic.pk}/"
    page = client.get(path).content.decode()
    form = page.split(f'action="{path}invitations/"')[1]
    token = re.search(r'name="form_token" value="([^"]+)"', form)[1]
    sent = {"email": "new@example.org", "role": "viewer", "form_token": token}
    text = client.post(f"{path}invitations/", sent, follow=True).content.decode()
    assert len(mail.outbox) == 1
    assert "new@example.org is invited." in text
    assert "cannot be reached" not in text


def test_what_must_not_be_mailed_again(personas):
    """Withdrawn, used, expired, or from someone who is no longer an admin."""
    for name in ("withdrawn", "used", "old", "ended"):
        invitations.invite(
            user=personas.admin, clinic=personas.clinic, email=f"{name}@x.org", role="viewer"
        )
    now = timezone.now()
    Invitation.objects.update(created=now - timedelta(hours=1), mailed_at=None)
    of = Invitation.objects.filter
    of(email="withdrawn@x.org").update(withdrawn_at=now)
    of(email="used@x.org").update(accepted_at=now)
    of(email="old@x.org").update(created=now - timedelta(days=8))
    of(email="ended@x.org").update(invited_by=personas.clinician)
    tasks.mail_invitations_task()
    assert not mail.outbox


def test_who_invites_has_confirmed_their_address(client, personas):
    EmailAddress.objects.filter(user=personas.admin).update(verified=False)
    client.force_login(personas.admin)
    path = f"/clinics/{personas.clinic.pk}/invitations/"
    answer = client.post(path, {"email": "new@example.org", "role": "viewer"})
    assert "Confirm your own email address first" in answer.content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("limit", "invited"),
    [
        ("BY_ONE_PERSON", ["a@x.org", "b@x.org", "c@x.org"]),
        ("BY_ONE_CLINIC", ["a@x.org", "b@x.org", "c@x.org"]),
        ("TO_ONE_ADDRESS", ["a@x.org", "a@x.org", "a@x.org"]),
    ],
)
def test_so_many_a_day(personas, monkeypatch, limit, invited):
    """Replaced and withdrawn ones count: each was a mail."""
    for name in ("BY_ONE_PERSON", "BY_ONE_CLINIC", "TO_ONE_ADDRESS"):
        monkeypatch.setattr(invitations, name, 2 if name == limit else 99)

    def invite(email: str) -> Invitation:
        return invitations.invite(
            user=personas.admin, clinic=personas.clinic, email=email, role="viewer"
        )

    for email in invited[:2]:
        invitations.withdraw(user=personas.admin, invitation=invite(email))
    with pytest.raises(ValidationError, match="Too many invitations"):
        invite(invited[2])
    Invitation.objects.update(created=timezone.now() - timedelta(days=1))
    invite(invited[2])


def test_so_many_to_one_address_whoever_sends_them(personas, monkeypatch):
    monkeypatch.setattr(invitations, "TO_ONE_ADDRESS", 1)
    invitations.invite(user=personas.admin, clinic=personas.clinic, email="a@x.org", role="viewer")
    other = MembershipFactory(role=Role.ADMIN)
    with pytest.raises(ValidationError, match="Too many invitations"):
        invitations.invite(user=other.user, clinic=other.clinic, email="A@x.org", role="viewer")
