"""Training on Keras' other backends is the same as on TensorFlow."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml import reader

ROOT = Path(__file__).resolve().parents[2]
TEN_STEPS = """
import json, sys
from pathlib import Path
import numpy as np
from ml.training.data import Source
from ml.training.recipe import Recipe
from ml.training.train import Training
from tests.ml.conftest import examples

some, losses = examples(), []
recipe = Recipe(start=sys.argv[1], sizes=(64,), steps=10, batch=16, peak_rate=3e-4)
training = Training(some, recipe, Path(sys.argv[2]))

def noting(step):
    def noted(batch):
        found = step(batch)
        losses.append(float(found[0]))
        return found
    return noted

training.steps = [noting(step) for step in training.steps]
training.fit({Source.HAM10000: some.take(np.arange(7))})
again = Training(some, recipe, Path(sys.argv[2]))
again.resume()
assert again.epoch == 1
print(json.dumps(losses))
"""


def ten_losses(backend: str, run: Path) -> list[float]:
    """The losses of ten steps from the shipped network."""
    start = reader.ARTIFACTS / reader.DEFAULT_VERSION / "model.keras"
    run.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", TEN_STEPS, str(start), str(run)],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    losses: list[float] = json.loads(done.stdout.splitlines()[-1])
    return losses


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_ten_steps_have_the_losses_that_they_have_on_tensorflow(backend, tmp_path):
    for name in (backend, "tensorflow"):
        if not importlib.util.find_spec(name):
            pytest.skip(f"{name} is not installed")
    expected = ten_losses("tensorflow", tmp_path / "tensorflow")
    assert len(expected) == 10
    np.testing.assert_allclose(ten_losses(backend, tmp_path / backend), expected, rtol=0.01)
