"""OpenCV as the tests see it. It is for workers: no request that any test sends may run it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import cv2

_used: ContextVar[list[str] | None] = ContextVar("_used", default=None)


class _Watched(ModuleType):
    def __getattr__(self, name: str) -> Any:
        used = _used.get()
        if used is not None:
            used.append(name)
        return getattr(cv2, name)


@contextmanager
def refused() -> Iterator[None]:
    """Fail at the end if OpenCV was used within it, even where the code handled all exceptions."""
    used: list[str] = []
    token = _used.set(used)
    try:
        yield
    finally:
        _used.reset(token)
    assert not used, f"a request ran OpenCV: {used}"


@contextmanager
def as_a_worker() -> Iterator[None]:
    """What a test's stand-in for a worker does while a request waits."""
    token = _used.set(None)
    try:
        yield
    finally:
        _used.reset(token)


_watched = sys.modules["cv2"] = _Watched("cv2")
for _name, _module in list(sys.modules.items()):
    if _name.startswith("ml.") and hasattr(_module, "cv2"):  # imported before
        setattr(_module, "cv2", _watched)  # noqa: B010
