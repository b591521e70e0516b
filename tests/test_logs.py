"""No log line holds a value of a record, or of a file that was sent."""

from __future__ import annotations

import logging
import subprocess
import sys
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


def test_libraries_that_read_files_say_nothing_of_them(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", COMPLAIN],
        cwd=Path(__file__).parents[1],
        env={
            "DJANGO_SETTINGS_MODULE": "skincheck_site.settings",
            "VAR_DIR": str(tmp_path),
            "PATH": "",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "our own line" in ran.stderr
    assert "value of a file" not in ran.stdout + ran.stderr


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite's errors hold no values")
def test_a_refused_row_is_not_logged(personas) -> None:
    with pytest.raises(IntegrityError) as error, transaction.atomic():
        PatientFactory(clinic=personas.clinic, label=personas.patient.label)
    assert personas.patient.label in str(error.value)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "a bug", (), error._excinfo)
    text = WithoutValues("{message}", style="{").format(record)
    assert "patient_label_is_unique_in_clinic" in text
    assert f"({personas.clinic.pk}, {personas.patient.label})" not in text
