"""The texts that decide whether someone sees a doctor."""

from __future__ import annotations

import math
import re
from dataclasses import fields

import pytest

from ml import reader
from ml.types import NotAssessable
from screening.models import SYMPTOMS, Outcome
from screening.predictions import advice
from screening.predictions.details import CLINICAL_PHOTOGRAPH
from tests.factories import PredictionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

# Words that reassure without reason, or claim what the software cannot know.
FORBIDDEN = re.compile(
    r"\b(healthy|harmless|safe|benign|normal|sure|no risk|nothing to worry)\b", re.I
)


def advise(outcome, reason="", remarks=(), **symptoms):
    prediction = PredictionFactory.build(
        outcome=outcome,
        reason=reason,
        remarks=list(remarks),
        model_version=reader.DEFAULT_VERSION,
    )
    for name in symptoms:
        setattr(prediction.image.lesion, name, True)
    return advice.advise(prediction)


def card_figures(name, end="value"):
    """By source of pictures."""
    sources = reader.card()["sources"].values()
    return [one["with_95_percent_intervals"][name][end] for one in sources]


def whole(told):
    return " ".join([told.title, *told.text])


@pytest.mark.parametrize("trait", ["queued", "failed"])
def test_nothing_is_told_before_there_is_an_outcome(trait):
    assert advice.advise(PredictionFactory(**{trait: True})) is None


def test_monitor_says_how_much_is_missed_and_when_to_see_a_doctor():
    told = advise(Outcome.MONITOR)
    missed = max(card_figures("missed_per_100_cancers", "high"))
    assert "not an all-clear" in whole(told)
    assert re.search(r"misses up to (\d+) of 100 cancers", whole(told))[1] == str(math.ceil(missed))
    for sign in ("grows", "changes", "bleeds", "itches", "unlike your other spots"):
        assert sign in whole(told)


@pytest.mark.parametrize(
    ("outcome", "soon", "figure"),
    [
        (Outcome.URGENT, "this week", "urgent_that_were_cancer_per_100"),
        (Outcome.SEE_DOCTOR, "within two weeks", "flagged_that_were_cancer_per_100"),
    ],
)
def test_a_flag_says_how_soon_and_how_often_it_is_cancer(outcome, soon, figure):
    told = advise(outcome)
    assert soon in told.title
    said = re.search(r"Of 100 spots flagged .*, about (\d+) were cancer", whole(told))
    assert said[1] == str(math.floor(min(card_figures(figure))))


@pytest.mark.parametrize("symptom", SYMPTOMS)
def test_symptoms_turn_monitor_into_a_visit(symptom):
    told = advise(Outcome.MONITOR, **{symptom: True})
    assert told.outcome == Outcome.SEE_DOCTOR
    assert symptom in told.text[0]
    assert "must not be watched by software alone" in whole(told)


@pytest.mark.parametrize("age", [0, 15, 16])  # by year: a 16-year-old may still be 15
def test_a_child_is_never_told_to_watch(age):
    prediction = PredictionFactory.build(
        outcome=Outcome.MONITOR, image__lesion__patient__birth_year=2026 - age
    )
    told = advice.advise(prediction)
    assert told.outcome == Outcome.SEE_DOCTOR
    assert told.text[0] == advice.OF_A_CHILD
    prediction.outcome, prediction.reason = Outcome.NOT_ASSESSABLE, "blurred"
    assert advice.OF_A_CHILD in advice.advise(prediction).text


@pytest.mark.parametrize("born", [None, 2009, 2027])
def test_an_age_that_is_not_known_is_not_a_childs(born):
    prediction = PredictionFactory.build(
        outcome=Outcome.MONITOR, image__lesion__patient__birth_year=born
    )
    assert advice.advise(prediction).outcome == Outcome.MONITOR


@pytest.mark.parametrize("reason", [*NotAssessable, CLINICAL_PHOTOGRAPH])
def test_what_cannot_be_assessed_has_a_reason_a_tip_and_no_all_clear(reason):
    told = advise(Outcome.NOT_ASSESSABLE, reason=str(reason))
    assert len(told.text) == 3
    assert told.text[-1] == advice.NOT_AN_ALL_CLEAR
    with_symptom = advise(Outcome.NOT_ASSESSABLE, reason=str(reason), bleeding=True)
    assert with_symptom.outcome == Outcome.SEE_DOCTOR
    assert "bleeding: a doctor should look" in with_symptom.text[0]
    assert with_symptom.text[1:] == told.text


@pytest.mark.parametrize("outcome", [Outcome.MONITOR, Outcome.SEE_DOCTOR, Outcome.URGENT])
def test_a_reading_whose_card_is_gone_is_told_without_figures(outcome):
    prediction = PredictionFactory.build(outcome=outcome, model_version="1999.1")
    text = whole(advice.advise(prediction))
    assert not re.search(r"\d", text)
    assert "doctor" in text


def test_no_advice_comforts_without_ground():
    for outcome in (Outcome.URGENT, Outcome.SEE_DOCTOR, Outcome.MONITOR):
        assert not FORBIDDEN.search(whole(advise(outcome)))
    for reason in NotAssessable:
        assert not FORBIDDEN.search(whole(advise(Outcome.NOT_ASSESSABLE, reason=str(reason))))


@pytest.mark.parametrize("remark", NotAssessable)
@pytest.mark.parametrize("outcome", [Outcome.URGENT, Outcome.SEE_DOCTOR])
def test_a_flag_is_told_whatever_is_wrong_with_the_picture(outcome, remark):
    told = advise(outcome, remarks=[remark.value])
    assert told.outcome == outcome
    assert len(told.text) == len(advise(outcome).text) + 1
    assert told.text[-1].endswith(advice.READ_ALL_THE_SAME)
    assert not FORBIDDEN.search(whole(told))


def test_what_fills_the_frame_is_said_beside_monitor():
    told = advise(Outcome.MONITOR, remarks=["lesion_cut_off"])
    assert "reaches beyond the picture" in whole(told)
    assert "should be shown to a doctor" in whole(told)


def test_more_than_one_fault_is_told_with_the_reason_first():
    told = advise(Outcome.NOT_ASSESSABLE, reason="blurred", remarks=["glare", "no_colour"])
    assert "blurred" in told.text[0]
    assert "reflection" in told.text[2]
    assert "no colour" in told.text[2]
    assert told.text[-1] == advice.NOT_AN_ALL_CLEAR


def test_of_more_than_one_lesion_it_says_whose_the_figures_are():
    told = advise(Outcome.SEE_DOCTOR, remarks=["more_than_one_lesion"])
    assert "the outline marks it" in whole(told)


def test_a_clinician_is_told_in_the_words_of_the_field():
    for field in fields(advice.Words):
        own, persons = (getattr(w, field.name) for w in (advice.FOR_CLINICIAN, advice.FOR_PERSON))
        assert own != persons
        assert not re.search(r"\b(a doctor|a dermatologist|spots?|you are worried)\b", own)
        assert not FORBIDDEN.search(own)
    for outcome in Outcome:
        prediction = PredictionFactory.build(outcome=outcome, reason="blurred")
        told = advice.advise(prediction, advice.FOR_CLINICIAN)
        assert told.outcome == outcome
        assert "See a doctor" not in whole(told) and "Show this" not in whole(told)


def test_a_percentage_beside_a_figure_of_100_says_what_each_is():
    assert "this picture alone" in advise(Outcome.SEE_DOCTOR).about_percent
    assert not advise(Outcome.MONITOR).about_percent
    # Flagged because of a symptom: the text has no figure per 100.
    assert not advise(Outcome.MONITOR, bleeding=True).about_percent


@pytest.mark.parametrize("outcome", [Outcome.URGENT, Outcome.SEE_DOCTOR])
def test_a_flag_says_how_common_false_alarms_are(outcome):
    specificity = card_figures(f"{outcome}/malignant_specificity")
    said = re.search(r"of 100 harmless spots, (\d+) to (\d+) were", advise(outcome).false_alarms)
    assert [int(said[1]), int(said[2])] == [
        round(100 * (1 - max(specificity))),
        round(100 * (1 - min(specificity))),
    ]
    # Lifted by a symptom, the reading itself flagged nothing.
    assert not advise(Outcome.MONITOR, bleeding=True).false_alarms
    assert not advise(Outcome.MONITOR).false_alarms


def test_a_card_without_sources_gives_its_own_figures(monkeypatch):
    card = {key: value for key, value in reader.card().items() if key != "sources"}
    monkeypatch.setattr(reader, "card", lambda version: card)
    missed = card["figures"]["with_95_percent_intervals"]["missed_per_100_cancers"]["high"]
    assert f"up to {math.ceil(missed)} of 100" in whole(advise(Outcome.MONITOR))
    alarms = re.search(r"harmless spots, (.*) were", advise(Outcome.URGENT).false_alarms)
    specificity = card["figures"]["with_95_percent_intervals"]["urgent/malignant_specificity"]
    assert alarms[1] == str(round(100 * (1 - specificity["value"])))
