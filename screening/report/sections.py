"""The sections of a report: the findings on a lesion, in the order useful to a doctor."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.urls import reverse
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, KeepTogether, Spacer, Table

from ml import reader
from screening.comparisons.presenters import outline_of, what_changed
from screening.formatting import day, percent
from screening.measurements.presenters import measured_in
from screening.models import LesionImage, Outcome
from screening.predictions.advice import act_words, advise, of_lesion
from screening.predictions.explanation import explain
from screening.predictions.queries import counting_reading, standing_reviews
from screening.predictions.succession import was_graver
from screening.records.timeline import Kind
from screening.report import style
from screening.report.chart import chance_over_time
from screening.report.pictures import Picture
from screening.report.queries import LesionRecord, chosen
from screening.report.style import text

NEWEST = (82 * mm, 66 * mm)
EARLIER = (56 * mm, 44 * mm)
READINGS = 24
"""The maximum number of readings in the table; the chart has all."""


def standing(record: LesionRecord) -> list[Flowable]:
    """The standing outcome, if it is a warning or differs from the newest image; what remains to be
    done; unread pictures; an earlier, more severe outcome; and what settled former warnings.
    """
    told, advice = record.standing, of_lesion(record.lesion, record.standing)
    parts: list[Flowable] = []
    if advice is not None and (told.is_grave or not told.is_of_newest):
        of = f"From the picture of {told.image.day_label}" if told.image else "A symptom"
        of += "; nothing has settled it." if told.is_grave else "."
        # The newest picture's outcome is shown beside it.
        is_beside = told.image is not None and told.is_of_newest
        words = of if is_beside else f"{of} {record.worded(' '.join(advice.text))}"
        if told.image is not None and not told.is_of_newest and told.newest_outcome:
            words = f"{of} The newest picture: {Outcome(told.newest_outcome).label.lower()}."
        title = f"{Outcome(told.outcome).label}: {advice.title.lower()}"
        parts += style.panel("What stands", title, words, "")
    if told.awaits:
        parts += [text(f"{told.awaits_word}.", style.TEXT)]
    if told.unread:
        parts += [text(f"{told.unread_word}: this does not take it into account.", style.TEXT)]
    if record.lesion.closed_on is not None:
        parts += [text(f"{record.lesion.closed_words}: closed.", style.SMALL)]
    for one in was_graver(record.images):
        until = f", until {day(one.told_until.date())}" if one.told_until else ""
        words = (
            f"Earlier reading of the picture of {one.image.day_label}: "
            f"{Outcome(one.outcome_told).label.lower()} (model {one.model_version}{until})."
        )
        parts.append(text(words, style.SMALL))
    if told.settled:
        parts.append(
            text(
                f"Earlier warnings were settled by: {'; '.join(map(act_words, told.settled))}.",
                style.SMALL,
            )
        )
    return parts


def concluded(record: LesionRecord) -> list[Flowable]:
    """Histology, then the clinicians' conclusions: above everything from the software."""
    parts: list[Flowable] = []
    if record.histologies:
        one = record.histologies[0]
        breslow = f", Breslow thickness {one.breslow_mm} mm" if one.breslow_mm else ""
        told = f"Examined {day(one.examined_on)}{breslow}. Recorded by {one.recorded_by}."
        eyebrow = "Histology, the pathologist's diagnosis"
        parts += style.panel(eyebrow, one.get_diagnosis_display(), told, one.note)
    image = record.concluded
    for review in standing_reviews(image) if image else []:
        where = "the newest picture" if image == record.newest else "an earlier picture"
        signed = (
            f"{review.get_management_display()}. Signed by {review.reviewer}, "
            f"{day(review.created.date())}, on {where} ({review.image.day_label})."
        )
        if not review.signature_holds:
            signed += " This is not as it was signed: do not rely on it."
        title = review.get_conclusion_display()
        parts += style.panel("A clinician's conclusion", title, signed, review.note)
    return parts


def newest(record: LesionRecord) -> list[Flowable]:
    """The newest picture with its outline, and its outcome."""
    image = record.newest
    if image is None:
        return [text("There is no picture yet.")]
    left = _outlined(record, image, NEWEST, gap=4)
    columns = [NEWEST[0] + 6 * mm, style.WIDTH - NEWEST[0] - 6 * mm]
    return [Table([[left, _told(record, image)]], columns, style=style.PLAIN), Spacer(0, 4)]


def earlier(record: LesionRecord) -> list[Flowable]:
    images = chosen(record.images)
    if not images:
        return []
    cells = [
        [
            *_outlined(record, image, EARLIER, gap=3),
            *([text(_outcome_of(image), style.SMALL)] if counting_reading(image) else []),
        ]
        for image in images
    ]
    gap = (style.WIDTH - 3 * EARLIER[0]) / 2
    columns = [EARLIER[0] + gap, EARLIER[0] + gap, EARLIER[0]]
    row = Table([cells + [""] * (3 - len(cells))], columns, style=style.PLAIN)
    count = f"Earlier pictures ({len(images)} of {len(record.images) - 1})"
    return [KeepTogether([text(count, style.SECTION), row])]


def _outlined(
    record: LesionRecord, image: LesionImage, size: tuple[float, float], gap: float
) -> list[Flowable]:
    """The picture with its outline, and below what it is."""
    outline = outline_of(image, record.outlining[image.pk])
    caption = _caption(image)
    if outline is None:
        caption += ". Its outline cannot be opened."
    return [Picture(image, *size, outline=outline), Spacer(0, gap), text(caption, style.SMALL)]


def course(record: LesionRecord, height: float = 46 * mm) -> list[Flowable]:
    chart = chance_over_time(record.told, style.WIDTH, height)
    if chart is None:
        return []
    title = text("Chance of cancer or its precursor, as read", style.SECTION)
    note = "Circle: monitor. Triangle: see a doctor. Octagon: urgent."
    if len(record.versions) > 1:
        note += " Readings by different model versions are not joined by a line."
    return [KeepTogether([title, chart, text(note, style.SMALL)])]


def measures(record: LesionRecord) -> list[Flowable]:
    """The measures of the first, the last but one and the newest measured image; in mm only with a
    scale.
    """
    found = [(image, measured_in(image)) for image in record.images]
    known = [(image, one) for image, one in found if one is not None and one.figures]
    if not known:
        return []
    shown = list({image.pk: (image, one) for image, one in (known[-1], *known[1::-1])}.values())
    head = ["", *(image.day_label for image, _ in shown)]
    # Not every picture shows enough skin to determine its tone.
    values = [{figure.label: figure.value for figure in one.figures} for _, one in shown]
    labels = dict.fromkeys(label for each in values for label in each)
    rows = [[label, *(each.get(label, "–") for each in values)] for label in labels]
    colours = [", ".join(word for _, word, _ in one.colours) or "none" for _, one in shown]
    parts: list[Flowable] = [
        text("Measures", style.SECTION),
        _table(head, [*rows, ["Colours", *colours]]),
    ]
    notes = ["Within the outline that is drawn over the pictures."]
    if not all(one.has_scale for _, one in shown):
        notes.append("No millimetres where the scale of a picture is not known.")
    if any(one.is_cut_off for _, one in shown):
        notes.append(
            record.worded(
                "A spot that reaches the picture's edge is measured as far as it is seen."
            )
        )
    return [KeepTogether([*parts, Spacer(0, 3), text(" ".join(notes), style.SMALL)])]


def alerts(record: LesionRecord) -> list[Flowable]:
    if not record.alerts:
        return []
    rows = []
    for alert in record.alerts:
        state = "Open"
        if alert.replaced_at is not None:
            state = f"Replaced {day(alert.replaced_at.date())}: an outline was drawn anew"
        elif alert.closed_at is not None:
            state = (
                f"Closed {day(alert.closed_at.date())} by {alert.closed_by}: {alert.close_reason}"
            )
        between = f"{alert.earlier.day_label},\n{alert.later.day_label}"
        rows.append([alert.get_rule_display(), between, what_changed(alert), state])
    widths = [0.24, 0.17, 0.34, 0.25]
    return [
        *style.section("What changed, by rule"),
        text("A rule compares two pictures. It is no diagnosis.", style.SMALL),
        Spacer(0, 2),
        _table(["Rule", "Between", "What was measured", "State"], rows, widths),
    ]


def recorded(record: LesionRecord) -> list[Flowable]:
    """What people recorded, by day, and the readings. In a person's own report, these are listed
    only if there are more than those shown with their pictures.
    """
    parts: list[Flowable] = []
    said = [one for one in record.events if one.kind != Kind.ALERT]
    if said:
        rows = [[day(one.on), _KINDS[one.kind], one.words] for one in said]
        parts += style.section("What was recorded")
        parts += [_table(["Day", "Kind", "What"], rows, [0.16, 0.16, 0.68])]
    told = [one for one in reversed(record.told) if one.outcome][:READINGS]
    is_own = record.lesion.patient.clinic_id is None
    if told and not (is_own and len(told) <= 1 + len(chosen(record.images))):
        rows = [
            [
                one.image.day_label,
                Outcome(one.outcome).label,
                percent(one.p_malignant) if one.p_malignant is not None else "not assessed",
                one.model_version,
            ]
            for one in told
        ]
        count = f"Readings, the newest first ({len(told)} of {len(record.images)} pictures)"
        parts += style.section(count)
        parts += [_table(["Taken on", "Told", "Chance", "Model"], rows, [0.25] * 4)]
    return parts


def limits(versions: Sequence[str], *, is_own: bool = False) -> list[Flowable]:
    """The intended use and limits of the software, from the card of the version that read. is_own:
    of a person's own record; the page of the card has the rest.
    """
    parts = style.section("What this report can and cannot say")
    if not is_own:
        parts.append(
            text(
                "The chance is what a model made of the picture, with age, sex and body site; it "
                "is calibrated for the mix of cases of specialist clinics. An outline and its "
                "measures are the software's unless somebody drew it. A clinician's conclusion and "
                "a histology count above them.",
                style.SMALL,
            )
        )
    for version in versions:
        try:
            card = reader.card(version)
        except reader.ModelUnavailable:  # an old reading whose card has been removed
            continue
        known = f"Known limits: {' '.join(card['known_limitations'])}"
        page = f"{settings.SITE_URL}{reverse('model_version', args=[version])}"
        for words in (
            f"Model {version}. {card['intended_use']}",
            f"Not meant for: {' '.join(card['out_of_scope'])}",
            f"Figures and known limits: {page}" if is_own else known,
        ):
            parts += [Spacer(0, 2), text(words, style.SMALL)]
    return parts


def notices(record: LesionRecord) -> list[Flowable]:
    parts: list[Flowable] = []
    if record.is_synthetic:
        parts.append(text("Drawn by SkinCheck for demonstration: this is not skin.", style.EYEBROW))
    if record.withheld:
        number = f"{record.withheld} picture{'s' if record.withheld > 1 else ''}"
        parts.append(
            text(
                f"What was found in {number} is not shown: your clinic wants your own conclusion "
                f"first.",
                style.EYEBROW,
            )
        )
    return [*parts, Spacer(0, 4)] if parts else []


_KINDS = {
    Kind.MARK: "Comparison",
    Kind.REVIEW: "Conclusion",
    Kind.VISIT: "Doctor’s visit",
    Kind.HISTOLOGY: "Histology",
}


def _told(record: LesionRecord, image: LesionImage) -> list[Flowable]:
    """The software's outcome for an image, in our standard wording."""
    reading = counting_reading(image)
    advice = advise(reading) if reading else None
    if reading is None or advice is None:
        eyebrow = text("The software's reading of this picture", style.EYEBROW)
        return [eyebrow, text("There is none to show.")]
    parts: list[Flowable] = [
        text("The software's reading of this picture", style.EYEBROW),
        text(
            Outcome(advice.outcome).label.upper(), style.outcome_style(advice.outcome, style.HEAD)
        ),
        text(advice.title, style.outcome_style(advice.outcome)),
    ]
    for paragraph in advice.text:
        parts += [Spacer(0, 3), text(record.worded(paragraph))]
    explanation = explain(reading)
    if explanation is not None:
        rows = [[share.name, percent(share.share)] for share in explanation.top]
        rows.append(["Cancer or its precursor, together", percent(explanation.p_malignant)])
        widths = [0.36, 0.12]
        parts += [Spacer(0, 4), _table(["As read, calibrated", "Chance"], rows, widths)]
    read = f"Model {reading.model_version}"
    if reading.finished_at is not None:
        read += f", read {day(reading.finished_at.date())}"
    return [*parts, Spacer(0, 3), text(f"{read}.", style.SMALL)]


def _outcome_of(image: LesionImage) -> str:
    reading = counting_reading(image)
    told = reading.outcome_told if reading else ""
    return f"Software: {Outcome(told).label.lower()}" if told else ""


def _caption(image: LesionImage) -> str:
    kind = "Ordinary photograph" if image.modality == "clinical" else "Dermatoscopic"
    drawn = ". Drawn by SkinCheck, not skin" if image.is_synthetic else ""
    return f"{image.day_label}. {kind}{drawn}"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float] = ()
) -> Table:
    """widths: shares of the text width; equal by default."""
    shares = widths or [1 / len(head)] * len(head)
    cells = [[text(word, style.HEAD) for word in head]]
    cells += [[text(word, style.CELL) for word in row] for row in rows]
    columns = [share * style.WIDTH for share in shares]
    return Table(cells, columns, style=style.GRID, repeatRows=1, hAlign="LEFT")
