"""Adding a picture, of which a DICOM file says more than its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import IO, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from screening import intake, outlining
from screening.exchange.dicom.reading import Stated, stated
from screening.models import BodySite, ImageScale, Lesion, LesionImage, Modality


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
) -> Added:
    """As ``intake.add_image``. Of a DICOM file the day of capture is taken over unless another one
    is given, the size of its pixels, and the body site where the lesion has none. Nothing that
    tells who it is: names, numbers and UIDs are left behind."""
    said = stated(file)
    if said is None:
        added = intake.add_image(
            user=user, lesion=lesion, file=file, captured_on=captured_on, modality=modality
        )
        return Added(added.image, added.is_new, ())
    if captured_on is None and said.no_day:
        text = f"The file says that it was taken on “{said.no_day}”, which is no day. Give the day."
        raise ValidationError({"captured_on": text})
    with transaction.atomic():
        # Before the picture: the model that reads it is told of the site.
        taken = take_site(user, lesion, said)
        added = intake.add_image(
            user=user,
            lesion=lesion,
            file=file,
            captured_on=captured_on or said.captured_on,
            modality=modality,
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


def take_site(user: User, lesion: Lesion, said: Stated) -> tuple[str, ...]:
    """Keep the body site where the lesion has none; in words, what was taken over."""
    if not said.body_site or lesion.body_site:
        return ()
    intake.edit_lesion(user=user, lesion=lesion, body_site=said.body_site)
    return (f"body site: {BodySite(said.body_site).label}",)


def take_scale(user: User, image: LesionImage, said: Stated) -> tuple[str, ...]:
    """Keep the size of a pixel; in words, what was taken over."""
    if said.mm_per_pixel is None:
        return ()
    outlining.set_scale(
        user=user,
        image=image,
        source=ImageScale.Source.PIXEL_SPACING,
        mm_per_pixel=said.mm_per_pixel,
    )
    return (f"pixel spacing: {said.mm_per_pixel:.4g} mm",)
