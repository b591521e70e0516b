"""Readings: waiting for them, and printing them in the site's words."""

from __future__ import annotations

import json
import time
from typing import Any

from skincheck_client.failure import Exit, Failure
from skincheck_client.site import Json, Site

WORDS = {
    "urgent": "Urgent",
    "see_doctor": "See a doctor",
    "monitor": "Monitor",
    "not_assessable": "Not assessable",
}
POLL_SECONDS = 1.0
ACTIVE = ("queued", "running")


def finished(site: Site, prediction: str, deadline: float) -> Json:
    """The reading once it is finished. Raises Failure if ``deadline`` (monotonic) passes first."""
    pause = POLL_SECONDS / 4
    while (reading := site.get(f"predictions/{prediction}/"))["state"] in ACTIVE:
        if time.monotonic() + pause > deadline:
            raise Failure(
                "It is not read yet. The picture is kept and will be: skincheck watch",
                Exit.INCOMPLETE,
            )
        time.sleep(pause)
        pause = min(2 * pause, POLL_SECONDS)
    return reading


def is_read(reading: Json) -> bool:
    return bool(reading["state"] == "succeeded")


def told(name: str, reading: Json) -> str:
    """Lines for a person. The advice is printed in full, as the site requires."""
    if reading["state"] == "failed":
        return f"{name}: not read. {reading['failure']}"
    if reading["outcome"] is None:
        return f"{name}: read, and kept back until you have recorded your own conclusion."
    lines = [f"{name}: {WORDS.get(reading['outcome'], reading['outcome'])}"]
    advice = reading["advice"]
    if advice:
        lines += [f"  {text}" for text in (advice["title"], *advice["text"])]
    lines.append(f"  Read by model {reading['model_version']}, prediction {reading['id']}")
    return "\n".join(lines)


def as_json(row: dict[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":"))
