"""What every page's frame needs to know about the user, queried only when a template asks."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from accounts.models import User
from accounts.roles import REVIEWERS, WRITERS
from screening.models import Patient
from screening.predictions.advice import DISCLAIMER

FOR_PEOPLE = DISCLAIMER.replace("lesion", "spot")  # docs/glossary.md


class Navigation:
    """At most two queries, however often it is used."""

    def __init__(self, user: User) -> None:
        self._user = user

    @property
    def _roles(self) -> list[str]:
        return [held.role for held in self._user.roles]

    @cached_property
    def _own(self) -> list[UUID]:
        return list(Patient.objects.filter(owner=self._user).values_list("pk", flat=True)[:2])

    @property
    def in_clinic(self) -> bool:
        return bool(self._roles)

    @property
    def may_review(self) -> bool:
        """Whether the user may record conclusions in any clinic."""
        return any(role in REVIEWERS for role in self._roles)

    @property
    def own_record(self) -> UUID | None:
        """The only record of a user who belongs to no clinic, by its identifier; None if there is
        a choice.
        """
        return self._own[0] if not self.in_clinic and len(self._own) == 1 else None

    @property
    def may_add(self) -> bool:
        """Whether the user has, or may create, a record to add images to."""
        writes = any(role in WRITERS for role in self._roles)
        return not self.in_clinic or writes or bool(self._own)


_RECORDS = ("patient", "lesion", "image", "visit", "histology", "correction", "batch")
_REMINDERS = ("reminders", "reminder_", "calendar_")
_MODEL = ("model", "data_set")


def _section(request: HttpRequest) -> str:
    """The navigation entry that the page belongs to, from the name of its URL."""
    name = (request.resolver_match.url_name if request.resolver_match else None) or ""
    if name.startswith(_RECORDS):
        return "records"
    if name.startswith("worklist"):
        return "worklist"
    if name.startswith(_REMINDERS):
        return "reminders"
    if name.startswith(_MODEL):
        return "model"
    return name if name in ("home", "help") else "account"


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``disclaimer``, ``section``, and ``navigation`` for logged-in users."""
    context: dict[str, Any] = {"disclaimer": FOR_PEOPLE, "section": _section(request)}
    # An error before the session middleware leaves the request without a user.
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        context["navigation"] = Navigation(user)
    return context
