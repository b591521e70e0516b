"""The advice shown for a reading. All of its wording is here.

Figures in the text come from the card of the model version that read the image.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ml import reader
from ml.outcome import DANGEROUS
from ml.types import NotAssessable
from screening.formatting import day
from screening.models import Histology, Lesion, Outcome, Prediction, Review
from screening.predictions.details import CLINICAL_PHOTOGRAPH
from screening.predictions.outcomes import Act, Standing

DISCLAIMER = (
    "Research software, not a medical device. It cannot diagnose or rule out skin cancer. "
    "A doctor must judge any lesion that worries you."
)
WATCH_FOR = (
    "See a doctor if the spot grows, changes, bleeds, itches or looks unlike your other spots, "
    "or if you are worried."
)
NOT_AN_ALL_CLEAR = "This is not an all-clear. A doctor must judge any spot that worries you."

OF_A_CHILD = (
    "This is a child's spot. The software learned from next to no children, so it cannot tell that "
    "such a spot may be watched: show it to a doctor."
)

# Why the image could not be read, and one tip.
_REASONS: dict[str, tuple[str, str]] = {
    NotAssessable.NOT_DERMATOSCOPIC: (
        "This does not look like a dermatoscopic picture of skin.",
        "Put the dermatoscope flat on the skin, with the spot in the middle, and take it again.",
    ),
    NotAssessable.NO_COLOUR: (
        "The picture has no colour, and much of what is read lies in the colours.",
        "Set the camera or the app to colour and take it again.",
    ),
    NotAssessable.MORE_THAN_ONE_LESION: (
        "There is more than one spot in the picture.",
        "Take one picture of each spot, and add each as a spot of its own.",
    ),
    NotAssessable.TOO_SMALL: (
        "The picture has too few pixels.",
        "Add the original picture, not a preview or a screenshot of it.",
    ),
    NotAssessable.TOO_DARK: (
        "The picture is too dark.",
        "Switch the dermatoscope's light on and take it again.",
    ),
    NotAssessable.TOO_BRIGHT: (
        "The picture is too bright.",
        "Lower the exposure, avoid a second light, and take it again.",
    ),
    NotAssessable.LOW_CONTRAST: (
        "Hardly any structure can be made out in the picture.",
        "Bring the spot into the middle, focus on it, and take it again.",
    ),
    NotAssessable.BLURRED: (
        "The picture is blurred.",
        "Rest the dermatoscope on the skin, wait for the focus, and take it again.",
    ),
    NotAssessable.GLARE: (
        "A reflection hides part of the spot.",
        "Put a drop of gel between skin and dermatoscope, or tilt it a little, and take it again.",
    ),
    NotAssessable.LESION_TOO_SMALL: (
        "No spot, or only a very small one, can be made out in the picture.",
        "Bring the spot into the middle, closer if you can, and take it again.",
    ),
    NotAssessable.LESION_CUT_OFF: (
        "The spot reaches beyond the picture on most sides, so its border cannot be judged.",
        "Take it from a little farther, so that skin is seen all around. A spot too large for the "
        "dermatoscope should be shown to a doctor.",
    ),
    CLINICAL_PHOTOGRAPH: (
        "This is an ordinary photograph. The model has learned from dermatoscopic pictures only.",
        "The photograph is kept and can be compared. Add a dermatoscopic picture to have it read.",
    ),
}


# The same problems when they accompany an outcome and need other words.
_REMARKS = {
    NotAssessable.NOT_DERMATOSCOPIC: "The picture looks little like a dermatoscopic one.",
    NotAssessable.MORE_THAN_ONE_LESION: "There is more than one spot in the picture. The "
    "outcome, the figures and the outline are those of the one that looks most severe: the outline "
    "marks it.",
}
READ_ALL_THE_SAME = (
    "It was read all the same. Do not wait for a better picture before you see a doctor."
)
_NOT_ASSESSED = "This picture could not be assessed"
_ABOUT_PERCENT = (
    "This is the estimate for this picture alone. The number of 100 above counts all spots that "
    "were flagged in the tests, likely and less likely ones together."
)


@dataclass(frozen=True, slots=True)
class Advice:
    """outcome: one of Outcome. title: what to do, in one line. text: short paragraphs.
    about_percent: what the percentage of this picture means, for display beside a figure in the
    text; else empty. false_alarms: how many harmless spots get this outcome; empty if the card does
    not say.
    """

    outcome: str
    title: str
    text: tuple[str, ...]
    about_percent: str = ""
    false_alarms: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """The advice as worded for one kind of reader."""

    urgent: str
    see_doctor: str
    monitor: str
    watch_for: str
    not_an_all_clear: str
    next_step: str
    of_child: str
    read_all_the_same: str
    not_by_software_alone: str
    marked: str


FOR_PERSON = Words(
    urgent="See a doctor this week",
    see_doctor="See a doctor within two weeks",
    monitor="Keep watching this spot",
    watch_for=WATCH_FOR,
    not_an_all_clear=NOT_AN_ALL_CLEAR,
    next_step="Show this spot to a doctor, best to a dermatologist, and take the picture along.",
    of_child=OF_A_CHILD,
    read_all_the_same=READ_ALL_THE_SAME,
    not_by_software_alone="The software found no sign of alarm in the picture, but such a spot "
    "must not be watched by software alone.",
    marked="This spot is marked as {}: a doctor should look at it.",
)
FOR_CLINICIAN = Words(
    urgent="Suspicious: examine this week",
    see_doctor="Examine within two weeks",
    monitor="Follow up",
    watch_for="Ask the patient to come back if the lesion grows, changes, bleeds, itches or looks "
    "unlike the others.",
    not_an_all_clear="This does not exclude malignancy.",
    next_step="Examine the lesion by dermoscopy and decide on biopsy, excision or referral.",
    of_child="The patient is a child. The model learned from next to no children: do not rely on "
    "a reading that suggests follow-up.",
    read_all_the_same="It was read all the same. Do not wait for a better picture before you "
    "examine the lesion.",
    not_by_software_alone="The model found no sign of malignancy in the picture, but such a lesion "
    "must not be followed by software alone.",
    marked="The lesion is marked as {}: examine it.",
)


def advise(prediction: Prediction, words: Words = FOR_PERSON) -> Advice | None:
    """The advice of a finished prediction; None while it has no outcome.

    Reads ``prediction.image.lesion.patient`` for the symptoms and the age that forbid ``monitor``.
    """
    told = prediction.outcome_told
    if not told:
        return None
    if told == Outcome.NOT_ASSESSABLE:
        return _not_assessable(prediction, words)
    figures = _figures(prediction.model_version)
    if told == Outcome.MONITOR:
        calm = (_monitor_text(prediction.model_version), words.watch_for)
        text = (*calm, *_remarks(prediction), *_tips(prediction))
        return Advice(told, words.monitor, text)
    title = words.urgent if told == Outcome.URGENT else words.see_doctor
    text = _flagged_text(prediction, told, figures, words)
    is_counted = bool(figures) and prediction.outcome == told
    if not is_counted:
        return Advice(told, title, text)
    return Advice(told, title, text, _ABOUT_PERCENT, _false_alarms(told, figures))


def in_parts(model_version: str, words: Words = FOR_PERSON) -> dict[str, Any]:
    """The parts of which ``advise`` composes its text, as plain JSON, for code other than Python.

    reasons: by code, what is wrong, and a tip; remarks: the same beside an outcome. By outcome,
    how_often: how many of those flagged were cancer; false_alarms: how many harmless spots are
    flagged.
    """
    figures = _figures(model_version)
    flagged = DANGEROUS if figures else ()
    beside = {code: _REMARKS.get(NotAssessable(code), _REASONS[code][0]) for code in NotAssessable}
    return asdict(words) | {
        "not_assessable": _NOT_ASSESSED,
        "reasons": {code: list(_REASONS[code]) for code in NotAssessable},
        "remarks": beside,
        "no_alarm": _monitor_text(model_version),
        "how_often": {one: _how_often_cancer(one, figures) for one in flagged},
        "false_alarms": {one: _false_alarms(one, figures) for one in flagged},
        "about_percent": _ABOUT_PERCENT,
    }


def of_lesion(lesion: Lesion, standing: Standing, words: Words = FOR_PERSON) -> Advice | None:
    """The advice for a lesion as a whole; None without a standing outcome."""
    if standing.reading is not None:
        return advise(standing.reading, words)
    if not standing.outcome:
        return None
    text = (_marked(lesion, words), words.watch_for)
    return Advice(standing.outcome, words.see_doctor, text)


def act_words(act: Act) -> str:
    """What settled a warning, by whom and when."""
    if isinstance(act, Review):
        return f"{act_found(act)}: signed by {act.reviewer}, {day(act.created)}"
    if isinstance(act, Histology):
        return f"{act_found(act)}, recorded by {act.recorded_by}"
    note = f" ({act.note})" if act.note else ""
    return f"{act_found(act)}{note}, entered by {act.recorded_by}, {day(act.created)}"


def act_found(act: Act) -> str:
    """What the act concluded, in words."""
    if isinstance(act, Review):
        return f"{act.get_conclusion_display()}, {act.get_management_display().lower()}"
    if isinstance(act, Histology):
        return f"Histology of {day(act.examined_on)}: {act.get_diagnosis_display()}"
    return f"Doctor's visit on {day(act.visited_on)}: {act.get_finding_display().lower()}"


def _figures(model_version: str) -> list[dict[str, Any]]:
    """The version's figures for each source of pictures it was evaluated on. Empty if its card has
    been removed, because old readings are still shown.
    """
    try:
        card = reader.card(model_version)
    except reader.ModelUnavailable:
        return []
    judged = card.get("sources", {}).values() or [card["figures"]]
    return [one["with_95_percent_intervals"] for one in judged]


def missed(model_version: str) -> str:
    """How many cancers a version misses, in words."""
    figures = _figures(model_version)
    if not figures:
        return "some cancers"
    # The worse end of the interval, for the source where it misses most: never understate it.
    of_100 = math.ceil(max(one["missed_per_100_cancers"]["high"] for one in figures))
    return f"up to {of_100} of 100 cancers"


def _monitor_text(model_version: str) -> str:
    return (
        "The software found no sign of alarm. That is not an all-clear: "
        f"in its own tests it misses {missed(model_version)}."
    )


def _remarks(prediction: Prediction) -> list[str]:
    """Problems with the picture that accompany the outcome, in one paragraph."""
    told = [_REMARKS.get(NotAssessable(code), _REASONS[code][0]) for code in prediction.remarks]
    return [" ".join(told)] if told else []


def _tips(prediction: Prediction) -> list[str]:
    return [_REASONS[code][1] for code in prediction.remarks]


def _flagged_text(
    prediction: Prediction, told: str, figures: list[dict[str, Any]], words: Words
) -> tuple[str, ...]:
    lesion = prediction.image.lesion
    why = [
        *([_marked(lesion, words)] if lesion.symptoms_now else []),
        *([words.of_child] if prediction.image.is_of_child else []),
    ]
    if prediction.outcome == Outcome.NOT_ASSESSABLE:
        reason, remarks = _REASONS[prediction.reason], _remarks(prediction)
        return (*why, *reason, *remarks, words.not_an_all_clear)
    if prediction.outcome == Outcome.MONITOR:
        return (*why, words.not_by_software_alone, *_remarks(prediction))
    return (
        words.next_step,
        *([_how_often_cancer(told, figures)] if figures else []),
        *why,
        *(f"{remark} {words.read_all_the_same}" for remark in _remarks(prediction)),
    )


def _how_often_cancer(told: str, figures: list[dict[str, Any]]) -> str:
    urgent = told == Outcome.URGENT
    figure = "urgent" if urgent else "flagged"
    flagged = "as urgent" if urgent else "to be seen by a doctor"
    name = f"{figure}_that_were_cancer_per_100"
    cancers = math.floor(min(one[name]["value"] for one in figures))
    return (
        f"Of 100 spots flagged {flagged}, about {cancers} were cancer or a precursor of it in the "
        "software's own tests, fewer in everyday use."
    )


def _false_alarms(told: str, figures: list[dict[str, Any]]) -> str:
    """For each source of pictures that the version was evaluated on: they differ too much for one
    figure.
    """
    name = f"{told}/malignant_specificity"
    alarms = sorted(round(100 * (1 - one[name]["value"])) for one in figures if name in one)
    if not alarms:
        return ""
    least, most = alarms[0], alarms[-1]
    how_many = f"{least}" if least == most else f"{least} to {most}"
    which = "" if least == most else ", depending on where the pictures came from"
    return (
        f"False alarms are common: of 100 harmless spots, {how_many} were flagged like this in the "
        f"software's own tests{which}."
    )


def _not_assessable(prediction: Prediction, words: Words) -> Advice:
    child = [words.of_child] if prediction.image.is_of_child else []
    reason, remarks = _REASONS[prediction.reason], _remarks(prediction)
    text = (*reason, *remarks, words.not_an_all_clear, *child)
    return Advice(Outcome.NOT_ASSESSABLE, _NOT_ASSESSED, text)


def _marked(lesion: Lesion, words: Words) -> str:
    return words.marked.format(_listed(lesion.symptoms_now))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
