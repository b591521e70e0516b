"""Who sees, changes and reviews which patients, and so all that is theirs. The one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from accounts.models import Clinic, User
from accounts.roles import REVIEWERS, WRITERS, Role

if TYPE_CHECKING:
    from screening.models.patient import Patient  # noqa: F401  named in a string


def searchable(text: str) -> str:
    """What was typed, without the NUL that PostgreSQL refuses."""
    return text.replace("\0", "").strip()


class PatientQuerySet(models.QuerySet["Patient"]):
    """Who may see and do what is written here, once. Everything below a patient joins to it."""

    def visible_to(self, user: User) -> PatientQuerySet:
        return self._of(user, tuple(Role))

    def writable_by(self, user: User) -> PatientQuerySet:
        return self._of(user, WRITERS)

    def reviewable_by(self, user: User) -> PatientQuerySet:
        """Patients on whose images ``user`` may record a conclusion: a clinician's task only."""
        return self.filter(clinic__in=Clinic.objects.with_member(user, REVIEWERS))

    def reviewed_blind_by(self, user: User) -> PatientQuerySet:
        """Those of whose images ``user`` is to conclude before seeing what anyone else did: their
        clinic has set so. Nothing is kept back from the person whose skin it is."""
        return (
            self.reviewable_by(user).filter(clinic__review_before_reading=True).exclude(owner=user)
        )

    def search(self, text: str) -> PatientQuerySet:
        return self.filter(label__icontains=searchable(text))

    def _of(self, user: User, roles: tuple[Role, ...]) -> PatientQuerySet:
        of_clinics = Q(clinic__in=Clinic.objects.with_member(user, roles))
        if user.bound_clinic is not None:  # then not even the user's own skin
            return self.filter(of_clinics)
        return self.filter(Q(owner=user) | of_clinics)
