"""Archives as people have them, fixed and generated: each is imported completely."""

from __future__ import annotations

import pytest

from screening.batches import joining
from screening.models import LesionImage
from tests.batches.uploads import drawn, zipped
from tests.batches.working import upload, work_off
from tests.conftest import SHARED_DATA

pytestmark = pytest.mark.django_db
SHARED = SHARED_DATA.parent / "cases" / "exchange"
GIVEN = {
    "names_nfd.zip": 1,
    "names_backslash.zip": 1,
    "lines_cr.zip": 2,
    "isic_2020.zip": 1,
}
HEADER_2020 = (
    "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,"
    "diagnosis,benign_malignant,target"
)
DRAWN = {
    "names of a Mac": ("image,patient,lesion\nfür Ä.jpg,P,L\n", ["fu\u0308r A\u0308.jpg"]),
    "names of old Windows": ("image,patient,lesion\na.jpg,P,L\n", ["pictures\\a.jpg"]),
    "CR": ("image,patient,lesion\ra.jpg,P,L\rb.jpg,P,M\r", ["a.jpg", "b.jpg"]),
    "CR, quoted": ('image,patient,lesion\r"a.jpg","P, 1",L\rb.jpg,"P, 1",M', ["a.jpg", "b.jpg"]),
    "ISIC 2020": (f"{HEADER_2020}\nISIC_1,P,L,female,45.0,torso,nevus,benign,0\n", ["ISIC_1.jpg"]),
}


def imported(personas, archive: bytes) -> list[LesionImage]:
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    assert batch.state == "finished", batch.failure
    assert [row.problems for row in batch.rows.all()] == [[]] * batch.rows.count()
    assert set(batch.unknown_columns) <= {"benign_malignant", "target"}
    return list(LesionImage.objects.select_related("lesion__patient"))


@pytest.mark.parametrize("name", GIVEN)
def test_a_given_archive_is_imported(name, personas):
    if not SHARED.is_dir():
        pytest.skip(f"needs the files in {SHARED}")
    images = imported(personas, (SHARED / name).read_bytes())
    assert len(images) == GIVEN[name]
    if name == "isic_2020.zip":
        lesion, patient = images[0].lesion, images[0].lesion.patient
        assert (lesion.body_site, patient.sex) == ("upper extremity", "female")
        assert images[0].captured_on.year - patient.birth_year == 45


def test_every_given_archive_is_judged():
    if not SHARED.is_dir():
        pytest.skip(f"needs the files in {SHARED}")
    assert {file.name for file in SHARED.glob("*.zip")} == set(GIVEN)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_archive_is_imported(name, personas):
    manifest, names = DRAWN[name]
    pictures = {picture: drawn(seed) for seed, picture in enumerate(names)}
    images = imported(personas, zipped({"m.csv": manifest.encode(), **pictures}))
    assert len(images) == len(names)
    if name == "ISIC 2020":
        assert images[0].lesion.body_site == "trunk"
        assert images[0].lesion.patient.sex == "female"


def test_a_folder_of_old_windows_is_no_file(personas):
    """Beside a manifest without an extension it would be a second one."""
    files = {"HAM10000_metadata": b"lesion_id,image_id\nL,a\n", "pictures\\": b""}
    archive = zipped({**files, "pictures\\a.jpg": drawn(1)})
    assert len(imported(personas, archive)) == 1


@pytest.mark.parametrize(
    ("name", "manifest"),
    [
        ("HAM10000_metadata", "lesion_id,image_id,dx\nL,a,nv\n"),
        ("HAM10000_metadata.tab", "lesion_id\timage_id\tdx\nL\ta\tnv\n"),
        ("MILK10k_Training_Metadata.tsv", "lesion_id\tisic_id\tsite\nL\ta\ttrunk\n"),
        ("of Excel.csv", "sep=;\nimage;lesion\na.jpg;L\n"),
        ("of Excel, by commas.csv", '\ufeffsep=,\r\nimage,lesion\r\n"a;b;c.jpg",L\r\n'),
    ],
)
def test_a_manifest_as_it_is_downloaded_is_read(name, manifest, personas):
    picture = "a;b;c.jpg" if "commas" in name else "a.jpg"
    archive = zipped({name: manifest.encode(), picture: drawn(1)})
    [image] = imported(personas, archive)
    assert image.lesion.label == "L"


def test_a_nul_in_an_identifier_is_refused(personas):
    archive = zipped({"m.csv": b"image,lesion\na.jpg,L\0M\n", "a.jpg": drawn(1)})
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    [row] = batch.rows.all()
    assert (row.state, row.problems[0][0]) == ("refused", "lesion")
    assert not LesionImage.objects.exists()


TRUTH_2019 = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
METADATA_2019 = "image,age_approx,anatom_site_general,lesion_id,sex\n"
METADATA_MILK10K = "lesion_id,image_type,isic_id,age_approx,sex,skin_tone_class,site\n"
TRUTH_MILK10K = "lesion_id,AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC\n"
ISIC_2019 = {
    "ISIC_2019_Training_GroundTruth.csv": TRUTH_2019
    + "ISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
    + "ISIC_2_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n",
    "ISIC_2019_Training_Metadata.csv": METADATA_2019
    + "ISIC_2_downsampled,40.0,anterior torso,,male\nISIC_1,55.0,anterior torso,L1,female\n",
}
MILK10K = {
    "MILK10k_Training_GroundTruth.csv": TRUTH_MILK10K + "IL_1,0,0,0,0,0,0,0,0,0,1,0\n",
    "MILK10k_Training_Metadata.csv": METADATA_MILK10K
    + "IL_1,clinical: close-up,ISIC_1,70,male,3,trunk\nIL_1,dermoscopic,ISIC_2,70,male,3,trunk\n",
    "MILK10k_Training_Supplement.csv": "isic_id,diagnosis_confirm_type\n"
    "ISIC_1,histopathology\nISIC_2.jpg,histopathology\n",
}


def packed(tables: dict[str, str], *pictures: str) -> bytes:
    files = {f"input/{name}.jpg": drawn(seed) for seed, name in enumerate(pictures)}
    return zipped({name: text.encode() for name, text in tables.items()} | files)


def test_the_two_tables_of_isic_2019_are_one(personas):
    images = imported(personas, packed(ISIC_2019, "ISIC_1", "ISIC_2_downsampled"))
    told = {(image.lesion.patient.sex, image.batch_rows.get().source["mel"]) for image in images}
    assert told == {("female", "0.0"), ("male", "1.0")}


def test_the_three_tables_of_milk10k_are_one(personas):
    images = imported(personas, packed(MILK10K, "ISIC_1", "ISIC_2"))
    assert len({image.lesion for image in images}) == 1
    assert {image.modality for image in images} == {"clinical", "dermatoscopic"}
    for image in images:
        source = image.batch_rows.get().source
        assert (source["sccka"], source["diagnosis_confirm_type"]) == ("1", "histopathology")


def test_tables_that_contradict_each_other_refuse_the_row(personas):
    truth = TRUTH_2019.replace("image,", "image,sex,") + "ISIC_1,male,0,1,0,0,0,0,0,0,0\n"
    truth += "ISIC_2_downsampled,Male,0,1,0,0,0,0,0,0,0\n"
    tables = ISIC_2019 | {"ISIC_2019_Training_GroundTruth.csv": truth}
    archive = packed(tables, "ISIC_1", "ISIC_2_downsampled")
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    [refused] = batch.rows.filter(state="refused")
    assert refused.problems == [
        ["sex", "Row 2 of “ISIC_2019_Training_GroundTruth.csv” has “male”."]
    ]
    assert LesionImage.objects.count() == 1


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ("image,sex\nISIC_1,male\n", "“isic_2” is in “a.csv” only"),
        ("image,sex\nISIC_1,male\nISIC_2,male\nISIC_3,male\n", "“isic_3” is in “b.csv” only"),
        ("patient_id,sex\nP,male\n", "no column of pictures or lesions in common"),
        ("image,sex\nISIC_1,male\nISIC_1.jpg,male\n", "Row 3 of “b.csv”: “isic_1” is in row 2"),
        ("image,sex\n,male\n", "Row 2 of “b.csv”: It names no picture or lesion."),
        ("image,sex\nISIC_1,male,x\n", "Row 2 of “b.csv”: The row has more cells"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(personas, other, why):
    tables = {"a.csv": "image,lesion_id\nISIC_1,L\nISIC_2,L\n", "b.csv": other}
    archive = packed(tables, "ISIC_1", "ISIC_2")
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    assert batch.state == "refused"
    assert why in batch.failure
    assert "“b.csv”" in batch.failure
    assert not LesionImage.objects.exists()


def test_a_table_too_large_to_be_joined_is_refused(personas, monkeypatch):
    monkeypatch.setattr(joining, "MAX_JOINED_CELLS", 12)
    archive = packed(ISIC_2019, "ISIC_1", "ISIC_2_downsampled")
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    assert "too large to be joined" in batch.failure
