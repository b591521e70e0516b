"""The lesion's area in an image: drawn by a person or found by the model."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from accounts.models import User
from ml.opening import pictures
from screening.errors import Damaged, Unreadable
from screening.measurements.queries import NotOpened
from screening.models import LesionImage, Outcome, Outline, Prediction, PredictionMaps
from screening.operations.transience import is_transient

SIDE = 512
"""The longer side of the copy that is measured. The masks are coarser."""

UNREADABLE = "The software's outline of this picture cannot be opened. Draw one by hand."

Mask = npt.NDArray[np.bool_]


def model_mask(maps: PredictionMaps) -> Mask:
    """The model's mask: bool [h, w], at the size at which the image was read. Raises Unreadable."""
    stored = BytesIO(maps.mask)
    try:
        with Image.open(stored) as image:
            return np.asarray(image) > 0
    except (OSError, SyntaxError, ValueError):  # the error with which Pillow refuses a PNG
        raise Damaged("A stored mask is no picture.") from None


def masked_prediction(image: LesionImage, seen_by: User | None = None) -> Prediction | None:
    """The reading that counts, with its ``maps``, if it found the image assessable. seen_by: the
    user it is shown to; None if it is used only for measuring.
    """
    readings = image.predictions.counting().exclude(outcome=Outcome.NOT_ASSESSABLE)
    if seen_by is not None:
        readings = readings.disclosed_to(seen_by)
    found: Prediction | None = readings.filter(maps__isnull=False).select_related("maps").first()
    return found


def mask_of(image: LesionImage, size: tuple[int, int]) -> Mask | None:
    """The lesion's current mask: bool of ``size`` (height, width). The drawn outline comes first,
    then the model's mask; None if there is neither. Raises NotOpened for a damaged one, and lets
    transient errors through.
    """
    return mask_within(image, masked_prediction(image), size)


def mask_within(
    image: LesionImage, prediction: Prediction | None, size: tuple[int, int]
) -> Mask | None:
    """``mask_of`` for a prediction already loaded with its ``maps``. Needs no query where
    ``outlines`` are prefetched.
    """
    height, width = size
    drawn = next(iter(image.outlines.all()), None)
    if drawn is not None:
        return _filled(drawn, size)
    if prediction is None:
        return None
    try:
        found = model_mask(prediction.maps)
    except Unreadable as error:
        if is_transient(error):
            raise
        raise NotOpened(UNREADABLE) from None
    mask = Image.fromarray(found).convert("L")
    return np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) >= 128


def pixels_of(image: LesionImage, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """A copy of the image whose longer side is at most ``side``: uint8 [h, w, 3].

    Raises NotOpened for a lost or damaged picture, and lets transient errors through.
    """
    try:
        with image.file.open("rb") as file:
            return pictures.load_pixels(file, side)
    except OSError as error:
        if is_transient(error):
            raise
        raise NotOpened("The stored picture could not be opened.") from None


def _filled(drawn: Outline, size: tuple[int, int]) -> Mask:
    height, width = size
    canvas = Image.new("L", (width, height))
    corners = [(x * width - 0.5, y * height - 0.5) for x, y in drawn.points]
    ImageDraw.Draw(canvas).polygon(corners, fill=255, outline=255)
    return np.asarray(canvas) > 0
