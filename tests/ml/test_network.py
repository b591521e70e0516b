"""The Keras network: its arithmetic, its export, and its training. Needs TensorFlow."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not there")

import keras
import tensorflow as tf

from ml import context, reader
from ml.__main__ import main
from ml.diagnoses import Diagnosis
from ml.inference.litert import Network
from ml.inference.views import masks_on_frame, reduce, views
from ml.opening import pictures
from ml.training import backbone, data, network, outside, train
from ml.training.export import convert, export
from ml.training.half import halve
from ml.training.recipe import Recipe
from ml.training.train import Training
from ml.types import PatientContext
from tests.ml.conftest import draw_lesion, examples

# Keras passes TensorFlow's variables to NumPy in a way that NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

KNOWN = PatientContext(62.0, "female", "face")


@pytest.fixture(scope="module")
def shipped() -> keras.Model:
    return network.load(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.keras")


def run(model: keras.Model, pixels: np.ndarray, known: PatientContext) -> dict[str, np.ndarray]:
    shown = views(reduce(pixels))
    given = {"pixels": shown, "context": np.tile(context.encode(known), (len(shown), 1))}
    given = {name: keras.ops.convert_to_tensor(values) for name, values in given.items()}
    outputs = model(given, training=False)
    return {name: keras.ops.convert_to_numpy(values) for name, values in outputs.items()}


def test_the_parts_add_up_to_the_logits(shipped, lesion):
    outputs = run(shipped, lesion, KNOWN)
    total = outputs["image_logits"] + outputs["context_terms"].sum(axis=1)
    assert np.allclose(total, outputs["logits"], atol=1e-3)
    bias = shipped.get_layer("image_logits").get_weights()[0]
    evidence = outputs["evidence"].mean(axis=(1, 2))
    assert np.allclose(evidence + bias, outputs["image_logits"], atol=1e-3)


def test_missing_context_adds_exactly_zero(shipped, lesion):
    assert not run(shipped, lesion, PatientContext())["context_terms"].any()
    assert run(shipped, lesion, KNOWN)["context_terms"].any(axis=-1).all()


def assert_same(model: keras.Model, exported: Network, pixels: np.ndarray) -> None:
    expected, seen = run(model, pixels, KNOWN), exported.see(reduce(pixels), KNOWN)
    assert np.allclose(seen.logits, expected["logits"].mean(axis=0), atol=1e-4)
    gate = expected["in_distribution"].mean()
    assert seen.in_distribution == pytest.approx(gate, abs=1e-4)
    mean_evidence = expected["evidence"].mean(axis=(0, 1, 2))
    assert np.allclose(seen.evidence.sum(axis=(0, 1)), mean_evidence, atol=1e-4)
    masks = 1 / (1 + np.exp(-expected["mask"][..., 0]))
    assert np.allclose(seen.mask, masks_on_frame(masks, reduce(pixels).size), atol=1e-4)


def test_the_shipped_export_equals_the_shipped_network(shipped, lesion):
    exported = Network(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite")
    assert_same(shipped, exported, lesion)


def test_it_does_on_real_images(shipped, ham10000):
    exported = Network(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.tflite")
    for file in sorted((ham10000 / "images_200x150").glob("*.jpg"))[::900]:
        assert_same(shipped, exported, pictures.open_image(file))


def test_halved_weights_are_those_of_float16_and_change_little(tmp_path, shipped, lesion):
    model = network.load(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.keras")
    rng = np.random.default_rng(0)
    for layer in model.get_layer(backbone.NAME).layers:
        if isinstance(layer, network.FusedNormalization):
            gamma, *others = layer.get_weights()  # factors that no version has
            layer.set_weights([gamma * rng.choice([-1, 1, 0, 1], len(gamma)), *others])
    before = run(model, lesion, KNOWN)
    halve(model)
    after = run(model, lesion, KNOWN)
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=0.02 * np.abs(values).max() + 1e-6)
    kernel = model.get_layer(backbone.NAME).get_layer("block4_depthwise").get_weights()[0]
    assert (kernel == kernel.astype(np.float16)).all()
    once = model.get_weights()
    halve(model)
    for twice, weights in zip(model.get_weights(), once, strict=True):
        np.testing.assert_allclose(twice, weights, rtol=1e-6)
    convert(model, tmp_path / "model.tflite")
    assert (tmp_path / "model.tflite").stat().st_size < 7_500_000
    assert_same(model, Network(tmp_path / "model.tflite"), lesion)


def test_an_exported_network_is_compressed_and_the_same(tmp_path, shipped):
    run, version = tmp_path / "run", reader.ARTIFACTS / reader.DEFAULT_VERSION
    run.mkdir()
    for name in ("model.tflite", "card.json"):
        (run / name).write_bytes((version / name).read_bytes())
    shipped.save(run / "model.keras")
    file = export(run, "1", tmp_path) / "model.keras"
    assert file.stat().st_size < (run / "model.keras").stat().st_size
    for weights, expected in zip(
        network.load(file).get_weights(), shipped.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weights, expected)


def test_kept_blocks_do_not_learn():
    model = network.build()
    every = len(model.trainable_variables)
    layers = model.get_layer(backbone.NAME)
    backbone.keep(layers, 3)
    still = {layer.name for layer in layers.layers if not layer.trainable}
    assert {"stem", "stem_bn", "block2_project"} <= still
    assert "block3_expand" not in still
    assert "block10_expand" not in still
    assert len(model.trainable_variables) < every
    backbone.keep(layers, 0)
    assert len(model.trainable_variables) == every


def test_teachers_say_a_share_of_the_label(tmp_path, shipped):
    teacher = str(reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.keras")
    some = examples()
    other = (np.arange(len(some)) >= 12) & np.isin(some.labels, [2, 4, 5])
    some = replace(some, sources=np.where(other, int(data.Source.ISIC2017), some.sources))
    pupil = Training(some, Recipe(teachers=(teacher, teacher), taught=0.25), tmp_path)
    seen = {
        "pixels": np.stack([draw_lesion(64, 64)] * 2).astype(np.float32),
        "context": np.tile(context.encode(KNOWN), (2, 1)),
    }
    prior = pupil.feed.targets.prior[[data.Source.HAM10000, data.Source.ISIC2017]]
    label = np.eye(len(Diagnosis), dtype=np.float32)[[4, 4]]
    taught = pupil._taught(seen | {"prior": prior, "label": label})["label"]
    said = tf.nn.softmax(shipped(seen, training=False)["logits"] + prior).numpy()
    np.testing.assert_allclose(taught, 0.75 * label + 0.25 * said, atol=1e-5)
    assert taught[1, 0] == 0  # ISIC 2017 has no akiec, nor does a teacher of its images


def test_training_starts_from_a_network_or_tells_that_it_cannot(tmp_path, shipped):
    model = network.build()
    network.start_from(model, reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.keras")
    for ours, theirs in zip(model.get_weights(), shipped.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
    for name in ("other", "none"):
        with pytest.raises(ValueError, match=rf"{name}\.keras cannot be started from"):
            network.start_from(model, tmp_path / f"{name}.keras")


def test_fused_normalization_learns_as_that_of_keras_does():
    pixels = np.random.default_rng(0).normal(3, 2, (4, 16, 16, 8)).astype(np.float32)
    weights = [np.random.default_rng(seed).uniform(0.5, 2, 8) for seed in range(4)]
    learnt = []
    for kind in (network.FusedNormalization, keras.layers.BatchNormalization):
        layer = kind()
        layer.build(pixels.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            outputs = layer(pixels, training=True)
            cost = tf.reduce_sum(outputs**3)
        slopes = tape.gradient(cost, [one.value for one in layer.trainable_variables])
        learnt.append([outputs, *slopes, *layer.get_weights()])
    for fused, plain in zip(*learnt, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-3, atol=1e-3)


def test_training_runs_goes_on_and_exports(tmp_path: Path):
    some = examples()
    recipe = Recipe(sizes=(32, 32), batch=12, steps=2)
    tune = {data.Source.HAM10000: some.take(np.arange(7))}
    # One step, with masks: one without them is compiled apart, which takes ten seconds.
    first = Training(some, replace(recipe, sizes=(32,), steps=1), tmp_path)
    first.fit(tune)
    second = Training(some, recipe, tmp_path)
    second.resume()
    assert second.epoch == 1
    second.fit(tune)
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert [point["epoch"] for point in curves] == [1, 2]
    assert set(curves[0]["HAM10000"]["recalls"]) == {str(diagnosis) for diagnosis in Diagnosis}
    model = network.load(tmp_path / "model.keras")
    convert(model, tmp_path / "model.tflite")
    assert_same(model, Network(tmp_path / "model.tflite"), draw_lesion())
    with pytest.raises(ValueError, match=r"card\.json"):
        export(tmp_path, "1", tmp_path / "artifacts")


@pytest.mark.parametrize("command", ["trial", "evaluate"])
def test_a_run_that_was_not_trained_is_told(tmp_path, capsys, command):
    assert main([command, "--run", str(tmp_path), "--data", str(tmp_path)]) == 2
    assert "holds no model.keras: train it first" in capsys.readouterr().err


def test_a_run_may_end_on_the_mean_with_another_network(tmp_path: Path, monkeypatch) -> None:
    other = tmp_path / "other.keras"
    network.build().save(other)
    run = Training(examples(), Recipe(mean_with=str(other)), tmp_path)
    own = run.model.get_weights()
    monkeypatch.setattr(run.optimizer, "finalize_variable_values", lambda variables: None)
    monkeypatch.setattr(train, "halve", lambda model: None)
    run.finish()
    ended = network.load(tmp_path / "model.keras").get_weights()
    for mean, one, another in zip(ended, own, network.load(other).get_weights(), strict=True):
        np.testing.assert_allclose(mean, (one + another) / 2, atol=1e-6)


def test_what_imagenet_taught_tells_pictures_apart():
    """A mirrored picture is closer to itself than to another one; with scrambled weights it is
    not.
    """
    model = network.build()
    network.start_from(model, None)
    kinds = outside.TRAINED_KINDS | outside.HELD_OUT_KINDS
    shown = np.stack([outside.drawn({name: kind}, 1, 3)[0] for name, kind in kinds.items()])
    features = keras.Model(model.input["pixels"], model.output["features"])
    seen, mirrored = (
        keras.utils.normalize(np.asarray(features(batch.astype(np.float32))))
        for batch in (shown, shown[:, :, ::-1])
    )
    assert ((seen @ mirrored.T).argmax(axis=1) == np.arange(len(shown))).all()
    alike = seen @ seen.T
    assert alike[~np.eye(len(shown), dtype=bool)].mean() < 0.8


def test_weights_of_a_larger_network_are_refused(monkeypatch):
    kernel = {"stem/kernel": np.zeros((3, 3, 3, 40), np.float32)}
    monkeypatch.setattr(network.imagenet, "read", lambda file: kernel)
    with pytest.raises(ValueError, match="of another network: no stem/kernel"):
        network.start_from(network.build(), Path("lite3.pth"))


def test_weights_of_something_else_are_refused(tmp_path):
    file = tmp_path / "other.pth"
    model = network.build()
    for content in (b"", b"PK", pickle.dumps({"dense": 1}), pickle.dumps(Path)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.pth holds no weights of EfficientNet-Lite0"):
            network.start_from(model, file)
