"""The composed pictures with a second lesion are as described."""

import numpy as np

from ml import reader
from ml.evaluation import several
from ml.inference.look import Look, Rules
from ml.types import NotAssessable, PatientContext
from screening.images import synthetic


def test_the_second_spot_lies_in_the_corner_hard_or_soft():
    nevus = np.full((150, 200, 3), 200, np.uint8)
    melanoma = np.full((150, 200, 3), 40, np.uint8)
    hard, soft = (several.beside(nevus, melanoma, soft=one) for one in (False, True))
    assert hard.shape == soft.shape == (450, 600, 3)
    assert (hard[290:440, 390:590] == 40).all()
    assert (hard == 40).sum() == 150 * 200 * 3
    assert soft[365, 490].max() <= 45
    assert (soft[:280] == 200).all()
    steps = np.abs(np.diff(soft[365, :, 0].astype(int)))
    assert steps.max() < 20


def test_a_drawn_pair_is_counted():
    version = reader.load()
    both = several.beside(
        np.asarray(synthetic.draw_lesion(size=(400, 300))),
        np.asarray(synthetic.draw_lesion(seed=3, size=(400, 300)).point(lambda v: int(v * 0.8))),
        soft=False,
    )
    looked: Look = version._look(both, PatientContext())
    rules: Rules = version._rules
    told = several._Told()
    told.add(looked, rules)
    assert (told.pictures, told.monitor, told.several) == (1, 0, 1)
    alone = several._of_one(looked)
    assert alone.others == ()
    assert NotAssessable.MORE_THAN_ONE_LESION not in alone.of_lesion
