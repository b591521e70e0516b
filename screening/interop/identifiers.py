"""Write path with identifiers of other systems: a known record is not created again.

Each function returns the record and whether it is new. A known record is left unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from accounts.models import Clinic, User
from screening import write_access
from screening.images import services as image_services
from screening.models import ExternalIdentifier, Lesion, LesionImage, Patient
from screening.models.image import present
from screening.records import services as record_services

Identifiers = Iterable[Mapping[str, str]]
Kind = ExternalIdentifier.Kind
MOST = 10
MANIFEST = "urn:skincheck:manifest"
"""The system of the identifiers by which a batch's manifest names patients and lesions."""


class Known(NamedTuple):
    """remark: on a picture, as of ``AddedImage``."""

    record: Any
    is_new: bool
    remark: str = ""


def register_patient(
    *, user: User, identifiers: Identifiers = (), clinic: Clinic | None = None, **fields: Any
) -> Known:
    clinic = clinic or user.bound_clinic
    scope = {"clinic": clinic} if clinic else {"owner": user}
    return _create_or_get(
        user,
        _Wanted(Kind.PATIENT, scope, _once(identifiers)),
        lambda: record_services.register_patient(user=user, clinic=clinic, **fields),
    )


def open_lesion(
    *, user: User, patient: Patient, identifiers: Identifiers = (), **fields: Any
) -> Known:
    known = _create_or_get(
        user,
        _Wanted(Kind.LESION, _scope(user, patient), _once(identifiers), patient),
        lambda: record_services.open_lesion(user=user, patient=patient, **fields),
    )
    if known.record.patient_id != patient.pk:
        raise ValidationError({"identifiers": "A lesion of another patient has this identifier."})
    return known


def add_image(
    *,
    user: User,
    lesion: Lesion,
    identifiers: Identifiers = (),
    store: Callable[..., Any] = image_services.add_image,
    **fields: Any,
) -> Known:
    """Add a picture, or find the known one. store: the function that stores it, if it comes in
    another form.

    Not one transaction, because the picture is cleaned in between. An interrupted call is repaired
    by sending the picture again: it is recognised, and gets its identifier then.
    """
    wanted = _Wanted(Kind.IMAGE, _scope(user, lesion.patient), _once(identifiers), lesion.patient)
    known = _found(user, wanted)
    if known is None:
        added = store(user=user, lesion=lesion, **fields)
        known = Known(added.image, added.is_new, added.remark)
        try:
            with transaction.atomic():
                _attach(wanted, added.image)
        except IntegrityError:  # given to another picture at the same moment
            known = _found(user, wanted) or known
    if known.record.lesion_id != lesion.pk:
        raise ValidationError({"identifiers": "An image of another lesion has this identifier."})
    return known


def known_image(*, user: User, patient: Patient, identifiers: Identifiers) -> LesionImage | None:
    """The patient's image with one of these identifiers. Raises ValidationError if they belong to
    several, or to another patient's.
    """
    wanted = _Wanted(Kind.IMAGE, _scope(user, patient), _once(identifiers), patient)
    known = _found(user, wanted)
    if known is None:
        return None
    image: LesionImage = known.record
    if image.lesion.patient_id != patient.pk:
        raise ValidationError({"identifiers": "An image of another patient has this identifier."})
    return image


def named_in_manifest(records: QuerySet[Any], value: str) -> Any:
    """The record of ``records`` that an export or a manifest calls ``value``; None without one."""
    named = Q(identifiers__system=MANIFEST, identifiers__value=value)
    with suppress(ValueError):
        named |= Q(pk=UUID(value))
    return records.filter(named).first()


@transaction.atomic
def name_by_manifest(*, user: User, record: Patient | Lesion, value: str) -> None:
    """Keep the manifest's name of a new record. Another record of its kind in the clinic may have
    it already: then the label alone tells them apart.
    """
    patient = record if isinstance(record, Patient) else record.patient
    write_access.require_writable(user=user, patient=patient)
    kind = Kind.PATIENT if isinstance(record, Patient) else Kind.LESION
    identifier = {"system": MANIFEST, "value": value}
    wanted = _Wanted(kind, _scope(user, patient), [identifier], patient)
    if not _present(_rows(wanted)).exists():
        _attach(wanted, record)


@transaction.atomic
def set_identifiers(*, user: User, record: Patient | Lesion, identifiers: Identifiers) -> None:
    """Replace the record's identifiers with these."""
    patient = record if isinstance(record, Patient) else record.patient
    kind = Kind.PATIENT if isinstance(record, Patient) else Kind.LESION
    write_access.require_writable(user=user, patient=patient)
    wanted = _Wanted(kind, _scope(user, patient), _once(identifiers), patient)
    record.identifiers.all().delete()
    _touch(record)
    if _present(_rows(wanted)).exists():
        raise ValidationError({"identifiers": f"Another {kind} has one of these identifiers."})
    _attach(wanted, record)


class _Wanted(NamedTuple):
    """scope: the side whose identifiers they are. patient: on whose records those of the other
    side count too.
    """

    kind: Kind
    scope: dict[str, Any]
    identifiers: list[Mapping[str, str]]
    patient: Patient | None = None


def _once(identifiers: Identifiers) -> list[Mapping[str, str]]:
    return list({(one["system"], one["value"]): one for one in identifiers}.values())


def _scope(user: User, patient: Patient) -> dict[str, Any]:
    """The side that gives the identifier: what the owner gives stays when the clinic leaves."""
    is_owner = patient.owner_id == user.pk and user.bound_clinic is None
    if is_owner or patient.clinic_id is None:
        return {"owner": patient.owner}
    return {"clinic": patient.clinic}


def _rows(wanted: _Wanted) -> Any:
    named = Q()
    for one in wanted.identifiers:
        named |= Q(system=one["system"], value=one["value"])
    side = Q(**wanted.scope)
    if wanted.patient is not None:
        side |= ExternalIdentifier.of_patients([wanted.patient.pk])
    rows = ExternalIdentifier.objects.filter(named, side, kind=wanted.kind)
    return rows if wanted.identifiers else rows.none()


def _present(rows: Any) -> Any:
    """Identifiers of records that are not withdrawn. A withdrawn record gives its identifier up to
    the next record that claims it.
    """
    return rows.filter(
        Q(patient__isnull=False, patient__withdrawn_at=None)
        | Q(
            lesion__isnull=False,
            lesion__withdrawn_at=None,
            lesion__patient__withdrawn_at=None,
        )
        | Q(image__isnull=False) & present()
    )


def _found(user: User, wanted: _Wanted) -> Known | None:
    """The record with one of these identifiers. Raises ValidationError if they belong to
    several.
    """
    rows = _present(_rows(wanted)).select_related(
        "patient", "lesion__patient", "image__lesion__patient"
    )
    records = {getattr(row, wanted.kind) for row in rows}
    if not records:
        return None
    if len(records) > 1:
        raise ValidationError({"identifiers": f"These belong to more than one {wanted.kind}."})
    record = records.pop()
    match record:
        case Patient():
            patient = record
        case Lesion():
            patient = record.patient
        case LesionImage():
            patient = record.lesion.patient
    write_access.require_writable(user=user, patient=patient)
    return Known(record, False)


def _create_or_get(user: User, wanted: _Wanted, create: Callable[[], Any]) -> Known:
    known = _found(user, wanted)
    if known is not None:
        return known
    try:
        with transaction.atomic():
            record = create()
            _attach(wanted, record)
    except (IntegrityError, ValidationError):
        known = _found(user, wanted)  # created at the same moment by the same request, sent twice
        if known is None:
            raise
        return known
    return Known(record, True)


def _attach(wanted: _Wanted, record: Any) -> None:
    _rows(wanted).exclude(pk__in=_present(_rows(wanted)).values("pk")).delete()
    for one in wanted.identifiers:
        identifier = ExternalIdentifier(
            kind=wanted.kind,
            system=one["system"],
            value=one["value"],
            **wanted.scope,
            **{wanted.kind: record},
        )
        identifier.full_clean(validate_unique=False, validate_constraints=False)
        identifier.save()
        _touch(record)


def _touch(record: Any) -> None:
    """Who asks for what has changed gets records with other identifiers too."""
    record.save(update_fields=["modified"])
