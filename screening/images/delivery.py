"""The only way a picture leaves the platform: with access checked, as a stream."""

from __future__ import annotations

import logging
from io import BytesIO
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.db.models import QuerySet, TextChoices
from django.db.models.fields.files import FieldFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.cache import get_conditional_response

from accounts.models import User
from ml.opening.pictures import InvalidImage
from screening.errors import Damaged
from screening.images import cleaning
from screening.images import services as image_services
from screening.models import LesionImage
from screening.operations import storage

logger = logging.getLogger(__name__)


class Rendition(TextChoices):
    """The renditions of an image. The value is part of the URL."""

    IMAGE = "image", "Image"
    SCREEN = "screen", "In the size of a screen"
    THUMBNAIL = "thumbnail", "Thumbnail"


_STORED: dict[str, str] = {
    Rendition.IMAGE: "file",
    Rendition.SCREEN: "screen",
    Rendition.THUMBNAIL: "thumbnail",
}
"""Each rendition's field."""
CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png"}


def deliver(
    *,
    request: HttpRequest,
    user: User,
    pk: UUID,
    rendition: str,
    of: QuerySet[LesionImage] | None = None,
) -> HttpResponseBase:
    """Return the image ``pk``, or a smaller rendition of it, to ``user``. of: the set to look in,
    instead of all visible images.

    Raises Http404 for images that ``user`` may not see, for an unknown rendition and for a lost
    file. Browsers may cache the picture but must revalidate, and access is checked then too.
    """
    image = looked_at(user=user, pk=pk, rendition=rendition, of=of)
    return stored(request, image, rendition)


def stored(request: HttpRequest, image: LesionImage, rendition: str) -> HttpResponseBase:
    """The stored picture as a response. The caller has checked access.

    Until a worker has created a large picture's smaller rendition, the stored picture is returned.
    """
    if rendition == Rendition.SCREEN and not image.screen:
        image_services.ask_for_screen(image)
        rendition = Rendition.IMAGE
    file = getattr(image, _STORED[rendition])
    # The files of a row never change, so its identifier serves as the ETag.
    etag = f'"{image.pk}-{rendition}"'
    response = get_conditional_response(request, etag=etag) or _streamed(image, file)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def looked_at(
    *,
    user: User,
    pk: UUID,
    rendition: str = Rendition.IMAGE,
    of: QuerySet[LesionImage] | None = None,
) -> LesionImage:
    """The image, for conversion to another format. Raises Http404."""
    if rendition not in Rendition.values:
        raise Http404("No such rendition.")
    images = LesionImage.objects.visible_to(user) if of is None else of
    image: LesionImage = get_object_or_404(images.select_related("lesion__patient"), pk=pk)
    return image


def picture_of(image: LesionImage) -> bytes:
    """The stored picture. Raises Http404 if its file is lost or empty."""
    try:
        with image.file.open("rb") as file:
            picture = bytes(file.read())
    except (FileNotFoundError, Damaged):
        raise lost(image) from None
    if not picture:
        raise lost(image)
    return picture


def is_whole(image: LesionImage) -> bool:
    """Whether the stored picture can be read to its end; logged if not. Raises KeyMissing."""
    try:
        _whole(image.file).close()
    except (FileNotFoundError, Damaged):
        lost(image)
        return False
    return True


def decoded(image: LesionImage, picture: bytes) -> npt.NDArray[np.uint8]:
    """The pixels of ``picture_of``: uint8 [h, w, 3]. Raises Http404 if it is damaged, Busy."""
    try:
        pixels = cleaning.pixels(BytesIO(picture))
    except InvalidImage:
        raise lost(image) from None
    if pixels.shape[:2] != (image.height, image.width):
        raise lost(image)
    return pixels


def _streamed(image: LesionImage, file: FieldFile) -> HttpResponseBase:
    extension = str(file.name).rpartition(".")[2]
    content_type = CONTENT_TYPES[extension]
    try:
        if location := storage.accelerated(file):
            return HttpResponse(content_type=content_type, headers={"X-Accel-Redirect": location})
        return FileResponse(
            _whole(file), content_type=content_type, filename=f"{image.pk}.{extension}"
        )
    except (FileNotFoundError, Damaged):
        raise lost(image) from None


def _whole(file: FieldFile) -> FieldFile:
    """The file, opened and read once, so that tampering is found before the first byte is sent.
    Raises FileNotFoundError, Damaged.
    """
    opened = file.open("rb")
    try:
        for _ in opened.chunks():
            pass
    except BaseException:
        opened.close()
        raise
    opened.seek(0)
    return opened


def lost(image: LesionImage) -> Http404:
    logger.error("image %s: a stored file is missing or damaged", image.pk)
    return Http404("The stored picture is missing or damaged.")
