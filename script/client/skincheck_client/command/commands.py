"""The commands. Each returns the exit code."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from skincheck_client import Client, Invalid, NotFinished, Problem, images, lesions, predictions
from skincheck_client.command import folders, login, readings
from skincheck_client.command.failure import Exit, Failure
from skincheck_client.command.folders import Found, Record
from skincheck_client.command.progress import Progress
from skincheck_client.images import NewImage
from skincheck_client.resources import AddedImage, Image, PredictionDetail

OF_ONE_PICTURE = (400, 409, 413, 415)
"""The status of a refusal that does not affect the next picture."""


def log_in(options: Namespace) -> Exit:
    url = login.log_in(options.url)
    print(f"Logged in at {url}. The key is in {login.path()}, for you alone.")
    return Exit.DONE


def screen(options: Namespace) -> Exit:
    """Upload each picture, wait until it is read, and print the result."""
    site, code = login.site(), Exit.DONE
    sent: list[tuple[Path, AddedImage]] = []
    with Progress(2 * len(options.images), "steps") as progress:
        for path in options.images:
            try:
                image = _screened(site, path, options)
            except (OSError, Problem) as refused:
                code = _refused(progress, path, refused)
            else:
                sent.append((path, image))
                _remark(progress, path, image)
            progress.step()
        deadline = time.monotonic() + options.timeout
        for path, image in sent:
            try:
                code = max(code, _wait(site, progress, str(path), image, deadline, options.json))
            except NotFinished:
                text = "not read yet. The picture is kept and will be: skincheck watch"
                progress.say(f"{path}: {text}", error=True)
                code = Exit.INCOMPLETE
            progress.step()
    _disclaim(sent, options.json)
    return code


def upload(options: Namespace) -> Exit:
    """Add a folder of pictures to a patient, apart from those that are there. They are read in the
    background; this does not wait.
    """
    site, counts = login.site(), Counter[str]()
    found = folders.in_folder(options.folder)
    record = Record.of(site, options.patient)
    with Progress(len(found), "pictures") as progress:
        for one in found:
            try:
                data = one.path.read_bytes()
                known = record.image(one.label, data)
                image = known or _added(site, one, data, record, options)
            except (OSError, Problem) as refused:
                _refused(progress, one.path, refused)
                counts["refused"] += 1
            else:
                if options.json:
                    progress.say(readings.as_json({"file": str(one.path)} | image))
                else:
                    _remark(progress, one.path, image)
                counts["known" if known else "added"] += 1
            progress.step()
    if not options.json:
        print(
            f"{counts['added']} pictures added, {counts['known']} there already, "
            f"{counts['refused']} refused. To wait for the readings: skincheck watch"
        )
    return Exit.INCOMPLETE if counts["refused"] else Exit.DONE


def dry_screen(options: Namespace) -> Exit:
    """Print what ``screen`` would do, and store nothing."""
    site, code = login.site(), Exit.DONE
    if options.lesion:
        site.send(lesions.get(options.lesion))  # refused, as the pictures would be
        stored = images.list(lesion=options.lesion, page_size=200)
    else:
        stored = images.list(patient=options.patient, page_size=200)
    known = {row["sha256"] for row in site.each(stored)}
    for path in options.images:
        would, text = _screening(path, known, opens=not options.lesion)
        code = max(code, _foretell({"file": str(path), "would": would}, text, options))
    return code


def dry_upload(options: Namespace) -> Exit:
    """Print what ``upload`` would do, and store nothing."""
    site, code = login.site(), Exit.DONE
    found = folders.in_folder(options.folder)
    record = Record.of(site, options.patient)
    opened = set(record.lesions)
    for one in found:
        would, text = _prospect(one, record, opened)
        row = {"file": str(one.path), "lesion": one.label, "would": would}
        code = max(code, _foretell(row, text, options))
    return code


def watch(options: Namespace) -> Exit:
    """Print each reading once it is finished: those named, or all that are waiting now."""
    site, code = login.site(), Exit.DONE
    wanted = options.predictions or list(_unfinished(site))
    deadline = time.monotonic() + options.timeout
    last: PredictionDetail | None = None
    with Progress(len(wanted), "readings") as progress:
        for prediction in wanted:
            last = _finished(site, prediction, deadline)
            line = readings.as_json(last) if options.json else readings.told(last["image"], last)
            progress.say(line)
            progress.step()
            if not readings.is_read(last):
                code = Exit.INCOMPLETE
    if last and not options.json:
        print(last["disclaimer"])
    return code


def export(options: Namespace) -> Exit:
    """Write the readings that match the filters to a file, completely or not at all."""
    filters = {
        name: getattr(options, name)
        for name in ("lesion", "state", "outcome", "created_after", "created_before")
        if getattr(options, name)
    }
    kind = options.file.suffix.lstrip(".").lower()
    if kind not in ("csv", "jsonl", "parquet"):
        raise Failure("Name the file .csv, .jsonl or .parquet.", Exit.USAGE)
    try:
        left_out = login.site().save(predictions.export(kind, **filters), options.file)
    except OSError as error:
        raise Failure(f"{options.file}: {error.strerror}", Exit.USAGE) from None
    if options.json:
        print(readings.as_json({"file": str(options.file), "left_out": left_out}))
        return Exit.DONE
    print(f"The readings are in {options.file}. They are no diagnoses.")
    if left_out:
        print(f"Left out are those of patients who have not consented to research: {left_out}.")
    return Exit.DONE


def _screened(site: Client, path: Path, options: Namespace) -> AddedImage:
    about = _about(path, options)
    if options.lesion:
        return site.send(images.add(path, lesion=options.lesion, **about))
    if options.body_site:
        first = images.add_first(
            path, patient=options.patient, body_site=options.body_site, **about
        )
    else:
        first = images.add_first(path, patient=options.patient, **about)
    return site.send(first)


def _about(path: Path, options: Namespace) -> NewImage:
    about: NewImage = {}
    if options.modality:
        about["modality"] = options.modality
    if day := folders.taken_on(path, options.captured_on):
        about["captured_on"] = day
    for name in ("allow_burned_in", "allow_capture", "keep_identifiers"):
        if getattr(options, name):
            about[name] = True
    return about


def _wait(
    site: Client, progress: Progress, name: str, image: Image, deadline: float, as_json: bool
) -> Exit:
    reading = image["latest_prediction"]
    if reading is None:
        progress.say(f"{name}: stored, and no reading is there or queued.", error=True)
        return Exit.INCOMPLETE
    found = _finished(site, reading["id"], deadline)
    row = {"file": name} | found
    progress.say(readings.as_json(row) if as_json else readings.told(name, found))
    return Exit.DONE if readings.is_read(found) else Exit.INCOMPLETE


def _finished(site: Client, prediction: str, deadline: float) -> PredictionDetail:
    return site.wait(predictions.get(prediction), seconds=deadline - time.monotonic())


def _unfinished(site: Client) -> Iterator[str]:
    """The unfinished readings among all that the key sees."""
    for waiting in (predictions.list(state="queued"), predictions.list(state="running")):
        for row in site.each(waiting):
            yield row["id"]


def _added(site: Client, one: Found, data: bytes, record: Record, options: Namespace) -> AddedImage:
    """Open a lesion together with its first picture, or not at all."""
    about = _about(one.path, options)
    if one.label in record.lesions:
        return site.send(images.add(data, lesion=record.lesions[one.label], **about))
    first = images.add_first(data, patient=options.patient, label=one.label, **about)
    image = site.send(first)
    record.lesions[one.label] = image["lesion"]
    return image


def _screening(path: Path, known: set[str], *, opens: bool) -> tuple[str, str]:
    """What would happen to the picture, as a code and in words. known: by SHA-256."""
    data = _picture(path)
    if isinstance(data, str):
        return "refuse", data
    digest = sha256(data).hexdigest()
    if digest in known:
        return "skip", "is there already"
    known.add(digest)
    return ("open", "would open a lesion") if opens else ("add", "would be added to the lesion")


def _prospect(one: Found, record: Record, opened: set[str]) -> tuple[str, str]:
    """What would happen to the picture, as a code and in words. opened: labels of lesions."""
    data = _picture(one.path)
    if isinstance(data, str):
        return "refuse", data
    if record.image(one.label, data):
        return "skip", f"is there already, on “{one.label}”"
    if one.label in opened:
        return "add", f"would be added to “{one.label}”"
    opened.add(one.label)
    return "open", f"would open the lesion “{one.label}”"


def _picture(path: Path) -> bytes | str:
    """What is in the file, or why it would be refused."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return error.strerror or "the file cannot be read"
    return data if folders.is_picture(data) else "is no picture, and would be refused"


def _foretell(row: dict[str, str], text: str, options: Namespace) -> Exit:
    print(readings.as_json(row) if options.json else f"{row['file']}: {text}")
    return Exit.INCOMPLETE if row["would"] == "refuse" else Exit.DONE


def _refused(progress: Progress, path: Path, error: OSError | Problem) -> Exit:
    """Report the error and continue, unless the next one would be rejected for the same reason."""
    if isinstance(error, Problem):
        named = {one.get("pointer") for one in error.errors} & {"/patient", "/lesion"}
        if error.status not in OF_ONE_PICTURE or (isinstance(error, Invalid) and named):
            raise error
    text = (error.strerror or "the file cannot be read") if isinstance(error, OSError) else error
    progress.say(f"{path}: {text}", error=True)
    return Exit.INCOMPLETE


def _remark(progress: Progress, path: Path, image: Image) -> None:
    """What the site remarks on a picture that was added. On stderr: programs read the results."""
    if words := image.get("remark"):
        progress.say(f"{path}: {words}", error=True)


def _disclaim(sent: list[tuple[Path, AddedImage]], as_json: bool) -> None:
    told = [image["latest_prediction"] for _, image in sent]
    disclaimers = [one["disclaimer"] for one in told if one]
    if disclaimers and not as_json:
        print(disclaimers[0])
