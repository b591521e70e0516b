"""Caches that fail open: if the disk is full or Redis is unavailable, nothing is cached and nobody
is turned away. Nothing in the cache, such as rate limit counters, is a permanent record.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any, BinaryIO

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.redis import RedisCache

logger = logging.getLogger(__name__)

SLACK = 5
"""Seconds: smaller corrections of the clock are ignored."""


class _FailsOpen(BaseCache):
    def add(self, key: Any, *arguments: Any, **options: Any) -> bool:
        try:
            return super().add(key, *arguments, **options)
        except Exception as error:
            _tell(error)
            return True

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        try:
            return super().get(key, default, version)
        except Exception as error:
            _tell(error)
            return default

    def set(self, key: Any, *arguments: Any, **options: Any) -> None:
        try:
            super().set(key, *arguments, **options)
        except Exception as error:
            _tell(error)

    def touch(self, key: Any, *arguments: Any, **options: Any) -> bool:
        try:
            return super().touch(key, *arguments, **options)
        except Exception as error:
            _tell(error)
            return False

    def delete(self, key: Any, version: Any = None) -> bool:
        try:
            return super().delete(key, version)
        except Exception as error:
            _tell(error)
            return False

    def has_key(self, key: Any, version: Any = None) -> bool:
        try:
            return super().has_key(key, version)
        except Exception as error:
            _tell(error)
            return False

    def incr(self, key: Any, delta: int = 1, version: Any = None) -> int:
        """Raises ValueError if ``key`` does not exist."""
        try:
            return super().incr(key, delta, version)
        except ValueError:
            raise
        except Exception as error:
            _tell(error)
            raise ValueError(key) from None


class ForgivingFiles(_FailsOpen, FileBasedCache):
    def _createdir(self) -> None:
        try:
            super()._createdir()  # type: ignore[misc]
        except OSError as error:
            _tell(error)

    def _is_expired(self, f: BinaryIO) -> bool:
        """Also expire entries written in the future, before the clock was set back: they would stay
        for as much longer.
        """
        if os.fstat(f.fileno()).st_mtime > time.time() + SLACK:
            f.close()
            self._delete(f.name)  # type: ignore[attr-defined]
            return True
        return bool(super()._is_expired(f))  # type: ignore[misc]


class ForgivingRedis(_FailsOpen, RedisCache):
    pass


def _tell(error: Exception) -> None:
    logger.warning("the cache is unavailable: %s", type(error).__name__)
