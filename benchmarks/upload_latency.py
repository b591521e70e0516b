"""From upload to finished reading, through the API, on the embedded default: where the time goes.

.venv/bin/python -m benchmarks.upload_latency [--images FOLDER] [--count 50] [--json FILE]

Starts its own installation with the commands of ``script/server``, in a temporary folder. Real
images if FOLDER has any, else synthetic ones. Targets: p50 at most 0.3 s, p95 at most 0.5 s, and at
most 250 MB of memory resident in the worker.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from screening.images import synthetic
from tests.stack.installation import ROOT, Installation, installed, wait_until

IMAGES = ROOT.parent / "shared" / "data" / "ham10000" / "images_224"
POLL_SECONDS = 0.05
PARTS = ("upload request", "queue wait", "reading", "until polled")
MAKE_KEY = """
import django; django.setup()
from accounts import services
from accounts.models import User
from screening.records import services as record_services
user = User.objects.create_user("benchmark@example.org")
patient = record_services.register_patient(user=user, label="P-1", birth_year=1960, sex="female")
lesion = record_services.open_lesion(user=user, patient=patient, body_site="back")
print(lesion.pk, services.create_api_key(user=user, name="benchmark")[1])
"""


class Api:
    """One persistent connection, as a program that uploads many images would use."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._key = {"Authorization": f"Bearer {key}"}

    def get(self, path: str) -> dict[str, Any]:
        self._connection.request("GET", path, headers=self._key)
        with self._connection.getresponse() as response:
            assert response.status == 200, response.read()
            return dict(json.loads(response.read()))

    def upload(self, lesion: str, picture: bytes) -> str:
        """Upload a picture; returns the path of the queued prediction."""
        boundary = uuid4().hex
        body = b"".join(
            (
                f'--{boundary}\r\nContent-Disposition: form-data; name="lesion"\r\n\r\n'.encode(),
                f"{lesion}\r\n--{boundary}\r\n".encode(),
                b'Content-Disposition: form-data; name="file"; filename="spot.jpg"\r\n'
                b"Content-Type: image/jpeg\r\n\r\n",
                picture,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        return self.send("/api/v1/images/", body, f"multipart/form-data; boundary={boundary}")

    def send(self, path: str, body: bytes, content_type: str) -> str:
        """POST; returns the path of the created resource."""
        headers = self._key | {"Content-Type": content_type}
        self._connection.request("POST", path, body, headers)
        with self._connection.getresponse() as response:
            assert response.status == 202, response.read()
            response.read()
            return urlsplit(response.headers["Location"]).path


def pictures(folder: Path, count: int) -> list[bytes]:
    """``count`` different pictures, and one more for warming up."""
    real = sorted(folder.glob("*.jpg"))[: count + 1]
    if len(real) == count + 1:
        return [path.read_bytes() for path in real]
    return [synthetic.jpeg(synthetic.draw_lesion(seed=seed)) for seed in range(count + 1)]


def measure(api: Api, lesion: str, picture: bytes) -> dict[str, float]:
    """Seconds of each part, and ``total``. Both clocks are this machine's."""
    started = time.time()
    path = api.upload(lesion, picture)
    answered = time.time()
    while (prediction := api.get(path))["state"] in ("queued", "running"):
        time.sleep(POLL_SECONDS)
    seen = time.time()
    assert prediction["state"] == "succeeded", prediction
    began, finished = (_seconds(prediction[name]) for name in ("started_at", "finished_at"))
    return {
        "upload request": answered - started,
        # The worker may start before the response arrives.
        "queue wait": max(0.0, began - answered),
        "reading": finished - max(began, answered),
        "until polled": seen - finished,
        "total": seen - started,
    }


def memory(worker: int) -> dict[str, float]:
    """MB of the worker's main process and its child. PSS counts shared pages once."""
    found = {}
    for name, pid in (("main", worker), ("child", _child(worker))):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in rollup}
        found[f"{name} RSS"] = sizes["Rss"] / 1024
        found[f"{name} PSS"] = sizes["Pss"] / 1024
    found["both RSS"] = found["main RSS"] + found["child RSS"]
    found["both PSS"] = found["main PSS"] + found["child PSS"]
    return found


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


def report(times: list[dict[str, float]], used: dict[str, float]) -> dict[str, Any]:
    total = statistics.fmean(time["total"] for time in times)
    result: dict[str, Any] = {"uploads": len(times), "load_average": os.getloadavg()[0]}
    print(f"{len(times)} uploads, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{platform.python_implementation()} {platform.python_version()}\n")
    print(f"{'seconds':16}{'p50':>8}{'p95':>8}{'max':>8}{'share':>8}")
    for part in (*PARTS, "total"):
        values = [time[part] for time in times]
        p50, p95, share = percentile(values, 50), percentile(values, 95), statistics.fmean(values)
        print(f"{part:16}{p50:8.3f}{p95:8.3f}{max(values):8.3f}{share / total:8.0%}")
        result[part] = {"p50": p50, "p95": p95, "max": max(values), "share": share / total}
    print("\n" + "   ".join(f"{name} {value:.0f} MB" for name, value in used.items()))
    return result | {"worker_mb": used}


def run(installation: Installation, images: list[bytes]) -> dict[str, Any]:
    installation.python("script/prepare.py")
    settings = {"DJANGO_SETTINGS_MODULE": "skincheck_site.settings"}
    lesion, key = installation.python("-c", MAKE_KEY, **settings).splitlines()[-1].split()
    with (
        installation.running("web"),
        installation.running("worker") as worker,
        installation.running("beat"),
    ):
        wait_until(lambda: " ready." in installation.log("worker"), "the worker is ready")
        wait_until(lambda: "Serving in process" in installation.log("web"), "the web is ready")
        api = Api(installation.port, key)
        measure(api, lesion, images[0])
        times = [measure(api, lesion, image) for image in images[1:]]
        return report(times, memory(worker.pid))


def _child(worker: int) -> int:
    threads = Path(f"/proc/{worker}/task").glob("*/children")
    return int(" ".join(thread.read_text() for thread in threads).split()[0])


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(Path(folder) / "var", API_RATE="100000/min") as installation,
    ):
        result = run(installation, pictures(options.images, options.count))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
