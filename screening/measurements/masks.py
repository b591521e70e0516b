"""The lesion's area in an image: as a person drew it, or as the model sees it."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from accounts.models import User
from ml.opening import pictures
from screening.measurements.queries import NotOpened
from screening.models import LesionImage, Outcome, Outline, Prediction, PredictionMaps
from screening.operations.transience import is_transient

SIDE = 512
"""The longer side of the copy that is measured; the masks are coarser still."""

Mask = npt.NDArray[np.bool_]


def model_mask(maps: PredictionMaps) -> Mask:
    """bool [h, w], at the size the image was read at."""
    with Image.open(BytesIO(maps.mask)) as image:
        return np.asarray(image) > 0


def masked_prediction(image: LesionImage, seen_by: User | None = None) -> Prediction | None:
    """The reading that counts, if it found the image assessable, with its ``maps``.

    seen_by: to whom it is shown; None: to nobody, it is only measured within.
    """
    readings = image.predictions.counting().exclude(outcome=Outcome.NOT_ASSESSABLE)
    if seen_by is not None:
        readings = readings.disclosed_to(seen_by)
    found: Prediction | None = readings.filter(maps__isnull=False).select_related("maps").first()
    return found


def mask_of(image: LesionImage, size: tuple[int, int]) -> Mask | None:
    """The lesion as it stands, bool of ``size`` (height, width): as a person drew it or, without
    that, as the model sees it; None where neither is there."""
    return mask_within(image, masked_prediction(image), size)


def mask_within(
    image: LesionImage, prediction: Prediction | None, size: tuple[int, int]
) -> Mask | None:
    """``mask_of`` with a prediction that is at hand, with its ``maps``. No query where ``outlines``
    are prefetched."""
    height, width = size
    drawn = next(iter(image.outlines.all()), None)
    if drawn is not None:
        return _filled(drawn, size)
    if prediction is None:
        return None
    mask = Image.fromarray(model_mask(prediction.maps)).convert("L")
    return np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR)) >= 128


def pixels_of(image: LesionImage, side: int = SIDE) -> npt.NDArray[np.uint8]:
    """A copy whose longer side is at most ``side``: uint8 [h, w, 3].

    Raises NotOpened for a picture that is lost or damaged, and whatever passes as it is.
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
