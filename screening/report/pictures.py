"""Pictures in a report: small, and loaded one at a time when their page is drawn."""

from __future__ import annotations

import logging
from io import BytesIO

from PIL import Image
from reportlab.lib.colors import Color, white
from reportlab.lib.units import inch
from reportlab.lib.utils import ImageReader
from reportlab.platypus import Flowable

from ml.opening.pictures import InvalidImage
from screening.images import cleaning
from screening.measurements.contours import Point
from screening.measurements.millimetres import scale_of
from screening.models import LesionImage
from screening.report.style import BOLD, FONT, MUTED, SUNKEN

logger = logging.getLogger(__name__)

DOTS_PER_INCH = 200
SCALE_BARS_MM = (10, 5, 2, 1)


class Picture(Flowable):
    """An image within ``width`` x ``height`` points, with its outline, and a scale bar if its scale
    is known. The stored thumbnail is used if it is large enough.
    """

    def __init__(
        self, image: LesionImage, width: float, height: float, outline: list[Point] | None = None
    ) -> None:
        super().__init__()
        shrink = min(width / image.width, height / image.height)
        self.image, self.outline = image, outline or []
        self.width, self.height = image.width * shrink, image.height * shrink

    def draw(self) -> None:
        try:
            picture = self._picture()
        except (OSError, InvalidImage):
            logger.exception("image %s: a stored file is missing or damaged", self.image.pk)
            self._say_missing()
            return
        self.canv.drawImage(picture, 0, 0, self.width, self.height)
        self._draw_outline()
        self._draw_scale()

    def _picture(self) -> ImageReader:
        side = round(max(self.width, self.height) / inch * DOTS_PER_INCH)
        is_small = side <= cleaning.THUMBNAIL_SIDE
        file = self.image.thumbnail if is_small else self.image.file
        with file.open("rb") as opened:
            pixels = cleaning.pixels(opened, side)
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
        buffer.seek(0)
        return ImageReader(buffer)

    def _draw_outline(self) -> None:
        """A dark line below a light one, visible on any skin."""
        if not self.outline:
            return
        path = self.canv.beginPath()
        for n, (x, y) in enumerate(self.outline):
            step = path.lineTo if n else path.moveTo
            step(x * self.width, (1 - y) * self.height)
        path.close()
        for line, colour in ((1.8, Color(0, 0, 0, 0.55)), (0.8, white)):
            self.canv.setLineWidth(line)
            self.canv.setStrokeColor(colour)
            self.canv.drawPath(path)

    def _draw_scale(self) -> None:
        mm_per_pixel = scale_of(self.image) if self.width >= inch else None
        if mm_per_pixel is None:
            return
        points_per_mm = self.width / (self.image.width * mm_per_pixel)
        longest = 0.4 * self.width
        length = next((bar for bar in SCALE_BARS_MM if bar * points_per_mm <= longest), None)
        if length is None:
            return
        self.canv.setFillColor(Color(0, 0, 0, 0.55))
        self.canv.rect(4, 4, length * points_per_mm + 8, 15, stroke=0, fill=1)
        self.canv.setFillColor(white)
        self.canv.rect(8, 7, length * points_per_mm, 1.5, stroke=0, fill=1)
        self.canv.setFont(BOLD, 6)
        self.canv.drawString(8, 11, f"{length} mm")

    def _say_missing(self) -> None:
        self.canv.setFillColor(SUNKEN)
        self.canv.rect(0, 0, self.width, self.height, stroke=0, fill=1)
        self.canv.setFillColor(MUTED)
        self.canv.setFont(FONT, 7)
        self.canv.drawCentredString(self.width / 2, self.height / 2, "missing")
