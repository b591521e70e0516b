"""Clinics: who belongs to them, in which role, and who may change that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from django.utils.html import escape

from accounts import invitations, services
from accounts.models import Clinic, Membership
from accounts.roles import Role
from tests.factories import MembershipFactory, UserFactory

PERSONAS = ("clinician", "assistant", "viewer")


def membership(clinic: Clinic, user):
    return clinic.memberships.get(user=user)


def test_starting_a_clinic_makes_its_first_admin(client, personas):
    client.force_login(personas.self_tracker)
    assert "Start a clinic" in client.get("/account/").content.decode()
    answer = client.post("/clinics/new/", {"name": "  West clinic "}, follow=True)
    clinic = Clinic.objects.get(name="West clinic")
    assert answer.request["PATH_INFO"] == f"/clinics/{clinic.pk}/"
    assert membership(clinic, personas.self_tracker).role == Role.ADMIN


def test_a_clinic_without_a_name_is_not_started(client, personas):
    client.force_login(personas.self_tracker)
    answer = client.post("/clinics/new/", {"name": "  "})
    assert answer.status_code == 200
    assert "This field is required" in answer.content.decode()
    assert not personas.self_tracker.memberships.exists()


@pytest.mark.parametrize("persona", ["colleague", "stranger", "self_tracker"])
def test_a_foreign_clinic_is_not_there(client, personas, persona):
    client.force_login(getattr(personas, persona))
    assert client.get(f"/clinics/{personas.clinic.pk}/").status_code == 404
    for path in writes(personas):
        assert client.post(path, {"role": "admin", "email": "x@example.org"}).status_code == 404


@pytest.mark.parametrize("persona", PERSONAS)
def test_members_look_and_change_nothing(client, personas, persona):
    client.force_login(getattr(personas, persona))
    page = client.get(f"/clinics/{personas.clinic.pk}/")
    assert page.status_code == 200
    assert "Invite someone" not in page.content.decode()
    before = list(personas.clinic.memberships.values_list("user", "role"))
    for path in writes(personas):
        assert client.post(path, {"role": "admin", "email": "x@example.org"}).status_code == 403
    assert list(personas.clinic.memberships.values_list("user", "role")) == before
    assert personas.clinic.invitations.count() == 1


def writes(personas) -> list[str]:
    """POST requests that only an admin may make, aimed at the admin and at an open invitation."""
    clinic = personas.clinic
    invitation = clinic.invitations.open().first() or invitations.invite(
        user=personas.admin, clinic=clinic, email="open@example.org", role="viewer"
    )
    member = membership(clinic, personas.admin)
    return [
        f"/clinics/{clinic.pk}/invitations/",
        f"/clinics/{clinic.pk}/invitations/{invitation.pk}/withdraw/",
        f"/clinics/{clinic.pk}/members/{member.pk}/role/",
        f"/clinics/{clinic.pk}/members/{member.pk}/remove/",
    ]


def test_an_admin_changes_a_role_and_removes_a_member(client, personas):
    client.force_login(personas.admin)
    clinic, viewer = personas.clinic, personas.viewer
    member = membership(clinic, viewer)
    path = f"/clinics/{clinic.pk}/members/{member.pk}"
    assert "viewer@north" in client.get(f"/clinics/{clinic.pk}/").content.decode()
    client.post(f"{path}/role/", {"role": "assistant"})
    assert membership(clinic, viewer).role == Role.ASSISTANT
    answer = client.post(f"{path}/role/", {"role": "emperor"}, follow=True)
    assert "Choose one of the four roles" in answer.content.decode()
    assert membership(clinic, viewer).role == Role.ASSISTANT
    client.post(f"{path}/remove/")
    assert not clinic.memberships.filter(user=viewer).exists()


def test_a_role_that_another_admin_changed_meanwhile_is_not_overwritten(client, personas):
    client.force_login(personas.admin)
    clinic, viewer = personas.clinic, personas.viewer
    member = membership(clinic, viewer)
    page = client.get(f"/clinics/{clinic.pk}/").content.decode()
    opened = '{"role": "viewer"}'
    assert escape(opened) in page
    services.change_role(user=personas.admin, membership=member, role="clinician")
    path = f"/clinics/{clinic.pk}/members/{member.pk}/role/"
    answer = client.post(path, {"role": "assistant", "opened": opened}, follow=True)
    assert "Now: “Clinician”. You entered: “Assistant”." in answer.content.decode()
    assert membership(clinic, viewer).role == Role.CLINICIAN
    client.post(path, {"role": "assistant", "opened": '{"role": "clinician"}'})
    assert membership(clinic, viewer).role == Role.ASSISTANT


def test_another_clinics_member_is_out_of_an_admins_reach(client, personas):
    client.force_login(personas.admin)
    foreign = personas.colleague.memberships.get()
    path = f"/clinics/{personas.clinic.pk}/members/{foreign.pk}"
    assert client.post(f"{path}/role/", {"role": "viewer"}).status_code == 404
    assert client.post(f"{path}/remove/").status_code == 404
    assert personas.colleague.memberships.get().role == Role.CLINICIAN


def test_the_last_admin_stays(client, personas):
    client.force_login(personas.admin)
    member = membership(personas.clinic, personas.admin)
    path = f"/clinics/{personas.clinic.pk}/members/{member.pk}"
    for answer in (
        client.post(f"{path}/role/", {"role": "viewer"}, follow=True),
        client.post(f"{path}/remove/", follow=True),
    ):
        assert "A clinic needs an admin" in answer.content.decode()
    assert membership(personas.clinic, personas.admin).role == Role.ADMIN

    MembershipFactory(clinic=personas.clinic, role=Role.ADMIN)
    client.post(f"{path}/remove/")
    assert not personas.clinic.memberships.filter(user=personas.admin).exists()


def test_the_last_admin_is_judged_by_what_is_stored(personas):
    """A membership loaded before its role changed must not slip through."""
    member = membership(personas.clinic, personas.admin)
    member.role = Role.VIEWER
    with pytest.raises(ValidationError, match="needs an admin"):
        services.remove_member(user=personas.admin, membership=member)


@pytest.mark.parametrize("persona", PERSONAS)
def test_a_member_may_leave(client, personas, persona):
    user = getattr(personas, persona)
    client.force_login(user)
    member = membership(personas.clinic, user)
    client.post(f"/clinics/{personas.clinic.pk}/members/{member.pk}/remove/")
    assert not user.memberships.exists()
    assert client.get(f"/clinics/{personas.clinic.pk}/").status_code == 404


def test_a_removed_admin_has_no_say_any_more(personas):
    second = MembershipFactory(clinic=personas.clinic, role=Role.ADMIN)
    services.remove_member(user=second.user, membership=membership(personas.clinic, personas.admin))
    with pytest.raises(PermissionDenied):
        services.change_role(user=personas.admin, membership=second, role=Role.VIEWER)


def test_the_page_costs_the_same_with_two_and_with_fifty_members(
    client, personas, django_assert_max_num_queries
):
    client.force_login(personas.admin)
    path = f"/clinics/{personas.clinic.pk}/"
    MembershipFactory.create_batch(50, clinic=personas.clinic)
    for number in range(20):
        invitations.invite(
            user=personas.admin, clinic=personas.clinic, email=f"{number}@x.org", role="viewer"
        )
    # Session, user, clinic, members, invitations, webhooks, records shared, two for storage, and
    # at most two for the navigation.
    with django_assert_max_num_queries(12):
        page = client.get(path).content.decode()
    assert page.count("/remove/") == 53  # everyone's but the last admin's
    assert page.count("/withdraw/") == 20


@pytest.mark.parametrize(
    "name",
    [
        "Log in at evil.example",
        "https://evil.example",
        "evil.EXAMPLE/now",
        "www evil",
        "write to a@b",
        "Clinic\r\nBcc: x",
        "Clinic\u2028second line",
    ],
)
def test_a_name_holds_no_address(client, personas, name):
    """It is mailed to people who know neither the clinic nor the sender."""
    client.force_login(personas.stranger)
    answer = client.post("/clinics/new/", {"name": name})
    assert "not an address" in answer.content.decode()
    assert not personas.stranger.memberships.exists()
    answer = client.post("/account/", {"first_name": name, "last_name": ""})
    assert "not an address" in answer.content.decode()
    personas.stranger.refresh_from_db()
    assert personas.stranger.first_name == ""


@pytest.mark.parametrize("name", ["Praxis Dr. med. Weiß & Söhne", "St. Mary's, 2nd", "皮膚科"])
def test_a_name_that_is_one(personas, name):
    assert services.found_clinic(user=personas.stranger, name=name).name == name
    services.edit_profile(user=personas.stranger, first_name=name, last_name="")


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("anyone", {"unconfirmed", "confirmed", "operator"}),
        ("verified", {"confirmed", "operator"}),
        ("staff", {"operator"}),
    ],
)
def test_the_operator_says_who_founds_clinics(client, personas, settings, who, may):
    settings.FOUND_CLINICS = who
    people = {
        "unconfirmed": personas.self_tracker,
        "confirmed": personas.stranger,
        "operator": UserFactory(is_staff=True),
    }
    EmailAddress.objects.filter(user=personas.self_tracker).update(verified=False)
    for kind, person in people.items():
        client.force_login(person)
        shown = client.get("/clinics/new/").content.decode()
        answer = client.post("/clinics/new/", {"name": "A"})
        assert ("Name of the clinic" in shown) == (kind in may)
        assert answer.status_code == (302 if kind in may else 403)
        assert person.memberships.exists() == (kind in may)


def test_so_many_clinics_a_day(personas):
    for _ in range(services.CLINICS_A_DAY):
        services.found_clinic(user=personas.stranger, name="A")
    with pytest.raises(ValidationError, match="Too many clinics"):
        services.found_clinic(user=personas.stranger, name="A")
    Membership.objects.update(created=timezone.now() - timedelta(days=1))
    services.found_clinic(user=personas.stranger, name="A")
