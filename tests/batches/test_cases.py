"""Archives as people have them, fixed and generated: each is imported completely."""

from __future__ import annotations

import pytest

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
