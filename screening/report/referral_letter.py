"""The letter before a report: to whom, from whom, about whom, and the question."""

from __future__ import annotations

from django.utils import timezone
from reportlab.platypus import Flowable, PageBreak, Spacer

from screening.formatting import day
from screening.models import Share
from screening.report import style
from screening.report.lesion_report import subject
from screening.report.style import text

TITLE = "Letter"


def letter(share: Share) -> list[Flowable]:
    """The first page. Reads ``share.patient.clinic``, ``lesion`` and ``shared_by``."""
    about = subject(share.patient)
    if share.lesion is not None:
        about.append(f"spot \u201c{share.lesion}\u201d")
    asks = share.message or "Please look at the report that follows."
    return [
        text(TITLE, style.TITLE),
        Spacer(0, 6),
        text(f"To: {share.recipient}", style.LEAD),
        text(f"From: {share.shared_by}", style.TEXT),
        text(f"About: {' · '.join(about)}", style.TEXT),
        text(day(timezone.localdate(share.created)), style.TEXT),
        Spacer(0, 14),
        text(asks, style.TEXT),
        Spacer(0, 14),
        text(
            "The report follows. What the software read in it is no diagnosis; conclusions by "
            "clinicians are marked as theirs.",
            style.SMALL,
        ),
        PageBreak(),
    ]
