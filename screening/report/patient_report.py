"""The report of a patient: all lesions in a table, and those that need attention in full."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO, Any

from django.db.models import Count
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, PageBreak, Spacer, Table

from accounts.models import User
from screening.body_map import queries as body_map_queries
from screening.formatting import clinical, day, percent
from screening.models import (
    Alert,
    Conclusion,
    Histology,
    Lesion,
    LesionImage,
    Management,
    Outcome,
    Patient,
)
from screening.predictions.outcomes import Standing, open_alerts
from screening.predictions.queries import counting_reading
from screening.records import queries as record_queries
from screening.report import sections, style
from screening.report.lesion_report import about, of_lesion, subject
from screening.report.page_frame import built
from screening.report.pictures import Picture
from screening.report.queries import LesionRecord, record_of, shown
from screening.report.style import text

IN_FULL = 6
"""The number of lesions shown in full; each has a separate report."""
THUMBNAIL = (22 * mm, 17 * mm)


def patient_report(
    patient: Patient, user: User, before: Iterable[Flowable] = ()
) -> tuple[IO[bytes], list[LesionImage]]:
    """The PDF and the images it shows. before: what is printed first. Reads ``patient.clinic``."""
    alerts, histologies = _open_alerts(patient, user), _histologies(patient, user)
    lesions = _ordered(patient, user, alerts)
    urgent = [lesion for lesion in lesions if _needs_eyes(lesion, alerts)]
    full = [record_of(lesion, user) for lesion in urgent[:IN_FULL]]
    is_own = patient.clinic_id is None
    worded = str if is_own else clinical
    flowables: list[Flowable] = [
        *before,
        text(patient, style.TITLE),
        text(" · ".join(subject(patient)[1:]), style.TEXT),
        Spacer(0, 6),
        text(worded(_summary(lesions, len(urgent), len(full))), style.TEXT),
        *style.section(worded("All spots, what needs attention first")),
        _overview(lesions, alerts, histologies, worded),
    ]
    for record in full:
        flowables += [
            PageBreak(),
            text(record.lesion, style.TITLE),
            text(about(record.lesion), style.TEXT),
            Spacer(0, 6),
            *of_lesion(record),
        ]
    flowables += sections.limits(_versions(lesions, full), is_own=is_own)
    newest = [image for lesion in lesions if (image := _newest(lesion))]
    images = [*newest, *(image for record in full for image in shown(record.images))]
    title = "Report of a record" if is_own else "Report of a patient"
    return built(title, flowables), list(dict.fromkeys(images))


def _ordered(patient: Patient, user: User, alerts: dict[Any, int]) -> list[Lesion]:
    """By what needs attention: open alerts first."""
    found = body_map_queries.with_position(record_queries.with_latest(patient.lesions.all(), user))
    lesions = record_queries.attach_latest_images(record_queries.most_severe_first(found), user)
    return sorted(lesions, key=lambda one: one.pk not in alerts)


def _open_alerts(patient: Patient, user: User) -> dict[Any, int]:
    """The number of open alerts by lesion."""
    found = open_alerts(Alert.objects.visible_to(user).filter(lesion__patient=patient), user)
    return dict(found.order_by().values_list("lesion").annotate(n=Count("pk")))


def _histologies(patient: Patient, user: User) -> dict[Any, Histology]:
    """The current histology by lesion: the newest, malignant before benign."""
    of_patient = Histology.objects.filter(lesion__patient=patient, lesion__withdrawn_at=None)
    found = of_patient.standing().disclosed_to(user).gravest_first()
    return {histology.lesion_id: histology for histology in found.reverse()}


def _needs_eyes(lesion: Lesion, alerts: dict[Any, int]) -> bool:
    """Whether an alert is open, the standing outcome is serious, a removal or a result is awaited
    or a clinician wants the lesion examined and no pathologist has done so since.
    """
    row: Any = lesion
    if lesion.pk in alerts or row.standing.is_grave or row.standing.awaits:
        return True
    return not lesion.is_closed and row.management_now == Management.REFER


def _summary(lesions: list[Lesion], urgent: int, full: int) -> str:
    counts: list[int] = [lesion.image_count or 0 for lesion in lesions]
    images = sum(counts)
    words = (
        f"{_number(len(lesions), 'spot')}, {_number(images, 'picture')}. The table has every "
        "spot with its newest picture"
    )
    if not full:
        return f"{words}. A spot's own report has its pictures and what changed."
    which = _number(urgent, "spot") if urgent == full else f"the first {full} of {urgent} spots"
    return (
        f"{words}. Shown in full: {which} to look at first. "
        "Each of the others has a report of its own, with its pictures and what changed."
    )


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _overview(
    lesions: list[Lesion],
    alerts: dict[Any, int],
    histologies: dict[Any, Histology],
    worded: Callable[[str], str],
) -> Table:
    words = ("Newest picture", worded("Spot"), "Concluded", "Told by the software", "Changes")
    rows: list[list[Any]] = [[text(word, style.HEAD) for word in words]]
    for lesion in lesions:
        image = _newest(lesion)
        count = alerts.get(lesion.pk, 0)
        rows.append(
            [
                [
                    Picture(image, *THUMBNAIL),
                    Spacer(0, 1),
                    text(day(image.captured_on), style.SMALL),
                ]
                if image
                else text("none yet", style.SMALL),
                [text(lesion, style.CELL), text(_facts(lesion), style.SMALL)],
                text(_concluded(lesion, histologies.get(lesion.pk)), style.CELL),
                _told(lesion),
                text(f"{count} open" if count else "", style.CELL),
            ]
        )
    widths = [share * style.WIDTH for share in (0.17, 0.28, 0.23, 0.21, 0.11)]
    return Table(rows, widths, style=style.GRID, repeatRows=1, hAlign="LEFT")


def _facts(lesion: Lesion) -> str:
    return f"{about(lesion)}. {_number(lesion.image_count or 0, 'picture')}"


def _concluded(lesion: Lesion, histology: Histology | None) -> str:
    """Histology; the conclusion that a clinician signed last, if later; then what is awaited."""
    standing: Standing = lesion.standing
    review, words = standing.concluded_since(histology), []
    if histology is not None:
        words.append(f"Histology: {histology.get_diagnosis_display()}")
    if review is not None:
        what = Conclusion(review.conclusion).label
        words.append(f"{what}; {review.get_management_display().lower()}")
        if standing.newest is not None and review.image_id != standing.newest.pk:
            words.append(f"On the picture of {day(review.image.captured_on)}")
    return ". ".join([*words, *filter(None, [standing.awaits_word])])


def _told(lesion: Lesion) -> Flowable:
    """The standing outcome, that of the newest image if it differs, and what stands beside it."""
    standing: Standing = lesion.standing
    newest = standing.newest
    beside = [word for word in (standing.unread_word, standing.awaits_word) if word]
    if not standing.outcome:
        return text(". ".join([_without_standing(lesion, standing), *beside]), style.SMALL)
    words = Outcome(standing.outcome).label
    reading = standing.reading
    if reading is not None and reading.outcome != Outcome.NOT_ASSESSABLE:
        words += f", {percent(reading.p_malignant or 0.0)}"
    if standing.image is not None and newest is not None and not standing.is_of_newest:
        words += f" ({day(standing.image.captured_on)}). Newest: {_word_of(newest, standing)}"
    if standing.earlier:
        words += f". Earlier reading: {Outcome(standing.earlier).label.lower()}"
    return text(". ".join([words, *beside]), style.outcome_style(standing.outcome, style.CELL))


def _without_standing(lesion: Lesion, standing: Standing) -> str:
    if lesion.closed_on is not None:
        return f"{lesion.closed_words[:1].lower()}{lesion.closed_words[1:]}"
    if standing.newest is not None and standing.newest.is_withheld:
        return "Your own conclusion first"
    return "settled by a doctor" if standing.is_settled else "not read"


def _word_of(newest: LesionImage, standing: Standing) -> str:
    if newest.is_withheld:
        return "your own conclusion first"
    return Outcome(standing.newest_outcome).label.lower() if standing.newest_outcome else "not read"


def _newest(lesion: Lesion) -> LesionImage | None:
    image: LesionImage | None = lesion.latest_image
    return image


def _versions(lesions: list[Lesion], full: list[LesionRecord]) -> list[str]:
    """The model versions of all readings shown."""
    newest = [image for lesion in lesions if (image := _newest(lesion))]
    readings = [reading for image in newest if (reading := counting_reading(image))]
    found = [reading.model_version for reading in readings]
    return sorted({*found, *(version for record in full for version in record.versions)})
