"""JSON from outside. Deep nesting and invalid Unicode are rejected when it is parsed: later they
would cause a RecursionError, or a response that cannot be encoded.
"""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 50
"""Nesting of lists and objects. Nothing of ours, and no export, comes near it."""
TOO_DEEP = "nested too deeply"
NO_UNICODE = "text that is no Unicode"


class ShallowDecoder(json.JSONDecoder):
    """For callers that use ``json.loads`` themselves, such as Django's field for JSON. Raises
    JSONDecodeError, and no other error.
    """

    def decode(self, s: str, *args: Any) -> Any:
        try:
            found = super().decode(s, *args)
            require_sound(found)
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:  # a number may have too many digits
            reason = TOO_DEEP if isinstance(error, RecursionError) else str(error)
            raise json.JSONDecodeError(reason, "", 0) from None
        return found


def loads(text: str | bytes) -> Any:
    """Raises ValueError for anything but JSON, and for deep nesting."""
    return json.loads(text, cls=ShallowDecoder)


def has_parts(text: str | bytes, most: int) -> bool:
    """Whether it may have more than ``most`` lists, objects and items. Each costs Python 60 bytes
    or more for one byte sent. What strings hold is counted too.
    """
    marks: Any = "[{," if isinstance(text, str) else (b"[", b"{", b",")
    return sum(map(text.count, marks)) > most


def require_sound(found: Any) -> None:
    """Raise ValueError if lists and objects are nested deeper than ``DEEPEST``, or if a text has a
    lone surrogate ("\\ud800"), which nothing could encode.
    """
    level = [found]
    for _ in range(DEEPEST + 1):
        level = [inner for one in level for inner in _within(one)]
        if not level:
            break
    else:
        raise ValueError(TOO_DEEP)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError(NO_UNICODE) from None


def _within(one: Any) -> Any:
    if isinstance(one, dict):
        return one.values()
    return one if isinstance(one, list) else ()
