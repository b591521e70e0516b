"""Attacks on a site, bounded and on this machine only.

script/attack            slow sockets, 100 bombs at once, 2,000 mutated files, 1,000 EXIF blocks
script/attack --small    a tenth of that

It starts a separate site in a separate folder, and prints a table of the results.
``tests/stack/test_attack.py`` does the same with still smaller numbers.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import cases
from tests.interop.dicoms import dicom, many_items
from tests.stack.installation import Installation, installed, wait_until

PAGES = ("/accounts/login/", "/api/v1/lesions/")
MOST_TIMES = 3
"""How many times longer pages and pictures may take than without an attack, at p95."""
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")

MAKE_TARGET = """
import json
from accounts import services
from accounts.models import User
from screening.records import services as records
def caller(name):
    user = User.objects.create_user(name + "@example.org")
    patient = records.register_patient(user=user, label="P-1")
    lesion = records.open_lesion(user=user, patient=patient)
    return {"key": services.create_api_key(user=user, name=name)[1], "lesion": str(lesion.pk)}
print(json.dumps({name: caller(name) for name in ("attacker", "person")}))
"""


@dataclass(frozen=True)
class Caller:
    """A user with a key, who may add to ``lesion``."""

    key: str
    lesion: str


@dataclass(frozen=True)
class Target:
    """A running web process. pid: of its parent; patience: seconds that a person waits for a
    page. Both callers have the same address.
    """

    installation: Installation
    pid: int
    attacker: Caller
    person: Caller
    patience: float

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.installation.port)

    def post(self, caller: Caller, path: str, body: bytes, content_type: str) -> int:
        """The status; 0 if the connection ended without one."""
        headers = {"Authorization": f"Bearer {caller.key}", "Content-Type": content_type}
        with closing(http.client.HTTPConnection(*self.address, timeout=180)) as connection:
            try:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException):
                return 0
            return response.status

    def upload(self, data: bytes, caller: Caller | None = None) -> int:
        """caller: the attacker by default."""
        caller = caller or self.attacker
        head = (
            f'--x\r\nContent-Disposition: form-data; name="lesion"\r\n\r\n{caller.lesion}\r\n'
            '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        return self.post(
            caller,
            "/api/v1/images/",
            head + data + b"\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
        )


@contextmanager
def target(installation: Installation, *, patience: float) -> Iterator[Target]:
    made = installation.python("manage.py", "shell", "--no-imports", "-c", MAKE_TARGET)
    with installation.running("web") as process:
        wait_until(lambda: "Serving" in installation.log("web"), "the web is ready")
        callers = json.loads(made.splitlines()[-1])
        attacker, person = Caller(**callers["attacker"]), Caller(**callers["person"])
        yield Target(installation, process.pid, attacker, person, patience)


@dataclass
class Answers:
    """Sequential requests: the seconds of each, and those that failed."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def p95(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.95)] if self.seconds else float("inf")


def ask(
    site: tuple[str, int],
    paths: tuple[str, ...],
    times: int,
    *,
    key: str = "",
    until: Callable[[], bool] = lambda: False,
    patience: float = 5,
) -> Answers:
    """A user's experience: each path in turn, 10 times a second, with a timeout of ``patience``
    seconds. At most ``times`` requests, and none after ``until`` is set.
    """
    answers = Answers()
    headers = {"Host": "localhost"} | ({"Authorization": f"Bearer {key}"} if key else {})
    for turn in range(times):
        if until():
            break
        begun = time.monotonic()
        with closing(http.client.HTTPConnection(*site, timeout=patience)) as connection:
            try:
                connection.request("GET", paths[turn % len(paths)], headers=headers)
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                answers.failures.append(f"{paths[turn % len(paths)]}: {error!r}")
            else:
                answers.seconds.append(time.monotonic() - begun)
                if response.status != 200:
                    answers.failures.append(f"{paths[turn % len(paths)]}: {response.status}")
        time.sleep(0.1)
    return answers


@contextmanager
def slow_sockets(
    site: tuple[str, int], number: int, *, path: str = "/accounts/login/", length: int = 60_000
) -> Iterator[list[int]]:
    """This many sockets that announce ``length`` bytes and send one a second, reopened when they
    are closed. Yields the list of their response statuses.
    """
    statuses: list[int] = []
    ended = threading.Event()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()

    def drip() -> None:
        while not ended.is_set():
            with suppress(OSError), socket.create_connection(site, timeout=2) as open_socket:
                open_socket.sendall(head)
                open_socket.settimeout(0.01)
                while not ended.wait(1):
                    open_socket.sendall(b"a")
                    with suppress(TimeoutError):
                        answer = open_socket.recv(4096)
                        if answer.startswith(b"HTTP/1."):
                            statuses.append(int(answer.split()[1]))
                        break
            ended.wait(0.2)

    threads = [threading.Thread(target=drip, daemon=True) for _ in range(number)]
    for thread in threads:
        thread.start()
    ended.wait(2)
    try:
        yield statuses
    finally:
        ended.set()
        for thread in threads:
            thread.join(10)


@dataclass
class Outcome:
    """The result of an attack. person, pictures: what another user experienced meanwhile, with
    pages and with pictures of their own.
    """

    name: str
    number: int
    statuses: Counter[int]
    person: Answers
    pictures: Answers
    seconds: float

    @property
    def bugs(self) -> int:
        """Unintended responses: 503 and 507 say when to retry."""
        return sum(n for status, n in self.statuses.items() if status in (0, 500, 502))


def slow_bodies(site: Target, number: int, times: int) -> Outcome:
    begun = time.monotonic()
    with slow_sockets(site.address, number) as statuses:
        person = ask(site.address, PAGES, times, key=site.person.key, patience=site.patience)
        pictures = add_pictures(site, lambda: True)
    seconds = time.monotonic() - begun
    return Outcome("slow sockets", number, Counter(statuses), person, pictures, seconds)


def bombs(site: Target, number: int) -> Outcome:
    """All at once."""
    nested = b'{"label": ' + b"[" * 400_000 + b"]" * 400_000 + b"}"
    drawn = [
        cases.many_scans(),
        cases.png(6320, 6320),
        cases.png(60_000, 60_000, rows=4),
        cases.png(7000, 7000, rows=4),
        many_items(),
        nested,
    ]

    def throw(turn: int) -> int:
        data = drawn[turn % len(drawn)]
        if data is nested:
            return site.post(site.attacker, "/api/v1/patients/", data, "application/json")
        return site.upload(data)

    return _thrown(site, "bombs at once", range(number), throw, at_once=number)


def undisturbed(site: Target, seconds: float) -> Outcome:
    """The same person, and nobody else."""

    def wait(_: object) -> int:
        time.sleep(seconds)
        return 200

    return _thrown(site, "none", [None], wait)


def add_pictures(site: Target, until: Callable[[], bool]) -> Answers:
    """A user adds one picture after another, at least one, and tries again after a 503."""
    answers = Answers()
    while not (answers.seconds or answers.failures) or not until():
        turn, begun = len(answers.seconds) + len(answers.failures), time.monotonic()
        data = cases.encoded(cases.spot()) + bytes(turn)  # each is a new file
        status = site.upload(data, site.person)
        while status == 503 and time.monotonic() - begun < 180:
            time.sleep(5)
            status = site.upload(data, site.person)
        if status in (200, 202):  # 200: it was stored, and the answer was lost
            answers.seconds.append(time.monotonic() - begun)
        else:
            answers.failures.append(f"a picture: {status}")
        time.sleep(1)
    return answers


def mutated_files(site: Target, number: int) -> Outcome:
    whole = [cases.encoded(cases.spot(), format) for format in ("JPEG", "PNG", "WEBP", "TIFF")]
    whole += [cases.encoded(cases.spot(), progressive=True), cases.mpo(exif_block=cases.exif())]
    whole += [cases.heic(), cases.heic(format="AVIF"), dicom(image=cases.spot())]
    chance = random.Random(14)
    files = (_mutated(whole[turn % len(whole)], chance) for turn in range(number))
    return _thrown(site, "mutated files", files, site.upload)


def mutated_exif(site: Target, number: int) -> Outcome:
    chance, block = random.Random(15), cases.exif(6).removeprefix(b"Exif\0\0")
    avif = cases.heic(format="AVIF", exif=block)
    at = avif.index(block[:4])  # written again, without the orientation

    def spoilt(turn: int) -> bytes:
        if turn % 5 < 4:
            return cases.with_exif(FORMATS[turn % 5], _mutated(block, chance))
        end = at + len(block) // 2  # the writer accepts only valid blocks, so replace it in place
        return avif[:at] + _mutated(avif[at:end], chance)[: end - at].ljust(end - at) + avif[end:]

    return _thrown(site, "mutated EXIF blocks", map(spoilt, range(number)), site.upload)


def _thrown(
    site: Target,
    name: str,
    items: Iterable[Any],
    throw: Callable[[Any], int],
    at_once: int = 8,
) -> Outcome:
    begun, ended = time.monotonic(), threading.Event()
    with ThreadPoolExecutor(2) as beside, ThreadPoolExecutor(at_once) as callers:
        pages = beside.submit(
            ask,
            site.address,
            PAGES,
            10_000,
            key=site.person.key,
            until=ended.is_set,
            patience=site.patience,
        )
        pictures = beside.submit(add_pictures, site, ended.is_set)
        try:
            statuses = Counter(callers.map(throw, items))
        finally:
            ended.set()
        seconds = time.monotonic() - begun
        number = statuses.total()
        return Outcome(name, number, statuses, pages.result(), pictures.result(), seconds)


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """One to twenty times: a byte changed, a part cut out, doubled, zeroed, or inserted."""
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(spoilt))
        length = chance.choice((1, 2, 4, 16, 256))
        kind = chance.randrange(6)
        if kind < 2:
            spoilt[at] = chance.randrange(256)
        elif kind == 2 and len(spoilt) > 2 * length:
            del spoilt[at : at + length]
        elif kind == 3:
            spoilt[at:at] = spoilt[at : at + length]
        elif kind == 4:
            spoilt[at : at + length] = bytes(len(spoilt[at : at + length]))
        else:
            spoilt[at:at] = chance.randbytes(length)
    return bytes(spoilt)


def unmatched(installation: Installation) -> set[str]:
    """Files without a row, and those of rows that do not exist."""
    media = installation.folder / "media"
    there = {str(path.relative_to(media)) for path in media.rglob("*") if path.is_file()}
    rows = installation.query("SELECT file, thumbnail, screen FROM screening_lesionimage")
    return there ^ {name for names in rows for name in names if name}


def orphans(installation: Installation) -> list[str]:
    """Files without a row, rows without a file, pictures without a reading, and leftovers of
    uploads.
    """
    unread = installation.query(
        "SELECT image.id FROM screening_lesionimage image LEFT JOIN screening_prediction prediction"
        " ON prediction.image_id = image.id WHERE prediction.id IS NULL"
    )
    left = [path.name for path in (installation.folder / "uploads").iterdir()]
    return [*unmatched(installation), *(str(row) for row in unread), *left]


def most_memory(pid: int) -> int:
    """Bytes: the peak memory of any web process so far."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [pid, *(int(child) for task in tasks for child in task.read_text().split())]
    held = [Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0] for pid in pids]
    return 1024 * max(map(int, held))


def too_slow(outcomes: Iterable[Outcome], idle: Outcome) -> list[str]:
    """In which attacks a person's pages or pictures took MOST_TIMES as long as without one."""
    slow = []
    for one in outcomes:
        for what, now, before in (
            ("pages", one.person.p95, idle.person.p95),
            ("pictures", one.pictures.p95, idle.pictures.p95),
        ):
            if now >= MOST_TIMES * before:
                slow.append(f"{what} beside {one.name} ({now / before:.1f} times)")
    return slow


def _line(one: Outcome, idle: Outcome) -> str:
    answers = ", ".join(f"{n:,} × {status}" for status, n in sorted(one.statuses.items()))
    pages, pictures = (
        f"{now.p95:.2f} s, {now.p95 / before.p95:.1f} times, {len(now.failures)} of "
        f"{len(now.failures) + len(now.seconds)}"
        for now, before in ((one.person, idle.person), (one.pictures, idle.pictures))
    )
    return f"| {one.name} | {one.number:,} | {answers} | {pages} | {pictures} | {one.seconds:.0f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tenth of it")
    scale = 10 if parser.parse_args().small else 1
    with (
        tempfile.TemporaryDirectory(prefix="skincheck-attack.") as folder,
        installed(Path(folder) / "var", API_RATE="1000000/min") as installation,
        target(installation, patience=5) as site,
    ):
        ask(site.address, PAGES, 20, key=site.person.key)  # without the cost of first requests
        idle = undisturbed(site, 30)
        outcomes = [
            slow_bodies(site, 50, 300 // scale),
            bombs(site, 100 // scale),
            mutated_files(site, 2_000 // scale),
            mutated_exif(site, 1_000 // scale),
        ]
        outcomes.append(undisturbed(site, 30))  # the machine may have become busier
        print("A person's pages and pictures: p95, how many times that without attack, failures.")
        print("| attack | number | answers | pages | pictures | seconds |")
        print("|---|---|---|---|---|---|")
        for one in (idle, *outcomes):
            print(_line(one, idle))
        failures = [text for one in outcomes for text in one.pictures.failures]
        print(*failures, sep="\n", end="")
        slow = too_slow(outcomes, idle)
        left, memory = orphans(installation), most_memory(site.pid)
        errors = installation.log("web").count("Traceback")
        print(f"\n{len(left)} orphans, {errors} tracebacks, {memory / 1e6:.0f} MB at the most.")
        print(f"Slower than {MOST_TIMES} times idle: {', '.join(slow) or 'nothing'}.")
        bugs = any(one.bugs or one.pictures.failures for one in outcomes)
        sound = not (left or errors or bugs or slow) and memory < 1e9
        return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
