"""The training input: epochs, priors, labels, blending. Needs TensorFlow."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not there")

from ml import context
from ml.__main__ import main
from ml.training import data, outside
from ml.training.epochs import Targets, drop_context, epoch_batches, own_shares, shown
from ml.training.feed import Feed
from ml.training.packed import Material, pack
from ml.training.recipe import Recipe, one_cycle, read_recipe
from ml.training.train import mask_loss
from ml.types import PatientContext
from tests.ml.conftest import examples

# Keras passes TensorFlow's variables to NumPy in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KNOWN = PatientContext(62.0, "female", "face")


def test_an_unknown_mask_teaches_nothing():
    logits = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    shapes, known = np.ones_like(logits), np.array([1, 1], np.float32)
    assert float(mask_loss(logits, shapes, 0 * known)) == 0
    good = float(mask_loss(20 * shapes, shapes, known))
    bad = float(mask_loss(-20 * shapes, shapes, known))
    assert good == pytest.approx(0, abs=0.02)
    assert bad > 5
    first = np.array([1, 0], np.float32)
    mixed = np.stack([20 * shapes[0], -20 * shapes[1]])
    assert float(mask_loss(mixed, shapes, first)) == pytest.approx(good)


def test_isic2017_is_judged_by_its_three_classes_alone():
    some = examples()
    relabelled = replace(some, sources=np.full(len(some), int(data.Source.ISIC2017)))
    taken = np.flatnonzero(np.isin(some.labels, [2, 4, 5]))
    targets = Targets(shown(relabelled.take(taken), Recipe()), 0.05)
    prior = targets.prior[data.Source.ISIC2017]
    assert np.exp(prior).sum() == pytest.approx(1, abs=1e-5)
    assert list(np.flatnonzero(np.exp(prior) > 0)) == [2, 4, 5]
    label = targets.label[data.Source.ISIC2017, 4]
    assert label.sum() == pytest.approx(1)
    assert not label[[0, 1, 3, 6]].any()


def test_a_run_from_a_packed_file_leaves_all_that_is_needed_to_go_on(tmp_path, monkeypatch):
    some = examples(14).take(np.arange(14))
    others = outside.as_examples(some.pixels[:2], "natural")
    pack(Material(some, {data.Source.HAM10000: some}, others), tmp_path / "packed.npz")
    monkeypatch.setattr(outside, "TRAINED_KINDS", {"noise": outside.draw_noise})
    (tmp_path / "recipe.json").write_text('{"sizes": [32], "steps": 1, "batch": 8}')
    train = ["train", "--packed", str(tmp_path / "packed.npz"), "--run", str(tmp_path / "run")]
    assert main([*train, "--recipe", str(tmp_path / "recipe.json")]) == 0
    left = {file.name for file in (tmp_path / "run").iterdir()}
    assert left == {"checkpoint.npz", "model.keras", "recipe.json", "curves.json"}


def test_training_without_any_images_is_refused(tmp_path, capsys):
    assert main(["train", "--run", str(tmp_path)]) == 2
    assert "give --data, or --packed" in capsys.readouterr().err


def test_context_is_dropped_whole_or_field_by_field():
    known = np.tile(context.encode(KNOWN), (4000, 1))
    dropped = drop_context(known, Recipe(), np.random.default_rng(0))
    first, second = context.WIDTHS[0], context.WIDTHS[0] + context.WIDTHS[1]
    there = [part.any(axis=1) for part in np.split(dropped, [first, second], axis=1)]
    assert np.mean(~(there[0] | there[1] | there[2])) == pytest.approx(0.3, abs=0.03)
    assert there[0].mean() == pytest.approx(0.7 * 0.9, abs=0.03)


def several_sources() -> data.Examples:
    """Noise, and lesions of two sources: HAM10000 with 16 nevi and 4 melanomas, MILK10k with two of
    each.
    """
    some = examples(24)
    labels = np.array([5] * 16 + [4] * 4 + [5, 5, 4, 4] + [-1] * 4)
    sources = np.array([data.Source.HAM10000] * 20 + [data.Source.MILK10K] * 4)
    return replace(some, labels=labels, sources=np.append(sources, some.sources[24:]))


def test_an_epoch_has_its_share_of_each_source_and_diagnosis():
    some = several_sources()
    recipe = Recipe(batch=10, steps=30, shares=(0.5, 0.2, 0.3), evenness=0.5, outside_share=0.2)
    rows = np.concatenate(list(epoch_batches(some, recipe, 0)))
    assert len(rows) == 300
    found = Counter(zip(some.sources[rows], some.labels[rows], strict=True))
    # The missing source's share goes to the others; 16 nevi to 4 melanomas become 2 to 1.
    assert found[data.Source.HAM10000, 5] == pytest.approx(300 * 0.8 * 5 / 8 * 2 / 3, abs=2)
    assert found[data.Source.HAM10000, 4] == pytest.approx(300 * 0.8 * 5 / 8 * 1 / 3, abs=2)
    assert found[data.Source.MILK10K, 4] == pytest.approx(300 * 0.8 * 3 / 8 / 2, abs=2)
    assert found[data.Source.OUTSIDE, -1] == pytest.approx(300 * 0.2, abs=2)
    assert not np.array_equal(rows, np.concatenate(list(epoch_batches(some, recipe, 1))))


def test_no_image_comes_twice_before_all_of_its_kind_came():
    some = several_sources()
    recipe = Recipe(batch=4, steps=7, evenness=1.0, outside_share=0.1)
    times = np.bincount(np.concatenate(list(epoch_batches(some, recipe, 0))), minlength=28)
    for kind in (np.s_[:16], np.s_[16:20], np.s_[20:22], np.s_[22:24], np.s_[24:]):
        assert np.ptp(times[kind]) <= 1


def test_the_prior_is_the_share_of_an_epoch():
    some = several_sources()
    prior = np.exp(Targets(shown(some, Recipe(evenness=0.5)), 0.05).prior)
    assert prior[data.Source.HAM10000, [4, 5]] == pytest.approx([1 / 3, 2 / 3])
    assert prior[data.Source.MILK10K, [4, 5]] == pytest.approx([0.5, 0.5])
    assert prior[data.Source.HAM10000].sum() == pytest.approx(1, abs=1e-5)


def test_images_are_blended_with_images_of_their_own_source():
    sources = np.random.default_rng(0).integers(0, 4, 3000)
    own = own_shares(sources, 0.5, np.random.default_rng(1))
    alike = sources == sources[::-1]
    assert (own[~alike] == 1).all()
    assert (own >= 0.5).all()
    assert np.mean(own[alike] < 1) == pytest.approx(0.5, abs=0.05)
    assert (own_shares(sources, 0.0, np.random.default_rng(1)) == 1).all()


def test_a_blended_image_has_both_labels_and_no_mask():
    some = examples()
    some = replace(some, masked=np.ones(len(some), np.bool_))
    recipe = Recipe(smoothing=0.0, drop_all_context=0.0, drop_one_field=0.0)
    feed = Feed(some, Targets(shown(some, recipe), recipe.smoothing), recipe)
    rows = np.array([0, 24, 3])  # akiec; noise, which is its own partner; df
    batch = feed.batch(rows, 32, 1.0, np.random.default_rng(0))
    label, both = batch["label"], some.context[rows]
    share = label[0, 0]
    assert 0.5 <= share < 1
    assert label[0, 3] == pytest.approx(1 - share)
    blended = share * both[0] + (1 - share) * both[2]
    np.testing.assert_allclose(batch["context"][0], blended, rtol=1e-6)
    assert not batch["masked"].any()
    assert batch["inside"].tolist() == [1, 0, 1]


def test_an_epoch_is_the_same_in_every_run_and_another_one_differs():
    some = examples(8)
    recipe = Recipe(sizes=(32, 32), batch=4, steps=12, outside_share=0.2)
    feed = Feed(some, Targets(shown(some, recipe), recipe.smoothing), recipe)
    first, again, other = (list(feed.epoch(epoch)) for epoch in (0, 0, 1))
    assert len(first) == 12
    for one, same, another in zip(first, again, other, strict=True):
        assert one.keys() == same.keys()
        for name in one:
            np.testing.assert_array_equal(one[name], same[name])
        assert not np.array_equal(one["pixels"], another["pixels"])
    assert not np.array_equal(first[0]["kept"], first[1]["kept"])
    kept = np.stack([batch["kept"] for batch in first])
    assert np.mean(kept == 0) == pytest.approx(0.2, abs=0.01)
    assert kept.mean() == pytest.approx(1, abs=0.01)


def test_a_recipe_is_read_as_it_is_written(tmp_path):
    file = tmp_path / "recipe.json"
    recipe = Recipe(sizes=(64,), seed=3, teachers=("one.keras", "other.keras"))
    file.write_text(json.dumps(asdict(recipe)))
    assert read_recipe(file) == recipe
    file.write_text('{"peak_rate": 0.1}')
    assert read_recipe(file) == Recipe(peak_rate=0.1)
    for wrong in ('{"speed": 1}', "[]", "{"):
        file.write_text(wrong)
        with pytest.raises(ValueError, match=r"speed|no recipe|Expecting"):
            read_recipe(file)


def test_the_rate_rises_and_falls():
    rates = [one_cycle(step, 100, Recipe()) for step in range(100)]
    assert max(rates) == pytest.approx(Recipe().peak_rate, rel=0.01)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.01 * max(rates)
