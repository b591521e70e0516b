"""Write path for pictures whose DICOM file carries metadata."""

from __future__ import annotations

from datetime import date
from typing import IO, NamedTuple, TypedDict, Unpack

from accounts.models import User
from screening import write_access
from screening.images import services as image_services
from screening.images.cleaning import CleanImage
from screening.images.dicom import Said
from screening.interop.dicom.metadata import body_site
from screening.measurements import outlines
from screening.models import BodySite, ImageScale, Lesion, LesionImage
from screening.records import plausibility
from screening.records import services as record_services


class SentWith(TypedDict, total=False):
    """The options of ``images.services.keep_image``, with their defaults."""

    captured_on: date | None
    modality: str
    allow_burned_in: bool
    allow_capture: bool
    allow_duplicate: bool


class Added(NamedTuple):
    """taken_over: what was taken from the file, in words. remark: as of ``AddedImage``."""

    image: LesionImage
    is_new: bool
    taken_over: tuple[str, ...]
    remark: str


def add_image(
    *,
    user: User,
    lesion: Lesion,
    file: IO[bytes],
    **sent: Unpack[SentWith],
) -> Added:
    """Like ``images.services.add_image``. The pixel size is also taken from a DICOM file, and the
    body site if the lesion has none. Nothing that identifies the person (names, numbers, UIDs) is
    stored.
    """
    write_access.require_writable(user=user, patient=lesion.patient)
    if (day := sent.get("captured_on")) is not None:
        plausibility.require_capture_day(day, lesion.patient)
    return keep_image(user=user, lesion=lesion, clean=image_services.cleaned(file), **sent)


def keep_image(
    *,
    user: User,
    lesion: Lesion,
    clean: CleanImage,
    **sent: Unpack[SentWith],
) -> Added:
    """The part of ``add_image`` after decoding, which needs only the database."""
    said = clean.said or Said()
    with image_services.files_only_with_rows() as stored:
        # Before the picture, because the model that reads it uses the body site.
        taken = take_site(user, lesion, said)
        added = image_services.keep_image(
            user=user,
            lesion=lesion,
            clean=clean,
            **sent,
        )
        if added.is_new:
            stored += added.image.stored_files
            taken += take_scale(user, added.image, said)
    return Added(added.image, added.is_new, taken, added.remark)


def take_site(user: User, lesion: Lesion, said: Said) -> tuple[str, ...]:
    """Store the body site if the lesion has none; returns what was taken over, in words."""
    site = "" if lesion.body_site else body_site(said)
    if not site:
        return ()
    record_services.edit_lesion(user=user, lesion=lesion, body_site=site)
    return (f"body site: {BodySite(site).label}",)


def take_scale(user: User, image: LesionImage, said: Said) -> tuple[str, ...]:
    """Store the pixel size; returns what was taken over, in words."""
    if said.mm_per_pixel is None:
        return ()
    outlines.set_scale(
        user=user,
        image=image,
        source=ImageScale.Source.PIXEL_SPACING,
        mm_per_pixel=said.mm_per_pixel,
    )
    return (f"pixel spacing: {said.mm_per_pixel:.4g} mm",)
