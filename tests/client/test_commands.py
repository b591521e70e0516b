"""The ``skincheck`` command against a live server: its effects, output and exit codes."""

from __future__ import annotations

import json
import stat
from datetime import date
from hashlib import sha256
from pathlib import Path
from unicodedata import normalize
from uuid import uuid4

import pytest
from pydicom.uid import VLPhotographicImageStorage

from screening.models import Lesion, LesionImage, Outcome, Prediction, State
from screening.predictions.advice import DISCLAIMER
from skincheck_client.command import folders
from tests.client.conftest import run, start
from tests.client.faulty import faulty_network
from tests.factories import (
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PredictionFactory,
    picture,
)
from tests.interop.dicoms import dicom
from tests.interop.dicoms import picture as drawn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]
LOGIN = (".config", "skincheck", "login.json")


def saved(folder: Path, names: dict[str, int]) -> Path:
    """Pictures in a folder, by their names below it and their seeds."""
    for name, seed in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(seed))
    return folder


def test_login_keeps_the_key_for_its_owner_alone(live_server, key, tmp_path, lesion, worker):
    done = run("login", "--url", live_server.url, home=tmp_path, stdin=f"{key}\n")
    assert (done.returncode, key in done.stdout + done.stderr) == (0, False)
    file = tmp_path.joinpath(*LOGIN)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"url": live_server.url, "key": key}
    (tmp_path / "mole.jpg").write_bytes(picture())
    assert run("screen", "mole.jpg", "--lesion", lesion.pk, home=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("url", "secret", "code", "text"),
    [
        ("", "sk_wrong", 3, "The key opens nothing"),
        ("", "", 2, "There is no key"),
        ("ftp://x", "sk_x", 2, "no address of a site"),
    ],
)
def test_a_login_that_is_wrong_is_not_kept(live_server, tmp_path, url, secret, code, text):
    done = run("login", "--url", url or live_server.url, home=tmp_path, stdin=f"{secret}\n")
    assert done.returncode == code
    assert text in done.stderr
    assert not tmp_path.joinpath(*LOGIN).exists()


def test_without_a_login_nothing_is_done(tmp_path, pictures):
    done = run("screen", pictures[0], "--lesion", uuid4(), home=tmp_path)
    assert (done.returncode, "Log in first" in done.stderr) == (3, True)


def test_a_stored_key_is_sent_to_its_own_site_only(live_server, key, tmp_path):
    run("login", "--url", live_server.url, home=tmp_path, stdin=f"{key}\n")
    done = run("watch", home=tmp_path, SKINCHECK_URL="https://elsewhere.example.org")
    assert (done.returncode, "another site" in done.stderr) == (3, True)


def test_screen_tells_the_outcome_whole(skincheck, lesion, pictures, worker):
    done = skincheck("screen", *pictures[:2], "--lesion", lesion.pk)
    assert done.returncode == 0, done.stderr
    assert LesionImage.objects.filter(lesion=lesion).count() == 2
    for prediction in Prediction.objects.all():
        assert str(Outcome(prediction.outcome_told).label) in done.stdout
        assert str(prediction.pk) in done.stdout
    assert done.stdout.count(DISCLAIMER) == 1
    assert done.stdout.splitlines()[-1] == DISCLAIMER


def test_screen_for_a_patient_opens_a_lesion_for_each_picture(skincheck, patient, pictures, worker):
    done = skincheck("screen", *pictures, "--patient", patient.pk, "--body-site", "back", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == [str(path) for path in pictures]
    assert all(row["outcome"] and row["disclaimer"] == DISCLAIMER for row in rows)
    assert {row["lesion"] for row in rows} == {
        str(pk) for pk in patient.lesions.values_list("pk", flat=True)
    }
    assert patient.lesions.filter(body_site="back").count() == 3


def test_a_picture_that_is_none_does_not_stop_the_others(skincheck, lesion, pictures, worker):
    pictures[0].write_bytes(b"no picture")
    done = skincheck("screen", pictures[0], "missing.jpg", pictures[1], "--lesion", lesion.pk)
    assert done.returncode == 1
    assert f"{pictures[0]}: file: " in done.stderr
    assert "missing.jpg: No such file" in done.stderr
    assert str(pictures[1]) in done.stdout
    assert LesionImage.objects.count() == 1


def test_a_reading_that_takes_too_long_is_said_and_watched(skincheck, lesion, pictures, worker):
    prediction = PredictionFactory(queued=True, image__lesion=lesion)
    done = skincheck("watch", "--timeout", "0.2")
    assert done.returncode == 1
    assert "is kept" in done.stderr
    Prediction.objects.update(
        state=State.FAILED, failure="The image cannot be read.", finished_at=prediction.created
    )
    done = skincheck("watch", prediction.pk)
    assert (done.returncode, "not read. The image cannot be read." in done.stdout) == (1, True)


def test_watch_with_nothing_to_wait_for(skincheck):
    done = skincheck("watch")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("stated", "kept"),
    [((), "clinical"), (("--modality", "dermatoscopic"), "dermatoscopic")],
)
def test_a_dicom_photograph_is_clinical_unless_stated(skincheck, patient, tmp_path, stated, kept):
    """Either is told, as the API remarks it."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "mole.dcm").write_bytes(dicom(SOPClassUID=VLPhotographicImageStorage))
    done = skincheck("upload", folder, "--patient", patient.pk, *stated)
    assert done.returncode == 0, done.stderr
    assert LesionImage.objects.get().modality == kept
    assert "mole.dcm: It" in done.stderr
    assert "ordinary photograph" in done.stderr


def test_upload_takes_a_folder_as_it_lies(skincheck, patient, lesion, tmp_path):
    folder = tmp_path / "pictures"
    saved(
        folder,
        {
            "Mole/2026-03-01.jpg": 1,
            "Mole/2026-06-01 later.JPG": 2,
            "Arm/one.jpg": 3,
            "loose.jpg": 4,
            ".hidden/five.jpg": 5,
        },
    )
    (folder / "notes.txt").write_text("no picture")
    arguments = ("upload", folder, "--patient", patient.pk, "--captured-on", "2025-01-02")
    done = skincheck(*arguments)
    assert done.returncode == 0, done.stderr
    found = {
        lesion.label: [image.captured_on for image in lesion.images.order_by("captured_on")]
        for lesion in patient.lesions.all()
    }
    assert found == {
        "Mole": [date(2026, 3, 1), date(2026, 6, 1)],
        "Arm": [date(2025, 1, 2)],
        "loose": [date(2025, 1, 2)],
    }
    # Run again, it adds only what is new.
    (folder / "Arm" / "two.jpg").write_bytes(picture(6))
    assert skincheck(*arguments).returncode == 0
    assert LesionImage.objects.count() == 5
    assert Lesion.objects.count() == 3


def test_upload_sends_nothing_that_is_there(skincheck, live_server, patient, tmp_path):
    folder = saved(tmp_path / "pictures", {"Mole/one.jpg": 1, "Arm/two.jpg": 2})
    arguments = ("upload", folder, "--patient", patient.pk)
    assert "2 pictures added, 0 there already" in skincheck(*arguments).stdout
    saved(folder, {"Mole/three.jpg": 3})
    with faulty_network(live_server.thread.port, {}) as network:
        done = skincheck(*arguments, "--json", port=network.port)
    assert sum(line.startswith("POST") for line in network.seen) == 1
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["id"] for row in rows} == set(
        map(str, LesionImage.objects.values_list("pk", flat=True))
    )
    assert Lesion.objects.count() == 2


def test_a_killed_upload_goes_on_where_it_was(live_server, key, patient, tmp_path):
    folder = saved(tmp_path / "pictures", {f"{n % 2}/{n}.jpg": n for n in range(6)})
    login = {"SKINCHECK_URL": live_server.url, "SKINCHECK_KEY": key}
    arguments = ("upload", folder, "--patient", patient.pk, "--json")
    started = start(*arguments, home=tmp_path, **login)
    assert started.stdout is not None
    for _ in range(2):
        started.stdout.readline()
    started.kill()
    started.communicate(timeout=60)
    assert LesionImage.objects.count() < 6
    assert run(*arguments, home=tmp_path, **login).returncode == 0
    assert (Lesion.objects.count(), LesionImage.objects.count()) == (2, 6)


def test_no_lesion_is_opened_for_a_refused_picture(skincheck, patient, tmp_path):
    folder = saved(tmp_path / "pictures", {"Mole/fine.jpg": 1})
    for name in ("Mole/broken.jpg", "Arm/broken.jpg", "broken.jpg"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("no picture")
    done = skincheck("upload", folder, "--patient", patient.pk)
    assert done.returncode == 1
    assert done.stderr.count("broken.jpg: file: ") == 3
    assert [lesion.label for lesion in Lesion.everything.all()] == ["Mole"]
    done = skincheck("screen", folder / "broken.jpg", "--patient", patient.pk)
    assert (done.returncode, Lesion.everything.count()) == (1, 1)


def test_a_dry_run_tells_and_stores_nothing(skincheck, live_server, patient, lesion, tmp_path):
    folder = saved(tmp_path / "pictures", {"Arm/one.jpg": 1, "Arm/two.jpg": 2, "Mole/new.jpg": 3})
    known = picture(4)
    (folder / "Mole" / "known.jpg").write_bytes(known)
    LesionImageFactory(lesion=lesion, sha256=sha256(known).hexdigest())
    (folder / "none.jpg").write_text("no picture")
    with faulty_network(live_server.thread.port, {}) as network:
        done = skincheck("upload", folder, "--patient", patient.pk, "--dry-run", port=network.port)
        rows = skincheck(
            "upload", folder, "--patient", patient.pk, "--dry-run", "--json", port=network.port
        )
    assert not any(line.startswith("POST") for line in network.seen)
    assert done.returncode == rows.returncode == 1
    assert "would open the lesion “Arm”" in done.stdout
    assert [json.loads(row)["would"] for row in rows.stdout.splitlines()] == [
        "open",
        "add",
        "skip",
        "add",
        "refuse",
    ]
    assert LesionImage.objects.count() == 1


def test_a_dry_run_of_screen_tells_and_stores_nothing(
    skincheck, live_server, patient, lesion, pictures
):
    known = picture(4)
    pictures[0].write_bytes(known)
    LesionImageFactory(lesion=lesion, sha256=sha256(known).hexdigest())
    pictures[2].write_text("no picture")
    names = ("screen", *pictures, pictures[1], "--dry-run")
    with faulty_network(live_server.thread.port, {}) as network:
        done = skincheck(*names, "--lesion", lesion.pk, port=network.port)
        rows = skincheck(*names, "--patient", patient.pk, "--json", port=network.port)
    assert not any(line.startswith("POST") for line in network.seen)
    assert done.returncode == rows.returncode == 1, done.stderr
    assert done.stdout.splitlines() == [
        f"{pictures[0]}: is there already",
        f"{pictures[1]}: would be added to the lesion",
        f"{pictures[2]}: is no picture, and would be refused",
        f"{pictures[1]}: is there already",
    ]
    told = [json.loads(row)["would"] for row in rows.stdout.splitlines()]
    assert told == ["skip", "open", "refuse", "skip"]
    unknown = skincheck("screen", pictures[0], "--dry-run", "--lesion", uuid4())
    assert (unknown.returncode, LesionImage.objects.count()) == (3, 1)


def test_names_are_the_same_however_they_are_composed(skincheck, patient, tmp_path):
    """A Mac writes an accent as a letter of its own, and another client may have."""
    LesionFactory(patient=patient, label=normalize("NFD", "Über"))
    folder = saved(tmp_path / "pictures", {normalize("NFD", "Über/one.jpg"): 1})
    saved(folder, {normalize("NFD", "Ärmel.jpg"): 2})
    assert skincheck("upload", folder, "--patient", patient.pk).returncode == 0
    labels = {lesion.label for lesion in patient.lesions.all()}
    assert labels == {normalize("NFD", "Über"), normalize("NFC", "Ärmel")}
    for twin in ("Über/two.jpg", "Ärmel.jpg"):
        saved(folder, {normalize("NFC", twin): 4})
        refused = skincheck("upload", folder, "--patient", patient.pk)
        assert (refused.returncode, "Rename one of them" in refused.stderr) == (2, True)
        (folder / normalize("NFC", twin)).unlink()


def test_dicom_files_need_no_ending(skincheck, patient, tmp_path):
    folder = tmp_path / "pictures"
    (folder / "Arm").mkdir(parents=True)
    (folder / "Arm" / "1.2.840.7").write_bytes(dicom(AcquisitionDateTime="20260105"))
    (folder / "2.25.9").write_bytes(dicom(image=drawn((280, 210))))
    done = skincheck("upload", folder, "--patient", patient.pk)
    assert done.returncode == 0, done.stderr
    found = LesionImage.objects.values_list("lesion__label", "captured_on")
    assert set(found) == {("Arm", date(2026, 1, 5)), ("2.25.9", date(2026, 1, 12))}


def test_lesions_of_like_names_are_kept_apart(tmp_path):
    names = [
        "a/Left/1.jpg",
        "b/Left/1.jpg",
        "Mole/1.jpg",
        "Mole.jpg",
        "spot.jpg",
        "one.png",
        "one.jpg",
    ]
    found = folders.in_folder(saved(tmp_path / "pictures", dict.fromkeys(names, 0)))
    assert {one.path.relative_to(tmp_path / "pictures").as_posix(): one.label for one in found} == {
        "a/Left/1.jpg": "a/Left",
        "b/Left/1.jpg": "b/Left",
        "Mole/1.jpg": "Mole",
        "Mole.jpg": "Mole.jpg",
        "spot.jpg": "spot",
        "one.png": "one.png",
        "one.jpg": "one.jpg",
    }


def test_a_dicom_file_with_burned_in_text_needs_a_word(skincheck, patient, tmp_path):
    (tmp_path / "mole.dcm").write_bytes(dicom(BurnedInAnnotation="YES"))
    arguments = ("screen", tmp_path / "mole.dcm", "--patient", patient.pk, "--timeout", "0.2")
    assert "burned into" in skincheck(*arguments).stderr
    assert not Lesion.everything.exists()
    assert "is kept" in skincheck(*arguments, "--allow-burned-in").stderr
    assert LesionImage.objects.get().has_burned_in_text


def test_upload_of_an_empty_folder(skincheck, patient, tmp_path):
    (tmp_path / "empty").mkdir()
    done = skincheck("upload", tmp_path / "empty", "--patient", patient.pk)
    assert (done.returncode, "no JPEG" in done.stderr) == (2, True)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_export_writes_what_the_filters_leave(skincheck, lesion, tmp_path, kind):
    monitored = PredictionFactory(image__lesion=lesion)
    PredictionFactory(image__lesion=lesion, outcome="not_assessable", reason="blurred")
    file = tmp_path / f"readings.{kind}"
    done = skincheck("export", file, "--outcome", "monitor", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"file": str(file), "left_out": ""}
    if kind == "parquet":
        assert file.read_bytes()[:4] == file.read_bytes()[-4:] == b"PAR1"
        return
    rows = file.read_text().splitlines()
    assert len(rows) == (2 if kind == "csv" else 1)
    assert str(monitored.pk) in rows[-1]


def test_export_says_what_is_missing_for_want_of_consent(skincheck, patient, tmp_path):
    clinic = MembershipFactory(user=patient.owner).clinic
    PredictionFactory(image__lesion__patient__clinic=clinic)
    done = skincheck("export", tmp_path / "readings.csv")
    assert done.returncode == 0, done.stderr
    assert "have not consented to research: rows=1, patients=1" in done.stdout


def test_export_into_a_kind_that_is_none(skincheck, tmp_path):
    done = skincheck("export", tmp_path / "readings.xlsx")
    assert (done.returncode, ".parquet" in done.stderr) == (2, True)


def test_what_a_key_may_not_do_ends_it_and_names_the_scope(
    live_server, patient, lesion, tmp_path, pictures
):
    from accounts import services

    _, secret = services.create_api_key(
        user=patient.owner, name="reads", scopes=["images:read", "predictions:read"]
    )
    login = {"SKINCHECK_URL": live_server.url, "SKINCHECK_KEY": secret}
    done = run("screen", *pictures, "--lesion", lesion.pk, home=tmp_path, **login)
    assert done.returncode == 3
    assert "images:write" in done.stderr


def test_another_ones_lesion_does_not_exist(skincheck, pictures):
    done = skincheck("screen", pictures[0], "--lesion", uuid4())
    assert (done.returncode, "lesion: There is no such lesion" in done.stderr) == (3, True)
