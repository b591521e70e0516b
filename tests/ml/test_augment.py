"""Random views of frames, and the obstructions drawn over them."""

import numpy as np

from ml.training import data, obstructions
from ml.training.augment import _exchange_light, _fade, augment
from tests.ml.conftest import draw_lesion


def augmented(
    frame: np.ndarray, mask: np.ndarray, count: int = 4, seed: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Views of 64 pixels of one frame, and their masks."""
    frames, masks = (np.repeat(one[None], count, axis=0) for one in (frame, mask))
    inside = np.ones(count, np.float32)
    return augment(frames, masks, inside, 64, 1.0, np.random.default_rng(seed))


def test_augmented_views_differ_and_stay_in_range():
    lesion, mask = draw_lesion(*data.FRAME), np.zeros(data.FRAME, bool)
    shown, _ = augmented(lesion, mask, count=40)
    assert shown.shape == (40, 64, 64, 3)
    assert shown.dtype == np.float32
    assert shown.min() >= 0
    assert shown.max() <= 255
    assert np.abs(shown[0] - shown[1]).mean() > 1
    again, _ = augmented(lesion, mask, count=40)
    np.testing.assert_array_equal(shown, again)


def test_a_mask_goes_where_its_lesion_goes():
    frame = np.full((*data.FRAME, 3), 230, np.uint8)
    mask = np.zeros(data.FRAME, bool)
    mask[50:90, 70:130] = True
    frame[mask] = 25
    shown, masks = augmented(frame, mask)
    assert masks.shape == (4, 32, 32, 1)
    dark = shown.mean(axis=-1).reshape(4, 32, 2, 32, 2).mean(axis=(2, 4))
    for picture, shape in zip(dark, masks[..., 0], strict=True):
        assert picture[shape > 0.9].mean() < picture[shape < 0.1].mean() - 30


def test_hairs_rulers_and_bubbles_hide_some_of_the_skin_but_never_most():
    layers = obstructions.layers()
    assert layers.shape == (3 * obstructions.EACH, obstructions.SIDE, obstructions.SIDE, 4)
    hidden = (layers[..., 3] > 64).mean(axis=(1, 2))
    assert hidden.min() > 0
    assert hidden.max() < 0.4


def test_light_is_exchanged_between_dermatoscopic_images_alone():
    views = np.stack([draw_lesion(64, 64, seed=n) for n in range(4)]).astype(np.float32) / 255
    views *= np.array([1.0, 0.5, 0.8, 0.6], np.float32)[:, None, None, None]
    inside = np.array([1, 1, 1, 0], np.float32)
    mixed = _exchange_light(views, inside, 1.0, np.random.default_rng(3))
    change = np.abs(mixed - views).mean(axis=(1, 2, 3))
    assert (change[1:3] > 0.02).all()  # each differs from the one before it
    np.testing.assert_array_equal(mixed[[0, 3]], views[[0, 3]])
    assert mixed[1].mean() > views[1].mean() + 0.05


def test_a_share_of_the_views_fades():
    rng, plain = np.random.default_rng(3), draw_lesion(64, 64).astype(np.float32) / 255
    np.testing.assert_array_equal(_fade(plain, 0.0, rng), plain)
    faded = np.stack([_fade(plain, 0.4, rng) for _ in range(64)])
    assert faded.min() >= 0
    assert faded.max() <= 1
    colour = np.ptp(faded, axis=-1).mean(axis=(1, 2))
    light = faded.mean(axis=(1, 2, 3))
    assert (np.abs(light - plain.mean()) < 1e-3).any()  # some as they are
    assert light.max() > plain.mean() + 0.05  # some pale
    assert light.min() < plain.mean() - 0.1  # some dark
    assert colour.min() < 0.3 * np.ptp(plain, axis=-1).mean()  # some drained
