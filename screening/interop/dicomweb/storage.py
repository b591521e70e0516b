"""STOW-RS (PS3.18, 10.5): pictures that another system sends, each by itself.

A picture goes to the patient with its PatientID, and to the lesion of its series: one of ours, or
one that a picture of this series came to before, or a new one. Its SOP Instance UID is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from io import BytesIO
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet

from accounts.models import Clinic, User
from screening.errors import Busy
from screening.images import cleaning
from screening.images import services as image_services
from screening.images.dicom import Identity, is_photograph, is_read
from screening.images.quota import NO_ROOM
from screening.interop import identifiers
from screening.interop.dicom import services as dicom_services
from screening.interop.dicom import uids
from screening.models import ExternalIdentifier, Lesion, LesionImage, Patient

PATIENT_ID = "urn:dicom:patient-id"
"""The system of the identifier that keeps a PatientID without an issuer."""
UNKNOWN_PATIENT = (
    "No patient that you may see has this PatientID. Add the patient first, with it as an "
    "identifier."
)
SEVERAL_PATIENTS = "Several patients have this PatientID. Send IssuerOfPatientID too."
ELSEWHERE = "A picture of another lesion has this SOP Instance UID."
NO_UIDS = "A study, series and instance UID and a PatientID are needed."
UNPRINTABLE = "PatientID or IssuerOfPatientID has characters that cannot be printed."
WITHDRAWN = "was withdrawn here, so it is not stored again. Put it back first."


class Reason(IntEnum):
    """Of a failure: PS3.18, table I.2-2. The last three are ours, of "cannot understand"."""

    NO_RESOURCES = 0xA700
    PROCESSING = 0x0110
    CLASS = 0x0122
    NOT_AUTHORIZED = 0x0124
    SYNTAX = 0xC122
    UNREADABLE = 0xC000
    REFUSED = 0xC001
    PATIENT = 0xC002
    OTHER_STUDY = 0xC003


COERCED = 0xB000
"""The warning of every picture that is stored: it is written anew, without the person's name."""


class _Failed(Exception):
    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one instance. image: None if it failed, with the reason and its text."""

    identity: Identity
    image: LesionImage | None = None
    reason: Reason | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """may_add: whether the caller may write patients, lesions."""

    user: User
    may_add: Callable[[str], bool]


def store(*, sender: Sender, files: Iterable[memoryview], study: str = "") -> list[Sent]:
    """study: the only one whose instances are taken, if the address names one."""
    return [_sent(sender, data, study) for data in files]


def _sent(sender: Sender, data: memoryview, study: str) -> Sent:
    told = Identity()
    try:
        told = _identity(data)
        _require_takable(told, study)
        clean = image_services.cleaned(BytesIO(data))
        return Sent(told, image=_kept(sender, told, clean))
    except _Failed as failure:
        return Sent(told, reason=failure.reason, text=str(failure))
    except Busy:
        return Sent(told, reason=Reason.NO_RESOURCES, text="Send it again in a few seconds.")
    except PermissionDenied as refused:
        return Sent(told, reason=Reason.NOT_AUTHORIZED, text=str(refused))
    except ValidationError as refused:
        errors = [one for listed in refused.update_error_dict({}).values() for one in listed]
        is_full = any(one.code == NO_ROOM for one in errors)
        reason = Reason.NO_RESOURCES if is_full else Reason.REFUSED
        return Sent(told, reason=reason, text=" ".join(refused.messages))


def _identity(data: memoryview) -> Identity:
    try:
        return cleaning.identity(BytesIO(data))
    except cleaning.InvalidImage as error:
        raise _Failed(Reason.UNREADABLE, str(error)) from None


def _require_takable(told: Identity, study: str) -> None:
    if not all(map(uids.VALID.match, (told.instance, told.series, told.study))) or not told.patient:
        raise _Failed(Reason.UNREADABLE, NO_UIDS)
    if not (told.patient + told.issuer).isprintable():
        raise _Failed(Reason.UNREADABLE, UNPRINTABLE)
    if study and told.study != study:
        raise _Failed(Reason.OTHER_STUDY, "It is of another study than the address names.")
    if not is_photograph(told.kind):
        raise _Failed(Reason.CLASS, "Only dermoscopic and VL photographs are stored.")
    if not is_read(told.syntax):
        raise _Failed(Reason.SYNTAX, "This transfer syntax cannot be read here.")


def _kept(sender: Sender, told: Identity, clean: cleaning.CleanImage) -> LesionImage:
    """Nothing is left of a patient or lesion that was added for a picture that is refused."""
    with image_services.files_only_with_rows() as stored:
        lesion = _lesion(sender, _patient(sender, told), told)
        _require_there(sender.user, lesion.patient, told, clean)
        if (known := _known(sender.user, lesion, told)) is not None:
            return known
        added = identifiers.add_image(
            user=sender.user,
            lesion=lesion,
            identifiers=[uids.kept(told.instance)],
            store=dicom_services.keep_image,
            clean=clean,
        )
        image: LesionImage = added.record
        if added.is_new:
            stored += image.stored_files
    return image


def _known(user: User, lesion: Lesion, told: Identity) -> LesionImage | None:
    """The picture with this UID, however it was encoded anew since. Raises _Failed if it is on
    another lesion.
    """
    of_side = LesionImage.objects.visible_to(user).filter(
        lesion__patient__clinic=lesion.patient.clinic_id
    )
    known = of_side.filter(uids.of_instance(told.instance)).first()
    if known is not None and known.lesion_id != lesion.pk:
        raise _Failed(Reason.REFUSED, ELSEWHERE)
    return known


def _require_there(
    user: User, patient: Patient, told: Identity, clean: cleaning.CleanImage
) -> None:
    """A picture that was withdrawn does not come back by being sent again: not under its UID to
    anyone of the clinic, nor with other bytes around it to the patient.
    """
    of_side = Q(
        lesion__patient__in=Patient.everything.visible_to(user),
        lesion__patient__clinic=patient.clinic_id,
    )
    by_content = Q(sha256=clean.sha256, lesion__patient=patient)
    same = LesionImage.everything.filter(uids.of_instance(told.instance) & of_side | by_content)
    if same.exists() and not same.present().exists():
        raise _Failed(Reason.REFUSED, f"This picture {WITHDRAWN}")


def _patient(sender: Sender, told: Identity) -> Patient:
    user = sender.user
    visible = Patient.objects.visible_to(user)
    key = _uuid(told.patient)
    if key and (ours := visible.filter(Q(pk=key) | Q(merged=key)).first()):
        return ours
    numbered = Q(identifiers__in=_numbers(user, told))
    known = list(visible.filter(numbered).distinct()[:2])
    if len(known) > 1:
        raise _Failed(Reason.PATIENT, SEVERAL_PATIENTS)
    if known:
        return known[0]
    gone = Patient.everything.visible_to(user).filter(merged_into=None).exclude(withdrawn_at=None)
    if gone.filter(numbered | Q(pk=key) if key else numbered).exists():
        raise _Failed(Reason.REFUSED, f"This patient {WITHDRAWN}")
    if user.bound_clinic is None or told.issuer == identifiers.MANIFEST:
        raise _Failed(Reason.PATIENT, UNKNOWN_PATIENT)
    if not sender.may_add("patients"):
        raise _Failed(Reason.NOT_AUTHORIZED, "A new patient needs the scope patients:write.")
    identifier = {"system": told.issuer or PATIENT_ID, "value": told.patient}
    added: Patient = identifiers.register_patient(
        user=user, identifiers=[identifier], label=told.patient
    ).record
    return added


def _numbers(user: User, told: Identity) -> QuerySet[ExternalIdentifier]:
    """The identifiers with this PatientID that the caller's side gave: a clinic of theirs, or they
    as owner. Those of manifests count from 1 in every table, and are none of a person.
    """
    of_side = Q(clinic__in=Clinic.objects.with_member(user))
    if user.bound_clinic is None:
        of_side |= Q(owner=user)
    if told.issuer:
        of_side &= Q(system=told.issuer)
    found = ExternalIdentifier.objects.filter(
        of_side, kind=ExternalIdentifier.Kind.PATIENT, value=told.patient
    )
    return found.exclude(system=identifiers.MANIFEST)


def _lesion(sender: Sender, patient: Patient, told: Identity) -> Lesion:
    named = uids.kept(told.series)
    key = uids.lesion_of(told.series)
    if key and (ours := patient.lesions.filter(Q(pk=key) | Q(merged=key)).first()):
        return ours
    kept = Q(identifiers__system=named["system"], identifiers__value=named["value"])
    if known := patient.lesions.filter(kept).first():
        return known
    gone = Lesion.everything.filter(patient=patient, merged_into=None).exclude(withdrawn_at=None)
    if gone.filter(kept | Q(pk=key) if key else kept).exists():
        raise _Failed(Reason.REFUSED, f"This lesion {WITHDRAWN}")
    if not sender.may_add("lesions"):
        raise _Failed(Reason.NOT_AUTHORIZED, "A new series needs the scope lesions:write.")
    opened: Lesion = identifiers.open_lesion(
        user=sender.user, patient=patient, identifiers=[named]
    ).record
    return opened


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
