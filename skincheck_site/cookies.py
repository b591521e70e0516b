"""Over HTTPS, cookies have a prefix: browsers take such cookies from this host alone, encrypted."""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.storage import cookie, fallback
from django.contrib.messages.storage.session import SessionStorage


class CookieStorage(cookie.CookieStorage):
    cookie_name = f"{settings.COOKIE_PREFIX}messages"


class MessageStorage(fallback.FallbackStorage):
    storage_classes = (CookieStorage, SessionStorage)
