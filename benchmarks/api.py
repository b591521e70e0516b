"""The latency of each kind of call of the API, at one and at twenty callers, with real processes.

script/with-services .venv/bin/python -m benchmarks.api [--count 100] [--seconds 8] [--json FILE]

On PostgreSQL and Redis with ``script/with-services``, else on the embedded default. A clinic with
``--patients`` patients, each with a lesion, its position and a picture; no worker runs, so that the
calls are measured alone: ``benchmarks.upload_latency`` measures from a picture to its reading. Each
caller has its own connection and sends one request after the other, until there are ``--count``
requests or ``--seconds`` are over, so a run is bounded on a busy computer too. ``cpu`` is what the
web process computes for one request: unlike the latency, it hardly depends on what else the machine
does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any, NamedTuple

from tests.stack.installation import Installation, installed, wait_until

CALLERS = (1, 20)
WARM_UP = 1
WIDTHS = {"p": "7.1f", "c": "7.1f", "n": "3"}
SEED = """
import sys, django; django.setup()
from io import BytesIO
from accounts import agreements, services
from accounts.models import User
from screening.body_map import services as body_map
from screening.images import services as images, synthetic
from screening.records import services as records
user = User.objects.create_user("benchmark@example.org")
clinic = services.found_clinic(user=user, name="Benchmark")
agreements.agree(user=user, clinic=clinic)
clean = images.cleaned(BytesIO(synthetic.jpeg(synthetic.draw_lesion(seed=0))))
for number in range(int(sys.argv[1])):
    patient = records.register_patient(user=user, clinic=clinic, label=f"P-{number}")
    lesion = records.open_lesion(user=user, patient=patient, body_site="back")
    body_map.place_lesion(user=user, lesion=lesion, spot=body_map.Spot("back", 0.5, 0.3))
    image, _ = images.keep_image(user=user, lesion=lesion, clean=clean, allow_duplicate=True)
reading = image.predictions.get()
key = services.create_api_key(user=user, name="x")[1]
print(clinic.pk, patient.pk, lesion.pk, image.pk, reading.pk, key)
"""


class Call(NamedTuple):
    """path and body may have {n}, a number that is different each time."""

    name: str
    method: str
    path: str
    body: dict[str, Any] | None = None


def calls(clinic: str, patient: str, lesion: str, image: str, reading: str) -> list[Call]:
    lists = "patients lesions images predictions positions reviews histologies events worklist"
    return [
        *(Call(f"list {what}", "GET", f"/api/v1/{what}/") for what in lists.split()),
        Call("list changed lesions", "GET", "/api/v1/lesions/?modified_after=2020-01-01T00:00:00Z"),
        Call("one patient", "GET", f"/api/v1/patients/{patient}/"),
        Call("one lesion", "GET", f"/api/v1/lesions/{lesion}/"),
        Call("one image", "GET", f"/api/v1/images/{image}/"),
        Call("one reading", "GET", f"/api/v1/predictions/{reading}/"),
        Call("a picture", "GET", f"/api/v1/images/{image}/file"),
        Call("a picture as DICOM", "GET", f"/api/v1/images/{image}/dicom"),
        Call(
            "register a patient", "POST", "/api/v1/patients/", {"clinic": clinic, "label": "N-{n}"}
        ),
        Call("open a lesion", "POST", "/api/v1/lesions/", {"patient": patient, "label": "L-{n}"}),
        Call("change a lesion", "PATCH", f"/api/v1/lesions/{lesion}/", {"notes": "{n}"}),
        Call("the OpenAPI document", "GET", "/api/v1/schema/"),
        Call("FHIR: what there is", "GET", "/fhir/R4/metadata"),
        Call("FHIR: search for patients", "GET", "/fhir/R4/Patient"),
        Call("FHIR: search for media", "GET", f"/fhir/R4/Media?patient={patient}"),
        Call("DICOMweb: search for studies", "GET", "/dicomweb/studies?limit=50"),
        Call("DICOMweb: search for instances", "GET", "/dicomweb/instances?limit=50"),
        Call("FHIR: everything of a patient", "GET", f"/fhir/R4/Patient/{patient}/$everything"),
    ]


class Caller:
    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def seconds(self, call: Call, number: int) -> float:
        """One request, to the last byte of its answer."""
        body = call.body and json.dumps(call.body).replace("{n}", str(number))
        start = time.perf_counter()
        self._connection.request(call.method, call.path, body, self._headers)
        with self._connection.getresponse() as response:
            answer = response.read()
            took = time.perf_counter() - start
            assert response.status in (200, 201), (call, response.status, answer[:500])
        return took


class Bound(NamedTuple):
    """Of one measurement. seconds: in which the last request begins, after two of each caller."""

    requests: int
    seconds: float


def measured(
    port: int, key: str, call: Call, callers: int, bound: Bound, numbers: Any
) -> list[float]:
    """Milliseconds of all requests. Each caller sends about as many."""
    begun = Barrier(callers)

    def work(_: int) -> list[float]:
        caller = Caller(port, key)
        for _ in range(WARM_UP):
            caller.seconds(call, next(numbers))
        begun.wait()
        ends = time.monotonic() + bound.seconds
        took: list[float] = []
        while len(took) < max(2, bound.requests // callers):
            took.append(1000 * caller.seconds(call, next(numbers)))
            if time.monotonic() > ends and len(took) > 1:
                break
        return took

    with ThreadPoolExecutor(callers) as threads:
        return [one for some in threads.map(work, range(callers)) for one in some]


def cpu_seconds(group: int) -> float:
    """What the processes of the group have used so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measured_call(
    made: Installation, group: int, key: str, call: Call, bound: Bound, numbers: Any
) -> dict[str, Any]:
    before, asked = cpu_seconds(group), 0
    row: dict[str, Any] = {"call": call.name}
    for callers in CALLERS:
        took = measured(made.port, key, call, callers, bound, numbers)
        cuts = statistics.quantiles(took, n=20, method="inclusive")
        row |= {f"p50_{callers}": cuts[9], f"p95_{callers}": cuts[18], f"n_{callers}": len(took)}
        asked += len(took) + WARM_UP * callers
    return row | {"cpu": 1000 * (cpu_seconds(group) - before) / asked}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="requests of a measurement")
    parser.add_argument("--seconds", type=float, default=8, help="and the most that it takes")
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numbers, rows, began = count(), [], time.monotonic()
    bound = Bound(options.count, options.seconds)
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(Path(folder) / "var", API_RATE="10000000/min") as made,
    ):
        made.python("script/prepare.py")
        seed = ("-c", SEED, str(options.patients))
        told = made.python(*seed, DJANGO_SETTINGS_MODULE="skincheck_site.settings")
        *records, key = told.split()[-6:]
        with made.running("web") as web:
            wait_until(lambda: "Serving" in made.log("web"), "the web is ready")
            for call in calls(*records):
                row = measured_call(made, web.pid, key, call, bound, numbers)
                rows.append(row)
                print(
                    f"{call.name:32}",
                    *(f"{name} {row[name]:{WIDTHS[name[0]]}}" for name in list(row)[1:]),
                    flush=True,
                )
    database = "PostgreSQL" if os.environ.get("DATABASE_URL") else "SQLite"
    loads = " ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"milliseconds, {database}, {os.cpu_count()} cores, load of 1, 5, 15 minutes: {loads}")
    print(f"in {(time.monotonic() - began) / 60:.1f} minutes")
    if options.json:
        options.json.write_text(json.dumps({"database": database, "calls": rows}, indent=1))


if __name__ == "__main__":
    main()
