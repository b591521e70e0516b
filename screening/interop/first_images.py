"""Write path of a lesion's first picture: the lesion is opened with it, or not at all."""

from __future__ import annotations

from typing import IO, Unpack

from accounts.models import User
from screening import write_access
from screening.images import services as image_services
from screening.interop.dicom import services as dicom_services
from screening.interop.identifiers import Identifiers, Known, add_image, known_image
from screening.models import LesionImage, Patient
from screening.records import plausibility
from screening.records import services as record_services


def add_first_image(
    *,
    user: User,
    patient: Patient,
    file: IO[bytes],
    label: str = "",
    body_site: str = "",
    identifiers: Identifiers = (),
    **sent: Unpack[dicom_services.SentWith],
) -> Known:
    """Open a lesion of ``patient`` and add its first picture, in one transaction. On any failure no
    lesion, no image and no file remains.

    Sent again, the picture is recognised by an identifier, or by its bytes on a lesion of the
    patient, which is called ``label`` if that is given: then no lesion is opened.
    """
    write_access.require_writable(user=user, patient=patient)
    if (day := sent.get("captured_on")) is not None:
        plausibility.require_capture_day(day, patient)
    clean = image_services.cleaned(file)
    with image_services.files_only_with_rows() as stored:
        write_access.lock(patient)  # sent twice at once, it is recognised too
        known = known_image(user=user, patient=patient, identifiers=identifiers)
        known = known or _same(patient, clean.sha256, label)
        if known is not None:
            return Known(known, False)
        lesion = record_services.open_lesion(
            user=user, patient=patient, label=label, body_site=body_site
        )
        added = add_image(
            user=user,
            lesion=lesion,
            identifiers=identifiers,
            store=dicom_services.keep_image,
            clean=clean,
            **sent,
        )
        stored += added.record.stored_files
    return added


def _same(patient: Patient, sha256: str, label: str) -> LesionImage | None:
    same = LesionImage.objects.present().filter(lesion__patient=patient, sha256=sha256)
    if label:
        same = same.filter(lesion__label=label)
    return same.order_by("created").first()
