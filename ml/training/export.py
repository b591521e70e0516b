"""From the trained network to one LiteRT file, and from a run to a versioned artefact."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

import keras
import tensorflow as tf

from ml import context
from ml.inference.views import VIEW_SIDE

OUTPUTS = ("image_logits", "context_terms", "in_distribution", "features", "evidence", "mask")


def convert(model: keras.Model, file: Path) -> None:
    """Write the network as LiteRT, for one view at a time, its weights in float16.

    A batch of views would be no faster on one core, and hold all their feature maps at once. After
    `ml.training.half.halve` the weights lose nothing; the arithmetic is in float32.
    """
    signature = [
        tf.TensorSpec((1, VIEW_SIDE, VIEW_SIDE, 3), tf.float32, name="pixels"),
        tf.TensorSpec((1, context.WIDTH), tf.float32, name="context"),
    ]

    def see(pixels: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs = model({"pixels": pixels, "context": context}, training=False)
        return {name: outputs[name] for name in OUTPUTS}

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", see, input_signature=signature)
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        file.write_bytes(converter.convert())


def export(run: Path, version: str, artifacts: Path) -> Path:
    """Copy an evaluated run to artifacts/<version>/; returns that folder.

    Raises ValueError if the run was not evaluated, or if its network has changed since.
    """
    files = [run / name for name in ("model.keras", "model.tflite", "card.json")]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(f"{run} holds no {', '.join(missing)}: train and evaluate it first")
    card = json.loads(files[2].read_text(encoding="utf-8"))
    if card["weights_sha256"] != hashlib.sha256(files[1].read_bytes()).hexdigest():
        raise ValueError(f"{files[1]} is not the network that {files[2]} describes")
    folder = artifacts / version
    folder.mkdir(parents=True, exist_ok=True)
    _deflate(files[0], folder / files[0].name)
    shutil.copyfile(files[1], folder / files[1].name)
    text = json.dumps({**card, "version": version}, indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(text + "\n", encoding="utf-8")
    return folder


def _deflate(stored: Path, file: Path) -> None:
    """Copy a ZIP file, such as Keras writes without compression, compressed."""
    with (
        zipfile.ZipFile(stored) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new,
    ):
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
