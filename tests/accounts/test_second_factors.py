"""Second factors: adding one, using it, and who must have one."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core import mail
from django.core.cache import cache
from django.urls import reverse

from accounts import agreements, services
from accounts.models import User
from accounts.second_factors import FactorAdapter
from screening.privacy import sharing
from screening.reminders.services import make_calendar_link
from tests.clients import Browser, Program
from tests.factories import PASSWORD, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
APP = "/accounts/2fa/totp/activate/"


@pytest.fixture(autouse=True)
def _no_earlier_tries():
    cache.clear()


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def log_in(client: Browser, email: str):
    agreements.agree(user=User.objects.get(email=email))
    return client.post("/accounts/login/", {"login": email, "password": PASSWORD})


def with_app(client: Browser) -> str:
    """Add an authenticator app by the pages. The secret."""
    page = client.get(APP).content.decode()
    secret = re.search(r'id="totp-secret">(\w+)<', page)[1]
    answer = client.post(APP, {"code": code_of(secret)})
    assert answer.status_code == 302, answer.context["form"].errors
    cache.clear()  # a code counts once, and the tests use theirs again within its 30 seconds
    return secret


@pytest.fixture
def person():
    return UserFactory(email="jo@example.org")


@pytest.mark.django_db(transaction=True)  # the mail is sent once it is committed
def test_an_app_is_added_and_then_asked_for(client, person):
    log_in(client, person.email)
    mail.outbox.clear()
    secret = with_app(client)
    assert [one.subject for one in mail.outbox] == ["SkinCheck: an authenticator app was added"]
    client.post("/accounts/logout/")

    answer = log_in(client, person.email)
    assert answer.url == reverse("mfa_authenticate")
    assert client.get("/account/").status_code == 302
    wrong = "000000" if code_of(secret) != "000000" else "111111"
    assert client.post(answer.url, {"code": wrong}).status_code == 200
    assert client.get("/account/").status_code == 302
    assert client.post(answer.url, {"code": code_of(secret)}).status_code == 302
    assert client.get("/account/").status_code == 200
    # The same code again, as from someone who watched.
    other = Browser()
    log_in(other, person.email)
    assert other.post(answer.url, {"code": code_of(secret)}).status_code == 200


def test_the_code_that_adds_an_app_opens_no_log_in(client, person):
    log_in(client, person.email)
    page = client.get(APP).content.decode()
    code = code_of(re.search(r'id="totp-secret">(\w+)<', page)[1])
    assert client.post(APP, {"code": code}).status_code == 302
    other = Browser()
    answer = log_in(other, person.email)
    assert other.post(answer.url, {"code": code}).status_code == 200
    assert other.get("/account/").status_code == 302


def test_a_recovery_code_works_once(client, person):
    log_in(client, person.email)
    with_app(client)
    page = client.get("/accounts/2fa/recovery-codes/").content.decode()
    codes = re.findall(r"<li>(\d{8})</li>", page)
    assert len(codes) == 10
    for tries, status in ((0, 302), (1, 200)):
        other = Browser()
        log_in(other, person.email)
        answer = other.post("/accounts/2fa/authenticate/", {"code": codes[0]})
        assert answer.status_code == status, tries


def test_secrets_are_not_in_the_clear_and_outlive_a_new_key(client, person, settings):
    log_in(client, person.email)
    secret = with_app(client)
    rows = {row.type: row for row in Authenticator.objects.all()}
    kept = str([row.data for row in rows.values()])
    assert secret not in kept
    assert not any(code in kept for code in rows["recovery_codes"].wrap().generate_codes())

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"
    assert FactorAdapter().decrypt(rows["totp"].data["secret"]) == secret


def test_a_factor_goes_only_after_a_recent_log_in(client, person):
    log_in(client, person.email)
    with_app(client)
    age(client, 601)
    answer = client.post("/accounts/2fa/totp/deactivate/")
    assert answer.url.startswith(reverse("account_reauthenticate"))
    assert Authenticator.objects.filter(type="totp").exists()
    mail.outbox.clear()
    client.post(answer.url, {"password": PASSWORD})
    assert not Authenticator.objects.exists()
    assert [one.subject for one in mail.outbox] == ["SkinCheck: the authenticator app was removed"]


def age(client: Browser, seconds: int) -> None:
    """As if the last log-in was that long ago."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= seconds
    session.save()


KEY = {"name": "Practice", "days": 30, "access": "read"}


def test_what_was_sent_is_done_after_the_password(client, person):
    """From the page's own form, whose token lets it be processed once."""
    log_in(client, person.email)
    age(client, 601)
    page = client.get("/account/").content.decode()
    form = page.partition('action="/account/keys/"')[2]
    token = re.search(r'name="form_token" value="([^"]+)"', form)[1]
    answer = client.post("/account/keys/", {**KEY, "form_token": token})
    assert is_asked(answer)
    assert not person.api_keys.exists()
    done = client.post(answer.url, {"password": PASSWORD})
    assert "sk_" in done.content.decode()
    assert person.api_keys.count() == 1


def test_passwords_of_a_form_after_a_log_out_are_not_kept(client, person):
    """Other input waits for the log-in, in the cache."""
    log_in(client, person.email)
    path = reverse("account_change_password")
    token = re.search(r'name="form_token" value="([^"]+)"', client.get(path).text)[1]
    client.post(reverse("account_logout"))
    secret = "a new password of mine"
    sent = {"oldpassword": PASSWORD, "password1": secret, "password2": secret, "end_keys": "on"}
    answer = client.post(path, {**sent, "form_token": token})
    log_in(client, person.email)
    back = parse_qs(urlsplit(answer.url).query)["next"][0]
    page = client.get(back).text
    assert "Not saved yet" in page
    assert secret not in page
    assert PASSWORD not in page


def is_asked(answer) -> bool:
    return answer.status_code == 302 and answer.url.startswith(reverse("account_reauthenticate"))


def by_password(user) -> Browser:
    client = Browser()
    log_in(client, user.email)
    return client


def test_a_clinic_asks_its_members_for_a_factor(personas):
    _, secret = services.create_api_key(user=personas.clinician, name="K")
    reads, key, viewer = by_password(personas.clinician), Program(secret), personas.viewer
    page, resource = f"/patients/{personas.patient.pk}/", "/api/v1/patients/"
    assert reads.get(page).status_code == key.get(resource).status_code == 200

    services.require_second_factor(
        user=personas.admin, clinic=personas.clinic, requires_second_factor=True
    )
    for path in (page, "/", "/account/"):
        assert reads.get(path).url == reverse("mfa_index"), path
    assert reads.get(resource).status_code == 403
    assert key.get(resource).status_code == 403
    assert by_password(viewer).get(page).url == reverse("mfa_index")
    assert by_password(personas.self_tracker).get("/account/").status_code == 200

    with_app(reads)
    assert reads.get(page).status_code == 200
    assert reads.get(resource).status_code == key.get(resource).status_code == 200
    # While it is required, the last one cannot be removed.
    reads.post("/accounts/2fa/totp/deactivate/")
    assert Authenticator.objects.filter(user=personas.clinician, type="totp").exists()


def test_a_session_is_asked_again_once_the_factor_that_opened_it_is_gone(client, person):
    """A lost phone is removed at home: whoever has it is out, though another factor is left."""
    log_in(client, person.email)
    secret = with_app(client)
    thief = Browser()
    thief.post(log_in(thief, person.email).url, {"code": code_of(secret)})
    assert thief.get("/account/").status_code == 200
    Authenticator.objects.create(user=person, type="webauthn", data={})
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(type="totp").exists()
    for path in ("/account/", "/patients/"):
        assert thief.get(path).url.startswith(reverse("account_login")), path
    assert thief.get("/api/v1/patients/").status_code == 401
    assert client.get("/account/").status_code == 200  # it had logged in by the password alone


def test_a_factor_that_an_operator_removed_is_missed_at_once(personas):
    services.require_second_factor(
        user=personas.admin, clinic=personas.clinic, requires_second_factor=True
    )
    client = Browser()
    client.force_login(personas.clinician)
    assert client.get("/account/").status_code == 200
    Authenticator.objects.filter(user=personas.clinician).delete()
    assert client.get("/account/").url == reverse("mfa_index")
    assert client.get("/api/v1/patients/").status_code == 403


def test_links_and_calendars_rest_while_their_maker_lacks_the_factor(personas):
    doctor = personas.clinician
    secret = sharing.share(user=doctor, patient=personas.patient, recipient="Dr", days=7)[1]
    paths = (f"/shared/{secret}/", f"/calendar/{make_calendar_link(user=doctor)}.ics")

    def statuses() -> list[int]:
        return [Browser().get(path).status_code for path in paths]

    assert statuses() == [200, 200]
    services.require_second_factor(
        user=personas.admin, clinic=personas.clinic, requires_second_factor=True
    )
    assert statuses() == [404, 404]
    admin = Browser()
    admin.force_login(personas.admin)
    access = reverse("patient_access", args=[personas.patient.pk])
    assert "rests:" in admin.get(access).text
    with_app(by_password(doctor))
    assert statuses() == [200, 200]
    assert "rests:" not in admin.get(access).text


def test_the_page_sets_it_for_admins_only(client, personas):
    Authenticator.objects.create(user=personas.admin, type="totp", data={})
    client.force_login(personas.admin)
    path = reverse("clinic_second_factor", args=[personas.clinic.pk])
    client.post(path, {"requires_second_factor": "on"})
    personas.clinic.refresh_from_db()
    assert personas.clinic.requires_second_factor
    assert "no second factor" in client.get(f"/clinics/{personas.clinic.pk}/").content.decode()


def test_a_clinic_stops_asking_only_after_a_recent_log_in(personas):
    """Else whoever finds an admin's open browser lowers everyone's protection."""
    services.require_second_factor(
        user=personas.admin, clinic=personas.clinic, requires_second_factor=True
    )
    client = Browser()
    client.force_login(personas.admin)
    age(client, 601)
    path = reverse("clinic_second_factor", args=[personas.clinic.pk])
    assert is_asked(client.post(path, {}))
    personas.clinic.refresh_from_db()
    assert personas.clinic.requires_second_factor


@pytest.mark.parametrize("needed", [True, False])
def test_admins_need_one_where_the_setting_says_so(personas, settings, needed):
    settings.ADMINS_NEED_SECOND_FACTOR = needed
    page = f"/clinics/{personas.clinic.pk}/"
    assert by_password(personas.admin).get(page).status_code == (302 if needed else 200)
    assert by_password(personas.clinician).get(page).status_code == 200


def test_operators_always_need_one():
    operator = UserFactory(is_staff=True, is_superuser=True)
    client = by_password(operator)
    assert client.get("/admin/").url == reverse("mfa_index")
    with_app(client)
    assert client.get("/admin/").status_code == 200


def test_admins_elsewhere_do_not_concern_a_clinic(personas):
    """A clinic that asks for a factor asks its own members alone."""
    services.require_second_factor(
        user=personas.admin, clinic=personas.clinic, requires_second_factor=True
    )
    assert by_password(personas.colleague).get("/account/").status_code == 200
    MembershipFactory(clinic=personas.clinic, user=personas.colleague)
    assert by_password(personas.colleague).get("/account/").url == reverse("mfa_index")
