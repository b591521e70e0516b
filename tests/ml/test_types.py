"""Terms and their parsing."""

import pytest

from ml.diagnoses import MALIGNANT, Diagnosis
from ml.types import LOCALIZATIONS, PatientContext


def test_the_diagnoses_keep_their_order():
    assert list(Diagnosis) == ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
    assert {"akiec", "bcc", "mel"} == MALIGNANT


def test_unknown_is_no_site():
    assert "unknown" not in LOCALIZATIONS
    assert len(LOCALIZATIONS) == 14


@pytest.mark.parametrize("nothing", [None, "", " ", "unknown", "Unknown", "nan"])
def test_what_is_not_known_is_none(nothing):
    assert PatientContext.parse(nothing, nothing, nothing) == PatientContext()


@pytest.mark.parametrize("age", ["55", "55.0", 55, 55.0, " 55 "])
def test_words_and_numbers_are_taken_as_written(age):
    expected = PatientContext(55.0, "female", "lower extremity")
    assert PatientContext.parse(age, "Female ", "Lower Extremity") == expected


@pytest.mark.parametrize("age", [-1.0, 120.5, 150.0, float("nan")])
def test_no_context_has_an_age_that_nobody_has(age):
    with pytest.raises(ValueError, match="age must lie between 0 and 120 years"):
        PatientContext(age=age)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (("-1", None, None), "age"),
        (("121", None, None), "age"),
        (("inf", None, None), "age"),
        (("old", None, None), "age"),
        ((None, "f", None), "sex"),
        ((None, None, "knee"), "localization"),
    ],
)
def test_nonsense_is_refused_by_name(fields, word):
    with pytest.raises(ValueError, match=word):
        PatientContext.parse(*fields)
