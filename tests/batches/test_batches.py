"""A batch from upload to its end: rows checked, good ones imported, nothing done twice."""

from __future__ import annotations

import tracemalloc
from datetime import date, timedelta
from hashlib import sha256
from io import BytesIO

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError
from django.utils import timezone
from pydicom.uid import SecondaryCaptureImageStorage, VLPhotographicImageStorage

from accounts.models import Membership
from screening.batches import ingest, worker
from screening.batches import rows as batch_rows
from screening.batches import services as batch_services
from screening.batches.queries import Counts, counts_of, problems_of, with_counts
from screening.corrections.services import withdraw
from screening.errors import LeaseLost
from screening.images import services as image_services
from screening.models import (
    Batch,
    BatchRow,
    ExternalIdentifier,
    Lesion,
    LesionImage,
    Patient,
    Prediction,
)
from screening.operations import transience
from screening.operations.storage import SealedFiles
from screening.predictions import queue
from screening.predictions.queries import latest_prediction
from screening.records import closing
from screening.records.services import edit_lesion
from tests import cases
from tests.batches.uploads import (
    BAD,
    as_csv,
    as_json_lines,
    batch_of,
    drawn,
    inline,
    many,
    mixed,
    zipped,
)
from tests.batches.working import nobody, upload, work_off
from tests.factories import LesionFactory, PatientFactory, WebhookFactory
from tests.interop.dicoms import dicom

pytestmark = pytest.mark.django_db


def counted(batch: Batch) -> Counts:
    return counts_of(with_counts(Batch.objects.filter(pk=batch.pk)).get())


def problems(batch: Batch) -> dict[int, tuple[str, str]]:
    return {one.row: (one.column, one.reason) for one in problems_of(batch)}


def stored() -> set[str]:
    folders, _ = default_storage.listdir("")
    return {f"{folder}/{name}" for folder in folders for name in default_storage.listdir(folder)[1]}


def test_it_imports_and_reads_a_clinics_batch(personas):
    rows, pictures = many(6)
    batch = upload(personas.assistant, batch_of(rows, pictures), clinic=personas.clinic)
    assert batch.state == "queued"
    assert work_off(batch).state == "finished"
    counts = counted(batch)
    assert (counts.rows, counts.imported, counts.read, counts.refused) == (6, 6, 6, 0)
    assert counts.done == 6
    patients = Patient.objects.filter(clinic=personas.clinic, label__startswith="IP_")
    assert [(p.label, p.sex, p.lesions.count()) for p in patients] == [
        ("IP_0000000", "female", 2),
        ("IP_0000001", "male", 1),
    ]
    image = LesionImage.objects.filter(lesion__label="IL_0000000").latest("created")
    assert image.lesion.body_site == "back"
    assert image.uploaded_by == personas.assistant
    assert image.captured_on.year - image.lesion.patient.birth_year == 45
    assert latest_prediction(image).state == "succeeded"
    assert latest_prediction(image).is_bulk


def test_a_worker_is_rung_for_again_once_the_rows_are_there(personas):
    """A worker that came while the manifest was being read found no rows, and consumed the
    message.
    """
    batch = upload(personas.assistant, batch_of(*many(3)), clinic=personas.clinic)
    rows_at_a_ring = []
    worker.work(seconds=0.01, ring=lambda: rows_at_a_ring.append(batch.rows.count()))
    assert rows_at_a_ring == [0, 3]
    assert worker.has_work()


def test_of_a_dicom_file_scale_and_site_are_taken_over(personas):
    rows = [
        {"image": "a.dcm", "lesion_id": "L1", "captured_on": "2026-02-03"},
        {"image": "b.dcm", "lesion_id": "L2", "localization": "face"},
        {"image": "c.jpg", "lesion_id": "L3"},
    ]
    pictures = {
        "a.dcm": dicom(),
        "b.dcm": dicom(PixelSpacing=None),
        "c.jpg": drawn(1),
    }
    batch = upload(personas.assistant, batch_of(rows, pictures), clinic=personas.clinic)
    assert work_off(batch).state == "finished"
    assert counted(batch).imported == 3
    first, second, third = (Lesion.objects.get(label=label) for label in ("L1", "L2", "L3"))
    assert (first.body_site, second.body_site, third.body_site) == ("back", "face", "")
    image = first.images.get()
    assert image.captured_on == date(2026, 2, 3)
    scale = image.scales.get()
    assert (scale.source, scale.mm_per_pixel) == ("pixel_spacing", pytest.approx(0.02))
    assert not second.images.get().scales.exists()


def test_a_dicom_photograph_is_clinical_unless_the_table_says_otherwise(personas):
    rows = [{"image": "a.dcm", "lesion_id": "L1"}, {"image": "b.dcm", "lesion_id": "L2"}]
    rows[1]["image_type"] = "dermoscopic"
    pictures = {
        row["image"]: dicom(SOPClassUID=VLPhotographicImageStorage, PixelSpacing=[mm, mm])
        for row, mm in zip(rows, (0.02, 0.03), strict=True)
    }
    batch = work_off(upload(personas.assistant, batch_of(rows, pictures), clinic=personas.clinic))
    unstated, stated = batch.rows.order_by("number")
    assert (unstated.image.modality, stated.image.modality) == ("clinical", "dermatoscopic")
    [[column, words]] = unstated.problems
    assert column == "image_type"
    assert "not read for a class" in words
    [[column, words]] = stated.problems
    assert column == "image_type"
    assert "calls it an ordinary photograph" in words


def test_webhooks_are_told_once_when_it_is_finished(personas):
    webhook = WebhookFactory(clinic=personas.clinic, events=["batch.finished"])
    batch = upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic)
    assert work_off(batch).state == "finished"
    worker.sweep()
    delivery = webhook.deliveries.get()
    assert (delivery.event, delivery.data["batch"]) == ("batch.finished", str(batch.pk))


def test_the_archive_goes_when_the_batch_is_finished(personas):
    rows, pictures = many(1)
    batch = upload(personas.assistant, batch_of(rows, pictures), clinic=personas.clinic)
    kept = batch.archive.name
    assert default_storage.exists(kept)
    assert not work_off(batch).archive
    assert not default_storage.exists(kept)


def test_images_are_measured_and_compared_in_the_end(personas):
    rows, pictures = many(2)
    batch = upload(personas.clinician, batch_of(rows, pictures), clinic=personas.clinic)
    work_off(batch)
    assert not batch.rows.filter(followed_up=False).exists()
    lesion = Lesion.objects.get(label="IL_0000000")
    assessed = lesion.images.exclude(predictions__outcome="not_assessable")
    assert all(image.measurements.exists() for image in assessed)


@pytest.mark.parametrize("dry_run", [True, False])
def test_each_bad_row_is_told_and_the_good_ones_are_kept(personas, dry_run):
    batch = upload(personas.assistant, mixed(4), clinic=personas.clinic, dry_run=dry_run)
    work_off(batch)
    counts = counted(batch)
    assert (counts.rows, counts.refused) == (4 + len(BAD), len(BAD))
    found = problems(batch)
    assert list(found) == list(range(6, 6 + len(BAD)))  # the header is row 1
    for number, (_, column, reason) in enumerate(BAD, start=6):
        assert found[number][0] == column, found[number]
        assert reason in found[number][1]
    if dry_run:
        assert batch.state == "checked"
        assert (counts.checked, LesionImage.objects.count(), Lesion.objects.count()) == (4, 0, 0)
    else:
        assert batch.state == "finished"
        assert (counts.imported, counts.read, LesionImage.objects.count()) == (4, 4, 4)
    assert not Patient.objects.filter(label__startswith="B").exists()


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_may_name_the_person_is_refused_by_a_dry_run_too(personas, dry_run):
    pictures = {
        "a.dcm": dicom(BurnedInAnnotation="YES"),
        "b.dcm": dicom(SOPClassUID=SecondaryCaptureImageStorage),
        "c.dcm": dicom(),
    }
    rows = [{"image": name, "lesion_id": name[0]} for name in pictures]
    data = batch_of(rows, pictures)
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic, dry_run=dry_run))
    found = problems(batch)
    assert ["burned into" in found[2][1], "Secondary Capture" in found[3][1]] == [True, True]
    assert len(found) == counted(batch).refused == 2


def test_a_dry_run_tells_what_the_import_would_and_keeps_nothing(personas):
    patient = PatientFactory(clinic=personas.clinic, label="P", birth_year=1990)
    known, other = (LesionFactory(patient=patient, label=label) for label in ("L1", "L2"))
    there, gone = drawn(1), drawn(2)
    for lesion, data in ((other, there), (known, gone)):
        image_services.add_image(user=personas.clinician, lesion=lesion, file=BytesIO(data))
    withdraw(user=personas.clinician, record=known.images.get(), reason="Blurred")
    photograph = cases.spot().rotate(5)
    pictures = {
        "elsewhere.jpg": there,
        "withdrawn.jpg": gone,
        "no_day.jpg": cases.encoded(photograph, exif=cases.exif(taken="2024:02:30 10:00:00")),
        "unborn.jpg": cases.encoded(photograph, exif=cases.exif(taken="1989:03:01 10:00:00")),
        "unlike.jpg": drawn(3),
    }
    rows = [{"image": name, "patient_id": "P", "lesion_id": "L1"} for name in pictures]
    rows[-1]["localization"] = "face"
    kept = stored()
    archive = batch_of(rows, pictures)
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic, dry_run=True))
    told = [reason for _, reason in problems(batch).values()]
    for reason, wanted in zip(
        told,
        ("already on “L2”", "was withdrawn here", "which is no day", "before the patient", "face"),
        strict=True,
    ):
        assert wanted in reason
    assert (batch.state, counted(batch).checked, counted(batch).refused) == ("checked", 1, 4)
    assert (LesionImage.objects.count(), Prediction.objects.count()) == (1, 2)
    assert stored() - kept <= {batch.archive.name}
    batch_services.resume_batch(user=personas.clinician, batch=batch)
    assert counted(work_off(batch)).imported == 1


def test_a_checked_batch_is_imported_when_it_is_resumed(personas):
    rows, pictures = many(3)
    batch = upload(
        personas.assistant, batch_of(rows, pictures), clinic=personas.clinic, dry_run=True
    )
    assert work_off(batch).state == "checked"
    assert not worker.has_work()
    batch_services.resume_batch(user=personas.clinician, batch=batch)
    assert worker.has_work()
    assert work_off(batch).state == "finished"
    assert LesionImage.objects.count() == 3


def test_a_cancelled_batch_begins_no_row_and_goes_on_when_resumed(personas):
    rows, pictures = many(3)
    batch = upload(personas.assistant, batch_of(rows, pictures), clinic=personas.clinic)
    worker._step(nobody)  # the manifest
    worker._step(nobody)  # the first row
    batch_services.cancel_batch(user=personas.assistant, batch=batch)
    assert not worker._step(nobody)
    assert LesionImage.objects.count() == 1
    assert work_off(batch).state == "cancelled"
    batch_services.resume_batch(user=personas.assistant, batch=batch)
    assert work_off(batch).state == "finished"
    assert LesionImage.objects.count() == Prediction.objects.count() == 3


def test_what_has_ended_is_neither_cancelled_nor_resumed(personas):
    rows, pictures = many(1)
    batch = work_off(upload(personas.assistant, batch_of(rows, pictures), clinic=personas.clinic))
    for move in (batch_services.cancel_batch, batch_services.resume_batch):
        with pytest.raises(ValidationError):
            move(user=personas.assistant, batch=batch)


def test_the_same_batch_again_changes_nothing(personas):
    data = batch_of(*many(4))
    work_off(upload(personas.assistant, data, clinic=personas.clinic))
    before = set(Patient.objects.all()), set(Lesion.objects.all()), set(Prediction.objects.all())
    again = work_off(upload(personas.clinician, data, clinic=personas.clinic))
    counts = counted(again)
    assert (again.state, counts.imported, counts.known, counts.read) == ("finished", 4, 4, 4)
    assert before == (
        set(Patient.objects.all()),
        set(Lesion.objects.all()),
        set(Prediction.objects.all()),
    )


def test_what_is_known_of_a_patient_is_left_as_it_is(personas):
    patient = PatientFactory(
        clinic=personas.clinic, label="IP_0000000", sex="male", birth_year=1950
    )
    lesion = LesionFactory(patient=patient, label="IL_0000000", body_site="face")
    work_off(upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic))
    patient.refresh_from_db()
    lesion.refresh_from_db()
    assert (patient.sex, patient.birth_year, lesion.body_site) == ("male", 1950, "face")
    assert lesion.images.count() == 1


@pytest.mark.parametrize(
    ("on_record", "told"),
    [
        (
            {"sex": "male", "birth_year": 1950},
            {"age": "says 1950", "sex": "says male", "body_site": "says face"},
        ),
        ({"sex": "female", "birth_year": None}, {"age": "says none", "body_site": "says face"}),
        ({"sex": "female", "birth_year": 1982}, {"body_site": "says face"}),  # ages are rounded
    ],
)
def test_a_row_says_where_the_record_is_otherwise(personas, on_record, told):
    patient = PatientFactory(clinic=personas.clinic, label="P", **on_record)
    LesionFactory(patient=patient, label="L", body_site="face")
    row = {"image": "a.jpg", "patient_id": "P", "lesion_id": "L", "birth_year": "1981"}
    row |= {"sex": "female", "localization": "ear"}
    batch = work_off(
        upload(personas.assistant, batch_of([row], {"a.jpg": drawn(1)}), clinic=personas.clinic)
    )
    assert counted(batch).imported == 1
    problems = list(problems_of(batch))
    assert {one.column for one in problems} == told.keys()
    for one in problems:
        assert one.row == 2 and told[one.column] in one.reason
    patient.refresh_from_db()
    assert patient.birth_year == on_record["birth_year"]


def test_a_new_picture_of_a_known_lesion_marks_its_symptoms(personas):
    patient = PatientFactory(clinic=personas.clinic, label="P")
    lesion = LesionFactory(patient=patient, label="L", itching=True)
    row = {"image": "a.jpg", "patient_id": "P", "lesion_id": "L"}
    row |= {"bleeding": "true", "itching": "false"}
    archive = batch_of([row], {"a.jpg": drawn(1)})
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    assert counted(batch).imported == 1 and not list(problems_of(batch))
    lesion.refresh_from_db()
    assert lesion.symptoms == ["bleeding", "itching"]
    edit_lesion(user=personas.clinician, lesion=lesion, bleeding=False)
    again = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    assert counted(again).known == 1
    lesion.refresh_from_db()
    assert lesion.symptoms == ["itching"]  # nothing is new


def test_the_row_of_a_removed_lesion_says_that_its_symptom_is_left_aside(personas):
    patient = PatientFactory(clinic=personas.clinic, label="P")
    lesion = LesionFactory(patient=patient, label="L")
    closing.close(user=personas.clinician, lesion=lesion, on=date(2026, 1, 5))
    row = {"image": "a.jpg", "patient_id": "P", "lesion_id": "L", "bleeding": "true"}
    archive = batch_of([row], {"a.jpg": drawn(1)})
    batch = work_off(upload(personas.assistant, archive, clinic=personas.clinic))
    assert [one.column for one in problems_of(batch)] == ["bleeding"]


def test_records_are_found_by_other_systems_identifiers(personas):
    lesion = LesionFactory(patient=personas.patient)
    known = {"clinic": personas.clinic, "system": "urn:practice"}
    of = ExternalIdentifier.objects.create
    of(kind="patient", patient=personas.patient, value="IP_0000000", **known)
    of(kind="lesion", lesion=lesion, value="IL_0000000", **known)
    work_off(upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic))
    assert lesion.images.count() == 2
    assert not Patient.objects.filter(label="IP_0000000").exists()


def test_rows_add_to_each_other_whichever_comes_first(personas):
    rows = [
        {"image": "a.jpg", "patient_id": "P", "lesion_id": "L", "sex": ""},
        {
            "image": "b.jpg",
            "patient_id": "P",
            "lesion_id": "L",
            "sex": "female",
            "localization": "ear",
        },
    ]
    data = batch_of(rows, {"a.jpg": drawn(1), "b.jpg": drawn(2)})
    work_off(upload(personas.assistant, data, clinic=personas.clinic))
    patient = Patient.objects.get(label="P")
    assert (patient.sex, patient.lesions.get().body_site) == ("female", "ear")


def test_ham10000s_columns_are_taken(personas):
    row = {
        "lesion_id": "HAM_0000118",
        "image_id": "ISIC_0027419",
        "dx": "bkl",
        "dx_type": "histo",
        "age": "80.0",
        "sex": "male",
        "localization": "scalp",
    }
    data = batch_of(
        [row, {"image_id": "x", "sex": "unknown"}],
        {"i/ISIC_0027419.jpg": drawn(1), "x.jpg": drawn(2)},
    )
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic))
    assert (batch.state, problems(batch)) == ("finished", {})
    lesion = Lesion.objects.get(label="HAM_0000118")
    assert (lesion.body_site, lesion.patient.label, lesion.patient.sex) == (
        "scalp",
        "HAM_0000118",
        "male",
    )
    assert Lesion.objects.get(label="x").patient.sex == ""


def test_json_lines_with_pictures_in_them(personas):
    lines = as_json_lines(
        [
            {"image_base64": inline(drawn(1)), "lesion_id": "L", "patient_id": "P", "age": 51},
            {"image_base64": "???", "lesion_id": "M", "patient_id": "P"},
            {"image": "a.jpg", "lesion_id": "N"},
            {"image_base64": inline(drawn(2))},
            [1],
        ]
    )
    batch = work_off(upload(personas.assistant, lines, clinic=personas.clinic))
    assert batch.state == "finished"
    assert {n: column for n, (column, _) in problems(batch).items()} == {
        2: "image_base64",
        3: "image",
        4: "lesion_id",
        5: "",
    }
    assert Patient.objects.get(label="P").lesions.get().images.count() == 1


def test_json_lines_in_a_zip_name_their_pictures(personas):
    lines = as_json_lines(
        [{"image": "a.jpg", "patient_id": "P"}, {"image_base64": "aGk=", "lesion_id": "L"}]
    )
    data = zipped({"all.jsonl": lines, "a.jpg": drawn(1)})
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic))
    assert problems(batch) == {
        2: ("image_base64", "In a ZIP the picture is a file, which the row names.")
    }
    assert LesionImage.objects.get().lesion.label == "a"


def test_a_person_imports_into_their_own_record(personas):
    rows = [{"filename": "arm.jpg", "localization": "upper extremity"}, {"filename": "leg.jpg"}]
    data = batch_of(rows, {"arm.jpg": drawn(1), "leg.jpg": drawn(2)})
    batch = work_off(upload(personas.self_tracker, data))
    assert batch.state == "finished"
    assert {lesion.label for lesion in personas.own_patient.lesions.all()} == {"arm", "leg"}
    work_off(upload(personas.stranger, data))
    assert Patient.objects.get(owner=personas.stranger).label == "My skin"


def test_acquisition_days_count_from_the_day_of_the_batch(personas):
    rows = [{"image": f"{n}.jpg", "lesion_id": "L", "acquisition_day": n * 90} for n in range(3)]
    data = batch_of(rows, {f"{n}.jpg": drawn(n) for n in range(3)})
    first = timezone.localdate() - timedelta(days=100)
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic, captured_on=first))
    days = sorted(image.captured_on for image in LesionImage.objects.all())
    assert days == [first, first + timedelta(days=90)]
    assert problems(batch)[4][0] == "acquisition_day"


MANIFESTS = {
    "not UTF-8": (b"image,sex\nm\xe4dchen.jpg,female\n", "Line 2 of the manifest is not UTF-8"),
    "no rows": (b"image,sex\n", "The manifest has no rows"),
    "no pictures": (b"name,sex\na,female\n", "No column of the manifest names the pictures"),
    "a column twice": (b"image,sex,Sex\na,female,male\n", "the column “sex” twice"),
    "an endless cell": (
        b"image\n" + b"a" * 200_000 + b"\n",
        "Row 2 of the manifest cannot be read",
    ),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_useless_manifest_refuses_the_batch(personas, name):
    manifest, reason = MANIFESTS[name]
    data = zipped({"m.csv": manifest, "a.jpg": drawn(1)})
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic))
    assert batch.state == "refused"
    assert reason in batch.failure
    assert not batch.archive and not batch.rows.exists()


def test_spreadsheets_of_other_countries_are_read(personas):
    manifest = (
        "\ufeffImage;Lesion_ID;Sex;Remark\r\na.jpg;Leberfleck Ä;female;x\r\n\r\nb.jpg;M;male;\r\n"
    )
    data = zipped({"m.csv": manifest.encode(), "a.jpg": drawn(1), "b.jpg": drawn(2)})
    batch = work_off(upload(personas.assistant, data, clinic=personas.clinic))
    assert Lesion.objects.get(label="Leberfleck Ä").patient.sex == "female"
    assert [row.number for row in batch.rows.all()] == [2, 4]
    assert batch.unknown_columns == ["remark"]


def test_what_is_refused_at_once_leaves_nothing(personas):
    with pytest.raises(ValidationError, match="holds no manifest"):
        upload(personas.assistant, zipped({"a.jpg": drawn(1)}), clinic=personas.clinic)
    assert not Batch.objects.exists()
    assert not default_storage.exists("batches") or default_storage.listdir("batches") == ([], [])


def test_who_may_not_write_there_uploads_nothing(personas):
    for user in (personas.viewer, personas.colleague, personas.stranger):
        with pytest.raises(PermissionDenied):
            upload(user, batch_of(*many(1)), clinic=personas.clinic)


def test_a_batch_is_its_clinics_or_its_owners(personas):
    of_clinic = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic)
    own = upload(personas.self_tracker, batch_of(*many(1)))
    for user, seen in (
        (personas.viewer, {of_clinic}),
        (personas.self_tracker, {own}),
        (personas.colleague, set()),
        (personas.stranger, set()),
    ):
        assert set(Batch.objects.visible_to(user)) == seen
    with pytest.raises(PermissionDenied):
        batch_services.cancel_batch(user=personas.viewer, batch=of_clinic)


def test_who_has_left_the_clinic_imports_no_more(personas):
    batch = upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic)
    worker._step(nobody)
    Membership.objects.filter(user=personas.assistant).delete()
    work_off(batch)
    assert batch.state == "cancelled"
    assert "does not let you add" in batch.failure
    assert not LesionImage.objects.exists()
    assert set(batch.rows.values_list("state", flat=True)) == {"waiting"}


def test_a_worker_that_died_in_a_row_leaves_it_to_another(personas):
    batch = upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic)
    worker._step(nobody)
    lost = worker._claim_row(batch)
    lost_too = worker._claim_row(batch)
    assert worker._claim_row(batch) is None
    assert not worker.has_work()
    BatchRow.objects.filter(pk=lost.pk).update(lease_expires_at=timezone.now())
    BatchRow.objects.filter(pk=lost_too.pk).update(lease_expires_at=timezone.now(), attempts=3)
    worker.sweep()
    assert work_off(batch).state == "finished"
    lost.refresh_from_db()
    assert (lost.state, lost.attempts) == ("imported", 2)
    assert problems(batch) == {lost_too.number: ("", worker.NEVER_FINISHED)}


def test_a_worker_that_was_only_slow_keeps_nothing(personas):
    batch = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic)
    worker._step(nobody)
    batch.refresh_from_db()
    slow = worker._claim_row(batch)
    BatchRow.objects.filter(pk=slow.pk).update(state="waiting", lease_expires_at=None)
    before = stored()
    quick = worker._claim_row(batch)
    with pytest.raises(LeaseLost):
        batch_rows.import_row(slow, ingest.archive_of(batch))
    assert not LesionImage.objects.exists() and not Patient.objects.filter(label="IP_0000000")
    assert stored() == before
    batch_rows.import_row(quick, ingest.archive_of(batch))
    assert LesionImage.objects.count() == 1


def test_a_fault_of_ours_is_tried_again_and_then_told(personas, monkeypatch, caplog):
    batch = upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic)
    keep = image_services.keep_image

    def broken(*, lesion, clean, **fields):
        if clean.sha256 == spoilt:
            raise RuntimeError("secret")
        return keep(lesion=lesion, clean=clean, **fields)

    spoilt = sha256(drawn(0)).hexdigest()
    monkeypatch.setattr(image_services, "keep_image", broken)
    assert work_off(batch).state == "finished"
    assert problems(batch) == {2: ("", worker.BUG)}
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 3
    assert LesionImage.objects.count() == 1


def rest(batch):
    Batch.objects.filter(pk=batch.pk).update(rests_until=timezone.now())


def test_storage_that_is_away_costs_no_row_an_attempt(personas, monkeypatch):
    batch = upload(personas.assistant, batch_of(*many(3)), clinic=personas.clinic)
    other = upload(personas.self_tracker, batch_of(*many(1, first=90)))

    def away(*_):
        raise EndpointConnectionError(endpoint_url="http://s3:8333")

    for times in range(1, 6):  # before the manifest is read
        with monkeypatch.context() as fault:
            fault.setattr(SealedFiles, "stored", away)
            ingest.put_archive_away()
            worker.work(seconds=1, ring=nobody)
        batch.refresh_from_db()
        assert (batch.state, batch.attempts, batch.setbacks) == ("queued", 0, times)
        assert batch.rests_until > timezone.now()
        assert not worker.has_work()
        rest(batch)
        rest(other)
    worker._step(nobody)
    for _ in range(5):  # and before a row
        with monkeypatch.context() as fault:
            fault.setattr(SealedFiles, "stored", away)
            ingest.put_archive_away()
            worker.work(seconds=1, ring=nobody)
        assert set(batch.rows.values_list("state", "attempts")) == {("waiting", 0)}
        rest(batch)
        rest(other)
    assert work_off(batch).state == "finished"
    assert counted(batch).imported == 3
    assert batch.setbacks == 0


def test_after_a_day_of_it_a_batch_is_cancelled_and_can_be_resumed(personas, monkeypatch):
    batch = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic)
    worker._step(nobody)
    Batch.objects.update(setbacks=transience.MAX_SETBACKS)

    def locked(row, archive):
        raise TimeoutError

    with monkeypatch.context() as fault:
        fault.setattr(batch_rows, "import_row", locked)
        worker.work(seconds=1, ring=nobody)
    batch.refresh_from_db()
    assert (batch.state, batch.failure) == ("cancelled", worker.AWAY)
    batch_services.resume_batch(user=personas.assistant, batch=batch)
    assert work_off(batch).state == "finished"
    assert counted(batch).imported == 1


def test_a_row_that_cannot_be_claimed_stops_nobody(personas):
    """Such a row remained when a batch was cancelled after its last attempt."""
    batch = upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic)
    other = upload(personas.self_tracker, batch_of(*many(1, first=90)))
    worker._step(nobody)
    stuck = batch.rows.first()
    BatchRow.objects.filter(pk=stuck.pk).update(attempts=3)
    worker.work(seconds=30, ring=nobody)
    other.refresh_from_db()
    assert counted(other).imported == 1
    assert counted(batch).imported == 1
    worker.sweep()
    assert work_off(batch).state == "finished"
    assert problems(batch) == {stuck.number: ("", worker.NEVER_FINISHED)}


def test_a_batch_that_always_fails_lets_the_others_pass(personas, monkeypatch):
    broken = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic)
    other = upload(personas.self_tracker, batch_of(*many(1, first=90)))
    claim = worker._claim_row

    def refused(batch):
        if batch.pk == broken.pk:
            raise IntegrityError("row_attempts_are_capped")
        return claim(batch)

    monkeypatch.setattr(worker, "_claim_row", refused)
    worker.work(seconds=30, ring=nobody)
    broken.refresh_from_db()
    assert (broken.state, broken.setbacks) == ("importing", 1)
    assert counted(other).imported == 1


def test_what_is_resumed_has_all_its_attempts_again(personas):
    batch = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic)
    worker._step(nobody)
    batch_services.cancel_batch(user=personas.assistant, batch=batch)
    batch.rows.update(attempts=3)
    batch_services.resume_batch(user=personas.assistant, batch=batch)
    assert work_off(batch).state == "finished"
    assert counted(batch).imported == 1


def test_a_damaged_manifest_is_refused_at_once_with_its_reason(personas):
    data = bytearray(batch_of(*many(1)))
    data[data.index(b"metadata.csv")] ^= 0x01  # its own header, which contradicts the directory
    batch = upload(personas.assistant, bytes(data), clinic=personas.clinic)
    worker._step(nobody)
    batch.refresh_from_db()
    assert (batch.state, batch.attempts) == ("refused", 1)
    assert "damaged" in batch.failure


def test_a_manifest_that_was_half_taken_in_is_taken_in_whole(personas):
    batch = upload(personas.assistant, batch_of(*many(3)), clinic=personas.clinic)
    BatchRow.objects.create(
        batch=batch, number=3, values={}, state="refused", problems=[["", "kept"]]
    )
    worker._step(nobody)
    assert [row.number for row in batch.rows.all()] == [2, 3, 4]
    assert problems(batch) == {3: ("", "kept")}


def test_a_manifest_that_kills_its_worker_is_refused_in_the_end(personas):
    batch = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic)
    Batch.objects.filter(pk=batch.pk).update(attempts=3)
    assert work_off(batch).state == "refused"


def test_what_a_person_waits_for_comes_first(personas):
    batch = upload(personas.assistant, batch_of(*many(3)), clinic=personas.clinic)
    worker._step(nobody)
    lesion = LesionFactory(patient=personas.patient)
    added = image_services.add_image(
        user=personas.clinician, lesion=lesion, file=ContentFile(drawn(77))
    )
    worker.work(seconds=0.01, ring=nobody)
    assert added.image.predictions.get().state == "succeeded"
    assert LesionImage.objects.count() == 1
    assert work_off(batch).state == "finished"


def test_a_fault_in_a_persons_image_is_not_the_batchs(personas, monkeypatch):
    batch = upload(personas.assistant, batch_of(*many(2)), clinic=personas.clinic)
    lesion = LesionFactory(patient=personas.patient)
    added = image_services.add_image(
        user=personas.clinician, lesion=lesion, file=ContentFile(drawn(77))
    )
    read = queue.read

    def broken(prediction):
        if prediction.image_id == added.image.pk:
            monkeypatch.setattr(queue, "_result", lambda prediction: 1 / 0)
        try:
            read(prediction)
        finally:
            monkeypatch.setattr(queue, "_result", result)

    result = queue._result
    monkeypatch.setattr(queue, "read", broken)
    assert work_off(batch).state == "finished"
    assert added.image.predictions.get().state == "failed"
    assert counted(batch).read == 2
    assert problems(batch) == {}


def test_an_archive_that_nobody_resumed_is_removed(personas):
    batch = upload(personas.assistant, batch_of(*many(1)), clinic=personas.clinic, dry_run=True)
    work_off(batch)
    worker.sweep()
    batch.refresh_from_db()
    assert batch.archive
    Batch.objects.filter(pk=batch.pk).update(created=timezone.now() - timedelta(days=8))
    worker.sweep()
    batch.refresh_from_db()
    assert not batch.archive
    with pytest.raises(ValidationError, match="Upload it again"):
        batch_services.resume_batch(user=personas.assistant, batch=batch)


def test_ten_thousand_rows_stay_small_in_memory(personas):
    names = [f"ISIC_{n:07}" for n in range(10_000)]
    data = zipped(
        {"m.csv": as_csv([{"isic_id": name, "lesion_id": name} for name in names])}
        | {f"{name}.jpg": b"x" * 2000 for name in names}
    )
    batch = upload(personas.assistant, data, clinic=personas.clinic)
    tracemalloc.start()
    worker._step(nobody)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert batch.rows.count() == 10_000
    assert peak < 80_000_000


def test_dates_of_the_future_are_refused_with_the_batch(personas):
    with pytest.raises(ValidationError, match="future"):
        upload(
            personas.assistant,
            batch_of(*many(1)),
            clinic=personas.clinic,
            captured_on=date(2999, 1, 1),
        )
