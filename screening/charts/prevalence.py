"""What a reading means where cancer is rarer or more common than in the test: Bayes' rule in words.

``static/js/prevalence.js`` produces the same text while the slider moves; a browser test compares
the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from screening.charts.card import rates_of
from screening.charts.story import of_100
from screening.models import Outcome

# Shares of people with cancer among those examined: 0.1 % to 30 %, as evenly spaced on a log scale
# as round numbers allow. Each gives whole people per 1,000.
STOPS = (
    0.001,
    0.002,
    0.003,
    0.005,
    0.007,
    0.01,
    0.015,
    0.02,
    0.03,
    0.05,
    0.07,
    0.1,
    0.15,
    0.2,
    0.3,
)
SHOWN_FIRST = 0.05
IN_TABLE = (0.01, 0.05, 0.2)


@dataclass(frozen=True, slots=True)
class Meaning:
    """Counts per 1,000 people. ppv: share of the flagged who have cancer; miss: share of the others
    who have it.
    """

    cancers: int
    missed: float
    flagged_harmless: float
    ppv: float
    miss: float


def meaning(prevalence: float, sensitivity: float, specificity: float) -> Meaning:
    cancers, harmless = 1000 * prevalence, 1000 * (1 - prevalence)
    found, alarms = sensitivity * cancers, (1 - specificity) * harmless
    missed, rest = cancers - found, harmless - alarms
    return Meaning(
        cancers=whole(cancers),
        missed=missed,
        flagged_harmless=alarms,
        ppv=found / (found + alarms) if found + alarms else 0.0,
        miss=missed / (missed + rest) if missed + rest else 0.0,
    )


def sentence(one: Meaning) -> str:
    missed, alarms = whole(one.missed), whole(one.flagged_harmless)
    have = "1 has" if one.cancers == 1 else f"{one.cancers} have"
    ppv = of_100(one.ppv)
    return (
        f"Of 1,000 people, {have} cancer or a precursor: the software flags "
        f"{one.cancers - missed} and misses {_count(missed, one.missed)}. It also flags "
        f"{_count(alarms, one.flagged_harmless)} without cancer. Of 100 flagged, "
        f"{ppv} {'has' if ppv == '1' else 'have'} cancer."
    )


def whole(count: float) -> int:
    """Rounded as in JavaScript: halves go up."""
    return math.floor(count + 0.5)


@dataclass(frozen=True, slots=True)
class PrevalenceStory:
    """in_test: what a flag was worth in the test, per 100. missed: per 100 cancers. rates: input of
    the slider's calculation.

    sentence: the initial text. rows: the prevalence; the share with cancer among the flagged, the
    urgent and those told to monitor.
    """

    heading: str
    in_test: str
    missed: str
    everyday: str
    rates: dict[str, Any]
    last_stop: int
    sentence: str
    rows: list[tuple[str, ...]]


def story(card: dict[str, Any]) -> PrevalenceStory:
    found, spared = _rates(card, Outcome.SEE_DOCTOR)
    rare, first, common = (
        meaning(share, found, spared) for share in (IN_TABLE[0], SHOWN_FIRST, IN_TABLE[-1])
    )
    return PrevalenceStory(
        heading=f"Of 100 flagged, {of_100(rare.ppv)} have cancer where 1 in 100 people has it; "
        f"where 20 in 100 have it, {of_100(common.ppv)}",
        in_test=of_100(rates_of(card)["see_doctor/malignant_ppv"]["value"]),
        missed=_missed(card),
        everyday=of_100(rare.ppv),
        rates={
            "stops": list(STOPS),
            "first": STOPS.index(SHOWN_FIRST),
            "sensitivity": found,
            "specificity": spared,
        },
        last_stop=len(STOPS) - 1,
        sentence=sentence(first),
        rows=_rows(card),
    )


def _rows(card: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for prevalence in IN_TABLE:
        flagged = meaning(prevalence, *_rates(card, Outcome.SEE_DOCTOR))
        urgent = meaning(prevalence, *_rates(card, Outcome.URGENT))
        missed = _count(whole(1000 * flagged.miss), 1000 * flagged.miss)
        rows.append(
            (
                f"{100 * prevalence:.0f} in 100",
                f"{of_100(flagged.ppv)} of 100",
                f"{of_100(urgent.ppv)} of 100",
                f"{missed} of 1,000",
            )
        )
    return rows


def _count(rounded: int, exact: float) -> str:
    """Avoids a zero that only comes from rounding."""
    return "fewer than 1" if not rounded and exact > 0 else f"{rounded:,}"


def _rates(card: dict[str, Any], outcome: Outcome) -> tuple[float, float]:
    """Sensitivity and specificity for cancer of this outcome or a more severe one.

    If the test missed none, the most misses that it cannot exclude are used: the low end.
    """
    found = rates_of(card)[f"{outcome}/malignant_sensitivity"]
    spared = rates_of(card)[f"{outcome}/malignant_specificity"]
    return found["low"] if found["value"] == 1 else found["value"], spared["value"]


def _missed(card: dict[str, Any]) -> str:
    found = rates_of(card)["see_doctor/malignant_sensitivity"]
    if found["value"] == 1:
        return f"up to {math.ceil(100 * (1 - found['low']))}"
    return of_100(1 - found["value"])
