"""Type, colours and boxes of a report on A4. The font is embedded, with accents and Greek."""

from __future__ import annotations

from html import escape
from pathlib import Path

from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.fonts import addMapping
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import CondPageBreak, Flowable, Paragraph, TableStyle

rl_config.useA85 = 0  # binary streams: a fifth smaller

FONT, BOLD = "NotoSans", "NotoSans-Bold"
_FOLDER = Path(__file__).parent / "fonts"
pdfmetrics.registerFont(TTFont(FONT, _FOLDER / "NotoSans-Regular.ttf"))
pdfmetrics.registerFont(TTFont(BOLD, _FOLDER / "NotoSans-Bold.ttf"))
for is_bold, name in ((0, FONT), (1, BOLD)):
    for is_italic in (0, 1):
        addMapping(FONT, is_bold, is_italic, name)

MARGIN = 18 * mm
WIDTH = A4[0] - 2 * MARGIN
"""Width of the text, in points."""
ROOM_BELOW_A_HEADING = 32 * mm

# The light and print values of static/css/theme.css.
INK, MUTED, LINE = HexColor(0x24211D), HexColor(0x625C54), HexColor(0xE2DED7)
SUNKEN, ACCENT = HexColor(0xF3F1ED), HexColor(0x0F766E)
OUTCOMES = {
    "urgent": HexColor(0xA8102E),
    "see_doctor": HexColor(0x92400E),
    "monitor": HexColor(0x3C5286),
    "not_assessable": HexColor(0x57534E),
}

TEXT = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=12.5, textColor=INK)
SMALL = ParagraphStyle("small", TEXT, fontSize=7.5, leading=10, textColor=MUTED)
CELL = ParagraphStyle("cell", TEXT, fontSize=8, leading=10.5)
HEAD = ParagraphStyle("head", CELL, fontName=BOLD, textColor=MUTED, fontSize=7.5, leading=10)
TITLE = ParagraphStyle("title", TEXT, fontName=BOLD, fontSize=18, leading=23)
SECTION = ParagraphStyle(
    "section", TEXT, fontName=BOLD, fontSize=11, leading=14, spaceBefore=12, spaceAfter=4
)
LEAD = ParagraphStyle("lead", TEXT, fontName=BOLD, fontSize=12, leading=15)
EYEBROW = ParagraphStyle("eyebrow", SMALL, fontName=BOLD)

GRID = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
)
PLAIN = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 0),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
    ]
)


def text(words: object, style: ParagraphStyle = TEXT) -> Paragraph:
    """User text with its line breaks, escaped so that none of it is mark-up."""
    return Paragraph(escape(str(words), quote=False).replace("\n", "<br/>"), style)


def outcome_style(outcome: str, style: ParagraphStyle = LEAD) -> ParagraphStyle:
    return ParagraphStyle(f"{style.name}-{outcome}", style, textColor=OUTCOMES[outcome])


def section(title: str) -> list[Flowable]:
    """A heading that is never left alone at the foot of a page."""
    return [CondPageBreak(ROOM_BELOW_A_HEADING), text(title, SECTION)]


def panel(eyebrow: str, title: str, *lines: str, colour: Color = ACCENT) -> list[Flowable]:
    """A box with a rule on its left. Its paragraphs may break over pages: notes can be long."""
    box = {
        "backColor": SUNKEN,
        "borderColor": SUNKEN,
        "borderPadding": (2, 8, 2, 8),
        "leftIndent": 8,
        "rightIndent": 8,
    }
    styles = [ParagraphStyle(f"panel-{s.name}", s, **box) for s in (EYEBROW, LEAD, TEXT)]
    styles[0] = ParagraphStyle("panel-eyebrow", styles[0], textColor=colour, spaceBefore=6)
    parts = [text(eyebrow, styles[0]), text(title, styles[1])]
    parts += [text(line, styles[2]) for line in lines if line]
    parts[-1].style = ParagraphStyle("panel-end", parts[-1].style, spaceAfter=8)
    return parts
