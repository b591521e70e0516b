"""Codes of SNOMED CT and ICD-10-CM: correct, and only verified ones."""

from __future__ import annotations

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from ml.diagnoses import Diagnosis
from screening.images.dicom import Said
from screening.interop.codes import BODY_SITES, DIAGNOSES, ICD_10_CM, PLACES, SIDES, SNOMED
from screening.interop.dicom.metadata import body_site
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


NO_SITE_OF_OURS = {
    # What may be on several of our sites: skin, head, groin, armpit, buttock, behind the ear ...
    "Skin", "SkinOfHead", "SkinOfInguinalRegion", "GroinSkinCrease", "SkinOfAxilla",
    "SkinOfButtock", "SkinOfGlutealFold", "SkinOfAnus", "SkinOfPostauricularRegion",
    "SkinOfSubmentalArea",
    # What is no skin.
    "Cornea", "Eyelash", "Hair", "Iris", "Retina", "Sclera", "Tooth", "OralMucosa",
}  # fmt: skip


def test_all_places_of_dermoscopy_are_known():
    """CID 4029, in all three vocabularies."""
    said, walked = [], 0
    for scheme, names in cid_concepts[4029].items():
        for name in names:
            for code, (_, lists) in concepts[scheme][name].items():
                if 4029 not in lists:
                    continue
                walked += 1
                site = body_site(Said(regions=((code, scheme),)))
                if (site == "") != (name in NO_SITE_OF_OURS or name.startswith("Mucosa")):
                    said.append((name, site))
    assert not said
    assert walked > 200


@pytest.mark.parametrize(
    ("code", "scheme", "site"),
    [
        ("38107", "FMA", "acral"),  # plantar part of the great toe
        ("130314", "DCM", "face"),  # paranasal cheek
        ("130323", "DCM", "back"),
        ("54468004", "SCT", "chest"),  # nipple
        ("24527008", "SCT", "upper extremity"),  # palmar area of the wrist
        ("38107", "SCT", ""),  # of another vocabulary
    ],
)
def test_a_place_counts_in_its_own_vocabulary(code, scheme, site):
    assert body_site(Said(regions=((code, scheme),))) == site


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
