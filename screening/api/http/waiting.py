"""``Prefer: wait=N`` (RFC 7240): hold the response until the reading is finished."""

from __future__ import annotations

import re
import time
from threading import BoundedSemaphore
from typing import Any

from rest_framework.request import Request

from screening.models import ACTIVE, Prediction

MAX_SECONDS = 20
# A web process has four threads (supervisord.conf), and waiting requests must leave some for
# others. When all places are taken, the response comes at once, as without the preference.
_places = BoundedSemaphore(2)
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.I)


def preferred(request: Request) -> int | None:
    """Seconds that the client is willing to wait, at most MAX_SECONDS; None without the
    preference.
    """
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), MAX_SECONDS) if found else None


def wait_for(prediction: Prediction | None, seconds: int | None) -> dict[str, str]:
    """Wait until the reading is finished, at most ``seconds``. Holds no transaction.

    Returns the header that confirms the preference.
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
