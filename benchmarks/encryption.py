"""What encryption adds to an upload, as a ratio.

.venv/bin/python -m benchmarks.encryption [--times 40] [--images FOLDER] [--json FILE]

The same pictures are sent through the API with and without encryption in turns, in one process, so
that whatever else runs slows both alike. Target: at most a twentieth.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.upload_latency import IMAGES, pictures
from tests.stack.installation import installed

TARGET = 1.05
RUN = """
import json, sys, django; django.setup()
from benchmarks import encryption
print(json.dumps(encryption.measure(sys.argv[1], int(sys.argv[2]))))
"""


def measure(images: str, times: int) -> dict[str, Any]:
    """The median milliseconds of one upload without and with encryption, and their
    ratio; the bytes of a picture.
    """
    from django.conf import settings
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import Client

    from accounts.models import User
    from screening.records import services

    user = User.objects.create_user("benchmark@example.org")
    patient = services.register_patient(user=user, label="P-1", birth_year=1960, sex="female")
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    sent = pictures(Path(images), 2 * times + 3)

    def sending(picture: bytes) -> float:
        lesion = services.open_lesion(user=user, patient=patient)
        body = {"lesion": str(lesion.pk), "file": SimpleUploadedFile("spot.jpg", picture)}
        gc.collect()
        began = time.perf_counter()
        answer = client.post("/api/v1/images/", body)
        assert answer.status_code == 202, answer.content
        return 1000 * (time.perf_counter() - began)

    taken: dict[bool, list[float]] = {True: [], False: []}
    for n, picture in enumerate(sent):
        settings.ENCRYPT_AT_REST = is_on = n % 4 in (0, 3)
        took = sending(picture)
        if n >= 4:  # the first ones warm up
            taken[is_on].append(took)
    off, on = statistics.median(taken[False]), statistics.median(taken[True])
    return {
        "uploads": len(sent) - 4,
        "bytes": round(statistics.median(map(len, sent))),
        "ms_without": round(off, 1),
        "ms": round(on, 1),
        "ratio": round(on / off, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--images", type=Path, default=IMAGES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = {"DJANGO_SETTINGS_MODULE": "skincheck_site.settings", "API_RATE": "100000/min"}
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(Path(folder) / "var", **settings) as installation,
    ):
        installation.python("script/prepare.py")
        printed = installation.python("-c", RUN, str(options.images), str(options.times))
    text = json.dumps({"target": TARGET, **json.loads(printed.splitlines()[-1])}, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
