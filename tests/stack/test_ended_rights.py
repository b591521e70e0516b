"""Revoked rights are refused by every process: two web processes, asked over and over, and the
worker.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx
import pytest

from tests.stack.conftest import Site
from tests.stack.installation import wait_until

pytestmark = pytest.mark.stack

WITHIN_SECONDS = 10
# More than enough to reach both processes.
TRIES = 12
PATIENTS = "/api/v1/patients/"

# A person's credentials: a key, two browser sessions, the link for calendar programs, and two that
# are shared with a doctor.
MAKE = """
import json
from django.test import Client
from accounts import services
from accounts.models import User
from screening.privacy import sharing
from screening.records.services import register_patient
from screening.reminders import services as reminder_services
user = User.objects.create_user("ends@example.org")
browsers = [Client(), Client()]
for browser in browsers:
    browser.force_login(user)
patient = register_patient(user=user, label="P-1")
print(json.dumps({
    "key": services.create_api_key(user=user, name="x")[1],
    "sessions": [browser.cookies["sessionid"].value for browser in browsers],
    "calendar": reminder_services.make_calendar_link(user=user),
    "shares": [
        sharing.share(user=user, patient=patient, recipient="Dr. X", days=3)[1] for _ in range(2)
    ],
}))
"""
REVOKE = """
from accounts import services
from accounts.models import ApiKey
key = ApiKey.objects.get(user__email="ends@example.org")
services.revoke_api_key(user=key.user, key=key)
"""
REVOKE_ONE_LINK = """
from accounts.models import User
from screening.models import Share
from screening.privacy import sharing
user = User.objects.get(email="ends@example.org")
sharing.revoke(user=user, share=Share.objects.get(secret_sha256=Share.digest("{share}")))
"""
END_ONE_SESSION = """
from accounts.models import User
from django.contrib.sessions.models import Session
Session.objects.get(session_key="{session}").delete()
"""
CLOSE = """
from accounts.models import User
User.objects.filter(email="ends@example.org").update(is_active=False)
"""
# A record that a clinic follows, with two of its admins: one is removed.
FOLLOW = """
import json
from django.test import Client
from accounts import services
from accounts.models import Clinic, Membership, User
from screening.privacy import following
from screening.records.services import register_patient
person, removed, stays = (
    User.objects.create_user(f"{name}@south.example.org") for name in ("person", "removed", "stays")
)
clinic = Clinic.objects.create(name="South")
for user in (removed, stays):
    Membership.objects.create(clinic=clinic, user=user, role="admin")
patient = register_patient(user=person, label="P-2")
code = services.renew_code(user=stays, clinic=clinic).code
invited = following.invite(user=person, patient=patient, code=code)
following.accept(user=stays, following=invited)
browser = Client()
browser.force_login(removed)
print(json.dumps({
    "patient": str(patient.pk),
    "removed": services.create_api_key(user=removed, name="x")[1],
    "stays": services.create_api_key(user=stays, name="x")[1],
    "session": browser.cookies["sessionid"].value,
}))
"""
REMOVE_MEMBER = """
from django.db import transaction
from accounts import services
from accounts.models import Membership, User
from screening.exports.services import request_export
from screening.models import Patient
member = Membership.objects.get(user__email="removed@south.example.org")
with transaction.atomic():
    request_export(user=member.user, patient=Patient.objects.get(label="P-2"))
    stays = User.objects.get(email="stays@south.example.org")
    services.remove_member(user=stays, membership=member)
"""
END = """
from screening.models import Following
from screening.privacy import following
one = Following.objects.get(patient__label="P-2")
following.end(user=one.invited_by, following=one)
"""
# A member with a key for everything and one for the clinic alone.
KEYS = """
import json
from accounts import services
from accounts.models import Clinic, Membership, User
from screening.records.services import register_patient
admin, member = (
    User.objects.create_user(f"{name}@east.example.org") for name in ("admin", "member")
)
clinic = services.found_clinic(user=admin, name="East")
Membership.objects.create(clinic=clinic, user=member, role="clinician")
print(json.dumps({
    "patient": str(register_patient(user=admin, clinic=clinic, label="E-1", confirms=True).pk),
    "everything": services.create_api_key(user=member, name="x")[1],
    "bound": services.create_api_key(user=member, name="y", clinic=clinic)[1],
}))
"""
REQUIRE_BOUND_KEYS = """
from accounts import services
from accounts.models import Clinic, User
admin, clinic = User.objects.get(email="admin@east.example.org"), Clinic.objects.get(name="East")
services.require_bound_keys(user=admin, clinic=clinic, requires_bound_keys={required})
"""
AGREE = """
from accounts import agreements
from accounts.models import User
agreements.{act}(user=User.objects.get(email="ends@example.org"))
"""
REMOVE = """
from accounts.models import Membership
Membership.objects.filter(user__email="admin@example.org").delete()
"""


def change(site: Site, code: str) -> str:
    """In a process other than the two that respond."""
    return site.installation.python("manage.py", "shell", "--no-imports", "-c", code)


def statuses(ask: Callable[[], httpx.Response]) -> set[int]:
    """A new connection for each request: whichever process is free takes it."""
    return {ask().status_code for _ in range(TRIES)}


def ended(ask: Callable[[], httpx.Response], status: int) -> bool:
    """Whether every process agrees, in time."""
    deadline = time.monotonic() + WITHIN_SECONDS
    while statuses(ask) != {status}:
        if time.monotonic() > deadline:
            return False
    return True


def test_a_person(site: Site) -> None:
    person = json.loads(change(site, MAKE).splitlines()[-1])

    def by_key() -> httpx.Response:
        headers = {"Authorization": f"Bearer {person['key']}"}
        return httpx.get(site.url + PATIENTS, headers=headers, timeout=30)

    def by_session(number: int = 0) -> httpx.Response:
        cookies = {"sessionid": person["sessions"][number]}
        return httpx.get(site.url + PATIENTS, cookies=cookies, timeout=30)

    def by_link() -> httpx.Response:
        return httpx.get(f"{site.url}/calendar/{person['calendar']}.ics", timeout=30)

    def by_share(number: int = 0) -> httpx.Response:
        return httpx.get(f"{site.url}/shared/{person['shares'][number]}/", timeout=30)

    others = (by_session, by_link, by_share)
    assert [statuses(ask) for ask in (by_key, *others)] == [{200}] * 4
    change(site, REVOKE)
    assert ended(by_key, 401)
    assert [statuses(ask) for ask in others] == [{200}] * 3
    change(site, REVOKE_ONE_LINK.format(share=person["shares"][1]))
    assert ended(lambda: by_share(1), 404)
    change(site, END_ONE_SESSION.format(session=person["sessions"][1]))
    assert ended(lambda: by_session(1), 401)
    assert [statuses(ask) for ask in others] == [{200}] * 3
    change(site, AGREE.format(act="agree"))
    change(site, AGREE.format(act="withdraw"))
    assert ended(by_session, 403)
    assert ended(by_link, 404)
    assert ended(by_share, 404)
    change(site, AGREE.format(act="agree"))
    assert all(ended(ask, 200) for ask in others)
    change(site, CLOSE)
    assert ended(by_session, 401)
    assert ended(by_link, 404)
    assert ended(by_share, 404)


def test_a_member_and_a_clinic(site: Site) -> None:
    made = json.loads(change(site, FOLLOW).splitlines()[-1])
    record = f"{site.url}{PATIENTS}{made['patient']}/"

    def by_key(whose: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {made[whose]}"}
        return httpx.get(record, headers=headers, timeout=30)

    def by_session() -> httpx.Response:
        return httpx.get(record, cookies={"sessionid": made["session"]}, timeout=30)

    asks = (lambda: by_key("removed"), by_session, lambda: by_key("stays"))
    assert [statuses(ask) for ask in asks] == [{200}] * 3
    change(site, REMOVE_MEMBER)
    assert ended(asks[0], 404)
    assert ended(asks[1], 404)
    exports = "SELECT state, file FROM screening_export"
    wait_until(lambda: site.installation.query(exports) == [("failed", "")], "it is refused")
    assert statuses(asks[2]) == {200}
    change(site, END)
    assert ended(asks[2], 404)


def test_keys_that_a_clinic_shuts_out(site: Site) -> None:
    made = json.loads(change(site, KEYS).splitlines()[-1])
    record = f"{site.url}{PATIENTS}{made['patient']}/"

    def by_key(which: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {made[which]}"}
        return httpx.get(record, headers=headers, timeout=30)

    asks = (lambda: by_key("everything"), lambda: by_key("bound"))
    assert [statuses(ask) for ask in asks] == [{200}] * 2
    change(site, REQUIRE_BOUND_KEYS.format(required=True))
    assert ended(asks[0], 404)
    assert statuses(asks[1]) == {200}
    change(site, REQUIRE_BOUND_KEYS.format(required=False))
    assert ended(asks[0], 200)


def test_an_application_of_an_admin_who_was_removed(site: Site) -> None:
    def token() -> httpx.Response:
        form, identity = {"grant_type": "client_credentials"}, (site.client_id, site.client_secret)
        return httpx.post(f"{site.url}/oauth/token", data=form, auth=identity, timeout=30)

    headers = {"Authorization": f"Bearer {token().json()['access_token']}"}

    def look() -> httpx.Response:
        return httpx.get(site.url + PATIENTS, headers=headers, timeout=30)

    assert statuses(look) == {200}
    change(site, REMOVE)
    assert ended(look, 401)
    assert token().status_code == 401
