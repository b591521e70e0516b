"""Estimated probability over time, as lines for print."""

from __future__ import annotations

from datetime import date, timedelta

from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, PolyLine, String
from reportlab.lib.colors import Color

from screening.formatting import percent
from screening.models import Outcome
from screening.records.timeline import Told
from screening.report.style import ACCENT, BOLD, FONT, LINE, MUTED, OUTCOMES

LEFT, RIGHT, BELOW, ABOVE = 34, 24, 20, 16
"""Margins around the figure, in points."""
LABELS = 12
"""With more readings, only every second, third ... is labelled."""


def chance_over_time(told: list[Told], width: float, height: float) -> Drawing | None:
    """told: of ``timeline.readings``. No line joins readings of different versions.

    None if no reading has a probability.
    """
    points = [one for one in told if one.p_malignant is not None]
    if not points:
        return None
    figure = _Figure(points, width, height)
    figure.axes()
    for version in dict.fromkeys(one.model_version for one in points):
        figure.line([one for one in points if one.model_version == version])
    figure.versions()
    return figure.drawing


class _Figure:
    def __init__(self, points: list[Told], width: float, height: float) -> None:
        self.points, self.width, self.height = points, width, height
        self.drawing = Drawing(width, height)
        highest = max(one.p_malignant or 0 for one in points)
        self.top = next(limit for limit in (0.25, 0.5, 1.0) if highest <= 0.9 * limit or limit == 1)
        self.first, self.last = points[0].image.captured_on, points[-1].image.captured_on
        self.every = -(-len(points) // LABELS)

    def x(self, day: date) -> float:
        days = (self.last - self.first).days
        inner = self.width - LEFT - RIGHT - 20
        return LEFT + 10 + (inner / 2 if not days else inner * (day - self.first).days / days)

    def y(self, share: float) -> float:
        return BELOW + (self.height - BELOW - ABOVE) * share / self.top

    def axes(self) -> None:
        for part in range(6):
            share = self.top * part / 5
            self._line(LEFT, self.y(share), self.width - RIGHT, self.y(share), LINE)
            self._words(LEFT - 5, self.y(share) - 2.5, f"{100 * share:.0f} %", "end")
        days = (self.last - self.first).days
        for n in range(5 if days > 60 else 2 if days else 1):
            day = self.first + timedelta(days=round(days * n / (4 if days > 60 else 1)))
            self._line(self.x(day), BELOW, self.x(day), BELOW - 3, MUTED)
            self._words(self.x(day), BELOW - 12, f"{day.day} {day:%b %Y}", "middle")

    def line(self, points: list[Told]) -> None:
        places = [(self.x(one.image.captured_on), self.y(one.p_malignant or 0)) for one in points]
        flat = [value for place in places for value in place]
        self.drawing.add(PolyLine(flat, strokeColor=MUTED, strokeWidth=0.8))
        for n, (one, (x, y)) in enumerate(zip(points, places, strict=True)):
            self._marker(x, y, one.outcome)
            if (len(points) - 1 - n) % self.every == 0:
                self._words(x, y + 6, percent(one.p_malignant or 0), "middle", font=BOLD)

    def versions(self) -> None:
        """Where another model version starts."""
        before = ""
        for one in self.points:
            if one.model_version != before and before:
                x = self.x(one.image.captured_on) - 5
                self._line(x, BELOW, x, self.height - ABOVE, ACCENT, dashes=(2, 2))
                self._words(x - 2, self.height - ABOVE + 2, f"model {one.model_version}", "middle")
            before = one.model_version

    def _marker(self, x: float, y: float, outcome: str) -> None:
        """A mark whose shape shows the kind as well as its colour, as on the pages."""
        colour, r = OUTCOMES[outcome], 3.2
        if outcome == Outcome.SEE_DOCTOR:
            corners = [x, y + r * 1.3, x - r * 1.2, y - r * 0.9, x + r * 1.2, y - r * 0.9]
            self.drawing.add(Polygon(corners, fillColor=colour, strokeColor=None))
        elif outcome == Outcome.URGENT:
            k = r * 1.25
            steps = ((1, 0.41), (0.41, 1), (-0.41, 1), (-1, 0.41))
            around = [*steps, *((-across, -up) for across, up in steps)]
            corners = [value for across, up in around for value in (x + k * across, y + k * up)]
            self.drawing.add(Polygon(corners, fillColor=colour, strokeColor=None))
        else:
            self.drawing.add(Circle(x, y, r, fillColor=colour, strokeColor=None))

    def _line(
        self, x1: float, y1: float, x2: float, y2: float, colour: Color, dashes: object = None
    ) -> None:
        self.drawing.add(
            Line(x1, y1, x2, y2, strokeColor=colour, strokeWidth=0.6, strokeDashArray=dashes)
        )

    def _words(self, x: float, y: float, words: str, anchor: str, font: str = FONT) -> None:
        self.drawing.add(
            String(x, y, words, fontName=font, fontSize=7, fillColor=MUTED, textAnchor=anchor)
        )
