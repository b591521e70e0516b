"""Batches and exports over the API: responses, access and file types."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from hashlib import sha256

import pyarrow.parquet as parquet
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ml import reader
from screening import tasks
from screening.batches import ingest, results, worker
from screening.interop import tables
from screening.models import Batch
from screening.web import uploads
from tests.api.conftest import pointers
from tests.batches.uploads import batch_of, drawn, many, zipped
from tests.batches.working import nobody
from tests.factories import (
    BatchFactory,
    BatchRowFactory,
    LesionImageFactory,
    PredictionFactory,
    ReviewFactory,
)

URL = "/api/v1/batches/"


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch):
    monkeypatch.setattr(tasks.work_on_batches_task, "apply_async", lambda *_, **__: None)
    yield
    ingest.put_archive_away()


def send(client, data: bytes, **fields):
    archive = SimpleUploadedFile("batch.zip", data, "application/zip")
    return client.post(URL, {"archive": archive, **fields}, format="multipart")


def body(response) -> bytes:
    assert response.status_code == 200, response.content
    assert response.streaming
    return b"".join(response.streaming_content)


def rows_of(response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body(response).decode())))


def read(lesion, **fields):
    return PredictionFactory(
        image__lesion=lesion, model_version=reader.DEFAULT_VERSION, outcome="monitor", **fields
    )


def test_a_batch_from_upload_to_results(personas, clinician):
    sent = send(clinician, batch_of(*many(2)), clinic=str(personas.clinic.pk))
    assert sent.status_code == 202
    assert sent["Location"] == sent.json()["url"]
    assert sent["Retry-After"] == "2"
    assert (sent.json()["state"], sent.json()["counts"]["rows"]) == ("queued", 0)
    worker.work(seconds=60, ring=nobody)
    batch = clinician.get(sent["Location"]).json()
    assert (batch["state"], batch["counts"]["read"]) == ("finished", 2)
    found = rows_of(clinician.get(batch["results_url"]))
    assert [(row["row"], row["picture"]) for row in found] == [
        ("2", "ISIC_0000000"),
        ("3", "ISIC_0000001"),
    ]
    assert found[0]["patient_label"] == "IP_0000000"
    assert found[0]["state"] == "succeeded"


def test_a_dry_run_is_resumed_and_cancelled(personas, clinician):
    batch = send(clinician, batch_of(*many(1)), clinic=str(personas.clinic.pk), dry_run="true")
    url = batch.json()["url"]
    worker.work(seconds=60, ring=nobody)
    assert clinician.get(url).json()["state"] == "checked"
    assert clinician.post(f"{url}resume/").json()["state"] == "importing"
    assert clinician.post(f"{url}cancel/").json()["state"] == "cancelled"
    assert pointers(clinician.post(f"{url}cancel/")) == {"": "This batch has already ended."}


def test_what_is_refused_at_once_says_where(clinician):
    for data, reason in (
        (zipped({"a.jpg": drawn(1)}), "no manifest"),
        (zipped({"m.csv": b"image\n", "../a": b""}), "leads out"),
        (b"nothing of the kind", "neither a ZIP"),
    ):
        assert reason in pointers(send(clinician, data))["/archive"]
    assert not Batch.objects.exists()


def test_a_clinic_that_one_may_not_write_in(personas, client_of):
    data = batch_of(*many(1))
    viewer = send(client_of(personas.viewer), data, clinic=str(personas.clinic.pk))
    assert viewer.status_code == 403
    stranger = send(client_of(personas.stranger), data, clinic=str(personas.clinic.pk))
    assert "clinic" in pointers(stranger)["/clinic"]


def test_an_archive_may_be_larger_than_a_picture(monkeypatch, personas, clinician):
    """If a picture is as large as an archive, the rest is discarded as it arrives."""
    monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
    rows, pictures = many(1)
    large = batch_of(rows, pictures | {"notes.txt": bytes(range(256)) * 1000})
    sent = send(clinician, large, clinic=str(personas.clinic.pk))
    assert sent.status_code == 202
    lesion = LesionImageFactory(lesion__patient=personas.patient).lesion
    long = drawn(1) + bytes(300_000)
    file = SimpleUploadedFile("a.jpg", long, "image/jpeg")
    body = {"lesion": str(lesion.pk), "file": file}
    added = clinician.post("/api/v1/images/", body, format="multipart").json()
    assert added["sha256"] != sha256(long).hexdigest()


def test_lists_cost_the_same_however_long(personas, clinician, django_assert_max_num_queries):
    for batch in BatchFactory.create_batch(5, clinic=personas.clinic):
        BatchRowFactory.create_batch(3, batch=batch)
    BatchFactory()
    with django_assert_max_num_queries(5):
        found = clinician.get(URL).json()["results"]
    assert [batch["counts"]["refused"] for batch in found] == [3] * 5
    assert clinician.get(URL, {"state": "queued"}).json()["results"] == []


def test_problems_are_safe_in_a_spreadsheet(personas, clinician):
    batch = BatchFactory(clinic=personas.clinic)
    BatchRowFactory(
        batch=batch, number=2, picture='=HYPERLINK("http://x")', problems=[["a", "r"], ["b", "s"]]
    )
    found = rows_of(clinician.get(f"{URL}{batch.pk}/problems/"))
    assert [(row["row"], row["column"], row["reason"]) for row in found] == [
        ("2", "a", "r"),
        ("2", "b", "s"),
    ]
    assert found[0]["image"] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x"]
)
def test_formulas_are_disarmed_and_numbers_are_not(text):
    made = b"".join(tables.as_csv({"a": str, "n": float}, [[text, -1.5]])).decode()
    assert made.endswith(",-1.5\r\n")
    assert next(csv.reader(io.StringIO(made.split("\r\n", 1)[1], newline="")))[0] == f"'{text}"


def test_a_selection_in_each_kind_of_file(personas, clinician):
    lesion = LesionImageFactory(lesion__patient=personas.patient).lesion
    first, second = read(lesion, p_malignant=0.25), read(lesion)
    PredictionFactory(queued=True, image__lesion=lesion)
    read(LesionImageFactory().lesion)
    url, query = "/api/v1/predictions/export/", {"lesion": str(lesion.pk), "state": "succeeded"}

    as_csv = rows_of(clinician.get(url, query))
    lines = body(clinician.get(url, {**query, "file_type": "jsonl"})).splitlines()
    as_json = [json.loads(line) for line in lines]
    as_parquet = parquet.read_table(
        io.BytesIO(body(clinician.get(url, {**query, "file_type": "parquet"})))
    ).to_pylist()

    ids = [str(first.pk), str(second.pk)]
    for found in (as_csv, as_json, as_parquet):
        assert [row["prediction"] for row in found] == ids
        assert list(found[0]) == list(results.RESULT_COLUMNS)
    assert float(as_csv[0]["p_malignant"]) == as_json[0]["p_malignant"] == 0.25
    assert as_parquet[0]["p_malignant"] == 0.25
    assert as_parquet[0]["captured_on"] == date(2026, 3, 1)
    assert as_parquet[0]["queued_at"] == first.created


def test_an_empty_selection_is_a_whole_file(clinician):
    url = "/api/v1/predictions/export/"
    assert rows_of(clinician.get(url)) == []
    assert body(clinician.get(url, {"file_type": "jsonl"})) == b""
    empty = parquet.read_table(io.BytesIO(body(clinician.get(url, {"file_type": "parquet"}))))
    assert (empty.num_rows, empty.column_names) == (0, list(results.RESULT_COLUMNS))


def test_who_accepts_only_csv_gets_it(clinician):
    response = clinician.get("/api/v1/predictions/export/", HTTP_ACCEPT="text/csv")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/csv")


@pytest.mark.parametrize("query", [{"file_type": "xls"}, {"sate": "x"}, {"file_type": ""}])
def test_a_wrong_parameter_is_refused(clinician, personas, query):
    batch = BatchFactory(clinic=personas.clinic)
    for url in ("predictions/export/", "images/isic/", f"batches/{batch.pk}/results/"):
        assert set(pointers(clinician.get(f"/api/v1/{url}", query))) == set(query)


def test_a_clinic_that_hides_readings_hides_them_here_too(personas, clinician, client_of):
    personas.clinic.review_before_reading = True
    personas.clinic.save()
    lesion = LesionImageFactory(lesion__patient=personas.patient).lesion
    concluded, open_one = read(lesion), read(lesion)
    ReviewFactory(image=concluded.image, reviewer=personas.clinician)
    batch = BatchFactory(clinic=personas.clinic)
    for prediction in (concluded, open_one):
        BatchRowFactory(batch=batch, image=prediction.image, prediction=prediction)
    for url in ("/api/v1/predictions/export/", f"{URL}{batch.pk}/results/"):
        assert [row["prediction"] for row in rows_of(clinician.get(url))] == [str(concluded.pk)]
        assert len(rows_of(client_of(personas.assistant).get(url))) == 2


def test_a_long_export_is_asked_for_by_pages(personas, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(results, "ROWS_AT_ONCE", 2)
    lesion = LesionImageFactory(lesion__patient=personas.patient).lesion
    made = [read(lesion) for _ in range(5)]
    with django_assert_num_queries(4):  # three pages, and one that is empty
        found = list(results.results_of(type(made[0]).objects.all()))
    assert [row[0] for row in found] == [str(one.pk) for one in made]
