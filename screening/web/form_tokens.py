"""A token in every form, beside CSRF protection: a form is processed once, and its input survives
an expired session.

``{% csrf_token %}`` adds a signed token to each form (``templatetags.page_forms``): who opened it,
on which page, and a random number. If it is sent twice, as by a double click, it is processed once
and both requests are redirected to the same place. If it is sent after the session has ended, the
input is kept for the user who opened the form, restored after login, and marked as not saved. Files
and passwords are not kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.middleware import AccountMiddleware
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.views.csrf import csrf_failure as refused

from screening import idempotency
from screening.errors import InProgress

FIELD, PARAMETER = "form_token", "unsaved"
OWN_FIELDS = ("csrfmiddlewaretoken", FIELD, "opened", "shown_at", "shown_image")
VALID = 24 * 60 * 60
"""Seconds that a form may be open for its input to be kept."""
KEPT = 60 * 60
WAIT = 20.0
"""Seconds that a second submission waits for the result of the first."""
LONG = {"image_new", "image_outline", "batch_new"}
"""Pages that store or measure pictures, which is too slow for one transaction."""
RECOGNISED = {"image_new"}
"""Pages that recognise repeated files, each sent separately."""
ALREADY = (
    "You already sent this form at {:%H:%M}, and it was saved. Nothing was done now. If it was "
    "changed since, you see here what stands."
)
_SALT = "screening.web.form_tokens"


@dataclass(frozen=True, slots=True)
class Opened:
    """Who opened a form, on which page."""

    user: str
    page: str
    number: str


@dataclass(frozen=True, slots=True)
class Unsaved:
    """Input that was not saved. path: the address it was sent to."""

    path: str
    data: QueryDict

    @property
    def typed(self) -> list[tuple[str, str]]:
        """Names and values as text, for a page that cannot put them back into a form."""
        return [
            (name.replace("_", " ").capitalize(), ", ".join(self.data.getlist(name)))
            for name in self.data
            if name not in OWN_FIELDS and any(self.data.getlist(name))
        ]


def token(request: HttpRequest) -> str:
    """A token for a form on the requested page; empty for anonymous users."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    before = _opened(request)
    htmx = getattr(request, "htmx", None)
    page = (htmx.current_url_abs_path if htmx else None) or request.get_full_path()
    if request.method == "POST" and before is not None:
        page = before.page  # a rejected form is at an address that cannot be requested
    return signing.dumps([str(user.pk), page, get_random_string(12)], salt=_SALT, compress=True)


def made(request: HttpRequest, place: str) -> None:
    """Call this in a view that created something and responds with a page of its own, such as one
    with a secret that is shown once. A second submission is redirected to ``place``.
    """
    request.made_at = place  # type: ignore[attr-defined]


def typed(request: HttpRequest, path: str) -> QueryDict | None:
    """Unsaved input of a form on this page that was sent to ``path``."""
    unsaved: Unsaved | None = getattr(request, "unsaved", None)
    return unsaved.data if unsaved is not None and unsaved.path == path else None


class PageForms:
    """Middleware; runs after authentication and before the login requirement."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        # Django passes no middleware exceptions raised here, so call allauth's, which redirects
        # users who have to log in again.
        self._elsewhere = AccountMiddleware(get_response).process_exception

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        if request.method in ("GET", "HEAD"):
            _bring_back(request)
            return None
        if request.method != "POST" or not getattr(view, "login_required", True):
            return None
        opened = _opened(request)
        if opened is None:
            return None
        if not request.user.is_authenticated or str(request.user.pk) != opened.user:
            return _keep(request, opened)
        if request.resolver_match and request.resolver_match.view_name in RECOGNISED:
            return None
        try:
            return _once(request, opened, lambda: view(request, *args, **kwargs))
        except Exception as error:
            elsewhere: HttpResponseBase | None = self._elsewhere(request, error)
            if elsewhere is None:
                raise
            return elsewhere


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """A form from before a new login has an old CSRF secret. Nothing is processed and no input is
    lost.
    """
    opened = _opened(request) if request.method == "POST" else None
    return refused(request, reason) if opened is None else _keep(request, opened)


def _opened(request: HttpRequest) -> Opened | None:
    """None if the form is not one of ours, or if its token has expired."""
    if request.method != "POST" or FIELD not in request.POST:
        return None
    try:
        return Opened(*signing.loads(request.POST[FIELD], salt=_SALT, max_age=VALID))
    except (signing.BadSignature, TypeError):
        return None


def _keep(request: HttpRequest, opened: Opened) -> HttpResponse:
    """Keep the input for the user who opened the form, and redirect there via the login."""
    page = opened.page
    kept = QueryDict(mutable=True)
    for name, values in request.POST.lists():
        if name not in OWN_FIELDS[:2] and "password" not in name:
            kept.setlist(name, values)
    if any(name not in OWN_FIELDS for name in kept):
        number = get_random_string(32)
        entry = [opened.user, request.path, kept.urlencode()]
        cache.set(_key(number), signing.dumps(entry, salt=_SALT, compress=True), KEPT)
        page += ("&" if urlsplit(page).query else "?") + urlencode({PARAMETER: number})
    if not request.user.is_authenticated:
        return redirect_to_login(page)
    if str(request.user.pk) == opened.user:
        return redirect(page)
    messages.error(
        request,
        "That form was opened from another account. Nothing was saved. Log in with that account.",
    )
    return redirect("home")


def _bring_back(request: HttpRequest) -> None:
    """Put the input back into the form, if this user typed it."""
    number = request.GET.get(PARAMETER, "")
    if not number or not request.user.is_authenticated:
        return
    try:
        user, path, data = signing.loads(cache.get(_key(number)) or "", salt=_SALT)
    except signing.BadSignature:
        return
    if user == str(request.user.pk):
        unsaved = Unsaved(path, QueryDict(data))
        request.unsaved = unsaved  # type: ignore[attr-defined]
        if path == request.path:
            # Forms see it as submitted data; only a POST is processed.
            request.POST = unsaved.data  # type: ignore[assignment]


def _once(
    request: HttpRequest, opened: Opened, do: Callable[[], HttpResponseBase]
) -> HttpResponseBase:
    number = hashlib.sha256(f"{opened.number} {_fingerprint(request)}".encode()).hexdigest()
    claimed = _claimed(f"page {opened.user}", number)
    if claimed is None:
        messages.info(request, "This is already being done. Check again in a moment.")
        return redirect(opened.page)
    if claimed.answered_at is not None:
        messages.info(request, ALREADY.format(timezone.localtime(claimed.answered_at)))
        return redirect(claimed.headers["Location"])
    match = request.resolver_match
    is_long = match is not None and match.view_name in LONG
    try:
        with nullcontext() if is_long else transaction.atomic():
            response = do()
            place = response.get("Location") if 300 <= response.status_code < 400 else None
            place = place or getattr(request, "made_at", None)
            if place:
                headers = {"Location": place}
                idempotency.answer(claimed, status=302, headers=headers, body=b"")
    except BaseException:
        idempotency.release(claimed)
        raise
    if not place:
        idempotency.release(claimed)
    elif PARAMETER in request.GET:
        cache.delete(_key(request.GET[PARAMETER]))
    return response


def _claimed(caller: str, number: str) -> Any:
    """Claim the form; None if its first submission takes too long."""
    end = time.monotonic() + WAIT
    while True:
        try:
            return idempotency.claim(caller=caller, key=number, fingerprint=number)
        except InProgress:
            if time.monotonic() > end:
                return None
            time.sleep(0.1)


def _fingerprint(request: HttpRequest) -> str:
    """The submitted content, so that a form changed after going back counts as a new one."""
    data = {name: values for name, values in request.POST.lists() if name not in OWN_FIELDS[:2]}
    files = [
        (name, [(file.name, file.size) for file in many]) for name, many in request.FILES.lists()
    ]
    return json.dumps([request.path, data, files], sort_keys=True)


def _key(number: str) -> str:
    return f"unsaved-{hashlib.sha256(number.encode()).hexdigest()}"
