"""Batches and interactive uploads: a batch's throughput, and an upload's latency while it runs.

.venv/bin/python -m benchmarks.batches [--images FOLDER] [--rows 2000] [--uploads 50]

Starts its own installation with the commands of ``script/server`` and two processes that read.
Results are ratios of two measurements in the same run, so that other load on the computer affects
both. Targets: while a batch runs, the p95 of an upload through the API is at most 1.5 times that
without one; the batch is at least 0.85 times as fast as a bare loop that reads the same pictures in
as many processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.upload_latency import IMAGES, MAKE_KEY, Api, measure, percentile, pictures
from tests.stack.installation import ROOT, Installation, installed, wait_until

PROCESSES = 2
PAUSE_SECONDS = 0.3
BARE_LOOP = """
import os, sys, time
from io import BytesIO
from pathlib import Path
from ml import reader
from ml.types import PatientContext
from ml.opening import pictures
model, context = reader.load(), PatientContext.parse(55, "female", "back")
paths = sorted(Path(sys.argv[1]).glob("*.jpg"))[int(sys.argv[2]) :: int(sys.argv[3])]
read = lambda path: model.read(pictures.load_pixels(BytesIO(path.read_bytes())), context)
read(paths[0])
print("ready", flush=True)
sys.stdin.readline()
for path in paths:
    read(path)
"""


def bare_loop(folder: Path, count: int) -> float:
    """Images per second, read by ``PROCESSES`` processes that do nothing else."""
    loops = [
        subprocess.Popen(
            ["nice", "-n", "5", sys.executable, "-c", BARE_LOOP, folder, str(n), str(PROCESSES)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for n in range(PROCESSES)
    ]
    for loop in loops:
        assert loop.stdout is not None
        assert loop.stdout.readline() == b"ready\n"
    started = time.monotonic()
    for loop in loops:
        assert loop.stdin is not None
        loop.stdin.write(b"\n")
        loop.stdin.flush()
    for loop in loops:
        assert loop.wait() == 0
    return count / (time.monotonic() - started)


def archive(folder: Path, name: str, salt: bytes) -> bytes:
    """A batch of all pictures in ``folder``, two per lesion. salt: makes the files differ between
    runs.
    """
    path = folder / f"{name}.zip"
    lines = ["image,patient_id,lesion_id,age,sex,localization"]
    with zipfile.ZipFile(path, "w") as made:
        for n, picture in enumerate(sorted(folder.glob("*.jpg"))):
            made.writestr(picture.name, picture.read_bytes() + salt)
            lines.append(f"{picture.name},{name}-{n // 4},{name}-{n // 2},55,female,back")
        made.writestr("metadata.csv", "\n".join(lines))
    return path.read_bytes()


def upload(api: Api, data: bytes) -> str:
    """Upload the archive; returns the batch's path."""
    boundary = uuid4().hex
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="archive"; filename="b.zip"\r\n\r\n'
    )
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    return api.send("/api/v1/batches/", body, f"multipart/form-data; boundary={boundary}")


def begun(api: Api, batch: str) -> float:
    """When the first of its images was read."""
    wait_until(lambda: api.get(batch)["counts"]["read"] > 0, "the batch has begun", 120)
    return time.monotonic()


def throughput(api: Api, batch: str) -> float:
    """Images per second, from the first reading until the batch is finished."""
    started, before = begun(api, batch), api.get(batch)["counts"]["read"]
    while (shown := api.get(batch))["state"] == "importing":
        time.sleep(1)  # the server keeps an idle connection for two seconds
    assert shown["state"] == "finished", shown
    return (shown["counts"]["read"] - before) / (time.monotonic() - started)


def latencies(api: Api, lesion: str, images: list[bytes], batch: str | None = None) -> list[float]:
    """Seconds from upload to finished reading, for each upload; with ``batch``, only while it
    runs.
    """
    found = []
    for image in images:
        if batch and api.get(batch)["state"] != "importing":
            break
        found.append(measure(api, lesion, image)["total"])
        time.sleep(PAUSE_SECONDS)
    return found


def run(installation: Installation, images: list[bytes], uploads: int) -> dict[str, Any]:
    # As in an installation: the tests' values are short, so that they can be waited for.
    installation.environment |= {"PREDICTION_LEASE_SECONDS": "60", "PREDICTION_SWEEP_SECONDS": "30"}
    installation.python("script/prepare.py")
    settings = {"DJANGO_SETTINGS_MODULE": "skincheck_site.settings"}
    lesion, key = installation.python("-c", MAKE_KEY, **settings).splitlines()[-1].split()
    folder = installation.folder / "pictures"
    folder.mkdir()
    for n, image in enumerate(images[2 * uploads + 1 :]):
        (folder / f"{n:06}.jpg").write_bytes(image)
    count = len(list(folder.glob("*.jpg")))
    with (
        installation.running("web"),
        installation.running("worker"),
        installation.running("beat"),
    ):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
        wait_until(lambda: "Serving in process" in installation.log("web"), "the web is ready")
        api = Api(installation.port, key)
        measure(api, lesion, images[0])
        idle = latencies(api, lesion, images[1 : uploads + 1])
        bare = [bare_loop(folder, count)]
        api = Api(installation.port, key)  # the server has closed the idle connection
        rate = throughput(api, upload(api, archive(folder, "first", b"1")))
        wait_until(lambda: not left_to_follow_up(installation), "all is compared", 1800)
        bare.append(bare_loop(folder, count))
        api = Api(installation.port, key)
        batch = upload(api, archive(folder, "second", b"2"))
        begun(api, batch)
        busy = latencies(api, lesion, images[uploads + 1 : 2 * uploads + 1], batch)
    return report(idle, busy, rate, bare, count)


def left_to_follow_up(installation: Installation) -> int:
    [(left,)] = installation.query(
        "SELECT count(*) FROM screening_batchrow WHERE state = 'imported' AND NOT followed_up"
    )
    return int(left)


def report(
    idle: list[float], busy: list[float], rate: float, bare: list[float], rows: int
) -> dict[str, Any]:
    load = os.getloadavg()
    result = {
        "rows": rows,
        "processes": PROCESSES,
        "load_average": load,
        "idle_p50": percentile(idle, 50),
        "idle_p95": percentile(idle, 95),
        "uploads_meanwhile": len(busy),
        "busy_p50": percentile(busy, 50),
        "busy_p95": percentile(busy, 95),
        "batch_per_second": rate,
        "bare_loop_per_second": bare,
    }
    result["p95_ratio"] = result["busy_p95"] / result["idle_p95"]
    result["throughput_ratio"] = rate / (sum(bare) / len(bare))
    print(f"{rows} rows, {PROCESSES} processes, {os.cpu_count()} cores, load {load[0]:.1f}")
    for name, value in result.items():
        print(f"{name:22}{value}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as place,
        installed(
            Path(place) / "var", API_RATE="100000/min", WORKERS=str(PROCESSES)
        ) as installation,
    ):
        found = run(
            installation,
            pictures(options.images, options.rows + 2 * options.uploads),
            options.uploads,
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
