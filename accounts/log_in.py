"""Who a session belongs to."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.db.models import BooleanField, ExpressionWrapper, F

from accounts.models import Held, User, demands_factor, has_withdrawn
from accounts.second_factors import has_factor


class BackendWithRoles(AuthenticationBackend):
    """A page needs the person, their roles, and whether something is asked of them first: all in
    one query, a row for each membership.
    """

    def get_user(self, user_id: Any) -> User | None:
        rows = User.objects.filter(pk=user_id).annotate(
            held_role=F("memberships__role"),
            held_blind=F("memberships__clinic__review_before_reading"),
            held_factor=demands_factor("memberships__"),
            found_withdrawn=ExpressionWrapper(has_withdrawn(), BooleanField()),
            found_factor=has_factor(),
        )
        people: list[Any] = list(rows)
        if not people or not self.user_can_authenticate(people[0]):
            return None
        user: User = people[0]
        user.has_withdrawn = people[0].found_withdrawn
        user.has_factor = people[0].found_factor
        user.roles = [
            Held(row.held_role, row.held_blind, row.held_factor) for row in people if row.held_role
        ]
        return user
