"""WADO-RS (PS3.18, 10.4): the instances of a study or series, and renderings of one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import BytesIO

from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.models import User
from ml.opening.pictures import InvalidImage
from screening.errors import Damaged, KeyDestroyed
from screening.images import cleaning, delivery
from screening.interop.dicom import readings, uids
from screening.interop.dicom.uids import Document
from screening.measurements.masks import model_mask
from screening.measurements.millimetres import with_scale
from screening.models import LesionImage, Prediction

logger = logging.getLogger(__name__)

JPEG, PNG = "image/jpeg", "image/png"
RENDERED = {JPEG: "JPEG", PNG: "PNG"}


@dataclass(frozen=True, slots=True)
class Rendering:
    """quality: of a JPEG, 1 to 100. size: width and height to fit into, without
    enlarging; None as it is.
    """

    media_type: str
    quality: int = 90
    size: tuple[int, int] | None = None


def needed(images: QuerySet[LesionImage]) -> QuerySet[LesionImage]:
    """With what ``writer.to_dicom`` reads of each."""
    related = images.select_related("lesion__patient")
    return with_scale(related).prefetch_related("identifiers", "lesion__positions")


def within(study: str = "", series: str = "", instance: str = "") -> Q:
    """A condition on images: those in the study and series named, with the UID named."""
    found = uids.of_study(study) if study else Q()
    if series:
        found &= uids.of_series(series)
    return found & uids.of_instance(instance) if instance else found


def holding(document: Document, study: str = "", series: str = "") -> Q:
    """A condition on readings: those that have ``document``, in the study and series named."""
    found = readings.HAVE[document]
    if study:
        found &= Q(image__in=LesionImage.objects.filter(uids.of_study(study)).values("pk"))
    if series:
        one = uids.documents_of(series)
        if one is None or one.document != document:
            return uids.NOTHING
        found &= Q(image__lesion=one.owner, image__captured_on=one.day)
    return found


def require(*, user: User, tells_readings: bool, study: str, series: str) -> None:
    """Raises Http404 if there is no instance that ``user`` may see."""
    is_there = LesionImage.objects.visible_to(user).filter(within(study, series)).exists()
    told = readings.listed_to(user)
    if not is_there and not (
        tells_readings
        and any(told.filter(holding(one, study, series)).exists() for one in Document)
    ):
        raise Http404


def images(*, user: User, study: str, series: str = "", instance: str = "") -> list[LesionImage]:
    """Raises Http404 if there are none that ``user`` may see."""
    if not (found := _images(user, study, series, instance)):
        raise Http404
    return found


@dataclass(frozen=True, slots=True)
class Instances:
    """documents: of readings, if the caller may read them."""

    images: list[LesionImage]
    documents: list[tuple[Prediction, Document]]


def instances(
    *, user: User, tells_readings: bool, study: str, series: str = "", instance: str = ""
) -> Instances:
    """Raises Http404 if there are none that ``user`` may see."""
    documents = _documents(user, study, series, instance) if tells_readings else []
    found = Instances(_images(user, study, series, instance), documents)
    if not (found.images or found.documents):
        raise Http404
    return found


def whole(found: Instances) -> tuple[Instances, int]:
    """Those that can be opened, and how many cannot: a response of many has begun by the time that
    each is read. Raises Http404 if none can, KeyMissing.
    """
    left = Instances(
        [image for image in found.images if delivery.is_whole(image)],
        [(reading, one) for reading, one in found.documents if _opens(reading, one)],
    )
    if not (left.images or left.documents):
        raise Http404
    count = len(found.images) + len(found.documents) - len(left.images) - len(left.documents)
    return left, count


def _opens(reading: Prediction, document: Document) -> bool:
    try:
        return document != Document.MASK or model_mask(reading.maps).size > 0
    except (Damaged, KeyDestroyed) as error:
        logger.warning("prediction %s: its mask cannot be opened: %s", reading.pk, error)
        return False


def _images(user: User, study: str, series: str, instance: str) -> list[LesionImage]:
    visible = LesionImage.objects.visible_to(user).filter(within(study, series, instance))
    return list(needed(visible).order_by("lesion", "modality", "pk"))


def _documents(
    user: User, study: str, series: str, instance: str
) -> list[tuple[Prediction, Document]]:
    found = readings.told_to(user).filter(
        image__in=LesionImage.objects.filter(uids.of_study(study)).values("pk")
    )
    wanted = list(Document)
    if series:
        of_series = uids.documents_of(series)
        if of_series is None or of_series.day is None:
            return []
        found = found.filter(image__lesion=of_series.owner, image__captured_on=of_series.day)
        wanted = [of_series.document]
    if instance:
        if (one := uids.document_of(instance)) is None:
            return []
        found = found.filter(pk=one.owner)
    pairs = [
        (reading, document)
        for reading in found.order_by("image__lesion", "pk")
        for document in readings.documents_of(reading)
        if document in wanted
    ]
    return [pair for pair in pairs if not instance or readings.uid_of(*pair) == instance]


def stored_bytes(image: LesionImage) -> int:
    """Of the stored picture. Raises Http404 if its file is lost or empty."""
    try:
        size = int(image.file.size)
    except FileNotFoundError:
        raise delivery.lost(image) from None
    if not size:
        raise delivery.lost(image)
    return size


def rendered(stored: LesionImage, wanted: Rendering) -> bytes:
    """Raises Http404 if its file is lost or damaged."""
    try:
        return cleaning.rendered(
            BytesIO(delivery.picture_of(stored)),
            format=RENDERED[wanted.media_type],
            quality=wanted.quality,
            size=wanted.size,
        )
    except InvalidImage:
        raise delivery.lost(stored) from None
