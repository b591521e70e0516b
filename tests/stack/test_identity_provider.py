"""Log-in with a clinic's own identity provider: a real one, over HTTP, beside a running site."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from oidc_provider_mock import User, run_server_in_thread
from oidc_provider_mock._storage import AuthorizationCode

from skincheck_site import identity_provider
from tests.stack.installation import Installation, installed, wait_until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.any_database,
    # The provider's own, of its web server's sockets and its OAuth library.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DOCTOR = User(
    sub="doctor", claims={"email": "doctor@clinic.example", "email_verified": True, "name": "Jo"}
)
OWNER = "owner@clinic.example"
NURSE = User(sub="nurse", claims={"email": "nurse@clinic.example", "email_verified": True})
IMPOSTOR = User(sub="impostor", claims={"email": OWNER, "email_verified": True})


@pytest.fixture
def auth_time(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """When the provider says that people logged in: ``at``."""
    said: dict[str, int] = {}
    monkeypatch.setattr(AuthorizationCode, "get_auth_time", lambda code: said["at"])
    return said


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder: Path = tmp_path_factory.mktemp("oidc") / "var"
    with run_server_in_thread(user_claims=[DOCTOR, NURSE, IMPOSTOR]) as provider:
        address = f"http://skincheck:secret@localhost:{provider.server_port}"
        with installed(folder, OIDC_URL=address) as installation:
            installation.python("manage.py", "migrate", "--verbosity", "0")
            installation.python("manage.py", "collectstatic", "--noinput", "--verbosity", "0")
            code = f"from accounts.models import User; User.objects.create_user({OWNER!r}, 'x')"
            installation.python("manage.py", "shell", "--no-imports", "-c", code)
            with installation.running("web"):
                wait_until(lambda: "Serving" in installation.log("web"), "the web is ready")
                yield installation


@pytest.fixture
def new_browser(site: Installation) -> Iterator[Callable[[], httpx.Client]]:
    address = f"http://localhost:{site.port}"
    with ExitStack() as opened:
        yield lambda: opened.enter_context(httpx.Client(base_url=address, timeout=30))


def through_the_provider(browser: httpx.Client, person: str) -> httpx.Response:
    """Log in as a browser does; the last page."""
    page = browser.get("/accounts/login/")
    assert "Log in through localhost" in page.text
    assert "http://localhost:" in page.headers["Content-Security-Policy"]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    asked = browser.post("/accounts/oidc/clinic/login/", data={"csrfmiddlewaretoken": token})
    assert asked.status_code == 302
    assert "code_challenge=" in asked.headers["Location"]
    consented = httpx.post(asked.headers["Location"], data={"sub": person}, timeout=30)
    back = consented.headers["Location"]
    return browser.get(back, follow_redirects=True)


def test_a_member_of_the_clinic_logs_in_and_again(site, new_browser):
    for number in range(2):
        browser = new_browser()
        page = through_the_provider(browser, "doctor")
        assert page.status_code == 200
        if not number:  # the provider asked for no agreement to our texts
            assert page.url.path == "/privacy/agree/"
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
            ticked = {"of_age": "on", "agrees": "on", "csrfmiddlewaretoken": token}
            assert browser.post("/privacy/agree/", data=ticked).status_code == 302
        account = browser.get("/account/")
        assert account.status_code == 200
        assert "doctor@clinic.example" in account.text
    rows = "SELECT count(*) FROM accounts_user WHERE email = 'doctor@clinic.example'"
    assert site.query(rows) == [(1,)]


def test_an_address_alone_opens_no_account(new_browser):
    browser = new_browser()
    page = through_the_provider(browser, "impostor")
    assert browser.get("/account/").status_code == 302
    assert "log in with its password" in page.text


def posted(browser: httpx.Client, path: str) -> httpx.Response:
    page = browser.get(path)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    return browser.post(path, data={"csrfmiddlewaretoken": token})


def test_the_provider_is_asked_again_before_an_export(site, new_browser, auth_time):
    """Ten minutes after the log-in there, by its own clock, however young the session is here."""
    auth_time["at"] = int(time.time()) - 601
    browser = new_browser()
    page = through_the_provider(browser, "nurse")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]
    ticked = {"of_age": "on", "agrees": "on", "csrfmiddlewaretoken": token}
    browser.post("/privacy/agree/", data=ticked)
    asked = posted(browser, "/account/export/")
    assert asked.headers["Location"].startswith("/accounts/again/?next=")
    there = browser.get(asked.headers["Location"]).headers["Location"]
    assert parse_qs(urlsplit(there).query)["prompt"] == ["login"]
    assert parse_qs(urlsplit(there).query)["max_age"] == ["600"]

    def come_back(person: str) -> httpx.Response:
        there = browser.get(asked.headers["Location"]).headers["Location"]
        consented = httpx.post(there, data={"sub": person}, timeout=30)
        return browser.get(consented.headers["Location"], follow_redirects=True)

    exports = "SELECT count(*) FROM screening_export"
    assert "did not ask you to log in" in come_back("nurse").text  # it let them through
    auth_time["at"] = int(time.time())
    assert "did not ask you to log in" in come_back("doctor").text  # somebody else
    assert site.query(exports) == [(0,)]
    assert come_back("nurse").url.path.startswith("/exports/")
    assert site.query(exports) == [(1,)]


def test_an_answer_that_nobody_asked_for_logs_nobody_in(new_browser):
    browser = new_browser()
    path = "/accounts/oidc/clinic/login/callback/?code=stolen&state=forged"
    assert "did not work" in browser.get(path, follow_redirects=True).text
    assert browser.get("/account/").status_code == 302


@pytest.mark.parametrize("address", ["id.clinic.example", "https://id.clinic.example/"])
def test_an_address_without_what_is_needed_is_refused(address):
    from django.core.exceptions import ImproperlyConfigured

    with pytest.raises(ImproperlyConfigured):
        identity_provider.of(address)
