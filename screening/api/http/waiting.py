"""``Prefer: wait=N`` (RFC 7240): an answer is held back until the reading is there."""

from __future__ import annotations

import re
import time
from threading import BoundedSemaphore
from typing import Any

from rest_framework.request import Request

from screening.models import ACTIVE, Prediction

MAX_SECONDS = 20
# A web process has four threads (supervisord.conf): those who wait must leave some to the others.
# Whoever finds no place is answered at once, as without the preference.
_places = BoundedSemaphore(2)
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.I)


def preferred(request: Request) -> int | None:
    """Seconds that the caller would wait, at most MAX_SECONDS; None without the preference."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), MAX_SECONDS) if found else None


def wait_for(prediction: Prediction | None, seconds: int | None) -> dict[str, str]:
    """Sleep until the reading is finished, ``seconds`` at most. No transaction is held.

    Returns the header which says that this was done.
    """
    if prediction is None or not seconds or not _places.acquire(blocking=False):
        return {}
    try:
        _sleep_until_finished(prediction.pk, time.monotonic() + seconds)
    finally:
        _places.release()
    return {"Preference-Applied": f"wait={seconds}"}


def _sleep_until_finished(pk: Any, deadline: float) -> None:
    pause = 0.05
    while Prediction.objects.filter(pk=pk, state__in=ACTIVE).exists():
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.4)
