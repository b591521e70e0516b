"""Sandboxed decoding: what a hostile picture may use, and its effect on other pictures."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.opening.pictures import load_pixels
from screening.errors import Busy
from screening.images import cleaning, sandbox
from tests import cases
from tests.interop.dicoms import dicom, many_items

ROOT = Path(__file__).resolve().parents[2]
GOOD = cases.encoded(cases.spot())


def clean(data: bytes) -> cleaning.CleanImage:
    return cleaning.clean(BytesIO(data))


@pytest.fixture
def fresh(monkeypatch):
    """No child of another test, and none left behind."""
    sandbox._end_all()
    yield monkeypatch
    sandbox._end_all()


def test_a_child_is_used_again(fresh):
    clean(GOOD)
    [child] = sandbox._idle
    assert clean(GOOD).width == 300
    assert sandbox._idle == [child]


def test_what_is_stored_is_decoded_there_too(fresh):
    stored = clean(GOOD).data
    whole, small = (cleaning.pixels(BytesIO(stored), side) for side in (None, 50))
    assert np.array_equal(whole, load_pixels(BytesIO(stored)))
    assert (whole.shape, max(small.shape)) == ((225, 300, 3), 50)
    made = cleaning.rendered(BytesIO(stored), format="PNG", quality=90, size=(100, 1000))
    assert Image.open(BytesIO(made)).size == (100, 75)
    assert len(sandbox._idle) == 1
    for broken in (b"", b"no picture", stored[:500]):
        with pytest.raises(cleaning.InvalidImage):
            cleaning.pixels(BytesIO(broken))


def test_a_child_that_is_killed_refuses_one_picture_and_no_other(fresh):
    clean(GOOD)
    [child] = sandbox._idle
    os.kill(child._process.pid, signal.SIGSTOP)
    fresh.setattr(sandbox, "WALL_SECONDS", 0.3)
    with pytest.raises(cleaning.InvalidImage, match="too much time or memory"):
        clean(GOOD)
    assert not sandbox._idle
    fresh.undo()
    assert clean(GOOD).width == 300


def test_a_child_that_ended_while_idle_costs_nobody_a_picture(fresh):
    clean(GOOD)
    [child] = sandbox._idle
    child._to.close()
    assert child._process.wait(5) == 0
    reading, writing = os.pipe()
    os.close(reading)
    child._to = os.fdopen(writing, "wb", 0)
    assert clean(GOOD).width == 300


def test_a_child_that_takes_its_time_to_end_costs_nobody_a_picture(fresh):
    """It closes its output and exits seconds later, as after its last picture on a busy machine."""
    program = "import os, sys, time; sys.stdin.buffer.readline(); os.close(1); time.sleep(1)"
    slow = object.__new__(sandbox._Child)
    slow._process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    slow._to, slow._from = slow._process.stdin, slow._process.stdout
    slow._ended, slow._hung_up = None, False
    sandbox._idle.append(slow)
    assert clean(GOOD).width == 300
    assert slow.ended_by_itself


def test_one_that_is_killed_once_costs_nobody_a_picture(fresh):
    """By hand, or for want of memory, which another took."""
    clean(GOOD)
    [child] = sandbox._idle
    os.kill(child._process.pid, signal.SIGKILL)
    child._process.wait(5)
    assert clean(GOOD).width == 300


def test_what_kills_two_is_not_tried_again(fresh):
    ask = sandbox._Child.ask
    killed = []

    def is_killed(child, *asked):
        killed.append(child)
        os.kill(child._process.pid, signal.SIGKILL)
        child._process.wait(5)
        return ask(child, *asked)

    fresh.setattr(sandbox._Child, "ask", is_killed)
    with pytest.raises(cleaning.InvalidImage, match="too much time or memory"):
        clean(GOOD)
    assert len(killed) == 2


def test_one_that_crashes_is_not_tried_again(fresh):
    clean(GOOD)
    [child] = sandbox._idle
    os.kill(child._process.pid, signal.SIGSEGV)
    child._process.wait(5)
    with pytest.raises(cleaning.InvalidImage, match="too much time or memory"):
        clean(GOOD)
    assert clean(GOOD).width == 300


def in_child(code: str) -> subprocess.CompletedProcess[str]:
    """Replace decoding in the child with other code, and return what happens."""
    program = f"""
from screening.images import cleaning, decoder
def answer(asked, data):
    {code}
cleaning.answer = answer
decoder.main()
"""
    ask = b'{"asked": "clean", "options": {}, "length": 1}\nx'
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, input=ask, capture_output=True, timeout=60
    )


def test_memory_is_bounded():
    ran = in_child("return {'got': len(bytearray(2_000_000_000))}, []")
    assert b"refused" in ran.stdout
    assert sandbox.BEYOND.encode() in ran.stdout


def test_time_is_bounded():
    started = time.monotonic()
    program = "import screening.images.sandbox as s; s.CPU_SECONDS = 0; "
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            program
            + "from screening.images import cleaning, decoder\n"
            + "cleaning.answer = lambda asked, data: [0 for _ in iter(int, 1)]\n"
            + "decoder.main()",
        ],
        cwd=ROOT,
        input=b'{"asked": "clean", "options": {}, "length": 1}\nx',
        capture_output=True,
        timeout=60,
    )
    assert ran.returncode == -signal.SIGXCPU
    assert time.monotonic() - started < 30


def test_a_child_writes_no_file_and_knows_no_secret(tmp_path):
    ran = in_child(f"__import__('pathlib').Path('{tmp_path}/x').write_text('x')")
    assert b'"failed": "OSError"' in ran.stdout
    assert set(sandbox._ENVIRONMENT) == {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LANG"}


def test_a_bug_is_named_and_its_text_is_not(caplog, fresh):
    ran = in_child("raise KeyError('Erika Muster')")
    assert b'"failed": "KeyError"' in ran.stdout
    assert b"Erika" not in ran.stdout


def most_memory(child: sandbox._Child) -> int:
    """Its peak memory, in kB. (``getrusage`` counts children of other tests too.)"""
    status = Path(f"/proc/{child._process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def test_hostile_pictures_are_answered_in_bounded_memory(fresh):
    """Each in the time of one good photograph, and no surviving child above 700 MB."""
    hostile = {
        "scans": cases.many_scans(6320),
        "rgba": cases.png(6320, 6320),
        "claims": cases.png(60_000, 60_000, rows=4),
        "short": cases.png(7000, 7000, rows=4),
        "items": many_items(),
    }
    children = []
    for name, data in hostile.items():
        before = time.monotonic()
        try:
            clean(data)
        except cleaning.InvalidImage as refusal:
            assert str(refusal).endswith("."), name
        assert time.monotonic() - before < 20, name
        children += [most_memory(child) for child in sandbox._idle]
    assert children and max(children) < 700_000


@pytest.mark.parametrize(
    ("format", "size"),
    [
        ("JPEG", (12_000, 9_000)),
        ("WEBP", (7_200, 5_000)),
        ("PNG", (8_000, 6_250)),
        ("HEIF", (8_064, 6_048)),
    ],
)
def test_the_largest_of_each_format_fits_in(fresh, format, size):
    plain = Image.new("RGB", size, (214, 160, 128))
    options = {"WEBP": {"method": 0}, "PNG": {"compress_level": 1}}.get(format, {})
    data = cases.heic(plain) if format == "HEIF" else cases.encoded(plain, format, **options)
    found = clean(data)
    assert size[0] % found.width == 0 and found.width / found.height == size[0] / size[1]


def test_a_dicom_file_of_many_elements_is_refused_before_it_is_read():
    with pytest.raises(cleaning.InvalidImage, match="far more items"):
        clean(many_items())
    whole = dicom(image=cases.spot((80, 72)))
    meta = 144 + int.from_bytes(whole[140:144], "little")
    elements = b"".join(
        b"\x09\x00" + number.to_bytes(2, "little") + b"LO\0\0" for number in range(0x1000, 0xFFFF)
    )
    with pytest.raises(cleaning.InvalidImage, match="far more elements"):
        clean(whole[:meta] + elements + whole[meta:])


def test_more_than_a_few_wait_for_their_turn_and_are_told_if_it_does_not_come(fresh):
    fresh.setattr(sandbox, "PATIENCE", 0.05)
    for _ in range(sandbox.AT_ONCE):
        assert sandbox._turns.acquire(timeout=1)
    try:
        with pytest.raises(Busy):
            clean(GOOD)
    finally:
        for _ in range(sandbox.AT_ONCE):
            sandbox._turns.release()
    assert clean(GOOD).width == 300


def test_threads_share_the_children(fresh):
    done: list[int] = []
    threads = [threading.Thread(target=lambda: done.append(clean(GOOD).width)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done == [300] * 8
    assert 1 <= len(sandbox._idle) <= sandbox.AT_ONCE


def test_a_fork_starts_its_own(fresh):
    """Celery and the web server fork; the forks must not write to one child together."""
    clean(GOOD)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if not sandbox._idle and clean(GOOD).width == 300 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert clean(GOOD).width == 300
