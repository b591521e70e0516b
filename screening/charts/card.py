"""The charts of a model card: how well the model performs, and where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ml.diagnoses import Diagnosis
from screening.charts import card_figures
from screening.charts.story import Story, at_least_of_100, at_most_of_100, interval, name_of, of_100
from screening.charts.template import Chart
from screening.formatting import percent
from screening.models import Conclusion, Outcome

Rates = dict[str, dict[str, float]]

_ENDS = ("sensitivity", "specificity")
_FALSE_ALARMS = (5, 10, 20)


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """The subject of a figure, its value and its 95 % interval."""

    name: str
    value: str
    interval: str


def stories(card: dict[str, Any]) -> list[Story]:
    return [
        _outcomes(card),
        *([_ranking(card)] if "roc" in card["figures"] else []),
        _sensitivities(card),
        _confusion(card),
        _reliability(card),
    ]


def _outcomes(card: dict[str, Any]) -> Story:
    """The outcomes shown, by true class, from the sensitivity and specificity of both
    thresholds.
    """
    rates = rates_of(card)
    found, spared = (rates[f"see_doctor/malignant_{name}"]["value"] for name in _ENDS)
    urgent, not_urgent = (rates[f"urgent/malignant_{name}"]["value"] for name in _ENDS)
    # Of the harmless lesions and of the cancers: the bars from bottom to top.
    shares = {
        Outcome.URGENT: [1 - not_urgent, urgent],
        Outcome.SEE_DOCTOR: [not_urgent - spared, found - urgent],
        Outcome.MONITOR: [spared, 1 - found],
    }
    labels = ["100 harmless lesions", "100 cancers or precursors"]
    return Story(
        f"Of 100 cancers it flags {at_most_of_100(found)}; of 100 harmless lesions, "
        f"{at_least_of_100(1 - spared)}",
        "Flagged means “Urgent” or “See a doctor”. A cancer among those with “Monitor” is one "
        "that the model misses.",
        Chart(
            "outcomes",
            "Shares of the outcomes among cancers and among harmless lesions.",
            card_figures.outcomes(labels, shares),
            ("Of", *(outcome.label for outcome in shares)),
            [
                (label, *(percent(share[row]) for share in shares.values()))
                for row, label in reversed(list(enumerate(labels)))
            ],
        ),
    )


def _ranking(card: dict[str, Any]) -> Story:
    """The ROC curve. A card without `roc` predates that figure."""
    rates = rates_of(card)
    curves: dict[str, list[list[float]]] = card["figures"]["roc"]
    areas = {"malignant": rates["malignant_auc"]} | {
        code: rates[f"classes/{code}/auc_calibrated"] for code in curves if code != "malignant"
    }
    told = {
        outcome: (
            1 - rates[f"{outcome}/malignant_specificity"]["value"],
            rates[f"{outcome}/malignant_sensitivity"]["value"],
        )
        for outcome in (Outcome.SEE_DOCTOR, Outcome.URGENT)
    }
    return Story(
        f"Of a cancer and a harmless lesion, it ranks the cancer higher "
        f"{at_most_of_100(areas['malignant']['value'])} times of 100",
        "The line shows what each possible threshold would give: more cancers flagged, further "
        "up; more harmless lesions flagged, further right. The marks are what is told now; they "
        "lie off the line, as more than this one number decides. Guessing would follow the "
        "dashed line. The table has each diagnosis: the share found where 5, 10 or 20 of 100 "
        "others are taken for it.",
        Chart(
            "roc",
            "ROC curve: share of cancers flagged against share of harmless lesions flagged.",
            card_figures.roc(curves["malignant"], told),
            (
                "Against all others",
                "Ranked right (AUC)",
                *(f"At {at} of 100" for at in _FALSE_ALARMS),
            ),
            [
                (
                    "Cancer or precursor" if name == "malignant" else Conclusion(name).label,
                    f"{percent(areas[name]['value'])} ({interval(areas[name])})",
                    *(percent(found_at(curve, at / 100)) for at in _FALSE_ALARMS),
                )
                for name, curve in curves.items()
            ],
        ),
    )


def found_at(curve: list[list[float]], false_alarms: float) -> float:
    """The sensitivity at the curve's point with this false positive rate, or the next lower one."""
    return max(found for level, found in curve if level <= false_alarms + 1e-9)


def _sensitivities(card: dict[str, Any]) -> Story:
    images: dict[str, int] = card["figures"]["images_per_class"]
    found = {code: rates_of(card)[f"classes/{code}/sensitivity"] for code in images}
    ranked = sorted(found, key=lambda code: found[code]["value"])
    best, worst = ranked[-1], ranked[0]
    return Story(
        f"It names {name_of(best)} right in {of_100(found[best]['value'])} of 100, "
        f"{name_of(worst)} in {of_100(found[worst]['value'])}",
        "The dot is what was measured. With as few pictures as the rare diagnoses have, the truth "
        "may lie anywhere on the line (95 % interval).",
        Chart(
            "sensitivities",
            "Share named right, by diagnosis, with intervals.",
            card_figures.sensitivities({code: found[code] for code in ranked}, images),
            ("Diagnosis", "Named right", "95 % interval", "Test pictures"),
            [
                (
                    Conclusion(code).label,
                    percent(found[code]["value"]),
                    f"{interval(found[code])} %",
                    images[code],
                )
                for code in reversed(ranked)
            ],
        ),
    )


def _confusion(card: dict[str, Any]) -> Story:
    counts: list[list[int]] = card["figures"]["confusion_balanced"]
    names = [Diagnosis(code).about.title for code in card["diagnoses"]]
    was, called, times, all_of_it = most_frequent_mistake(card)
    return Story(
        f"Its most frequent mistake: {name_of(was)} taken for {name_of(called)}, "
        f"{times} of {all_of_it} times",
        "A row is what the lesions were, a column what the model called them. Right answers lie "
        "on the diagonal; the stronger the colour, the larger the share of the row.",
        Chart(
            "confusion",
            "Confusion matrix: number of test pictures by diagnosis and answer.",
            card_figures.confusion(names, counts),
            ("Was, called", *names),
            [(name, *row) for name, row in zip(names, counts, strict=True)],
        ),
    )


def most_frequent_mistake(card: dict[str, Any]) -> tuple[str, str, int, int]:
    """The true diagnosis, what the balanced reading called it, how often, and out of how many."""
    counts: list[list[int]] = card["figures"]["confusion_balanced"]
    codes = list(card["diagnoses"])
    times, was, called = max(
        (count, was, called)
        for was, row in enumerate(counts)
        for called, count in enumerate(row)
        if was != called
    )
    return codes[was], codes[called], times, sum(counts[was])


def _reliability(card: dict[str, Any]) -> Story:
    groups: list[dict[str, float]] = card["figures"]["reliability_of_p_malignant"]
    images = sum(group["n"] for group in groups)
    gap = sum(group["n"] * abs(group["said"] - group["was"]) for group in groups) / images
    return Story(
        f"The chance of cancer it states is off by {100 * gap:.0f} percentage points on average",
        "Test pictures grouped by the chance that the model stated, against the share of the group "
        "that was cancer or a precursor. On the dashed line both agree; a larger dot stands for "
        "more pictures.",
        Chart(
            "reliability",
            "Stated chance of cancer against the share that was cancer.",
            card_figures.reliability(groups),
            ("Stated, on average", "Was cancer or precursor", "Pictures"),
            [
                (percent(group["said"]), percent(group["was"]), f"{group['n']:.0f}")
                for group in groups
            ],
        ),
    )


def key_figure(name: str, rate: dict[str, float], *, better_low: bool) -> KeyFigure:
    """A share as a whole number of 100, rounded towards the worse, with its interval."""
    whole = at_least_of_100 if better_low else at_most_of_100
    value = percent(whole(rate["value"]) / 100).removesuffix(" %")
    return KeyFigure(name, value, interval(rate))


def rates_of(card: dict[str, Any]) -> Rates:
    """The figures on the test part: each with its value and the ends of its interval."""
    rates: Rates = card["figures"]["with_95_percent_intervals"]
    return rates
