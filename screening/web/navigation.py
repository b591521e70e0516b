"""What every page's frame needs to know of the person, found only when a template asks."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.http import HttpRequest

from accounts.models import User
from accounts.roles import REVIEWERS, WRITERS
from screening.models import Patient
from screening.predictions.advice import DISCLAIMER


class Navigation:
    """Two queries at most, however often it is asked."""

    def __init__(self, user: User) -> None:
        self._user = user

    @cached_property
    def _roles(self) -> list[str]:
        return list(self._user.memberships.values_list("role", flat=True))

    @cached_property
    def _own(self) -> list[Patient]:
        return list(Patient.objects.filter(owner=self._user)[:2])

    @property
    def in_clinic(self) -> bool:
        return bool(self._roles)

    @property
    def may_review(self) -> bool:
        """Whether there is a clinic in which this person concludes."""
        return any(role in REVIEWERS for role in self._roles)

    @property
    def own_record(self) -> Patient | None:
        """The one record of a person who belongs to no clinic; None where there is a choice."""
        return self._own[0] if not self.in_clinic and len(self._own) == 1 else None

    @property
    def may_add(self) -> bool:
        """Whether there is, or may be begun, a record that this person can add images to."""
        writes = any(role in WRITERS for role in self._roles)
        return not self.in_clinic or writes or bool(self._own)


_RECORDS = ("patient", "lesion", "image", "batch")
_REMINDERS = ("reminders", "reminder_", "calendar_")
_MODEL = ("model", "data_set")


def _section(request: HttpRequest) -> str:
    """The entry of the navigation that the page belongs to, by the name of its URL."""
    name = (request.resolver_match.url_name if request.resolver_match else None) or ""
    if name.startswith(_RECORDS):
        return "records"
    if name.startswith("worklist"):
        return "worklist"
    if name.startswith(_REMINDERS):
        return "reminders"
    if name.startswith(_MODEL):
        return "model"
    return "home" if name == "home" else "account"


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``disclaimer``, ``section``, and ``navigation`` for who is logged in."""
    context: dict[str, Any] = {"disclaimer": DISCLAIMER, "section": _section(request)}
    # An error before the session middleware leaves the request without a user.
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        context["navigation"] = Navigation(user)
    return context
