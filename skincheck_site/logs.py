"""Logging configuration: to the console, each line with its request identifier.

Text for people, or one JSON object per line for log collectors (``LOG_FORMAT``). No line contains
values from records or uploaded files, because those may be names of people.
"""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

from pythonjsonlogger.json import JsonFormatter

FORMATS = ("text", "json")

# PostgreSQL adds the row that it rejected.
_DETAIL = re.compile(r"^DETAIL: .*$\n?", re.MULTILINE)
# They log what they read, including the value.
_TALKATIVE = ("pydicom", "highdicom", "PIL")
_FIELDS = ("time", "level", "logger", "request_id", "message", "exc_info", "stack_info")


class WithoutValues(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return _DETAIL.sub("", super().formatException(ei))


class JsonLines(WithoutValues, JsonFormatter):
    """One JSON object per line; a traceback is in the field ``exc_info``."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Leave out what callers pass as ``extra``: Django passes requests and SQL parameters."""
        return {name: log_data[name] for name in _FIELDS if name in log_data}


def configuration(level: str, form: str) -> dict[str, Any]:
    """form: one of FORMATS."""
    for library in _TALKATIVE:
        warnings.filterwarnings("ignore", module=rf"{library}\b")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "skincheck_site.request_id.WithRequestId"}},
        "formatters": {
            "text": {
                "()": "skincheck_site.logs.WithoutValues",
                "format": "{asctime} {levelname} {name} [{request_id}] {message}",
                "style": "{",
            },
            "json": {
                "()": "skincheck_site.logs.JsonLines",
                "format": "{levelname}{name}{request_id}{message}",
                "style": "{",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": "time",
            },
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["request_id"],
            }
        },
        "loggers": {name: {"level": "CRITICAL", "propagate": False} for name in _TALKATIVE},
        "root": {"handlers": ["console"], "level": level},
    }
