"""The tables of the model page: other cameras, groups, outlines, and the comparison with a
reference.
"""

from __future__ import annotations

from typing import Any

from screening.charts.card import KeyFigure, key_figure, rates_of
from screening.charts.story import at_least_of_100, at_most_of_100
from screening.formatting import percent
from screening.models import BodySite
from screening.reviews.agreement import wilson

_KINDS = {
    "natural": "Photographs of anything else",
    "natural_in_skin_colours": "The same in the colours of skin",
    "dermatoscopy_strongly_blurred": "Dermatoscopic pictures, strongly blurred",
    "bare_skin": "Bare skin (drawn)",
    "far_skin": "Skin from afar (drawn)",
    "text": "Text (drawn)",
    "checks": "Checks (drawn)",
    "noise": "Noise",
    "gradient": "Gradients",
    "plain": "One colour",
    "shapes": "Shapes",
}
_GROUPS = {
    "sex": "Sex",
    "age": "Age",
    "localization": "Body site",
    "skin_tone_ita": "Skin tone, estimated from the picture",
}


def other_cameras(card: dict[str, Any]) -> list[KeyFigure]:
    """The same model on ISIC 2017's images. Empty if the card has no such figures."""
    if "isic2017" not in card:
        return []
    rates = card["isic2017"]["with_95_percent_intervals"]
    found = rates["see_doctor/malignant_sensitivity"]
    spared = rates["see_doctor/malignant_specificity"]
    flagged = {"value": 1 - spared["value"], "low": 1 - spared["high"], "high": 1 - spared["low"]}
    return [
        key_figure("of 100 melanomas are flagged", found, better_low=False),
        key_figure("of 100 harmless lesions are flagged, too", flagged, better_low=True),
        key_figure(
            "times of 100 it ranks a melanoma above another lesion (AUC)",
            rates["auc_mel_calibrated"],
            better_low=False,
        ),
    ]


def told_by_source(card: dict[str, Any]) -> list[tuple[str, ...]]:
    """By source of pictures, with their number: of 100 cancers, those told to see a doctor; of 100
    harmless lesions, those told to watch; of 100 pictures, those rejected. Empty if the card has no
    such figures.
    """
    rows: list[tuple[str, ...]] = []
    for source, one in card.get("sources", {}).items():
        rates = {key: rate["value"] for key, rate in one["with_95_percent_intervals"].items()}
        rows.append(
            (
                source_name(source),
                f"{one['images']:,}",
                str(at_most_of_100(rates["cancers_told"])),
                str(at_most_of_100(rates["harmless_told_monitor"])),
                str(at_least_of_100(rates["refused"])),
            )
        )
    return rows


def similar_cases(card: dict[str, Any]) -> list[tuple[str, ...]]:
    """By source of pictures, with their number: of 100 of the five most similar cases, those with
    the picture's own diagnosis; and for pictures of a cancer or its precursor, those of any of
    these. Empty if the card has no such figures.
    """
    found = card.get("similar_cases", {"tune": {}})["tune"]
    return [
        (
            source_name(source),
            f"{one['images']:,}",
            str(at_most_of_100(one["precision_at_5"])),
            str(at_most_of_100(one["malignant_among_5_of_malignant"])),
        )
        for source, one in found.items()
    ]


def source_name(source: str) -> str:
    return _SOURCES.get(source, source)


_SOURCES = {"HAM10000": "HAM10000", "ISIC2017": "ISIC 2017", "MILK10K": "MILK10k"}


def subgroups(card: dict[str, Any]) -> list[tuple[str, list[tuple[str, ...]]]]:
    """By kind of group: the group, its flagged cancers and its flagged harmless lesions."""
    return [
        (
            _GROUPS[field],
            [
                (
                    _group(field, name),
                    _rate(one.get("sensitivity"), one["cancers"]),
                    _rate(_not(one.get("specificity")), one["benign"]),
                )
                for name, one in groups.items()
            ],
        )
        for field, groups in _measured_groups(card).items()
    ]


def weakest_group(card: dict[str, Any]) -> tuple[str, str] | None:
    """The group with the smallest share of cancers flagged, and that share. None if no group's
    share is lower than the overall share by more than chance explains: then no group is known to be
    the weakest.
    """
    of_all = rates_of(card)["see_doctor/malignant_sensitivity"]["value"]
    shares = [
        (one["sensitivity"], one["cancers"], _group(field, name))
        for field, groups in _measured_groups(card).items()
        for name, one in groups.items()
        if "sensitivity" in one
    ]
    weak = [
        (share, group) for share, cancers, group in shares if wilson(share, cancers)[1] < of_all
    ]
    if not weak:
        return None
    share, group = min(weak)
    return group, percent(share)


def groups_without_a_rate(card: dict[str, Any]) -> list[str]:
    """By kind of group, the groups with too few cancers for a rate: "Sex: male"."""
    found = []
    for field, groups in _measured_groups(card).items():
        thin = [_group(field, name) for name, one in groups.items() if "sensitivity" not in one]
        if thin:
            names = ", ".join(name[0].lower() + name[1:] for name in thin)
            found.append(f"{_GROUPS[field]}: {names}")
    return found


def turned_away(card: dict[str, Any]) -> list[tuple[str, ...]]:
    """By kind of picture other than dermatoscopy: the number tested and the share rejected."""
    gate = card["gate"]
    return [
        (_KINDS.get(kind, kind), str(gate["outside_images"][kind]), percent(share))
        for kind, share in gate["outside_rejected"].items()
    ]


def outlines(card: dict[str, Any]) -> list[tuple[str, str]]:
    """How well the outline fits. Empty if the card has no such figures."""
    mask = card["figures"].get("mask")
    if not mask:
        return []
    return [
        ("Pictures with an outline drawn by a person", f"{mask['images']:,}"),
        ("Overlap, on average (Jaccard)", percent(mask["jaccard_mean"])),
        ("Half of the pictures have at least", percent(mask["jaccard_median"])),
        ("Outlines that miss: overlap below 65 %", percent(mask["below_0.65"])),
    ]


def beside_reference(card: dict[str, Any]) -> list[tuple[str, ...]]:
    """Measures by our balanced reading, our calibrated reading and the reference page that the card
    names.

    Empty if the card names none.
    """
    reference = card.get("reference")
    if not reference:
        return []
    names = {
        "melanoma_sensitivity": "Melanomas named right",
        "balanced_accuracy": "Named right, all diagnoses counting alike",
        "accuracy": "Named right, of all pictures",
    }
    ours = rates_of(card)
    return [
        (
            name,
            *(percent(ours[f"{key}_{reading}"]["value"]) for reading in ("balanced", "calibrated")),
            percent(reference[key]),
        )
        for key, name in names.items()
    ]


def _measured_groups(card: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    measured = card["figures"].get("subgroups", {})
    return {field: measured[field] for field in _GROUPS if field in measured}


def _group(field: str, name: str) -> str:
    if field == "localization":
        return BodySite(name).label
    if field == "skin_tone_ita":
        return f"{name.capitalize()} skin"
    return f"{name.replace('-', '–')} years" if field == "age" else name.capitalize()


def _not(share: float | None) -> float | None:
    return None if share is None else 1 - share


def _rate(share: float | None, images: int) -> str:
    """A share of this many images. The card omits shares of too few."""
    return f"too few: {images}" if share is None else f"{percent(share)} of {images}"
