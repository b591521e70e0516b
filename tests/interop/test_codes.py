"""Codes of SNOMED CT and ICD-10-CM: correct, and only verified ones."""

from __future__ import annotations

import pytest
from pydicom.sr._concepts_dict import concepts

from ml.diagnoses import Diagnosis
from screening.interop.codes import BODY_SITES, DIAGNOSES, ICD_10_CM, PLACES, SIDES, SNOMED
from screening.interop.fhir import terminology
from screening.models import BodySite, Side

DICOM = {
    code: meaning for by_code in concepts["SCT"].values() for code, (meaning, _) in by_code.items()
}


def meaning(code: str) -> str:
    return DICOM[code].removesuffix(" (body structure)")


@pytest.mark.parametrize("code", [*BODY_SITES.values(), *SIDES.values()])
def test_dicom_knows_the_code_by_this_meaning(code):
    assert meaning(code.value) == code.meaning


def test_only_acral_skin_has_no_code():
    assert set(BodySite.values) - set(BODY_SITES) == {"", "acral"}
    assert set(Side.values) - set(SIDES) == {"midline"}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_is_one_of_dicoms(place):
    assert meaning(place)


def test_the_map_tells_of_mixed_classes_that_they_are_mixed():
    for system in (SNOMED, ICD_10_CM):
        for diagnosis in (Diagnosis.AKIEC, Diagnosis.BKL, Diagnosis.VASC):
            for mapped in DIAGNOSES[system][diagnosis]:
                assert mapped.equivalence in ("narrower", "inexact")
                assert mapped.comment


def test_what_is_open_has_no_code():
    assert not {Diagnosis.DF, Diagnosis.MEL} & DIAGNOSES[SNOMED].keys()
    (found,) = terminology.concept_maps()
    groups = {group["target"]: group["element"] for group in found["group"]}
    assert [one["code"] for one in groups[SNOMED]] == ["akiec", "bcc", "bkl", "nv", "vasc"]
    assert [one["code"] for one in groups[ICD_10_CM]] == [code.value for code in Diagnosis]


def test_dicom_knows_two_of_the_diagnoses():
    assert meaning("201101007") == "Actinic keratosis"
    assert meaning("400210000") == "Hemangioma"


def test_the_seven_classes_are_published_in_order():
    classes = next(one for one in terminology.code_systems() if one["id"] == "ham10000-class")
    assert [one["code"] for one in classes["concept"]] == [code.value for code in Diagnosis]
    assert classes["count"] == 7
