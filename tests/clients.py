"""The two kinds of clients, as outside tests: both are subject to CSRF protection.

No other test creates a client (``tests/test_architecture.py``): Django's and REST framework's test
clients disable the protection, and would hide a machine endpoint that requires a cookie. Ours also
fail where a request runs OpenCV.
"""

from __future__ import annotations

import time
from typing import Any

from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils.crypto import get_random_string
from rest_framework.test import APIClient

from accounts.models import User
from accounts.second_factors import lacking
from screening.models import Lesion, LesionImage
from screening.predictions import arrivals
from tests import opencv

CSRF_COOKIE = "csrftoken"


def shown(record: Lesion | LesionImage) -> dict[str, str]:
    """What a form carries that was opened just now, about a lesion or one of its images."""
    is_image = isinstance(record, LesionImage)
    lesion = record.lesion if is_image else record
    return {
        "shown_at": arrivals.last(lesion).isoformat(),
        "shown_image": str(record.pk) if is_image else "",
    }


class Browser(Client):
    """A person's browser: has the CSRF cookie, and sends its token as our forms do.

    ``HTTP_X_CSRFTOKEN=""`` in a request stands for a form on a foreign page.
    """

    def __init__(self, **defaults: Any) -> None:
        super().__init__(enforce_csrf_checks=True, **defaults)

    def force_login(self, user: Any, backend: str | None = None) -> None:
        """As after a log-in with a second factor just now: nothing asks for either again."""
        if User.objects.filter(lacking(), pk=user.pk).exists():
            Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
        super().force_login(user, backend)
        now, session = time.time(), self.session
        used = [{"method": method, "at": now} for method in ("password", "mfa")]
        session["account_authentication_methods"] = used
        session["account_authentication_methods_user"] = str(user.pk)
        session["since"] = session["seen"] = now
        session.save()

    def request(self, **request: Any) -> Any:
        if CSRF_COOKIE not in self.cookies:
            self.cookies[CSRF_COOKIE] = get_random_string(32)
        token = self.cookies[CSRF_COOKIE].value
        with opencv.refused():
            return super().request(**{"HTTP_X_CSRFTOKEN": token, **request})


class Program(APIClient):
    """Another system: no cookie, no CSRF token. secret: its key or token."""

    def __init__(self, secret: str | None = None, **defaults: Any) -> None:
        super().__init__(enforce_csrf_checks=True, **defaults)
        if secret is not None:
            self.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")

    def request(self, **request: Any) -> Any:
        with opencv.refused():
            return super().request(**request)
