"""What the audit log adds to the pages of a patient with very many lesions, as a ratio.

.venv/bin/python -m benchmarks.audit [--lesions 200] [--images 20] [--times 40] [--json FILE]

Each page is asked for with and without the log in turns, in one process, so that whatever else
runs slows both alike. Target: at most a tenth.
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

from benchmarks import pages
from tests.stack.installation import installed

TARGET = 1.10
MIDDLEWARE = "screening.privacy.requests.audited"
RUN = """
import json, sys, django; django.setup()
from benchmarks import audit, many_lesions
filled = many_lesions.fill(int(sys.argv[1]), int(sys.argv[2]))
print(json.dumps(audit.measure(filled, int(sys.argv[3]))))
"""


def measure(filled: Any, times: int) -> dict[str, Any]:
    """By page, the median milliseconds without and with the log, and their ratio."""
    from django.conf import settings
    from django.db.models import Model
    from django.test import Client, override_settings

    from screening.models.base import UUIDModel

    def asking(client: Client, path: str) -> float:
        gc.collect()  # else every other page pays for the one before
        started = time.perf_counter()
        assert client.get(path).status_code == 200, path
        return 1000 * (time.perf_counter() - started)

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(filled.user)
    without = Client(SERVER_NAME="127.0.0.1")
    without.cookies = client.cookies
    from_db = UUIDModel.__dict__["from_db"]
    rest = [one for one in settings.MIDDLEWARE if one != MIDDLEWARE]
    with override_settings(MIDDLEWARE=rest):
        without.handler.load_middleware()
    paths = pages.addresses(filled.patient.pk, filled.lesion.pk, [i.pk for i in filled.images])
    del paths[pages.NEVER]
    found = {}
    for name, path in paths.items():
        taken: dict[bool, list[float]] = {True: [], False: []}
        for n in range(2 * (times + 2)):
            is_on = n % 4 in (0, 3)
            UUIDModel.from_db = from_db if is_on else Model.__dict__["from_db"]
            took = asking(client if is_on else without, path)
            if n >= 4:  # the first ones warm up
                taken[is_on].append(took)
        UUIDModel.from_db = from_db
        off, on = statistics.median(taken[False]), statistics.median(taken[True])
        found[name] = {"ms_without": round(off, 1), "ms": round(on, 1), "ratio": round(on / off, 3)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lesions", type=int, default=200)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = {"DJANGO_SETTINGS_MODULE": "skincheck_site.settings"}
    with (
        tempfile.TemporaryDirectory() as folder,
        installed(Path(folder) / "var", **settings) as installation,
    ):
        installation.python("script/prepare.py")
        asked = (options.lesions, options.images, options.times)
        printed = installation.python("-c", RUN, *map(str, asked))
    figures = {"target": TARGET, "pages": json.loads(printed.splitlines()[-1])}
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
