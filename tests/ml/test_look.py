"""The outcome of an image, from everything found in it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image, ImageFilter

from ml import reader as room
from ml.diagnoses import Diagnosis
from ml.inference.litert import Seen
from ml.inference.look import Look, Rules
from ml.outcome import DANGEROUS
from ml.types import NotAssessable, Outcome, PatientContext
from screening.images import synthetic

RULES = Rules(
    prior=np.full(7, 1 / 7),
    temperature=1.0,
    thresholds={"urgent": 0.6, "see_doctor": 0.2},
    gate=0.9,
    floor=0.5,
    by_image=True,
)


def seen(melanoma: float, *, by_context: float = 0.0, gate: float = 5.0) -> Seen:
    """A nevus with the given melanoma logits, from the image and from the context."""
    image, context = np.zeros(7), np.zeros((3, 7))
    image[list(Diagnosis).index(Diagnosis.NV)] = 3.0
    image[list(Diagnosis).index(Diagnosis.MEL)] = melanoma
    context[0, list(Diagnosis).index(Diagnosis.MEL)] = by_context
    return Seen(image, context, gate, None, np.zeros((15, 20, 7)), np.ones((150, 200), np.float32))


def told(*those: Seen, of_picture=(), of_lesion=(), rules: Rules = RULES):
    return Look(those[0], those[1:], of_picture, of_lesion).told(rules)


def test_what_is_known_of_the_patient_can_raise_but_never_lower():
    assert told(seen(1.0))[0] is Outcome.MONITOR
    assert told(seen(1.0, by_context=5.0))[0] is Outcome.URGENT
    assert told(seen(6.0))[0] is Outcome.URGENT
    assert told(seen(6.0, by_context=-6.0))[0] is Outcome.URGENT


def test_versions_before_that_rule_go_by_the_context_alone():
    old = replace(RULES, by_image=False)
    assert told(seen(6.0, by_context=-6.0), rules=old)[0] is Outcome.MONITOR


def test_without_context_is_as_if_nothing_were_known():
    look = Look(seen(1.0, by_context=5.0), (seen(0.0, by_context=9.0),), (), ())
    assert look.told(RULES)[0] is Outcome.URGENT
    assert look.without_context().told(RULES)[0] is Outcome.MONITOR


def test_the_severest_of_several_lesions_is_told_if_it_is_dermatoscopic_itself():
    two = (NotAssessable.MORE_THAN_ONE_LESION,)
    assert told(seen(0.0), seen(6.0), of_lesion=two) == (Outcome.URGENT, "", tuple(two))
    assert told(seen(6.0), seen(0.0), of_lesion=two) == (Outcome.URGENT, "", tuple(two))
    harmless = told(seen(0.0), seen(0.0), of_lesion=two)
    assert harmless == (Outcome.NOT_ASSESSABLE, "more_than_one_lesion", ())
    assert told(seen(0.0), seen(6.0, gate=-3.0), of_lesion=two)[0] is Outcome.NOT_ASSESSABLE


def test_what_may_be_two_is_never_told_plain_monitor_and_else_not_remarked():
    def doubtful(*those: Seen):
        return Look(those[0], those[1:], (), (), is_doubtful=True).told(RULES)

    two = NotAssessable.MORE_THAN_ONE_LESION
    assert doubtful(seen(0.0), seen(0.0)) == (Outcome.NOT_ASSESSABLE, two, ())
    assert doubtful(seen(0.0), seen(6.0)) == (Outcome.URGENT, "", (two,))
    assert doubtful(seen(6.0), seen(0.0)) == (Outcome.URGENT, "", ())
    unlike = (Outcome.NOT_ASSESSABLE, NotAssessable.NOT_DERMATOSCOPIC, ())
    assert doubtful(seen(0.0, gate=-1.0)) == unlike


def test_between_floor_and_gate_the_dangerous_is_told_and_the_rest_turned_away():
    assert told(seen(6.0, gate=1.0)) == (Outcome.URGENT, "", ("not_dermatoscopic",))
    assert told(seen(0.0, gate=1.0)) == (Outcome.NOT_ASSESSABLE, "not_dermatoscopic", ())
    assert told(seen(6.0, gate=-1.0)) == (Outcome.NOT_ASSESSABLE, "not_dermatoscopic", ())


def test_what_fills_the_frame_is_only_remarked():
    cut = (NotAssessable.LESION_CUT_OFF,)
    assert told(seen(0.0), of_lesion=cut) == (Outcome.MONITOR, "", ("lesion_cut_off",))


def test_of_no_dermatoscopic_picture_no_lesion_is_judged():
    cut = (NotAssessable.LESION_CUT_OFF, NotAssessable.GLARE)
    assert told(seen(0.0, gate=-1.0), of_lesion=cut) == (
        Outcome.NOT_ASSESSABLE,
        "not_dermatoscopic",
        (),
    )


@pytest.mark.parametrize("version", room.versions())
def test_each_card_has_its_rules(version):
    card = room.card(version)
    rules = Rules.of(card)
    assert rules.floor <= rules.gate == card["gate"]["threshold"]
    assert rules.by_image == (version >= "2026.11.4")


SPOILS = {
    "as it is": lambda image, much: image,
    "blurred": lambda image, much: image.filter(ImageFilter.GaussianBlur(20 * much)),
    "dark": lambda image, much: image.point(lambda value: int(value * (1 - much))),
    "pale": lambda image, much: image.point(lambda value: int(255 - (255 - value) * (1 - much))),
    "grey": lambda image, much: Image.blend(image, image.convert("L").convert("RGB"), much),
    "small": lambda image, much: image.resize((max(8, int(400 * (1 - much))),) * 2),
    "cropped": lambda image, much: image.crop((0, 0, max(20, int(400 * (1 - much))), 300)),
}


@settings(max_examples=40, deadline=None)
@given(
    some.sampled_from(sorted(SPOILS)),
    some.floats(0, 1),
    some.integers(0, 5),
    some.sampled_from([PatientContext(), PatientContext(25, "female", "back")]),
)
def test_of_any_picture_the_remarks_never_lower_what_is_told(kind, much, seed, context):
    """With the shipped network: a dangerous reading of dermatoscopy is always shown, whatever the
    remarks, and no faulty picture results in an all-clear.
    """
    drawn = synthetic.draw_lesion(seed=seed, dark_side=seed / 5, size=(400, 300))
    picture = np.asarray(SPOILS[kind](drawn, much))
    version = room.load()
    looked = version._look(picture, context)
    outcome, reason, remarks = looked.told(version._rules)
    bare = replace(looked, of_picture=(), of_lesion=()).told(version._rules)[0]
    order = [Outcome.MONITOR, Outcome.NOT_ASSESSABLE, Outcome.SEE_DOCTOR, Outcome.URGENT]
    assert order.index(outcome) >= order.index(bare)
    assert (outcome is Outcome.NOT_ASSESSABLE) == bool(reason)
    if outcome is Outcome.MONITOR:
        assert set(remarks) <= {NotAssessable.LESION_CUT_OFF}
    reading = version.read(picture, context)
    assert (reading.outcome, reading.reason, reading.remarks) == (outcome, reason, remarks)


def test_a_black_a_white_and_a_plain_picture_are_turned_away():
    for colour in ((0, 0, 0), (255, 255, 255), (190, 140, 120)):
        plain = np.full((300, 400, 3), colour, np.uint8)
        assert room.load().read(plain, PatientContext()).outcome is Outcome.NOT_ASSESSABLE


def test_a_picture_within_a_picture_is_never_told_monitor():
    both = synthetic.draw_lesion(size=(400, 300))
    other = synthetic.draw_lesion(seed=3, size=(133, 100))
    both.paste(other.point(lambda value: int(value * 0.8)), (267, 200))
    reading = room.load().read(np.asarray(both), PatientContext())
    assert NotAssessable.MORE_THAN_ONE_LESION in (reading.reason, *reading.remarks)
    assert reading.outcome in (*DANGEROUS, Outcome.NOT_ASSESSABLE)
    assert not reading.mask[100:, 134:].any()


def test_figures_and_outline_are_those_of_the_spot_that_decided():
    mild, grave, unlike = seen(0.0), seen(6.0), seen(6.0, gate=-3.0)
    assert Look(mild, (mild, grave), (), ()).decisive(RULES) is grave
    for whole, other in ((grave, seen(6.0)), (grave, mild), (mild, seen(0.0)), (mild, unlike)):
        assert Look(whole, (other,), (), ()).decisive(RULES) is whole


def test_a_part_is_outlined_and_explained_where_it_lies():
    both = synthetic.draw_lesion(size=(400, 300))
    both.paste(synthetic.draw_lesion(seed=3, dark_side=1, size=(133, 100)), (267, 200))
    version = room.load()
    (other,) = version._look(np.asarray(both), PatientContext()).others
    inside = other.mask >= 0.5
    assert inside.any()
    assert not inside[:99].any()
    assert not inside[:, :132].any()
    assert other.evidence.shape == (15, 20, 7)
    assert np.abs(other.evidence[:9]).max() == np.abs(other.evidence[:, :13]).max() == 0
    bias = other.image_logits - other.evidence.sum(axis=(0, 1))
    whole = version._look(np.asarray(both), PatientContext()).seen
    assert np.allclose(bias, whole.image_logits - whole.evidence.sum(axis=(0, 1)), atol=1e-4)
