"""The charts of the training data, from a model card: what it contains and what it lacks."""

from __future__ import annotations

from typing import Any

from screening.charts.story import (
    CLEAR,
    FAINT,
    Story,
    count_bars,
    name_of,
    of_100,
    share_bars,
    tick,
)
from screening.charts.template import ACCENT, SECOND, SURFACE, Chart, figure
from screening.formatting import percent
from screening.models import BodySite, Conclusion

_SEXES = {"female": SECOND, "male": ACCENT, "unknown": FAINT}


def size(card: dict[str, Any]) -> str:
    summary = card["data_summary"]
    return f"{summary['images']:,} dermatoscopic pictures of {summary['lesions']:,} lesions"


def missing(card: dict[str, Any]) -> list[str]:
    """What the data does not state or does not show."""
    summary = card["data_summary"]
    sexes = sum(by_sex["unknown"] for by_sex in summary["sex_per_class"].values())
    sites = summary["images_per_localization"]["unknown"]
    again = summary["images"] - summary["lesions"]
    return [
        "Skin tone. It was not recorded, and most of the people have light skin: how well darker "
        "skin is read is not known.",
        "Any diagnosis but these. Something else is still given one of their names.",
        "Ordinary photographs. Every picture was taken through a dermatoscope.",
        "Who the people are. Two lesions of one person may have been used to learn and to judge.",
        f"The sex in {sexes:,} pictures and the body site in {sites:,}.",
        f"A lesion of its own in every image: {again:,} show one that another picture shows, too.",
    ]


def stories(card: dict[str, Any]) -> list[Story]:
    return [_classes(card), _sexes(card), _ages(card), _sites(card)]


def _classes(card: dict[str, Any]) -> Story:
    counts: dict[str, int] = card["data_summary"]["images_per_class"]
    total = sum(counts.values())
    ranked = sorted(counts, key=lambda code: counts[code])
    cancers = [code for code in ranked if card["diagnoses"][code]["malignant"]]
    top = ranked[-1]
    return Story(
        f"{of_100(counts[top] / total)} of 100 pictures are of one diagnosis: {name_of(top)}",
        "A program that gave that answer to every picture would be right as often, and find no "
        f"cancer. {of_100(sum(counts[code] for code in cancers) / total)} of 100 pictures show "
        "cancer or a precursor of it (the coloured bars).",
        Chart(
            "classes",
            f"Pictures per diagnosis, from {counts[ranked[0]]:,} to {counts[top]:,}.",
            count_bars(
                [Conclusion(code).label for code in ranked],
                [counts[code] for code in ranked],
                [ACCENT if code in cancers else FAINT for code in ranked],
            ),
            ("Diagnosis", "Images", "Share", "Cancer or precursor"),
            [
                (
                    Conclusion(code).label,
                    f"{counts[code]:,}",
                    percent(counts[code] / total),
                    "yes" if code in cancers else "no",
                )
                for code in reversed(ranked)
            ],
        ),
    )


def _sexes(card: dict[str, Any]) -> Story:
    counts: dict[str, dict[str, int]] = card["data_summary"]["sex_per_class"]

    def share(code: str, sex: str) -> float:
        return counts[code][sex] / sum(counts[code].values())

    ranked = sorted(counts, key=lambda code: share(code, "male"))
    top = ranked[-1]
    return Story(
        f"{of_100(share(top, 'male'))} of 100 pictures of {name_of(top)} are of men",
        "Of 100 pictures of each diagnosis, how many are of women and of men. The model takes the "
        "sex into account where it is stated.",
        Chart(
            "sexes",
            "Shares of women and men by diagnosis.",
            share_bars(
                [Conclusion(code).label for code in ranked],
                {sex: [share(code, sex) for code in ranked] for sex in _SEXES},
                _SEXES,
                SURFACE,
            ),
            ("Diagnosis", *(sex.capitalize() for sex in _SEXES)),
            [
                (Conclusion(code).label, *(f"{counts[code][sex]:,}" for sex in _SEXES))
                for code in reversed(ranked)
            ],
        ),
    )


def _ages(card: dict[str, Any]) -> Story:
    medians: dict[str, float] = card["data_summary"]["median_age_per_class"]
    ranked = sorted(medians, key=lambda code: medians[code])
    ages = [medians[code] for code in ranked]
    dots = {
        "type": "scatter",
        "mode": "markers+text",
        "x": ages,
        "y": [tick(Conclusion(code).label) for code in ranked],
        "text": [f"{age:.0f}" for age in ages],
        "textposition": "middle right",
        "cliponaxis": False,
        "marker": {"size": 14, "color": ACCENT},
        "hovertemplate": "%{y}: %{x} years<extra></extra>",
    }
    return Story(
        f"Typical age: {ages[0]:.0f} for {name_of(ranked[0])}, {ages[-1]:.0f} for "
        f"{name_of(ranked[-1])}",
        "The median age for each diagnosis: half the people are older. Age alone tells something, "
        "so the model takes it into account where it is known.",
        Chart(
            "ages",
            f"Median age by diagnosis, from {ages[0]:.0f} to {ages[-1]:.0f} years.",
            figure(
                [dots],
                height=100 + 40 * len(ranked),
                xaxis={"range": [0, 95], "title": {"text": "Years"}},
                yaxis={"ticklen": 6, "tickcolor": CLEAR},
            ),
            ("Diagnosis", "Median age"),
            [(Conclusion(code).label, f"{medians[code]:.0f}") for code in reversed(ranked)],
        ),
    )


def _sites(card: dict[str, Any]) -> Story:
    counts: dict[str, int] = card["data_summary"]["images_per_localization"]
    total = sum(counts.values())
    known = sorted((site for site in counts if site != "unknown"), key=lambda site: counts[site])
    ranked = ["unknown", *known]
    top, second, rarest = known[-1], known[-2], known[0]
    most = of_100((counts[top] + counts[second]) / total)
    return Story(
        f"{_site(top)} and {_site(second).lower()}: {most} of 100 pictures. "
        f"{_site(rarest)}: {counts[rarest]} in all",
        "Where there are few pictures the model has seen little, and its answer is worth less.",
        Chart(
            "sites",
            f"Pictures per body site, from {counts[rarest]:,} to {counts[top]:,}.",
            count_bars(
                [_site(site) for site in ranked],
                [counts[site] for site in ranked],
                [FAINT if site == "unknown" else ACCENT for site in ranked],
            ),
            ("Body site", "Images", "Share"),
            [
                (_site(site), f"{counts[site]:,}", percent(counts[site] / total))
                for site in reversed(ranked)
            ],
        ),
    )


def _site(localization: str) -> str:
    return "Not stated" if localization == "unknown" else BodySite(localization).label
