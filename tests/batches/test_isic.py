"""ISIC's terms and ours, checked against ISIC's own dictionary."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
from datetime import date
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from isic_metadata.anatom_site_hierarchical import AnatomSiteEnum
from isic_metadata.diagnosis_hierarchical import DiagnosisEnum
from isic_metadata.fields import AnatomSiteGeneralEnum, DiagnosisConfirmTypeEnum, ImageTypeEnum
from isic_metadata.metadata import MetadataBatch, MetadataRow

from accounts.models import User
from accounts.services import create_api_key
from ml import reader
from ml.diagnoses import Diagnosis
from screening.batches.queries import problems_of
from screening.batches.rows import WITHDRAWN_HISTOLOGY
from screening.corrections import services as corrections
from screening.interop.isic import columns, export, terms
from screening.interop.isic.export import Days, isic_columns, isic_rows
from screening.interop.tables import as_csv
from screening.models import Batch, BodySite, Consent, Histology, Lesion, LesionImage, Patient
from screening.predictions.outcomes import NOTHING, rank
from screening.privacy import consents
from tests.batches.uploads import batch_of, drawn
from tests.batches.working import upload, work_off
from tests.clients import Program
from tests.factories import (
    HistologyFactory,
    LesionFactory,
    LesionImageFactory,
    PatientFactory,
    PredictionFactory,
    UserFactory,
)
from tests.predictions.test_outcomes import standing_rank

TODAY = date(2026, 11, 1)


def parsed(**record: str) -> columns.Row:
    row = columns.parse({"image": "a.jpg", **record}, captured_on=TODAY)
    assert not row.problems
    return row


def exported(images=None, days=Days.COUNTED) -> list[dict[str, str]]:
    """The contents of a CSV file, without empty cells."""
    images = LesionImage.objects.all() if images is None else images
    rows = isic_rows(images, UserFactory(), days)
    text = b"".join(as_csv(isic_columns(days), rows)).decode()
    return [
        {name: value for name, value in row.items() if value}
        for row in csv.DictReader(io.StringIO(text))
    ]


def test_our_words_are_isics():
    paths = {path for path, _, _ in terms.SITES.values() if path} | set(terms._SITE_OF_PATH)
    assert paths <= {site.value for site in AnatomSiteEnum}
    assert set(terms._SITE_OF_GENERAL) == {site.value for site in AnatomSiteGeneralEnum}
    diagnoses = {path for path in terms.DIAGNOSES.values() if path}
    assert diagnoses | set(terms._CLASS_OF_PATH) <= {one.value for one in DiagnosisEnum}
    ways = {*terms.CONFIRMED_BY.values(), terms.BY_ONE}
    assert ways == {way.value for way in DiagnosisConfirmTypeEnum}
    known = {kind.value.lower() for kind in ImageTypeEnum if not kind.value.startswith("RCM")}
    assert known <= set(terms.IMAGE_TYPES)


def test_every_site_and_every_class_has_a_word():
    assert set(terms.SITES) == set(BodySite.values) - {""}
    assert set(terms.DIAGNOSES) == {diagnosis.value for diagnosis in Diagnosis}


@pytest.mark.parametrize("site", [site for site in BodySite.values if site])
def test_a_site_of_ours_comes_back(site):
    path, general, special = terms.SITES[site]
    if path:
        assert terms.site_of_path(path) == site
        assert terms.site_of_path(path.split(":")[-1]) == site
    else:
        assert terms.site_of_general(general, special) == site


@pytest.mark.parametrize(
    ("site", "ours"),
    [
        ("torso", "trunk"),
        ("upper extremity", "upper extremity"),
        ("lower extremity", "lower extremity"),
        ("palms/soles", "acral"),
        ("oral/genital", None),
        ("head/neck", None),
    ],
)
def test_the_columns_of_the_challenge_of_2020_are_known(site, ours):
    row = parsed(
        image_name="ISIC_0000001",
        sex="female",
        age_approx="45.0",
        anatom_site_general_challenge=site,
        diagnosis="nevus",
    )
    assert row.patient_fields == {"birth_year": TODAY.year - 45, "sex": "female"}
    assert row.lesion_fields.get("body_site") == ours
    assert row.diagnosis["diagnosis"] == "nv"
    assert row.source["anatom_site_general_challenge"] == site


def test_a_site_of_the_challenge_that_is_none_is_refused_by_its_column():
    row = columns.parse(
        {"image": "a.jpg", "anatom_site_general_challenge": "tail"}, captured_on=TODAY
    )
    assert [column for column, _ in row.problems] == ["anatom_site_general_challenge"]


def test_every_site_of_isic_is_understood():
    for site in AnatomSiteEnum:
        assert terms.site_of_path(site.value) is not None, site
    assert terms.site_of_path("Tail") is None


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("Nevus", "nv"),
        ("Benign:Benign melanocytic proliferations:Nevus:Nevus, Congenital", "nv"),
        ("Melanoma in situ", "mel"),
        ("Melanoma, NOS", "mel"),
        ("Basal cell carcinoma", "bcc"),
        ("Solar or actinic keratosis", "akiec"),
        ("Squamous cell carcinoma in situ", "akiec"),
        ("Seborrheic keratosis", "bkl"),
        ("Lichen planus like keratosis", "bkl"),
        ("Dermatofibroma", "df"),
        ("Benign:Benign soft tissue proliferations - Vascular:Hemangioma", "vasc"),
        ("Benign", "other"),
        ("Benign:Benign epidermal proliferations:Porokeratosis", "other"),
    ],
)
def test_diagnoses_of_isic_are_put_into_our_classes(path, code):
    assert terms.diagnosis_of_path(path) == code
    assert DiagnosisEnum.accept_terminal_values(path) in {one.value for one in DiagnosisEnum}


def test_the_columns_of_both_collections_mean_the_same():
    one = parsed(age="80.0", sex="male", localization="scalp", dx="mel", dx_type="histo")
    other = parsed(
        age_approx="80",
        sex="Male",
        anatom_site_1="Head and neck",
        anatom_site_2="Head",
        anatom_site_3="Scalp",
        diagnosis_1="Malignant",
        diagnosis_2="Malignant melanocytic proliferations (Melanoma)",
        diagnosis_confirm_type="histopathology",
    )
    assert one.patient_fields == other.patient_fields == {"birth_year": 1946, "sex": "male"}
    assert one.lesion_fields == other.lesion_fields == {"body_site": "scalp"}
    assert one.diagnosis["diagnosis"] == other.diagnosis["diagnosis"] == "mel"
    assert one.diagnosis["confirmed_by"] == other.diagnosis["confirmed_by"] == "histopathology"


FULL = {
    "isic_id": "ISIC_0012345",
    "patient_id": "IP_1234567",
    "lesion_id": "IL_7654321",
    "acquisition_day": "0",
    "age": "55",
    "sex": "female",
    "fitzpatrick_skin_type": "II",
    "anatom_site": "Trunk:Posterior trunk:Upper back:Lateral upper back",
    "anatom_site_general": "posterior torso",
    "image_type": "dermoscopic",
    "dermoscopic_type": "contact polarized",
    "image_manipulation": "altered",
    "diagnosis": "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma Invasive:"
    "Melanoma Invasive, Nodular",
    "diagnosis_confirm_type": "histopathology",
    "mel_thick_mm": "1.20",
    "mel_mitotic_index": "1/mm^2",
    "mel_ulcer": "True",
    "melanocytic": "True",
    "clin_size_long_diam_mm": "6.5",
    "concomitant_biopsy": "True",
    "personal_hx_mm": "False",
    "family_hx_mm": "True",
    "attribution": "An institution",
    "copyright_license": "CC-0",
}


@pytest.fixture
def imported(personas):
    """One row with everything that ISIC provides, and the result of its import."""
    data = batch_of([FULL], {"ISIC_0012345.jpg": drawn(1)})
    batch = work_off(upload(personas.clinician, data, clinic=personas.clinic))
    assert batch.state == "finished"
    return LesionImage.objects.select_related("lesion__patient").get()


def test_what_is_imported_is_exported_without_loss(imported):
    [row] = exported()
    assert {name: row.get(name) for name in FULL} == FULL
    before, after = (
        MetadataRow(**{k: v for k, v in one.items() if k in MetadataRow.model_fields})
        for one in (FULL, row)
    )
    assert before.model_dump() == after.model_dump()


def test_the_pathologists_diagnosis_is_recorded(imported):
    histology = Histology.objects.get()
    assert (histology.diagnosis, histology.breslow_mm) == ("mel", Decimal("1.20"))
    assert "Nodular" in histology.note


def test_it_settles_the_picture_that_it_came_with(imported, personas):
    PredictionFactory(image=imported, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    assert standing_rank(imported.lesion_id, personas.clinician) == NOTHING


def test_it_settles_no_warning_that_nobody_was_shown(personas):
    """The lesion was there already: whoever made the file may never have seen it."""
    patient = PatientFactory(clinic=personas.clinic, label=FULL["patient_id"])
    lesion = LesionFactory(patient=patient, label=FULL["lesion_id"])
    image = LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, 1))
    PredictionFactory(image=image, outcome="urgent", model_version=reader.DEFAULT_VERSION)
    data = batch_of([FULL], {"ISIC_0012345.jpg": drawn(1)})
    work_off(upload(personas.clinician, data, clinic=personas.clinic))
    assert Histology.objects.get().lesion == lesion
    assert standing_rank(lesion.pk, personas.clinician) == rank("urgent")


def test_a_malignant_histology_stands_beside_an_earlier_harmless_one(personas):
    patient = PatientFactory(clinic=personas.clinic, label=FULL["patient_id"])
    lesion = LesionFactory(patient=patient, label=FULL["lesion_id"])
    HistologyFactory(lesion=lesion, recorded_by=personas.clinician, diagnosis="nv")
    data = batch_of([FULL], {"ISIC_0012345.jpg": drawn(1)})
    work_off(upload(personas.clinician, data, clinic=personas.clinic))
    assert sorted(lesion.histologies.values_list("diagnosis", flat=True)) == ["mel", "nv"]


def test_who_may_not_conclude_records_no_histology(personas):
    data = batch_of([FULL], {"ISIC_0012345.jpg": drawn(1)})
    work_off(upload(personas.assistant, data, clinic=personas.clinic))
    assert not Histology.objects.exists()
    assert exported()[0]["diagnosis"] == FULL["diagnosis"]


def test_ours_counts_where_it_was_changed(imported):
    lesion = imported.lesion
    lesion.body_site = "face"
    lesion.save()
    HistologyFactory(lesion=lesion, diagnosis="bcc")
    [row] = exported()
    assert row["anatom_site"] == "Head and neck:Head:Face"
    assert row["anatom_site_general"] == "head/neck"
    assert row["diagnosis"].endswith(":Basal cell carcinoma")
    assert not {"mel_thick_mm", "mel_ulcer", "mel_mitotic_index"} & row.keys()


@pytest.mark.parametrize("site", BodySite.values)
@pytest.mark.parametrize("modality", ["dermatoscopic", "clinical"])
def test_whatever_we_have_is_valid_and_comes_back(db, site, modality):
    image = LesionImageFactory(lesion__body_site=site, modality=modality, is_synthetic=True)
    [row] = exported(days=Days.DATES)
    MetadataBatch(
        items=[MetadataRow(**{k: v for k, v in row.items() if k in MetadataRow.model_fields})]
    )
    row["image"] = row["filename"]
    back = columns.parse(row, captured_on=TODAY)
    patient = image.lesion.patient
    assert not back.problems
    assert back.lesion_fields.pop("body_site", "") == site
    assert back.lesion_fields == {"label": image.lesion.label}
    assert back.patient_fields == {
        "label": patient.label,
        "birth_year": patient.birth_year,
        "sex": patient.sex,
    }
    assert (back.modality, back.is_synthetic) == (modality, True)
    assert (back.patient, back.lesion) == (str(patient.pk), str(image.lesion.pk))
    assert back.captured_on == image.captured_on


@pytest.mark.parametrize("diagnosis", [one.value for one in Diagnosis])
def test_each_diagnosis_is_valid_and_comes_back(db, diagnosis):
    image = LesionImageFactory()
    HistologyFactory(lesion=image.lesion, diagnosis=diagnosis)
    [row] = exported()
    MetadataRow(**{k: v for k, v in row.items() if k in MetadataRow.model_fields})
    row["image"] = "x"
    back = columns.parse(row, captured_on=TODAY)
    assert back.diagnosis["diagnosis"] == diagnosis
    assert back.diagnosis["confirmed_by"] == "histopathology"


def test_days_are_counted_from_the_patients_first_image(db):
    first = LesionImageFactory(captured_on=date(2026, 1, 1))
    LesionImageFactory(lesion=first.lesion, captured_on=date(2026, 3, 2))
    assert sorted(int(row.get("acquisition_day", 0)) for row in exported()) == [0, 60]


def test_a_long_export_asks_by_pages(db, monkeypatch, django_assert_num_queries):
    LesionImageFactory.create_batch(5)
    user = UserFactory()
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 2)
    with django_assert_num_queries(17):  # the role, 3 pages of 5, and an end
        rows = isic_rows(LesionImage.objects.all(), user, Days.COUNTED)
        assert len(list(rows)) == 5


LOST = {"filename"}
"""What an export that is taken in again does not give back: the picture has a new name."""


def test_what_is_exported_and_taken_in_again_is_the_same(personas):
    """Labels of two patients' lesions, and of one patient's, may be alike."""
    of_clinic = {"clinic": personas.clinic, "owner": None}
    one, other = (PatientFactory(label=label, **of_clinic) for label in ("P 1", "P 2"))
    made = [
        LesionFactory(patient=patient, label="Lesion 1", body_site=site, bleeding=bleeds)
        for patient, site, bleeds in (
            (one, "back", True),
            (one, "face", False),
            (other, "", False),
        )
    ]
    for day, lesion in enumerate(made, 1):
        LesionImageFactory(lesion=lesion, captured_on=date(2026, 1, day))
    HistologyFactory(lesion=made[1], diagnosis="bcc")
    before = exported(days=Days.DATES)
    assert len({row["lesion_id"] for row in before}) == 3
    MetadataBatch(
        items=[
            MetadataRow(**{k: v for k, v in row.items() if k in MetadataRow.model_fields})
            for row in before
        ]
    )
    pictures = {row["filename"]: drawn(seed) for seed, row in enumerate(before)}
    Histology.objects.all().delete()
    LesionImage.objects.all().delete()
    Lesion.objects.all().delete()
    Consent.objects.all().delete()
    Patient.objects.all().delete()
    batch = work_off(upload(personas.clinician, batch_of(before, pictures), clinic=personas.clinic))
    assert [row.problems for row in batch.rows.all()] == [[], [], []]
    assert Patient.objects.count() == 2
    after = exported(days=Days.DATES)
    assert [{k: v for k, v in row.items() if k not in LOST} for row in after] == [
        {k: v for k, v in row.items() if k not in LOST} for row in before
    ]


OF_MELANOMA = {
    "patient_id": "IP_0000001",
    "lesion_id": "IL_0000001",
    "age_approx": "55",
    "sex": "female",
    "anatom_site_general": "posterior torso",
    "diagnosis_1": "Malignant",
    "diagnosis_2": "Malignant melanocytic proliferations (Melanoma)",
    "diagnosis_3": "Melanoma Invasive",
    "diagnosis_confirm_type": "histopathology",
    "mel_thick_mm": "0.4",
    "attribution": "An institution",
    "copyright_license": "CC-BY-NC",
}
DOWNLOADED = [
    {"isic_id": "ISIC_1", "acquisition_day": "1", "image_type": "dermoscopic", **OF_MELANOMA},
    {
        "isic_id": "ISIC_2",
        "acquisition_day": "40",
        "image_type": "clinical: close-up",
        **OF_MELANOMA,
    },
    {
        "isic_id": "ISIC_3",
        "patient_id": "IP_0000002",
        "lesion_id": "IL_0000002",
        "age_approx": "85",
        "image_type": "TBP tile: close-up",
        "copyright_license": "CC-0",
    },
]
"""As the archive writes them: diagnoses by levels, and a day counted from one that it keeps."""


def test_a_download_of_the_archive_outlives_an_export_and_its_import_elsewhere(personas):
    """By the API alone, with the files that the archive puts beside its pictures."""
    pictures = {f"{row['isic_id']}.jpg": drawn(seed) for seed, row in enumerate(DOWNLOADED)}
    beside = {"attribution.txt": b"An institution", "licenses/CC-0.txt": b"CC0 1.0"}
    here = taken_in(personas.clinician, batch_of(DOWNLOADED, pictures | beside))
    before, files = taken_out(here)
    assert [row["isic_id"] for row in before] == ["ISIC_1", "ISIC_2", "ISIC_3"]
    assert [row["captured_on"] for row in before] == ["2026-01-02", "2026-02-10", "2026-01-01"]
    elsewhere = taken_in(personas.colleague, batch_of(before, files))
    after, _ = taken_out(elsewhere)
    assert [row | dict.fromkeys(LOST) for row in after] == [
        row | dict.fromkeys(LOST) for row in before
    ]


def taken_in(user: User, data: bytes) -> Program:
    """Into the clinic of ``user``, whose patients then consent to research."""
    program = Program(create_api_key(user=user, name="K")[1])
    clinic = user.memberships.get().clinic
    sent = {
        "archive": SimpleUploadedFile("isic.zip", data),
        "clinic": clinic.pk,
        "captured_on": "2026-01-01",
    }
    answer = program.post("/api/v1/batches/", sent, format="multipart")
    assert answer.status_code == 202, answer.content
    batch = work_off(Batch.objects.get(pk=answer.json()["id"]))
    assert [row.problems for row in batch.rows.all()] == [[]] * 3
    for patient in clinic.patients.all():
        consents.give(user=user, patient=patient)
    return program


def taken_out(program: Program) -> tuple[list[dict[str, str]], dict[str, bytes]]:
    """The rows of the table with dates, and the picture of each."""
    table = program.get("/api/v1/images/isic/", {"days": "captured_on"}).getvalue().decode()
    rows = sorted(csv.DictReader(io.StringIO(table)), key=lambda row: row["isic_id"])
    address = "/api/v1/images/{}/file".format
    return rows, {
        row["filename"]: program.get(address(row["filename"].partition(".")[0])).getvalue()
        for row in rows
    }


@pytest.mark.skipif(not shutil.which("isic"), reason="isic-cli needs Python 3.12: see .ci/run")
@pytest.mark.parametrize("days", Days)
def test_isics_own_command_finds_no_error(db, tmp_path, days):
    """With its newest rules, of which our Python has older ones only."""
    for patient in PatientFactory.create_batch(2):
        for site in BodySite.values:
            lesion = LesionFactory(patient=patient, label="Lesion 1", body_site=site)
            LesionImageFactory(lesion=lesion)
    for diagnosis in Diagnosis:
        lesion = LesionFactory(patient=patient)
        LesionImageFactory(lesion=lesion)
        HistologyFactory(lesion=lesion, diagnosis=diagnosis)
    file = tmp_path / "isic.csv"
    rows = isic_rows(LesionImage.objects.all(), UserFactory(), days)
    file.write_bytes(b"".join(as_csv(isic_columns(days), rows)))
    done = subprocess.run(
        ["isic", "metadata", "validate", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, "No structural errors found" in done.stdout) == (0, True), done.stdout


def test_our_own_export_is_recognised(personas):
    patient = PatientFactory(clinic=personas.clinic, owner=None)
    for lesion in LesionFactory.create_batch(2, patient=patient, label="Lesion 1"):
        LesionImageFactory(lesion=lesion)
    rows = exported(days=Days.DATES)
    pictures = {row["filename"]: drawn(seed) for seed, row in enumerate(rows)}
    work_off(upload(personas.clinician, batch_of(rows, pictures), clinic=personas.clinic))
    assert [lesion.images.count() for lesion in patient.lesions.all()] == [2, 2]


def test_only_one_column_tells_the_day(db):
    LesionImageFactory()
    assert "captured_on" not in exported()[0]
    assert "acquisition_day" not in exported(days=Days.DATES)[0]


@pytest.mark.parametrize("column", ["mel_class", "mel_type", "nevus_type", "benign_malignant"])
def test_the_archives_own_columns_are_kept(personas, column):
    data = batch_of([{"isic_id": "I", column: "word"}], {"I.jpg": drawn(1)})
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic))
    assert not batch.unknown_columns
    assert exported()[0][column] == "word"


@pytest.mark.parametrize(
    ("column", "code"),
    [("mel", "mel"), ("ak", "akiec"), ("scc", "other"), ("sccka", "other"), ("unk", None)],
)
def test_the_truth_of_the_challenges_is_read(column, code):
    row = parsed(**dict.fromkeys(columns.ONE_HOT, "0.0") | {column: "1.0"})
    assert row.diagnosis.get("diagnosis") == code
    assert row.source[column] == "1.0"


def test_a_class_of_two_is_none():
    assert not parsed(mel="1", nv="1").diagnosis


@pytest.mark.parametrize(
    ("site", "ours"), [("head_neck_face", None), ("lower_extremity", "lower extremity")]
)
def test_milk10ks_sites_are_known(site, ours):
    assert parsed(site=site, skin_tone_class="3").lesion_fields.get("body_site") == ours


@pytest.mark.parametrize(
    "record",
    [
        {"localization": "tail"},
        {"dx": "cold"},
        {"image_type": "film"},
        {"image_manipulation": "cut"},
        {"dx": "mel", "dx_type": "guess"},
    ],
)
def test_a_refused_choice_is_told_with_the_choices(record):
    row = columns.parse({"image": "a.jpg", **record}, captured_on=TODAY)
    [[_, reason]] = row.problems
    assert reason.count(", ") >= 2


@pytest.mark.parametrize("what", ["histology", "image", "lesion", "patient"])
def test_what_was_withdrawn_is_not_recorded_again_and_the_row_says_so(personas, what):
    user, archive = personas.clinician, batch_of([FULL], {"ISIC_0012345.jpg": drawn(1)})
    work_off(upload(user, archive, clinic=personas.clinic))
    image = LesionImage.objects.select_related("lesion__patient").get()
    lesion = image.lesion
    histology = lesion.histologies.get()
    records = {"histology": histology, "image": image, "lesion": lesion, "patient": lesion.patient}
    if what == "image":
        corrections.withdraw(user=user, record=histology, reason="Wrong.")
    corrections.withdraw(user=user, record=records[what], reason="Wrong.")
    again = work_off(upload(user, archive, clinic=personas.clinic))
    [told] = problems_of(again)
    assert "withdrawn" in told.reason and "Put it back" in told.reason
    for model in (Histology, LesionImage, Lesion):
        assert model.everything.count() == 1
    assert (
        Patient.everything.filter(clinic=personas.clinic).exclude(pk=personas.patient.pk).count()
        == 1
    )

    corrections.restore(user=user, record=records[what])
    last = work_off(upload(user, archive, clinic=personas.clinic))
    said = [one.reason for one in problems_of(last)]
    expected = [WITHDRAWN_HISTOLOGY] if what == "image" else []
    assert said == expected
    assert Histology.everything.count() == LesionImage.everything.count() == 1
