"""The rules of the alerts: which changes of a lesion a doctor should look at.

The rules follow dermoscopedia's chapters on digital follow-up ("Long-term monitoring" and
"Short-term monitoring", dermoscopedia.org). Over the long term, asymmetric enlargement, a focal
change of colour or structure, regression and new colours are significant; uniform darkening or
lightening is not. In short-term monitoring (about three months) any change of shape or structure
counts. The limits are ours: two images of an unchanged lesion rarely exceed them
(`ml.evaluation.repeatability`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ml.lesion import colours
from ml.lesion.change import Change

RULES = (
    "asymmetric_enlargement",
    "new_colour",
    "focal_change",
    "risk_rise",
    "growth",
    "short_term_change",
)
GROWTH_PER_MONTH = 0.03
"""Logarithm of the area: about 43 % in a year, a fifth of the diameter."""
LEAST_GROWTH = 0.05
"""Logarithm of the area: below this a lesion has not grown, whatever its sides did."""
LEAST_RISK = 0.05
"""A p_malignant below this does not count as a rise."""
SHORT_TERM_DAYS = (60, 150)
"""Dermoscopedia's window of 2.5 to 4.5 months, with two weeks of tolerance on either side."""
DAYS_A_MONTH = 30.44


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule and the values that made it fire, by name: from ``Change.before`` and ``after``, or
    ``delta_e`` and ``contrast`` (a factor) at the place that changed most.
    """

    rule: str
    before: dict[str, float | str]
    after: dict[str, float | str]


def fired(change: Change, days: int, limits: Mapping[str, float], short_term: bool) -> list[Fired]:
    """The rules that a change fires, in the order of RULES.

    days: between the captures. limits: of growth, one_sided, focal, gained and risk, as measured by
    `ml.evaluation.repeatability`. short_term: the lesion is under short-term monitoring.
    """

    def beyond(name: str) -> bool:
        value = getattr(change, name)
        return value is not None and name in limits and value > limits[name]

    seen = change.after.get("colour_share", 0.0) >= colours.PRESENT
    months = max(days / DAYS_A_MONTH, 1.0)
    grew = change.growth is not None and change.growth > LEAST_GROWTH
    fast = change.growth is not None and change.growth / months > GROWTH_PER_MONTH
    shape = beyond("growth") or (change.growth is not None and -change.growth > limits["growth"])
    focal = beyond("focal") or beyond("structure")
    any_change = shape or beyond("one_sided") or focal or (seen and beyond("gained"))
    risky = change.after.get("p_malignant", 0.0) >= LEAST_RISK
    found = {
        "asymmetric_enlargement": grew and beyond("one_sided"),
        "new_colour": seen and beyond("gained"),
        "focal_change": focal,
        "risk_rise": risky and beyond("risk"),
        "growth": fast and beyond("growth"),
        "short_term_change": short_term
        and SHORT_TERM_DAYS[0] <= days <= SHORT_TERM_DAYS[1]
        and any_change,
    }
    return [_told(rule, change, _shown(rule, change, beyond)) for rule in RULES if found[rule]]


def _shown(rule: str, change: Change, beyond: Callable[[str], bool]) -> str:
    """The values shown for a rule that fired."""
    area = "area_mm2" if "area_mm2" in change.before else "area_share"
    if rule in ("asymmetric_enlargement", "growth"):
        return area
    if rule == "risk_rise":
        return "p_malignant"
    if rule == "new_colour":
        return "colour_share"
    if beyond("focal"):
        return "delta_e"
    if beyond("structure"):
        return "contrast"
    return "colour_share" if beyond("gained") and not beyond("one_sided") else area


def _told(rule: str, change: Change, shown: str) -> Fired:
    if shown == "delta_e":
        return Fired(rule, {shown: 0.0}, {shown: float(change.focal or 0)})
    if shown == "contrast":
        return Fired(rule, {shown: 1.0}, {shown: float(np.exp(change.structure or 0))})
    before: dict[str, float | str] = {shown: change.before[shown]}
    after: dict[str, float | str] = {shown: change.after[shown]}
    if shown == "colour_share":
        before["colour"] = after["colour"] = change.gained_colour
    return Fired(rule, before, after)
