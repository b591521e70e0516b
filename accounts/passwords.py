"""Passwords that anybody would try who knows this site."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

WORDS = ("skincheck", "clinic", "dermatologist", "dermatology", "doctor", "melanoma", "patient")
LEAST = 8
"""A password with such a word needs this many characters besides."""


class SiteWordsValidator:
    """Refuses passwords of little more than words of this site: its name, its field, its host and
    its operator.
    """

    def validate(self, password: str, user: Any = None) -> None:
        rest = password.casefold()
        for word in _words():
            rest = rest.replace(word, "")
        if LEAST > len(rest) != len(password):
            raise ValidationError("This is little more than a word of this site: add others.")

    def get_help_text(self) -> str:
        return "Your password can't be little more than words of this site."


def _words() -> list[str]:
    """The longest first: one may be part of another."""
    names = f"{settings.OPERATOR} {urlsplit(settings.SITE_URL).hostname}".casefold()
    own = [word for word in re.split(r"\W+", names) if len(word) > 3]
    return sorted([*WORDS, *own], key=len, reverse=True)
