"""The two kinds of callers, as they are outside of tests: both are held to CSRF protection.

No other test makes a client of its own (``tests/test_architecture.py``): Django's and REST
framework's clients switch the protection off, and hide a machine endpoint that asks for a cookie.
"""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils.crypto import get_random_string
from rest_framework.test import APIClient

CSRF_COOKIE = "csrftoken"


class Browser(Client):
    """Someone at a page: has the CSRF cookie, and sends its token along as our forms do.

    ``HTTP_X_CSRFTOKEN=""`` with a request is a form of somebody else's page.
    """

    def __init__(self, **defaults: Any) -> None:
        super().__init__(enforce_csrf_checks=True, **defaults)

    def request(self, **request: Any) -> Any:
        if CSRF_COOKIE not in self.cookies:
            self.cookies[CSRF_COOKIE] = get_random_string(32)
        token = self.cookies[CSRF_COOKIE].value
        return super().request(**{"HTTP_X_CSRFTOKEN": token, **request})


class Program(APIClient):
    """Another system: no cookie, no CSRF token. secret: the key or the token that it brings."""

    def __init__(self, secret: str | None = None, **defaults: Any) -> None:
        super().__init__(enforce_csrf_checks=True, **defaults)
        if secret is not None:
            self.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
