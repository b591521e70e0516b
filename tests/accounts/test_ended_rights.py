"""What an admin issued is valid only while they are an admin, and is handed over by name."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts import applications, invitations, services
from accounts.models import Application, Invitation, Membership, User
from accounts.roles import Role
from tests.api.test_scopes import PATIENTS, labels, token_for
from tests.clients import Program
from tests.conftest import Personas
from tests.factories import MembershipFactory


@pytest.fixture
def other_admin(personas: Personas) -> User:
    return MembershipFactory(clinic=personas.clinic, role=Role.ADMIN, user__email="o@x.org").user


@pytest.fixture
def system(personas: Personas) -> tuple[Application, str]:
    return applications.register_application(
        user=personas.admin,
        clinic=personas.clinic,
        name="Practice system",
        role="assistant",
        scopes=["patients:read"],
    )


def leave(personas: Personas, other: User) -> None:
    services.remove_member(user=personas.admin, membership=_membership(personas))


def be_removed(personas: Personas, other: User) -> None:
    services.remove_member(user=other, membership=_membership(personas))


def be_demoted(personas: Personas, other: User) -> None:
    services.change_role(user=other, membership=_membership(personas), role=Role.CLINICIAN)


def be_closed(personas: Personas, other: User) -> None:
    """Deactivate an account as an operator does, without regard to clinics."""
    User.objects.filter(pk=personas.admin.pk).update(is_active=False)


def _membership(personas: Personas) -> Membership:
    return Membership.objects.get(clinic=personas.clinic, user=personas.admin)


ENDS = pytest.mark.parametrize("end", [leave, be_removed, be_demoted, be_closed])


@ENDS
def test_an_application_stops_with_who_answers_for_it(personas, other_admin, system, client, end):
    program = Program(token_for(client, system).json()["access_token"])
    assert labels(program) == {"N-1"}
    end(personas, other_admin)
    assert program.get(PATIENTS).status_code == 401
    assert token_for(client, system).status_code == 401

    client.force_login(other_admin)
    page = client.get(f"/clinics/{personas.clinic.pk}/").content.decode()
    assert "Suspended" in page
    assert f"{personas.admin}, who was responsible for it" in page
    take_over = f"/clinics/{personas.clinic.pk}/applications/{system[0].pk}/take-over/"
    answer = client.post(take_over, follow=True).content.decode()
    assert "You are now responsible for" in answer
    assert "Suspended" not in answer
    assert Application.objects.get().registered_by == other_admin
    assert labels(program) == {"N-1"}
    assert token_for(client, system).status_code == 200


@ENDS
def test_an_invitation_stops_with_who_sent_it(personas, other_admin, client, end):
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email=personas.stranger.email, role="admin"
    )
    token = invitations.token_of(invitation)
    end(personas, other_admin)
    with pytest.raises(ValidationError, match="no longer an admin"):
        invitations.accept(user=personas.stranger, token=token)
    client.force_login(personas.stranger)
    for method in (client.get, client.post):
        assert method(f"/invitations/{token}/").status_code == 404
    assert not Membership.objects.filter(user=personas.stranger).exists()

    client.force_login(other_admin)
    page = client.get(f"/clinics/{personas.clinic.pk}/").content.decode()
    assert "does not work, since" in page
    again = invitations.invite(
        user=other_admin, clinic=personas.clinic, email=personas.stranger.email, role="viewer"
    )
    assert Invitation.objects.open().get() == again
    invitations.accept(user=personas.stranger, token=invitations.token_of(again))
    assert Membership.objects.get(user=personas.stranger).role == Role.VIEWER


def test_only_an_admin_takes_over(personas, system):
    for person in (personas.clinician, personas.colleague):
        with pytest.raises(PermissionDenied):
            applications.take_over_application(user=person, application=system[0])


def test_an_admin_of_another_clinic_does_not_count(personas, other_admin, system, client):
    """The right applies to this clinic, whatever else the person is."""
    be_removed(personas, other_admin)
    MembershipFactory(user=personas.admin, role=Role.ADMIN)
    assert token_for(client, system).status_code == 401


def test_an_invitation_that_is_withdrawn_while_it_is_looked_at(personas, client, monkeypatch):
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email=personas.stranger.email, role="viewer"
    )
    looked_at = invitations.invitation_of(invitations.token_of(invitation))
    invitations.withdraw(user=personas.admin, invitation=invitation)
    monkeypatch.setattr(invitations, "invitation_of", lambda token: looked_at)
    client.force_login(personas.stranger)
    answer = client.post(f"/invitations/{invitations.token_of(invitation)}/")
    assert answer.status_code == 404
    assert "no longer works" in answer.content.decode()
    assert not Membership.objects.filter(user=personas.stranger).exists()


def test_an_invitation_that_is_accepted_while_it_is_withdrawn(personas):
    invitation = invitations.invite(
        user=personas.admin, clinic=personas.clinic, email=personas.stranger.email, role="viewer"
    )
    token = invitations.token_of(invitation)
    invitations.accept(user=personas.stranger, token=token)
    with pytest.raises(ValidationError, match="just accepted"):
        invitations.withdraw(user=personas.admin, invitation=invitation)
