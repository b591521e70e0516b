"""Write path of patients and lesions, for every view, endpoint and command.

Functions take the acting ``user`` and keyword arguments only. They raise PermissionDenied if the
user may see the record but not change it, and ValidationError with a message for the user.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import agreements
from accounts.models import Clinic, User
from accounts.roles import WRITERS
from screening.models import SYMPTOMS, Correction, CorrectionKind, Event, Lesion, Patient
from screening.models.base import save_checked
from screening.models.lesion import numbered
from screening.predictions.arrivals import next_moment
from screening.predictions.outcomes import symptom_stands
from screening.predictions.services import read_with_new_details
from screening.records import plausibility
from screening.webhooks.outbox import announce_about
from screening.write_access import require_writable

PATIENT_FIELDS = ("label", "birth_year", "sex", "skin_type")
READ_WITH = ("birth_year", "sex", "skin_type")
"""The fields of a patient whose edits are logged."""
LESION_FIELDS = ("label", "body_site", "notes", "raised", "bleeding", "itching", "changing")

GROWN_BACK = (
    "This spot is recorded as removed. If something has grown back in the scar, open it again "
    "first: then a symptom can be marked."
)
STAYS_MARKED = (
    "A clinic follows this record, so this counts until a clinician has concluded on the spot, or "
    "takes the mark away. If it has gone, say so in the notes."
)


@transaction.atomic
def register_patient(
    *, user: User, clinic: Clinic | None = None, confirms: bool = False, **fields: Any
) -> Patient:
    """Create a patient of ``clinic`` or, without one, a record of the user's own.

    confirms: the clinic confirms that its patients are informed and consent, which is asked before
    its first record. A caller bound to a clinic has no record of their own: the patient belongs to
    the clinic.
    """
    clinic = clinic or user.bound_clinic
    if clinic is not None and not Clinic.objects.with_member(user, WRITERS).contains(clinic):
        raise PermissionDenied("Your role in this clinic does not let you add patients.")
    patient = Patient(
        clinic=clinic, owner=None if clinic else user, birth_year=fields.get("birth_year")
    )
    plausibility.require_birth_year(patient)
    if clinic is not None:
        agreements.require_confirmation(user=user, clinic=clinic, confirms=confirms)
    _save(patient, PATIENT_FIELDS, fields)
    announce_about(patient, Event.PATIENT_CREATED)
    return patient


@transaction.atomic
def edit_patient(*, user: User, patient: Patient, **fields: Any) -> Patient:
    """Change the patient. Raises ValidationError for a birth year that a recorded day
    contradicts.
    """
    require_writable(user=user, patient=patient)
    before = {name: getattr(patient, name) for name in READ_WITH}
    patient.birth_year = fields.get("birth_year", patient.birth_year)
    if patient.birth_year != before["birth_year"]:
        plausibility.require_birth_year(patient)
    _save(patient, PATIENT_FIELDS, fields)
    _note_edit(user, before, {name: getattr(patient, name) for name in READ_WITH}, patient)
    announce_about(patient, Event.PATIENT_CHANGED)
    read_with_new_details(image__lesion__patient=patient)
    return patient


@transaction.atomic
def open_lesion(*, user: User, patient: Patient, **fields: Any) -> Lesion:
    """Add a lesion to the patient. Without a label it is named "Lesion n"."""
    require_writable(user=user, patient=patient)
    # Other changes to the record wait until this transaction ends.
    if Patient.objects.select_for_update(no_key=True).filter(pk=patient.pk).first() is None:
        raise ValidationError("This record was withdrawn or merged in the meantime.")
    if not fields.get("label"):
        fields["label"] = numbered(patient, Lesion.everything.next_number(patient))
    lesion: Lesion = _save(_marked(Lesion(patient=patient), fields), LESION_FIELDS, fields)
    announce_about(patient, Event.LESION_CREATED, lesion=lesion.pk)
    return lesion


@transaction.atomic
def edit_lesion(*, user: User, lesion: Lesion, **fields: Any) -> Lesion:
    """Change the lesion. Raises ValidationError for a new symptom of a removed lesion, and for
    removing a symptom that only a clinician may remove: see ``may_unmark``.
    """
    require_writable(user=user, patient=lesion.patient)
    hold(lesion)
    closing = ("closed_on", "closed_because", "closed_by")
    lesion.refresh_from_db(fields=[*SYMPTOMS, "symptoms_at", *closing])
    since = lesion.symptoms_at
    if lesion.is_closed and _marks(lesion, fields):
        raise ValidationError(GROWN_BACK)
    unticked = [name for name in SYMPTOMS if getattr(lesion, name) and fields.get(name) is False]
    if unticked and not may_unmark(user, lesion):
        raise ValidationError(dict.fromkeys(unticked, STAYS_MARKED))
    before: dict[str, Any] = dict.fromkeys(unticked, True)
    if lesion.body_site:
        before["body_site"] = lesion.body_site
    _marked(lesion, fields)
    also = ["symptoms_at"] if lesion.symptoms_at != since else []
    _save(lesion, LESION_FIELDS, fields, also)
    # A symptom may have been the reason for "see a doctor".
    after = {name: getattr(lesion, name) for name in before}
    _note_edit(user, before, after, lesion.patient, lesion)
    announce_about(lesion.patient, Event.LESION_CHANGED, lesion=lesion.pk)
    read_with_new_details(image__lesion=lesion)
    return lesion


def may_unmark(user: User, lesion: Lesion) -> bool:
    """Whether ``user``, who may write the record, may remove a symptom. On a record that a clinic
    follows, only clinicians may, until the symptom is settled.
    """
    if lesion.patient.clinic_id is None:
        return True
    if Patient.objects.reviewable_by(user).contains(lesion.patient):
        return True
    return not Lesion.objects.filter(symptom_stands(user), pk=lesion.pk).exists()


def _marked(lesion: Lesion, fields: dict[str, Any]) -> Lesion:
    """Add the time of a newly marked symptom, which earlier examinations did not know of."""
    if _marks(lesion, fields):
        is_new = lesion._state.adding
        lesion.symptoms_at = timezone.now() if is_new else next_moment(lesion)
    return lesion


def _note_edit(
    user: User,
    before: dict[str, Any],
    after: dict[str, Any],
    patient: Patient,
    lesion: Lesion | None = None,
) -> None:
    """Log what changed as a Correction, because it affects the outcome."""
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        Correction.objects.create(
            created=next_moment(*([lesion] if lesion else [])),
            kind=CorrectionKind.EDITED,
            made_by=user,
            patient=patient,
            lesion=lesion,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )


def _marks(lesion: Lesion, fields: dict[str, Any]) -> bool:
    """Whether a symptom is newly marked."""
    return any(fields.get(name) and not getattr(lesion, name) for name in SYMPTOMS)


def hold(lesion: Lesion) -> None:
    """Keep the lesion from being moved, merged or withdrawn until this transaction ends, so that
    nothing added to it is left behind.

    Raises ValidationError if that has just happened. Locks its patient first: see
    ``arrivals.hold``.
    """
    patient = Patient.objects.select_for_update(no_key=True).filter(pk=lesion.patient_id)
    list(patient.values_list("pk"))
    current = Lesion.objects.filter(pk=lesion.pk, patient=lesion.patient_id)
    if current.select_for_update(no_key=True).first() is None:
        raise ValidationError("This spot was moved or withdrawn in the meantime. Check it again.")


def _save(
    record: Any, allowed: tuple[str, ...], fields: dict[str, Any], also: Iterable[str] = ()
) -> Any:
    """Set the permitted fields, check all rules and save. Raises TypeError for any other field.

    An existing record gets only these fields and ``also`` written, because it may have been moved
    or withdrawn since it was loaded.
    """
    unknown = fields.keys() - set(allowed)
    if unknown:
        raise TypeError(f"{type(record).__name__} takes no {', '.join(sorted(unknown))}")
    for name, value in fields.items():
        setattr(record, name, value.strip() if isinstance(value, str) else value)
    record.full_clean()
    save_checked(record, None if record._state.adding else [*fields, *also, "modified"])
    return record
