"""What the schema shows of reminders: of the lesion that the other examples follow."""

from __future__ import annotations

from typing import Any

from screening.api import examples

_HOST = "https://skincheck.example.org"
_ID = "019ab0e4-5b12-7d3a-8f47-2c9e6a0d1b75"

REMINDER_IN: dict[str, Any] = {"lesion": examples.LESION["id"], "interval_months": 3}
REMINDER: dict[str, Any] = {
    "id": _ID,
    "url": f"{_HOST}/api/v1/reminders/{_ID}/",
    "created": "2026-03-12T11:05:40.118203Z",
    "modified": "2026-03-12T11:05:40.118260Z",
    **REMINDER_IN,
    "patient": examples.PATIENT["id"],
    "due_on": "2026-06-12",
    "snoozed_until": None,
    "rings_on": "2026-06-12",
    "standing": "coming",
    "stopped_at": None,
    "set_by": "clinician@north.example.org",
}
SNOOZED: dict[str, Any] = {
    **REMINDER,
    "modified": "2026-06-13T08:10:02.700151Z",
    "snoozed_until": "2026-06-20",
    "rings_on": "2026-06-20",
}
STOPPED: dict[str, Any] = {
    **REMINDER,
    "modified": "2026-06-13T08:12:45.002718Z",
    "standing": "stopped",
    "stopped_at": "2026-06-13T08:12:45.002718Z",
}
LESION_REMINDER: dict[str, Any] = {
    "reminder": REMINDER,
    "suggestion": {
        "interval_months": 6,
        "reason": "The clinician concluded that it is a mole, to be monitored.",
    },
}
CALENDAR: dict[str, Any] = {"made_at": "2026-03-12T11:07:21.450912Z", "address": None}
NEW_CALENDAR: dict[str, Any] = {
    **CALENDAR,
    "address": f"{_HOST}/calendar/d3vQ0n6yT4zq1xkR8mWcJ2LhBf7sUaPe9gYtKoV5iNE.ics",
}
