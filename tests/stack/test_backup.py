"""A backup restores everything: rows, pictures, keys, links and signatures; waiting images are
read.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from screening.sealing import MAGIC
from tests.stack.installation import ROOT, Installation, installed, wait_until
from tests.stack.s3 import Storage

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(shutil.which("gpg") is None, reason="needs GnuPG: apt-get install gnupg"),
]

MAKE = """
import json
from io import BytesIO
from django.test import Client
from accounts import services
from accounts.models import Clinic, Membership, User
from screening.images import synthetic
from screening.images import services as images
from screening.records import services as records
from screening.reminders import services as reminders
from screening.reviews import services as reviews
user, browser = User.objects.create_user("kept@example.org"), Client(enforce_csrf_checks=True)
browser.force_login(user)
clinic = Clinic.objects.create(name="North")
Membership.objects.create(clinic=clinic, user=user, role="clinician")
patient = records.register_patient(user=user, clinic=clinic, label="Müller", confirms=True)
lesion = records.open_lesion(user=user, patient=patient)
picture = synthetic.jpeg(synthetic.draw_lesion(seed=1, size=(300, 225)))
added = images.add_image(user=user, lesion=lesion, file=BytesIO(picture), is_synthetic=True)
reviews.record_review(user=user, image=added.image, conclusion="nv", management="monitor")
print(json.dumps({
    "key": services.create_api_key(user=user, name="x")[1],
    "session": browser.cookies["sessionid"].value,
    "calendar": reminders.make_calendar_link(user=user),
    "image": str(added.image.pk),
}))
"""
MAKE_AN_EXPORT = """
from datetime import timedelta
from django.core.files.base import ContentFile
from django.utils import timezone
from accounts.models import User
from screening.models import Export
Export.objects.create(
    requested_by=User.objects.get(), state="ready", file=ContentFile(b"PK", name="export"),
    file_bytes=2, sha256="0" * 64, expires_at=timezone.now() + timedelta(days=1),
)
"""
SEALS_MEANWHILE = """
import os
import sys
from pathlib import Path
sys.path.insert(0, "script")
import backup_archive
from screening.images import encryption
copy = backup_archive._copy_database
def and_then_seal(path):
    names = copy(path)
    from screening.models import LesionImage
    left = Path(os.environ["TIMES"])
    if times := int(left.read_text()):
        left.write_text(str(times - 1))
        encryption.seal_again(LesionImage.objects.get())
    return names
backup_archive._copy_database = and_then_seal
backup_archive.main("pack")
"""
"""Between the copy of the database and that of the files the picture gets another file."""
STATE = "SELECT state FROM screening_prediction"


@pytest.fixture
def installations(tmp_path: Path) -> Iterator[tuple[Installation, Installation]]:
    """One in use, and an empty one."""
    (tmp_path / "new").mkdir()
    with installed(tmp_path / "old") as old:
        new = Installation(tmp_path / "new")
        new.environment.pop("SECRET_KEY", None)
        new.environment["SECRET_KEY_FILE"] = str(new.folder / "secret_key")
        try:
            yield old, new
        finally:
            new.remove()


def run(
    script: str,
    file: Path,
    installation: Installation,
    passphrase: str = "a long random passphrase",
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    secret = file.with_suffix(".passphrase")
    secret.write_text(passphrase)
    return subprocess.run(
        [ROOT / "script" / script, file],
        env={**installation.environment, "PASSPHRASE_FILE": str(secret), "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def answers(installation: Installation, made: dict[str, str]) -> list[tuple[int, bytes]]:
    """The responses to each link: the picture by key, the record by session, the calendar by
    link.
    """
    site = f"http://127.0.0.1:{installation.port}"
    by_key = {"Authorization": f"Bearer {made['key']}"}
    asked = [
        httpx.get(f"{site}/api/v1/images/{made['image']}/file", headers=by_key, timeout=30),
        httpx.get(f"{site}/api/v1/patients/", cookies={"sessionid": made["session"]}, timeout=30),
        httpx.get(f"{site}/images/{made['image']}/", cookies={"sessionid": made["session"]}),
        httpx.get(f"{site}/calendar/{made['calendar']}.ics", timeout=30),
    ]
    return [(answer.status_code, answer.content) for answer in asked]


def test_all_comes_back_into_an_empty_installation(
    installations: tuple[Installation, Installation], tmp_path: Path
) -> None:
    old, new = installations
    made = json.loads(old.python("manage.py", "shell", "--no-imports", "-c", MAKE).splitlines()[-1])
    old.python("manage.py", "shell", "--no-imports", "-c", MAKE_AN_EXPORT)
    with old.running("web"):
        wait_until(lambda: "Serving" in old.log("web"), "the web is ready")
        before = answers(old, made)
        file = tmp_path / "backup.gpg"
        kept = run("backup", file, old)  # while it runs
        assert kept.returncode == 0, kept.stderr
    assert [status for status, _ in before] == [200] * 4
    data = file.read_bytes()
    assert not any(mark in data for mark in (b"\x89PNG\r\n", b"JFIF\x00\x01", "Müller".encode()))
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.part"))

    if not old.environment.get("DATABASE_URL"):
        assert "is not in it: keep a copy" in kept.stderr
        shutil.copy(old.folder / "encryption_key", new.folder)
    restored = run("restore", file, new)
    assert restored.returncode == 0, restored.stderr
    assert "Put it back" not in restored.stderr
    new.python("script/prepare.py")
    assert new.query(STATE) == [("queued",)]
    assert new.query("SELECT state, file FROM screening_export") == [("ended", "")]
    assert not (new.folder / "media" / "exports").exists()
    with new.running("web"), new.running("worker"):
        wait_until(lambda: "Serving" in new.log("web"), "the web is ready")
        after = answers(new, made)
        assert [status for status, _ in after] == [200] * 4
        assert after[0] == before[0]
        wait_until(lambda: new.query(STATE) == [("succeeded",)], "what waited is read", 120)
    verified = new.python("manage.py", "verify_reviews")
    assert "1 reviews, all as signed" in verified
    for folder in (old.folder, new.folder):
        assert not list((folder / "uploads").iterdir())

    again = run("restore", file, new)
    assert again.returncode != 0
    assert "empty installation" in again.stderr


@pytest.mark.parametrize("is_in_it", [True, False])
def test_the_operators_key_is_in_it_if_asked(
    installations: tuple[Installation, Installation], tmp_path: Path, is_in_it: bool
) -> None:
    old, new = installations
    if old.environment.get("DATABASE_URL"):
        pytest.skip("the key of the embedded installation")
    old.python("manage.py", "shell", "--no-imports", "-c", MAKE)
    old.environment["WITH_ENCRYPTION_KEY"] = str(int(is_in_it))
    file = tmp_path / "backup.gpg"
    kept = run("backup", file, old)
    assert kept.returncode == 0, kept.stderr
    assert ("is not in it: keep a copy" in kept.stderr) is not is_in_it
    restored = run("restore", file, new)
    assert restored.returncode == 0, restored.stderr
    assert ("Put it back" in restored.stderr) is not is_in_it
    keys = [(one.folder / "encryption_key").read_text() for one in (old, new)]
    assert (keys[0] == keys[1]) is is_in_it


def test_the_operators_key_comes_below_one_that_is_there(
    installations: tuple[Installation, Installation], tmp_path: Path
) -> None:
    """Whatever was started there first has made one."""
    old, new = installations
    if old.environment.get("DATABASE_URL"):
        pytest.skip("the key of the embedded installation")
    old.python("manage.py", "shell", "--no-imports", "-c", MAKE)
    old.environment["WITH_ENCRYPTION_KEY"] = "1"
    (new.folder / "encryption_key").write_text("cd" * 32)
    file = tmp_path / "backup.gpg"
    assert run("backup", file, old).returncode == 0
    restored = run("restore", file, new)
    assert restored.returncode == 0, restored.stderr
    assert "Put it back" not in restored.stderr
    kept = (old.folder / "encryption_key").read_text()
    assert (new.folder / "encryption_key").read_text().split() == ["cd" * 32, kept]


@pytest.mark.parametrize("times", [1, 9])
def test_a_backup_during_encryption_is_whole_or_fails(
    installations: tuple[Installation, Installation], tmp_path: Path, times: int
) -> None:
    old, new = installations
    old.python("manage.py", "shell", "--no-imports", "-c", MAKE)
    (tmp_path / "seals.py").write_text(
        "import django\nimport os\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'skincheck_site.settings'\n"
        f"django.setup()\n{SEALS_MEANWHILE}"
    )
    (tmp_path / "times").write_text(str(times))
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n"
        '[ "$1" = script/backup_archive.py ] && '
        f"PYTHONPATH=. exec {sys.executable} {tmp_path}/seals.py\n"
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o700)
    old.environment["TIMES"] = str(tmp_path / "times")
    file = tmp_path / "backup.gpg"
    kept = run("backup", file, old, python=str(python))
    assert "stored files were replaced" in kept.stderr
    assert (kept.returncode == 0) is file.exists() is (times == 1), kept.stderr
    if times == 9:
        assert "Nothing is backed up" in kept.stderr
        assert not list(tmp_path.glob("*.part"))
        return
    restored = run("restore", file, new)
    assert restored.returncode == 0, restored.stderr
    ((name,),) = new.query("SELECT file FROM screening_lesionimage")
    assert (new.folder / "media" / name).is_file()


def test_pictures_in_s3_come_back_in_another_bucket(
    installations: tuple[Installation, Installation], tmp_path: Path
) -> None:
    old, new = installations
    stores = Storage(), Storage()
    for one in installations:
        one.environment["ENCRYPTION_KEY"] = "ab" * 32
    old.environment |= stores[0].environment
    new.environment |= stores[1].environment
    del new.environment["SECRET_KEY"]
    file = tmp_path / "backup.gpg"
    with stores[0].there(), stores[1].there():
        old.python("manage.py", "shell", "--no-imports", "-c", MAKE)
        kept = run("backup", file, old)
        assert kept.returncode == 0, kept.stderr
        restored = run("restore", file, new)
        assert restored.returncode == 0, restored.stderr
        assert len(stores[0].objects) == 2  # the picture and its thumbnail
        assert stores[0].objects == stores[1].objects
        assert all(data.startswith(MAGIC) for data in stores[0].objects.values())
        new.python("script/prepare.py")
        with new.running("worker"):
            wait_until(lambda: new.query(STATE) == [("succeeded",)], "what waited is read")
        assert new.query("SELECT count(*) FROM screening_lesionimage") == [(1,)]


def test_nothing_is_restored_from_what_is_damaged(
    installations: tuple[Installation, Installation], tmp_path: Path
) -> None:
    old, new = installations
    file = tmp_path / "backup.gpg"
    assert run("backup", file, old).returncode == 0
    assert run("backup", file, old).returncode != 0  # it is not overwritten
    wrong = run("restore", file, new, "another passphrase, as long")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    spoilt = run("restore", file, new)
    file.write_bytes(data[: len(data) // 2])
    cut = run("restore", file, new)
    for refused in (wrong, spoilt, cut):
        assert refused.returncode != 0
        assert "Nothing was restored" in refused.stderr
    assert not list(new.folder.iterdir())
