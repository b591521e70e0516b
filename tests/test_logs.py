"""No log line contains a value from a record or an uploaded file."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from skincheck_site.logs import WithoutValues
from tests.factories import PatientFactory

COMPLAIN = """
import logging, warnings
import django
django.setup()
from pydicom import Dataset
dataset = Dataset()
dataset.PatientName = "value of a file"
dataset.StudyDate = "value of a file"
for name in ("pydicom.valuerep", "PIL.TiffImagePlugin"):
    logging.getLogger(name).error("value of a file")
    warnings.warn_explicit("value of a file", UserWarning, f"{name}.py", 1, module=name)
logging.getLogger("screening").error("our own line")
"""


def run(program: str, var: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        env={
            "DJANGO_SETTINGS_MODULE": "skincheck_site.settings",
            "VAR_DIR": str(var),
            "PATH": "",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_libraries_that_read_files_say_nothing_of_them(tmp_path: Path) -> None:
    ran = run(COMPLAIN, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "our own line" in ran.stderr
    assert "value of a file" not in ran.stdout + ran.stderr


LOG_JSON = r"""
import logging
import django
django.setup()
logger = logging.getLogger("screening")
logger.warning("a line of %s", "two\nlines", extra={"params": "value of a row"})
try:
    raise ValueError("said\nDETAIL:  Failing row contains (value of a row).")
except ValueError:
    logger.exception("a bug")
"""


def test_as_json_a_line_is_an_object_without_values(tmp_path: Path) -> None:
    ran = run(LOG_JSON, tmp_path, LOG_FORMAT="json")
    assert ran.returncode == 0, ran.stderr
    first, second = (json.loads(line) for line in ran.stderr.splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "level": "WARNING",
        "logger": "screening",
        "request_id": "-",
        "message": "a line of two\nlines",
    }
    assert second["level"] == "ERROR"
    assert second["exc_info"].rstrip().endswith("ValueError: said")
    assert "value of a row" not in ran.stderr


def test_an_unknown_format_of_logs_is_refused(tmp_path: Path) -> None:
    ran = run(LOG_JSON, tmp_path, LOG_FORMAT="xml")
    assert ran.returncode != 0
    assert "LOG_FORMAT is one of text and json." in ran.stderr


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's errors hold no values")
def test_a_refused_row_is_not_logged(personas) -> None:
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        PatientFactory(clinic=personas.clinic, label=personas.patient.label)
    assert personas.patient.label in str(error.value)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "a bug", (), error._excinfo)
    text = WithoutValues("{message}", style="{").format(record)
    assert "patient_label_is_unique_in_clinic" in text
    assert f"({personas.clinic.pk}, {personas.patient.label})" not in text
