"""Pictures that were once read wrongly, with the correct result for each."""

from pathlib import Path

import pytest

from ml.opening.pictures import open_image
from ml.reader import load
from ml.types import NotAssessable, Outcome, PatientContext

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "images"


@pytest.fixture(params=[{}, {"age": 25.0}, {"age": 80.0, "sex": "male", "localization": "back"}])
def context(request):
    return PatientContext(**request.param)


def read(name: str, context: PatientContext):
    if not CASES.is_dir():
        pytest.skip("the cases are not there")
    return load().read(open_image(CASES / name), context)


def test_without_colour_it_is_not_assessable(context):
    reading = read("grey.jpg", context)
    assert (reading.outcome, reading.reason) == (Outcome.NOT_ASSESSABLE, NotAssessable.NO_COLOUR)


def test_of_two_spots_the_graver_is_told(context):
    reading = read("two_spots.jpg", context)
    assert reading.outcome in (Outcome.URGENT, Outcome.SEE_DOCTOR)
    assert reading.remarks == (NotAssessable.MORE_THAN_ONE_LESION,)


@pytest.mark.parametrize("name", ["portrait_2024-03-16.jpg", "phone_mpo.jpg"])
def test_a_good_picture_has_no_remark(name, context):
    reading = read(name, context)
    assert (reading.reason, reading.remarks) == ("", ())
