"""The commands. Each returns the exit code."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

from skincheck_client import login, pictures, readings
from skincheck_client.failure import Exit, Failure, Refused
from skincheck_client.progress import Progress
from skincheck_client.site import Json, Site


def log_in(options: Namespace) -> Exit:
    url = login.log_in(options.url)
    print(f"Logged in at {url}. The key is in {login.path()}, for you alone.")
    return Exit.DONE


def screen(options: Namespace) -> Exit:
    """Upload each picture, wait until it is read, and print the result."""
    site, code = login.site(), Exit.DONE
    sent: list[tuple[Path, Json]] = []
    with Progress(2 * len(options.images), "steps") as progress:
        for path in options.images:
            try:
                sent.append((path, _screened(site, path, options)))
            except Refused as refused:
                code = _refused(progress, path, refused)
            progress.step()
        deadline = time.monotonic() + options.timeout
        for path, image in sent:
            try:
                code = max(code, _wait(site, progress, str(path), image, deadline, options.json))
            except Failure as failure:
                if failure.code != Exit.INCOMPLETE:
                    raise
                progress.say(f"{path}: {failure}", error=True)
                code = Exit.INCOMPLETE
            progress.step()
    _disclaim(sent, options.json)
    return code


def upload(options: Namespace) -> Exit:
    """Add a folder of pictures to a patient. They are read in the background; this does not
    wait.
    """
    site, code = login.site(), Exit.DONE
    found = pictures.in_folder(options.folder)
    known = pictures.lesions_by_label(site, options.patient)
    with Progress(len(found), "pictures") as progress:
        for one in found:
            try:
                image = _added(site, one, known, options)
            except Refused as refused:
                code = _refused(progress, one.path, refused)
            else:
                if options.json:
                    progress.say(readings.as_json({"file": str(one.path)} | image))
            progress.step()
    if not options.json:
        print(f"{len(found)} pictures. To wait for the readings: skincheck watch")
    return code


def watch(options: Namespace) -> Exit:
    """Print each reading once it is finished: those named, or all that are waiting now."""
    site, code = login.site(), Exit.DONE
    wanted = options.predictions or list(pictures.unfinished(site))
    deadline = time.monotonic() + options.timeout
    last: Json = {}
    with Progress(len(wanted), "readings") as progress:
        for prediction in wanted:
            last = readings.finished(site, prediction, deadline)
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
        login.site().download("predictions/export/", options.file, file_type=kind, **filters)
    except OSError as error:
        raise Failure(f"{options.file}: {error.strerror}", Exit.USAGE) from None
    if options.json:
        print(readings.as_json({"file": str(options.file)}))
    else:
        print(f"The readings are in {options.file}. They are no diagnoses.")
    return Exit.DONE


def _screened(site: Site, path: Path, options: Namespace) -> Json:
    picture = pictures.read(path)
    lesion = options.lesion or pictures.open_lesion(
        site, options.patient, picture, options.body_site
    )
    day = pictures.taken_on(path, options.captured_on)
    return pictures.add(site, lesion, picture, day, options.modality)


def _wait(
    site: Site, progress: Progress, name: str, image: Json, deadline: float, as_json: bool
) -> Exit:
    reading = image["latest_prediction"]
    if reading is None:
        progress.say(f"{name}: stored, and no reading is there or queued.", error=True)
        return Exit.INCOMPLETE
    reading = readings.finished(site, reading["id"], deadline)
    row = {"file": name} | reading
    progress.say(readings.as_json(row) if as_json else readings.told(name, reading))
    return Exit.DONE if readings.is_read(reading) else Exit.INCOMPLETE


def _added(site: Site, one: pictures.Found, known: dict[str, str], options: Namespace) -> Json:
    picture = pictures.read(one.path)
    if one.label not in known:
        body = {"patient": options.patient, "label": one.label}
        known[one.label] = str(site.post("lesions/", body)["id"])
    day = pictures.taken_on(one.path, options.captured_on)
    return pictures.add(site, known[one.label], picture, day, options.modality)


def _refused(progress: Progress, path: Path, refused: Refused) -> Exit:
    """Report the error and continue, unless the next one would be rejected for the same reason."""
    if refused.status in (403, 404):
        raise refused
    progress.say(f"{path}: {refused}", error=True)
    return Exit.INCOMPLETE


def _disclaim(sent: list[tuple[Path, Json]], as_json: bool) -> None:
    told = [image["latest_prediction"] for _, image in sent if image["latest_prediction"]]
    if told and not as_json:
        print(told[0]["disclaimer"])
