"""Every URL needs a login, except those listed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

import pytest
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver

from tests.clients import Browser

PUBLIC = {
    "account_login",
    "account_signup",
    "account_logout",  # redirects anonymous users home, and home redirects to login
    "account_inactive",
    "account_confirm_email",
    "account_email_verification_sent",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    "mfa_authenticate",  # the second step of a log-in: redirects users without a first one to login
    "mfa_login_webauthn",  # a log-in by passkey
    "account_confirm_login_code",  # a second step: redirects users without a first one to login
    "privacy",
    "mail_off",  # its URL says whose mail it ends
    "erasure_receipt",  # for those who have no account any more: its URL contains a token
    "erasure_receipt_file",
    "shared",  # for doctors without an account: its URL contains a secret
    "shared_report",
    "shared_picture",
    "terms",
    "home",  # the landing page, without a session
    "help",
    "try_picture",  # reads a picture in the browser
    "try_worker",
    "data_set",
    "problems",
    "problem",
    "model",
    "model_version",
    "model_card",
    "model_network",
    "calendar",  # for programs that cannot log in: its URL contains a secret
    "health_live",
    "health_ready",
    "api:docs",
    "api:redoc",
    "api:schema",
    "fhir:metadata",
    "fhir:smart",
    "oauth_metadata",
    "fhir:nothing",
    "dicomweb:nothing",
    "api:nothing",
    "oauth_token",  # asks for the secret of an application
    "oauth_revoke",
    "admin:login",  # redirects to the site's own login
}
VALUES = {
    "uuid": "01a20813-b36d-7501-ac66-4ea8a9451009",
    "str": "x",
    "slug": "not-found",
    "path": "x",
    "int": "1",
}
GROUPS = {"key": "x-y", "uidb36": "1", "path": "x", "app_label": "accounts", "url": "x"}


def addresses(
    patterns: list[URLPattern | URLResolver], prefix: str = "/", namespace: str = ""
) -> Iterator[tuple[str, str]]:
    """The name and an example of every URL."""
    for pattern in patterns:
        path = prefix + example(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from addresses(pattern.url_patterns, path, inner)
        else:
            yield f"{namespace}{pattern.name}", path


def example(pattern: str) -> str:
    pattern = re.sub(r"<(\w+):\w+>", lambda found: VALUES[found[1]], pattern)
    pattern = re.sub(
        r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda found: GROUPS[found[1]], pattern
    )
    return re.sub(r"<\w+>", "x", pattern).strip("^$").replace("\\", "").removesuffix("$")


ALL = list(addresses(get_resolver().url_patterns))


def test_the_walk_finds_the_site():
    names = {name for name, _ in ALL}
    assert {"home", "account", "accept_invitation", "patient", "media", "admin:index"} <= names
    assert names >= PUBLIC


def is_kept_out(name: str, path: str, answer: HttpResponse) -> bool:
    if name in PUBLIC:
        return answer.status_code < 500
    if path.startswith(("/api/", "/fhir/", "/dicomweb/")):
        return answer.status_code in (401, 405)
    logins = ("/accounts/login/", "/admin/login/")
    return answer.status_code == 302 and answer["Location"].startswith(logins)


@pytest.mark.any_database
def test_anonymous_visitors_get_no_further_than_log_in(db):
    let_in = []
    for (name, path), method in product(ALL, ("get", "post")):
        answer = getattr(Browser(), method)(path)
        if not is_kept_out(name, path, answer):
            let_in.append((method, name, path, answer.status_code))
    assert not let_in
