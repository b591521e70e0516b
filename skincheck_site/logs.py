"""What is logged, and how: to the console, each line with the request that it belongs to."""

from __future__ import annotations

from typing import Any


def configuration(level: str) -> dict[str, Any]:
    line = "{asctime} {levelname} {name} [{request_id}] {message}"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "screening.api.request_id.WithRequestId"}},
        "formatters": {"line": {"format": line, "style": "{"}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["request_id"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
    }
