"""The cost of the pages of a patient with very many lesions: queries and server time.

.venv/bin/python -m benchmarks.pages [--lesions 200] [--images 20] [--json FILE]

Starts its own installation with the commands of ``script/server``, in a temporary folder, fills its
database (``benchmarks.many_lesions``), and requests each page over HTTP, one at a time. Targets: at
most 12 queries (one adds to the audit log) and 100 ms; 60 ms for home and the worklist.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.stack.installation import Installation, installed, wait_until

TIMES = 15
TARGETS = {"queries": 12, "ms": 100, "ms of home and the worklist": 60}
FILL = """
import json, sys, django; django.setup()
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from benchmarks import many_lesions, pages
filled = many_lesions.fill(int(sys.argv[1]), int(sys.argv[2]))
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(filled.user)
paths = pages.addresses(filled.patient.pk, filled.lesion.pk, [one.pk for one in filled.images])
queries = {}
for name, path in paths.items():
    if name == pages.NEVER:
        continue
    client.get(path)  # at its first query of the kind, a process asks SQLite whether it knows JSON
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200, path
    queries[name] = len(asked)
print(json.dumps([client.cookies["sessionid"].value, paths, queries]))
"""
NEVER = "comparison of two that were never compared"


def addresses(patient: UUID, lesion: UUID, images: list[UUID]) -> dict[str, str]:
    """images: of the lesion, latest capture first."""
    compare = f"/lesions/{lesion}/compare/"
    return {
        "home": "/",
        "worklist": "/worklist/",
        "patient page": f"/patients/{patient}/",
        "patient's timeline": f"/patients/{patient}/timeline/",
        "lesion page": f"/lesions/{lesion}/",
        "comparison page": f"{compare}?earlier={images[1]}&later={images[0]}",
        "image page": f"/images/{images[0]}/",
        NEVER: f"{compare}?earlier={images[-1]}&later={images[0]}",
    }


def timed(port: int, session: str, path: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    started = time.perf_counter()
    connection.request("GET", path, headers={"Cookie": f"sessionid={session}"})
    response = connection.getresponse()
    response.read()
    took = 1000 * (time.perf_counter() - started)
    assert response.status == 200, f"{path}: {response.status}"
    connection.close()
    return took


def measure(installation: Installation, lesions: int, images: int) -> dict[str, Any]:
    printed = installation.python("-c", FILL, str(lesions), str(images))
    session, paths, queries = json.loads(printed.splitlines()[-1])
    found: dict[str, Any] = {}
    with installation.running("web"):
        wait_until(lambda: "Serving in process" in installation.log("web"), "the web is ready")
        never = paths.pop(NEVER)
        for name, path in paths.items():
            timed(installation.port, session, path)  # warm up
            times = [timed(installation.port, session, path) for _ in range(TIMES)]
            found[name] = {
                "queries": queries[name],
                "ms_p50": round(statistics.median(times)),
                "ms_max": round(max(times)),
            }
        found[NEVER] = {"ms": round(timed(installation.port, session, never))}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lesions", type=int, default=200)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = {"DJANGO_SETTINGS_MODULE": "skincheck_site.settings"}
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(Path(folder) / "var", **settings) as installation,
    ):
        installation.python("script/prepare.py")
        figures = {
            "load": os.getloadavg()[0],
            "targets": TARGETS,
            "pages": measure(installation, options.lesions, options.images),
        }
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
