"""Each change rule fires on its kind of change, and not on look-alikes."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ml.lesion import change, change_rules
from ml.lesion.change import Visit

SIZE = (300, 400)
STILL = np.array([[1.0, 0, 0], [0, 1.0, 0]])
LIMITS = {
    "growth": 0.3,
    "one_sided": 0.2,
    "focal": 12.0,
    "structure": 0.4,
    "gained": 0.05,
    "risk": 1.5,
}
Y, X = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
BROWN, SKIN = np.array([150.0, 104, 82]), np.array([222.0, 184, 166])


MESH = 40 * np.sin(X * 2 * np.pi / 12) * np.sin(Y * 2 * np.pi / 12)


def visit(
    mask,
    p_malignant=None,
    version="v",
    paint=(),
    mesh=None,
    light=1.0,
    balance=(1, 1, 1),
    darker=1.0,
    focus=1.5,
):
    """A brown spot on skin. paint: (where, colour) on top. mesh: where it has a network, which
    leaves the mean colour unchanged. The other arguments describe the capture.
    """
    rng = np.random.default_rng(1)
    pixels = np.where(mask[..., None], BROWN * darker, SKIN) + rng.normal(0, 2, (*SIZE, 3))
    if mesh is not None:
        pixels += (MESH * mesh)[..., None]
    for where, colour in paint:
        pixels[where] = colour
    pixels = np.clip(pixels * light * np.array(balance), 0, 255).astype(np.uint8)
    soft = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(focus))
    return Visit(np.asarray(soft), mask, p_malignant, version)


def disc(radius=60.0, x=200.0, y=150.0):
    return np.hypot(X - x, Y - y) < radius


def rules(earlier, later, days=365, short_term=False, matrix=STILL, areas=None):
    found = change.changed(earlier, later, matrix, areas)
    return [one.rule for one in change_rules.fired(found, days, LIMITS, short_term)]


EARLIER = visit(disc())


def test_nothing_changed():
    assert rules(EARLIER, visit(disc())) == []
    assert rules(EARLIER, visit(disc()), days=90, short_term=True) == []


def test_a_border_is_measured_the_same_whatever_was_in_memory_before():
    """The rays leave the frame: what is outside counts as empty, not as another array's
    leftovers.
    """
    random, reached = np.random.default_rng(1), []
    for _ in range(4):
        left_behind = [
            random.integers(1, 255, (change.DIRECTIONS, 500), np.uint8) for _ in range(9)
        ]
        del left_behind
        reached.append(change._reach(disc(), np.array([200.0, 150.0])))
    assert np.allclose(reached, 60, atol=1.5)


@pytest.mark.parametrize(
    "taken",
    [
        {"light": 0.8},
        {"light": 1.12},
        {"balance": (1.06, 1.0, 0.9)},
        {"darker": 0.75},
        {"darker": 1.15},
    ],
)
def test_light_white_balance_and_overall_darkening_are_no_change(taken):
    assert rules(EARLIER, visit(disc(), **taken)) == []


def test_it_grew_to_one_side():
    bulge = disc() | disc(45, x=250)
    assert "asymmetric_enlargement" in rules(EARLIER, visit(bulge))
    assert "asymmetric_enlargement" not in rules(EARLIER, visit(disc(75)))
    # A lesion that shrank on all sides but one has not grown.
    assert "asymmetric_enlargement" not in rules(visit(bulge), visit(disc()))


def test_it_grew_fast():
    grown = visit(disc(85))
    assert rules(EARLIER, grown, days=180) == ["growth"]
    assert rules(EARLIER, grown, days=3650) == []
    assert rules(EARLIER, visit(disc(63)), days=30) == []
    assert rules(grown, EARLIER, days=180) == []


def test_a_known_scale_stands_above_the_frame():
    assert rules(EARLIER, visit(disc()), days=180, areas=(4.0, 8.0)) == ["growth"]
    assert rules(EARLIER, visit(disc(85)), days=180, areas=(4.0, 4.0)) == []
    found = change.changed(EARLIER, visit(disc()), None, (4.0, 8.0))
    (growth,) = change_rules.fired(found, 180, LIMITS, False)
    assert (growth.before, growth.after) == ({"area_mm2": 4.0}, {"area_mm2": 8.0})


def test_each_alert_carries_both_values():
    """Also the short-term one: the values of what changed."""
    for later, shown in (
        (visit(disc(48)), "area_share"),
        (visit(disc(), paint=[(disc(20, x=180), (196, 150, 128))]), "delta_e"),
    ):
        found = change.changed(EARLIER, later, STILL, None)
        told = {one.rule: one for one in change_rules.fired(found, 90, LIMITS, True)}[
            "short_term_change"
        ]
        assert list(told.before) == list(told.after) == [shown]
        assert told.before != told.after


def test_a_new_colour():
    blue_grey = visit(disc(), paint=[(disc(16, x=215), (112, 118, 134))])
    found = change.changed(EARLIER, blue_grey, STILL, None)
    fired = {one.rule: one for one in change_rules.fired(found, 365, LIMITS, False)}
    assert fired["new_colour"].after["colour"] == "blue_grey"
    assert (
        fired["new_colour"].before["colour_share"]
        < 0.05
        < fired["new_colour"].after["colour_share"]
    )
    # It was there before, so it is not new.
    assert "new_colour" not in rules(blue_grey, blue_grey)


def test_it_changed_in_one_place():
    lighter = visit(disc(), paint=[(disc(20, x=180), (196, 150, 128))])
    assert "focal_change" in rules(EARLIER, lighter)
    assert "focal_change" not in rules(lighter, lighter)


def test_its_structure_changed_in_one_place():
    network = visit(disc(), mesh=disc())
    lost = visit(disc(), mesh=disc() & ~disc(24, x=180))
    found = change.changed(network, lost, STILL, None)
    assert found.focal < LIMITS["focal"]
    (alert,) = change_rules.fired(found, 365, LIMITS, False)
    assert (alert.rule, alert.before) == ("focal_change", {"contrast": 1.0})
    assert alert.after["contrast"] > 1.5
    older_card = {name: limit for name, limit in LIMITS.items() if name != "structure"}
    assert change_rules.fired(found, 365, older_card, False) == []


@pytest.mark.parametrize("taken", [{"light": 0.8}, {"darker": 0.8}, {"focus": 2.0}])
def test_light_and_focus_are_no_change_of_structure(taken):
    assert rules(visit(disc(), mesh=disc()), visit(disc(), mesh=disc(), **taken)) == []


def test_the_risk_rose():
    earlier, later = visit(disc(), 0.05), visit(disc(), 0.5)
    assert rules(earlier, later) == ["risk_rise"]
    assert rules(visit(disc(), 0.3), later) == []
    assert rules(visit(disc(), 0.001), visit(disc(), 0.02)) == []
    assert rules(earlier, visit(disc(), 0.5, version="w")) == []


def test_any_change_counts_in_short_term_monitoring():
    shrunk = visit(disc(48))
    assert rules(EARLIER, shrunk, days=90, short_term=True) == ["short_term_change"]
    assert rules(EARLIER, shrunk, days=90) == []
    assert rules(EARLIER, shrunk, days=300, short_term=True) == []


def test_without_alignment_only_what_needs_none_is_judged():
    earlier, later = visit(disc(), 0.05), visit(disc(90), 0.6)
    assert rules(earlier, later, days=90, matrix=None) == ["risk_rise"]
    assert rules(earlier, later, days=90, matrix=None, areas=(4.0, 8.8)) == ["risk_rise", "growth"]


def test_a_moved_later_image_is_laid_back():
    """Turned by a quarter and half as large, with the matrix that undoes it: no change."""
    small = Image.fromarray(EARLIER.pixels).resize((200, 150)).transpose(Image.Transpose.ROTATE_90)
    pixels = np.asarray(small)
    mask = np.rot90(EARLIER.mask[::2, ::2])
    back = np.array([[0.0, -2, 399], [2, 0, 0]])
    assert rules(EARLIER, Visit(pixels, mask, None, "v"), matrix=back) == []
