"""Context as numbers."""

import numpy as np
import pytest

from ml.context import AGE_KNOTS, WIDTH, WIDTHS, encode
from ml.types import LOCALIZATIONS, SEXES, PatientContext


def test_what_is_not_known_is_zero():
    assert not encode(PatientContext()).any()


@pytest.mark.parametrize("age", [0, 3, 10, 47.5, 89, 90, 104, 120])
def test_age_is_shared_by_its_two_neighbours(age):
    hats = encode(PatientContext(age=age))[: WIDTHS[0]]
    assert hats.sum() == pytest.approx(1.0)
    assert hats @ AGE_KNOTS == pytest.approx(min(age, AGE_KNOTS[-1]), abs=1e-4)
    assert np.count_nonzero(hats) <= 2


def test_each_word_has_its_own_place():
    known = [PatientContext(sex=sex) for sex in SEXES]
    known += [PatientContext(localization=site) for site in LOCALIZATIONS]
    vectors = np.stack([encode(one) for one in known])
    assert vectors.shape == (16, WIDTH)
    assert np.array_equal(vectors[:, WIDTHS[0] :], np.eye(16))
