"""The report of one lesion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from reportlab.platypus import Flowable, Spacer

from accounts.models import User
from screening.body_map import regions
from screening.models import Lesion, LesionImage, Patient
from screening.report import sections, style
from screening.report.page_frame import built
from screening.report.queries import LesionRecord, record_of, shown
from screening.report.style import text


def lesion_report(
    lesion: Lesion, user: User, before: Iterable[Flowable] = ()
) -> tuple[IO[bytes], list[LesionImage]]:
    """The PDF and the images it shows. before: what is printed first. Reads
    ``lesion.patient.clinic`` and ``position``.
    """
    record = record_of(lesion, user)
    flowables = [
        *before,
        text(lesion, style.TITLE),
        text(" · ".join(subject(lesion.patient)), style.TEXT),
        text(about(lesion), style.TEXT),
        *([text(lesion.notes, style.SMALL)] if lesion.notes else []),
        Spacer(0, 6),
        *of_lesion(record),
        *sections.recorded(record),
        *sections.limits(record.versions, is_own=lesion.patient.clinic_id is None),
    ]
    return built(record.worded("Report of a spot"), flowables), shown(record.images)


def of_lesion(record: LesionRecord) -> list[Flowable]:
    """For a person's own record, what fits on a page and a doctor asks for: the outcome, the
    pictures, what changed.
    """
    is_own = record.lesion.patient.clinic_id is None
    return [
        *sections.notices(record),
        *sections.standing(record),
        *sections.concluded(record),
        *sections.newest(record),
        *sections.earlier(record),
        *sections.alerts(record),
        *([] if is_own else [*sections.course(record), *sections.measures(record)]),
    ]


def subject(patient: Patient) -> list[str]:
    """Whose skin it is, as far as known."""
    known = [
        str(patient),
        f"Born {patient.birth_year}" if patient.birth_year else "",
        patient.get_sex_display().lower() if patient.sex else "",
        f"skin type {patient.skin_type}" if patient.skin_type else "",
        str(patient.clinic) if patient.clinic else "own record",
    ]
    return [word for word in known if word]


def about(lesion: Lesion) -> str:
    """Where the lesion is, and its symptoms. Reads what ``body_map.queries.with_position``
    annotates.
    """
    site = lesion.get_body_site_display() if lesion.body_site else "Body site not stated"
    if placed := lesion.position:
        site = regions.where(placed["view"], placed["region"], placed["side"])
    symptoms = f". {lesion.symptom_words}" if lesion.symptoms else ""
    return f"{site}{symptoms}"
