"""Patient context as numbers: one vector in which unknown values are zero."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml.types import LOCALIZATIONS, SEXES, PatientContext

FIELDS = ("age", "sex", "localization")
AGE_KNOTS = np.arange(0.0, 100.0, 10.0, dtype=np.float32)
WIDTHS = (len(AGE_KNOTS), len(SEXES), len(LOCALIZATIONS))
WIDTH = sum(WIDTHS)


def encode(context: PatientContext) -> npt.NDArray[np.float32]:
    """[WIDTH]: hat functions of age at AGE_KNOTS (years), then one-hot sex, then one-hot site.

    A linear layer without bias over the hats is a piecewise linear function of age, constant
    beyond the last knot; over an all-zero part it is exactly zero.
    """
    vector = np.zeros(WIDTH, np.float32)
    if context.age is not None:
        step = AGE_KNOTS[1] - AGE_KNOTS[0]
        age = min(context.age, float(AGE_KNOTS[-1]))
        vector[: WIDTHS[0]] = np.maximum(0.0, 1.0 - np.abs(age - AGE_KNOTS) / step)
    if context.sex is not None:
        vector[WIDTHS[0] + SEXES.index(context.sex)] = 1.0
    if context.localization is not None:
        vector[WIDTHS[0] + WIDTHS[1] + LOCALIZATIONS.index(context.localization)] = 1.0
    return vector
