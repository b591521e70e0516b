"""A model card in plain words: what the model is good for and where it fails.

Each point rests on figures of the card; a point whose figures a card lacks is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from screening.charts import card_tables, prevalence
from screening.charts.card import most_frequent_mistake, rates_of
from screening.charts.story import at_least_of_100, at_most_of_100, interval, name_of, of_100

_FOUND = "see_doctor/malignant_sensitivity"
_SPARED = "see_doctor/malignant_specificity"


@dataclass(frozen=True, slots=True)
class Point:
    """The claim in a few words, and the sentences that support it."""

    claim: str
    text: str


def good_for(card: dict[str, Any]) -> list[Point]:
    rates = rates_of(card)
    found = rates[_FOUND]
    text = (
        f"Of 100 cancers and precursors in the test it flagged {at_most_of_100(found['value'])} "
        f"(95 % interval: {interval(found)})."
    )
    others = [
        one["with_95_percent_intervals"]["cancers_told"]["value"]
        for one in card.get("sources", {}).values()
    ]
    if "isic2017" in card:
        others.append(card["isic2017"]["with_95_percent_intervals"][_FOUND]["value"])
    if others:
        text += (
            " Whichever collection of pictures it was tried on, it flagged at least "
            f"{min(map(at_most_of_100, others))}."
        )
    points = [Point("It overlooks few cancers.", text)]
    area = rates["malignant_auc"]
    points.append(
        Point(
            "It ranks most cancers above harmless lesions.",
            "Shown one cancer and one harmless lesion, it gives the cancer the higher chance "
            f"{at_most_of_100(area['value'])} times of 100 (95 % interval: {interval(area)}).",
        )
    )
    tried, refused = _other_things(card)
    if refused > 0.95:
        points.append(
            Point(
                "It turns away what is not skin.",
                f"Of 100 pictures of other things it turned away {at_most_of_100(refused)}; "
                f"{tried} were tried.",
            )
        )
    return points


def fails(card: dict[str, Any]) -> list[Point]:
    rates = rates_of(card)
    meaning = prevalence.story(card)
    alarms = 1 - rates[_SPARED]["value"]
    points = [
        Point(
            "Many of its warnings are false alarms.",
            f"Of 100 harmless lesions it flags {at_least_of_100(alarms)}, too. Of 100 lesions "
            f"flagged, {meaning.in_test} were cancer or a precursor in the test; where 1 in 100 "
            f"people has one, {meaning.everyday} would be.",
        ),
        _missed(rates),
        *_cameras(card),
        _names(card),
        *_beyond(card),
    ]
    weakest = card_tables.weakest_group(card)
    if weakest:
        points.append(
            Point(
                "It is weaker for one group.",
                f"It flags the fewest cancers for “{weakest[0]}”: {weakest[1]}.",
            )
        )
    unknown = card_tables.groups_without_a_rate(card)
    if unknown:
        points.append(
            Point(
                "For some it is not known.",
                "The test had too few cancers to say how many it finds for these: "
                f"{'; '.join(unknown)}.",
            )
        )
    return points


def _missed(rates: dict[str, dict[str, float]]) -> Point:
    missed, upper = (
        [
            at_least_of_100(rates[f"missed_per_100_{kind}"][end] / 100)
            for kind in ("cancers", "melanomas")
        ]
        for end in ("value", "high")
    )
    text = "It says “Monitor” for {} of 100 cancers and {} of 100 melanomas.".format(
        *(count or "fewer than 1" for count in missed)
    )
    if upper != missed:
        text += " By chance, the true numbers may be as high as {} and {}.".format(*upper)
    return Point("It misses some cancers.", text)


def _cameras(card: dict[str, Any]) -> list[Point]:
    """Nothing, unless the card compares sources."""
    spared = sorted(
        (
            at_most_of_100(one["with_95_percent_intervals"]["harmless_told_monitor"]["value"]),
            card_tables.source_name(source),
        )
        for source, one in card.get("sources", {}).items()
    )
    if len(spared) < 2:
        return []
    (fewest, worst), (most, best) = spared[0], spared[-1]
    return [
        Point(
            "Other cameras and clinics lead to more false alarms.",
            f"Of 100 harmless lesions in the pictures of {best} it says “Monitor” for {most}; in "
            f"those of {worst}, for {fewest}.",
        )
    ]


def _names(card: dict[str, Any]) -> Point:
    rates = rates_of(card)
    right = at_most_of_100(rates["balanced_accuracy_balanced"]["value"])
    was, called, times, all_of_it = most_frequent_mistake(card)
    return Point(
        "It often gets the name wrong.",
        f"It names {right} of 100 lesions right, all diagnoses counting alike. Its most frequent "
        f"mistake: {name_of(was)} taken for {name_of(called)}, {times} of {all_of_it} times.",
    )


def _beyond(card: dict[str, Any]) -> list[Point]:
    """What MILK10k holds beyond the diagnoses of the model, if the card has it."""
    measured = card.get("milk10k", {})
    points = []
    if "closeups" in measured:
        refused = measured["closeups_refused"]
        points.append(
            Point(
                "It seldom notices an ordinary photograph."
                if refused < 0.5
                else "It does not notice every ordinary photograph.",
                f"Of {measured['closeups']} close-ups taken without a dermatoscope it turned away "
                f"{of_100(refused)} of 100. It read the others as if they were dermatoscopic.",
            )
        )
    others = measured.get("none_of_the_seven", {}).values()
    if others:
        lesions = sum(one["images"] for one in others)
        refused = sum(one["told"]["not_assessable"] for one in others)
        points.append(
            Point(
                "It knows no other diagnoses.",
                f"Of {lesions} lesions with a diagnosis that it does not know it turned away "
                f"{refused}, and gave the others one of the names that it does.",
            )
        )
    return points


def _other_things(card: dict[str, Any]) -> tuple[int, float]:
    """Of pictures that show no dermatoscopic skin: the number tried, and the share turned away."""
    gate = card["gate"]
    counts = {
        kind: count
        for kind, count in gate["outside_images"].items()
        if not kind.startswith("dermatoscopy")
    }
    tried = sum(counts.values())
    refused = sum(gate["outside_rejected"][kind] * count for kind, count in counts.items())
    return tried, refused / tried
