"""The body map: every point of the body lies in one region, on the right side."""

from __future__ import annotations

import numpy as np
import pytest

from screening.body_map import drawing, regions
from screening.models import BodySite, BodyView

# Of DICOM's context group 4029, as pydicom 3.0.2 lists it.
CONTEXT_GROUP_4029 = {
    "1902009": "Skin of ear",
    "4578000": "Skin of posterior surface of thigh",
    "4658004": "Skin of nuchal region",
    "11584001": "Skin of anterior portion of neck",
    "17957002": "Skin of antecubital fossa",
    "22180002": "Skin of buttock",
    "25763004": "Skin of anterior surface of lower leg",
    "33712006": "Skin of hand",
    "41550009": "Skin of posterior surface of forearm",
    "43067004": "Skin of scalp",
    "45981001": "Skin of anterior surface of upper arm",
    "47224004": "Skin of posterior surface of lower leg",
    "60496002": "Skin of foot",
    "60944009": "Skin of external genitalia",
    "61248009": "Skin of anterior surface of thigh",
    "70559009": "Skin of anterior surface of forearm",
    "70887009": "Skin of palm of hand",
    "72939005": "Skin of posterior surface of upper arm",
    "73897004": "Skin of face",
    "75093004": "Skin of abdomen",
    "84507004": "Skin of popliteal fossa",
    "84607009": "Skin of heel",
    "113182001": "Skin of lower back",
    "181536004": "Skin of posterior surface of elbow",
    "181553006": "Skin of anterior surface of knee",
    "244106003": "Skin of anterior surface of thorax",
    "244111001": "Skin of posterior surface of thorax",
}


def grid():
    x, y = np.meshgrid(np.arange(0.5, regions.WIDTH, 1), np.arange(0.5, regions.HEIGHT, 1))
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("view", BodyView.values)
def test_every_point_of_the_body_lies_in_a_region(view):
    x, y = grid()
    on_body = drawing.is_inside(drawing.flattened(drawing.body()), x, y)
    assert 0.2 < on_body.mean() < 0.5
    assert (regions.regions_at(view, x[on_body], y[on_body]) >= 0).all()


def test_a_regions_middle_lies_in_it():
    middles = regions.middles()
    assert middles.keys() == {region.key for region in regions.regions()}
    for region in regions.regions():
        assert regions.region_at(region.view, *middles[region.key]) == region


def test_no_two_regions_share_a_key():
    keys = [region.key for region in regions.regions()]
    assert len(keys) == len(set(keys)) > 50


@pytest.mark.parametrize(
    ("view", "x", "y", "name", "side", "site"),
    [
        ("front", 0.5, 0.11, "face", "midline", "face"),
        ("front", 0.5, 0.04, "scalp", "midline", "scalp"),
        ("front", 0.6, 0.27, "chest", "left", "chest"),
        ("front", 0.4, 0.27, "chest", "right", "chest"),
        ("front", 0.5, 0.4, "abdomen", "midline", "abdomen"),
        ("front", 0.21, 0.39, "crook of the arm", "right", "upper extremity"),
        ("front", 0.12, 0.57, "palm", "right", "acral"),
        ("front", 0.6, 0.6, "thigh", "left", "lower extremity"),
        ("front", 0.62, 0.95, "top of the foot", "left", "foot"),
        ("back", 0.5, 0.1, "scalp", "midline", "scalp"),
        ("back", 0.6, 0.27, "upper back", "right", "back"),
        ("back", 0.4, 0.4, "lower back", "left", "back"),
        ("back", 0.6, 0.5, "buttock", "right", "trunk"),
        ("back", 0.12, 0.57, "back of the hand", "left", "hand"),
        ("back", 0.86, 0.85, "sole", "right", "acral"),
    ],
)
def test_where_a_point_lies(view, x, y, name, side, site):
    """The person's left is on the right of a front view, and on the left from behind."""
    region = regions.region_at(view, x, y)
    assert (region.name, regions.side_at(region, x), region.site) == (name, side, site)


@pytest.mark.parametrize(
    ("view", "x", "y"),
    [
        ("front", 0.02, 0.02),
        ("front", 0.5, 0.75),
        ("front", 0.86, 0.85),
        ("back", 0.38, 0.42 + 0.5),
    ],
)
def test_beside_the_body_is_nowhere(view, x, y):
    assert regions.region_at(view, x, y) is None


def test_the_left_half_mirrors_the_right():
    x, y = grid()
    outline = drawing.flattened(drawing.body())
    inside = drawing.is_inside(outline, x, y)
    mirrored = drawing.is_inside(outline, regions.WIDTH - x, y)
    assert (inside == mirrored).all()


def test_sites_and_codes():
    assert {region.site for region in regions.regions()} == set(BodySite) - {BodySite.UNKNOWN}
    coded = [region for region in regions.regions() if region.code]
    assert {region.name for region in regions.regions() if not region.code} == {"shoulder"}
    for region in coded:
        assert CONTEXT_GROUP_4029[region.code.value] == region.code.meaning
        assert region.code.scheme == "SCT"


def test_how_a_place_is_said():
    assert regions.where("back", "forearm", "left") == "Left forearm, back"
    assert regions.where("back", "upper back", "left") == "Left upper back"
    assert regions.where("front", "chest", "midline") == "Chest"


def test_curves_run_through_their_points():
    outline = drawing.body()
    flat = drawing.flattened(outline)
    assert np.array(flat[:: drawing.STEPS]) == pytest.approx(np.array(outline))
    assert drawing.path(outline).count("C") == len(outline)
