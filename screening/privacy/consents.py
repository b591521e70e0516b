"""Consent to research: given and withdrawn for one record. Absent until someone gives it.

Exports for research use ``PatientQuerySet.open_to_research``. Reports, DICOM and FHIR serve the
person's treatment and need no consent to research.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from accounts import agreements
from accounts.models import User
from screening.models import Consent, Patient
from screening.write_access import require_writable


@transaction.atomic
def give(*, user: User, patient: Patient) -> Consent:
    """Record the consent to the current texts. Giving it twice changes nothing.

    Raises PermissionDenied for the clinic of a person with an account, who decides alone.
    """
    require_writable(user=user, patient=patient)
    if not may_give(user, patient):
        raise PermissionDenied("Only the person whose record it is can consent to research.")
    consent, _ = Consent.objects.get_or_create(
        patient=patient,
        withdrawn_at=None,
        defaults={"recorded_by": user, "version": agreements.version()},
    )
    return consent


def may_give(user: User, patient: Patient) -> bool:
    return patient.owner_id in (None, user.pk)


@transaction.atomic
def withdraw(*, user: User, patient: Patient) -> None:
    """Withdraw the consent: later exports leave the record out. Earlier exports are not
    recalled.
    """
    require_writable(user=user, patient=patient)
    patient.consents.filter(withdrawn_at=None).update(
        withdrawn_at=timezone.now(), withdrawn_by=user
    )
