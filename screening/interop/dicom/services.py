"""Adding a picture, of which a DICOM file says more than its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import IO, NamedTuple

from django.db import transaction

from accounts.models import User
from screening import write_access
from screening.images import services as image_services
from screening.images.dicom import Said
from screening.interop.dicom.metadata import body_site
from screening.measurements import outlines
from screening.models import BodySite, ImageScale, Lesion, LesionImage, Modality
from screening.records import plausibility
from screening.records import services as record_services


class Added(NamedTuple):
    """taken_over: in words, what the file said and is kept."""

    image: LesionImage
    is_new: bool
    taken_over: tuple[str, ...]


def add_image(
    *,
    user: User,
    lesion: Lesion,
    file: IO[bytes],
    captured_on: date | None = None,
    modality: str = Modality.DERMATOSCOPIC,
    allow_burned_in: bool = False,
    allow_duplicate: bool = False,
) -> Added:
    """As ``images.services.add_image``. Of a DICOM file the size of its pixels is taken over too,
    and the body site where the lesion has none. Nothing that tells who it is, names,
    numbers and UIDs, is kept."""
    write_access.require_writable(user=user, patient=lesion.patient)
    if captured_on is not None:
        plausibility.require_capture_day(captured_on, lesion.patient)
    clean = image_services.cleaned(file)
    said = clean.said or Said()
    with transaction.atomic():
        # Before the picture: the model that reads it is told of the site.
        taken = take_site(user, lesion, said)
        added = image_services.keep_image(
            user=user,
            lesion=lesion,
            clean=clean,
            captured_on=captured_on,
            modality=modality,
            allow_burned_in=allow_burned_in,
            allow_duplicate=allow_duplicate,
        )
        if added.is_new:
            with _or_without_files(added.image):
                taken += take_scale(user, added.image, said)
    return Added(added.image, added.is_new, taken)


@contextmanager
def _or_without_files(image: LesionImage) -> Iterator[None]:
    """Where what follows fails, the row goes with the transaction, and here its files."""
    try:
        yield
    except BaseException:
        for file in (image.file, image.thumbnail):
            file.storage.delete(str(file.name))
        raise


def take_site(user: User, lesion: Lesion, said: Said) -> tuple[str, ...]:
    """Keep the body site where the lesion has none; in words, what was taken over."""
    site = "" if lesion.body_site else body_site(said)
    if not site:
        return ()
    record_services.edit_lesion(user=user, lesion=lesion, body_site=site)
    return (f"body site: {BodySite(site).label}",)


def take_scale(user: User, image: LesionImage, said: Said) -> tuple[str, ...]:
    """Keep the size of a pixel; in words, what was taken over."""
    if said.mm_per_pixel is None:
        return ()
    outlines.set_scale(
        user=user,
        image=image,
        source=ImageScale.Source.PIXEL_SPACING,
        mm_per_pixel=said.mm_per_pixel,
    )
    return (f"pixel spacing: {said.mm_per_pixel:.4g} mm",)
