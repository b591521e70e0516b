"""Lists of the API at 1,000, 100,000 and 1,000,000 predictions: first pages against deep ones.

script/with-services .venv/bin/python -m benchmarks.lists

Fills the PostgreSQL database that it is given; the database copies one row of each table. Fails if
a deep page takes more than 1.5 times as long as the first, or another number of queries.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "skincheck_site.settings")
os.environ["API_RATE"] = "1000000/min"

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from rest_framework.pagination import Cursor  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from accounts import services  # noqa: E402
from accounts.models import User  # noqa: E402
from screening.models import Lesion, LesionImage, Patient, Prediction  # noqa: E402
from tests.factories import MembershipFactory, PredictionFactory  # noqa: E402

SIZES = (1_000, 100_000, 1_000_000)
REPEATS = 25
DEPTH = 0.9
MOST = 1.5
# By table, the number of its rows per parent: images per lesion, lesions per patient.
A_LESION, A_PATIENT = 5, 20
LISTS = ("patients", "lesions", "images", "predictions")


def main() -> int:
    if connection.vendor != "postgresql":
        sys.exit("Run it with script/with-services: it is about PostgreSQL.")
    call_command("migrate", verbosity=0)
    client, template = _begin()
    failed, rows = False, 0
    for size in SIZES:
        _grow(template, rows, size)
        rows = size
        for name in LISTS:
            first, deep = (_measured(client, name, depth) for depth in (0, DEPTH))
            ratio = deep[0] / first[0]
            bad = ratio > MOST or first[1] != deep[1]
            failed |= bad
            print(
                f"{size:>9} {name:<12} first {first[0]:6.1f} ms  deep {deep[0]:6.1f} ms  "
                f"x {ratio:4.2f}  {first[1]} queries{'   TOO MUCH' if bad else ''}",
                flush=True,
            )
    return int(failed)


def _begin() -> tuple[APIClient, Prediction]:
    """A clinic besides other people's data, its clinician's key, and one row of each table to
    copy.
    """
    member = MembershipFactory(user__email=f"bench-{time.time_ns()}@example.org")
    user: User = member.user
    template = PredictionFactory(
        image__lesion__patient__clinic=member.clinic, image__uploaded_by=user
    )
    client = APIClient()
    secret = services.create_api_key(user=user, name="benchmark")[1]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}", HTTP_HOST="localhost")
    return client, template


def _grow(template: Prediction, rows: int, size: int) -> None:
    image = template.image
    lesion = image.lesion
    _copy(lesion.patient, rows, size, {"label": "'P-' || n"}, every=A_PATIENT)
    _copy(lesion, rows, size, {"patient_id": _id(Patient, A_PATIENT)}, every=A_LESION)
    own = {"lesion_id": _id(Lesion, A_LESION), "sha256": "lpad(n::text, 64, '0')"}
    _copy(image, rows, size, own)
    _copy(template, rows, size, {"image_id": _id(LesionImage, 1)})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _id(model: Any, every: int) -> str:
    """The identifier of row n / every of a table, in SQL."""
    number = {Patient: 1, Lesion: 2, LesionImage: 3, Prediction: 4}[model]
    return (
        f"('0000000{number}-0000-7000-8000-' || lpad(to_hex(n / {every} * {every}), 12, '0'))::uuid"
    )


def _copy(row: Any, rows: int, size: int, own: dict[str, str], every: int = 1) -> None:
    """Copy ``row`` for each n that ``every`` divides; each copy's times are one second earlier."""
    table, columns = row._meta.db_table, [field.column for field in row._meta.local_fields]
    values = (
        {column: f'"{column}"' for column in columns}
        | {"id": _id(type(row), 1), "created": "\"created\" - n * interval '1 second'"}
        | own
    )
    start = -(-rows // every) * every
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) "
            f"SELECT {', '.join(values[c] for c in columns)} FROM {table}, "
            f"generate_series({start}, {size - 1}, {every}) AS n WHERE {table}.id = %s "
            "ON CONFLICT DO NOTHING",
            [row.pk],
        )


def _measured(client: APIClient, name: str, depth: float) -> tuple[float, int]:
    """(median milliseconds, queries) of a page that starts after this share of the list."""
    path = f"/api/v1/{name}/"
    if depth:
        path += f"?cursor={_cursor(name, depth)}"
    client.get(path)
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        response = client.get(path)
        times.append(1000 * (time.perf_counter() - begun))
        assert response.status_code == 200, response.content
        assert len(response.json()["results"]) > 0
    with CaptureQueriesContext(connection) as asked:
        client.get(path)
    return statistics.median(times), len(asked)


def _cursor(name: str, depth: float) -> str:
    """The cursor that a client reaches by following ``next`` for long enough."""
    from urllib.parse import parse_qs, urlsplit

    from screening.api.http.pagination import CreatedCursorPagination

    models = {"patients": Patient, "lesions": Lesion, "images": LesionImage}
    rows = models.get(name, Prediction).objects.order_by("-created")
    position = rows.values_list("created", flat=True)[int(rows.count() * depth)]
    pages = CreatedCursorPagination()
    pages.base_url = "http://localhost/"
    token = pages.encode_cursor(Cursor(offset=0, reverse=False, position=str(position)))
    return parse_qs(urlsplit(token).query)["cursor"][0]


if __name__ == "__main__":
    sys.exit(main())
