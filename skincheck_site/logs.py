"""What is logged, and how: to the console, each line with the request that it belongs to.

No line holds a value of a record or of a file that was sent: those may be names of people.
"""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any

# PostgreSQL adds the row that it refused.
_DETAIL = re.compile(r"^DETAIL: .*$\n?", re.MULTILINE)
# They complain of what they read, with the value.
_TALKATIVE = ("pydicom", "PIL")


class WithoutValues(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return _DETAIL.sub("", super().formatException(ei))


def configuration(level: str) -> dict[str, Any]:
    for library in _TALKATIVE:
        warnings.filterwarnings("ignore", module=rf"{library}\b")
    line = "{asctime} {levelname} {name} [{request_id}] {message}"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": "screening.api.request_id.WithRequestId"}},
        "formatters": {
            "line": {"()": "skincheck_site.logs.WithoutValues", "format": line, "style": "{"}
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["request_id"],
            }
        },
        "loggers": {name: {"level": "CRITICAL", "propagate": False} for name in _TALKATIVE},
        "root": {"handlers": ["console"], "level": level},
    }
