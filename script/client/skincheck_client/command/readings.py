"""Readings, printed in the site's words."""

from __future__ import annotations

import json
from collections.abc import Mapping

from skincheck_client.resources import Outcome, Prediction

WORDS: dict[Outcome, str] = {
    "urgent": "Urgent",
    "see_doctor": "See a doctor",
    "monitor": "Monitor",
    "not_assessable": "Not assessable",
}


def is_read(reading: Prediction) -> bool:
    return reading["state"] == "succeeded"


def told(name: str, reading: Prediction) -> str:
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


def as_json(row: Mapping[str, object]) -> str:
    return json.dumps(row, separators=(",", ":"))
