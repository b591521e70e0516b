"""Who sees, changes and reviews which patients and everything below them. The only place for these
rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q

from accounts.models import Clinic, User
from accounts.roles import EXPORTERS, REVIEWERS, WRITERS, Role

if TYPE_CHECKING:
    from screening.models.patient import Patient  # noqa: F401  named in a string


def searchable(text: str) -> str:
    """The search text without NUL, which PostgreSQL rejects."""
    return text.replace("\0", "").strip()


class PatientQuerySet(models.QuerySet["Patient"]):
    """The only place that states who may see and do what. Everything below a patient joins to
    it.
    """

    def visible_to(self, user: User) -> PatientQuerySet:
        return self._of(user, tuple(Role))

    def writable_by(self, user: User) -> PatientQuerySet:
        return self._of(user, WRITERS)

    def reviewable_by(self, user: User) -> PatientQuerySet:
        """Patients on whose images ``user`` may record a conclusion. Only clinicians may."""
        of_clinics = Clinic.objects.with_member(user, REVIEWERS)
        return self.filter(erased_from=None, clinic__in=of_clinics)

    def exportable_by(self, user: User) -> PatientQuerySet:
        """Patients whose whole record ``user`` may take along."""
        return self._of(user, EXPORTERS)

    def reviewed_blind_by(self, user: User) -> PatientQuerySet:
        """Patients on whose images ``user`` must conclude before seeing anyone else's findings,
        because their clinic reviews blind. Nothing is withheld from the person whose skin it is.
        """
        return (
            self.reviewable_by(user).filter(clinic__review_before_reading=True).exclude(owner=user)
        )

    def open_to_research(self, user: User) -> PatientQuerySet:
        """Patients whose record may leave for research: those who consented, and the user's own."""
        consented = Q(consents__isnull=False, consents__withdrawn_at=None)
        return self.filter(Q(owner=user) | consented)

    def search(self, text: str) -> PatientQuerySet:
        return self.filter(label__icontains=searchable(text))

    def _of(self, user: User, roles: tuple[Role, ...]) -> PatientQuerySet:
        of_clinics = Q(clinic__in=Clinic.objects.with_member(user, roles))
        kept = self.filter(erased_from=None)
        if user.bound_clinic is not None:  # a caller bound to a clinic sees only the clinic's
            return kept.filter(of_clinics)
        return kept.filter(Q(owner=user) | of_clinics)
