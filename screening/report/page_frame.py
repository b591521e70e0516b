"""The frame of a report on A4: the title at the head of each page; the disclaimer, the time of
printing and the page number at the foot.
"""

from __future__ import annotations

from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from django.utils import timezone
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate

from screening.predictions.advice import DISCLAIMER
from screening.report.style import ACCENT, BOLD, FONT, LINE, MARGIN, MUTED, WIDTH, text
from screening.report.style import SMALL as SMALL_STYLE

IN_MEMORY = 8_000_000
"""Bytes; a larger report is buffered on disk until it is sent."""
HEAD, FOOT = 22 * mm, 24 * mm


def built(title: str, flowables: list[Flowable]) -> IO[bytes]:
    """The PDF as a file, rewound. title: the kind of report, without a person's label."""
    file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  whoever sends it closes it
    document = BaseDocTemplate(
        file,
        pagesize=A4,
        title=title,
        author="SkinCheck",
        subject=DISCLAIMER,
        lang="en-GB",
        pageTemplates=[
            PageTemplate(
                frames=[
                    Frame(MARGIN, FOOT, WIDTH, A4[1] - HEAD - FOOT, 0, 0, 0, 0),
                ]
            )
        ],
    )
    printed = timezone.localtime()

    def canvas(*arguments: Any, **options: Any) -> Canvas:
        return _NumberedCanvas(*arguments, title=title, printed=printed, **options)

    document.build(flowables, canvasmaker=canvas)
    file.seek(0)
    return file


class _NumberedCanvas(Canvas):
    """Draws head and foot once the number of pages is known."""

    def __init__(self, *arguments: Any, title: str, printed: datetime, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._title, self._printed = title, printed
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        for number, page in enumerate(self._pages, 1):
            self.__dict__.update(page)
            self._head()
            self._foot(number)
            super().showPage()
        super().save()

    def _head(self) -> None:
        y = A4[1] - 14 * mm
        self.setFont(BOLD, 9)
        self.setFillColor(ACCENT)
        self.drawString(MARGIN, y, "SkinCheck")
        self.setFont(FONT, 8)
        self.setFillColor(MUTED)
        self.drawRightString(A4[0] - MARGIN, y, self._title)
        self._rule(y - 5)

    def _foot(self, number: int) -> None:
        words = text(DISCLAIMER, SMALL_STYLE)
        _, height = words.wrap(WIDTH - 60 * mm, FOOT)
        top = 17 * mm
        self._rule(top + 4)
        words.drawOn(self, MARGIN, top - height)
        self.setFont(FONT, 7.5)
        self.setFillColor(MUTED)
        right = A4[0] - MARGIN
        self.drawRightString(right, top - 8, f"Page {number} of {len(self._pages)}")
        moment = f"{self._printed.day} {self._printed:%b %Y, %H:%M %Z}"
        self.drawRightString(right, top - 18, f"Printed {moment}")

    def _rule(self, y: float) -> None:
        self.setStrokeColor(LINE)
        self.setLineWidth(0.6)
        self.line(MARGIN, y, A4[0] - MARGIN, y)
