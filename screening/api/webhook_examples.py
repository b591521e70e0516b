"""What the schema shows of webhooks: one endpoint, and what was sent to it."""

from __future__ import annotations

from typing import Any

from screening.api import examples

_HOST = "https://skincheck.example.org/api/v1"
_WEBHOOK = "019ab0f0-11d4-7c3e-9a5b-2f7d8e1c4a65"
_DELIVERY = "019ab0f3-7b20-7e91-8d4c-5a6b3c9f0e76"
_TEST = "019ab0f1-03c5-7a18-b2e7-9d1f4b8c6a87"

WEBHOOK_IN: dict[str, Any] = {
    "clinic": examples.CLINIC["id"],
    "name": "Practice software",
    "target": "https://practice.example.org/skincheck",
    "events": ["prediction.finished", "prediction.failed"],
}
WEBHOOK: dict[str, Any] = {
    "id": _WEBHOOK,
    "url": f"{_HOST}/webhooks/{_WEBHOOK}/",
    "created": "2026-03-12T10:02:11.540221Z",
    "modified": "2026-03-12T10:02:11.540312Z",
    **WEBHOOK_IN,
    "enabled": True,
    "disabled_at": None,
    "disabled_reason": None,
    "failures": 0,
    "rotated_at": None,
    "old_secret_expires_at": None,
}
ROTATED: dict[str, Any] = {
    **WEBHOOK,
    "modified": "2026-03-20T08:15:00.000512Z",
    "rotated_at": "2026-03-20T08:15:00.000412Z",
    "old_secret_expires_at": "2026-03-21T08:15:00.000412Z",
}
SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwm3kQ0mB0Zs8="}

_WAITING: dict[str, Any] = {
    "webhook": _WEBHOOK,
    "state": "waiting",
    "tries": 0,
    "finished_at": None,
    "attempts": [],
}
TEST: dict[str, Any] = {
    "id": _TEST,
    "url": f"{_HOST}/deliveries/{_TEST}/",
    "created": "2026-03-12T10:03:12.197001Z",
    "modified": "2026-03-12T10:03:12.197045Z",
    **_WAITING,
    "event": "webhook.test",
    "data": {"webhook": _WEBHOOK},
    "due_at": "2026-03-12T10:03:12.197012Z",
    "given_up_at": "2026-03-13T10:03:12.197015Z",
}
DELIVERY: dict[str, Any] = {
    "id": _DELIVERY,
    "url": f"{_HOST}/deliveries/{_DELIVERY}/",
    "created": "2026-03-12T10:05:54.848113Z",
    "modified": "2026-03-12T10:05:55.062774Z",
    "webhook": _WEBHOOK,
    "event": "prediction.finished",
    "data": {
        "clinic": examples.CLINIC["id"],
        "patient": examples.PATIENT["id"],
        "lesion": examples.LESION["id"],
        "image": examples.IMAGE["id"],
        "prediction": examples.PREDICTION["id"],
    },
    "state": "delivered",
    "tries": 1,
    "due_at": "2026-03-12T10:05:54.848120Z",
    "given_up_at": "2026-03-13T10:05:54.848125Z",
    "finished_at": "2026-03-12T10:05:55.062774Z",
    "attempts": [
        {
            "created": "2026-03-12T10:05:55.063002Z",
            "status_code": 204,
            "duration_ms": 143,
            "error": None,
            "answer": None,
        }
    ],
}
AGAIN: dict[str, Any] = {
    **DELIVERY,
    **_WAITING,
    "modified": "2026-03-12T11:40:09.300118Z",
    "due_at": "2026-03-12T11:40:09.300101Z",
    "given_up_at": "2026-03-13T11:40:09.300107Z",
    "attempts": DELIVERY["attempts"],
}
