"""Uploads of several pictures, with a message for each file by name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler
from django.http import JsonResponse
from django.urls import reverse

from accounts.models import User
from ml.opening.limits import MAX_BYTES
from screening.batches.archives import MAX_ARCHIVE_BYTES
from screening.errors import Busy
from screening.formatting import day
from screening.images.duplicates import SamePicture
from screening.interop.dicom.services import add_image
from screening.models import Lesion, LesionImage
from screening.operations.transience import is_full, is_transient
from screening.web.forms.images import ImageForm

logger = logging.getLogger(__name__)

NO_ROOM = "There is no room left for it. Try again later, or tell whoever runs this site."
AWAY = "It could not be saved. Try again in a few minutes."


class CappedUploadHandler(FileUploadHandler):
    """Accepts enough of a file to see that it is too large and discards the rest, so that an
    endless upload cannot fill the disk before it is rejected. Archives are accepted only at their
    own addresses and only from logged-in users, because a page's form is read before any other
    check.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._most = MAX_ARCHIVE_BYTES if self._takes_archives() else MAX_BYTES

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return raw_data if start <= self._most else None

    def _takes_archives(self) -> bool:
        request: Any = self.request
        name = request.resolver_match.view_name if request.resolver_match else ""
        return name == "api:batch-list" or (name == "batch_new" and request.user.is_authenticated)

    def file_complete(self, file_size: int) -> None:
        return None


class OnDiskUploadHandler(TemporaryFileUploadHandler):
    """Django's handler leaves the file behind when the disk is full; this one deletes it."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        with self._removed_on_error():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        with self._removed_on_error():
            return super().file_complete(file_size)

    @contextmanager
    def _removed_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            with suppress(OSError):  # closing it flushes the buffer
                self.file.close()
            raise


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one file. image: None if it was rejected; message: why, or a remark.
    elsewhere: the same picture on another lesion, which is why it was not added.
    """

    name: str
    image: LesionImage | None
    is_new: bool
    message: str
    elsewhere: LesionImage | None = None


def add_all(*, user: User, lesion: Lesion, form: ImageForm) -> list[Result]:
    """Add each file of a valid form separately: a rejected one does not block the others."""
    fields = {name: value for name, value in form.cleaned_data.items() if name != "file"}
    return [
        _add(user=user, lesion=lesion, file=file, fields=fields)
        for file in form.cleaned_data["file"]
    ]


def as_json(form: ImageForm, results: list[Result]) -> JsonResponse:
    """For ``static/js/upload.js``: 400 with the form's errors, else 200 with each file's result."""
    if form.errors:
        return JsonResponse(
            {"errors": [e for many in form.errors.values() for e in many]}, status=400
        )
    return JsonResponse(
        {
            "results": [
                {
                    "name": result.name,
                    "url": reverse("image", args=[result.image.pk]) if result.image else None,
                    "is_new": result.is_new,
                    "message": result.message,
                    **_elsewhere(result),
                }
                for result in results
            ]
        }
    )


def _elsewhere(result: Result) -> dict[str, str]:
    """Where the same picture is, if that is why it was not added."""
    same = result.elsewhere
    return {"elsewhere": reverse("image", args=[same.pk])} if same else {}


def _add(*, user: User, lesion: Lesion, file: UploadedFile, fields: dict[str, Any]) -> Result:
    name = file.name or "picture"
    try:
        added = add_image(user=user, lesion=lesion, file=file, **fields)
    except SamePicture as same:
        return Result(name, None, False, " ".join(same.messages), same.image)
    except ValidationError as error:
        return Result(name, None, False, " ".join(error.messages))
    except Busy:
        return Result(
            name, None, False, "Many pictures are arriving right now. Try this one again."
        )
    except Exception as error:  # files added before it must still be reported
        if not is_transient(error):
            raise
        logger.exception("a picture was not stored")
        return Result(name, None, False, NO_ROOM if is_full(error) else AWAY)
    if not added.is_new:
        here = _already_here(added.image, fields)
        return Result(name, added.image, False, f"{here} {added.remark}".rstrip())
    words = [f"From the file: {'; '.join(added.taken_over)}."] * bool(added.taken_over)
    if fields["captured_on"] is None:
        words.insert(0, f"Saved as taken on {day(added.image.captured_on)}.")
    kind = added.image.words_on_kind(fields["modality"])
    words += [kind, added.remark, added.image.removed_words]
    return Result(name, added.image, True, " ".join(filter(None, words)))


def _already_here(image: LesionImage, sent: dict[str, Any]) -> str:
    """For a picture already on the lesion: its day and kind stay, whatever was sent with it."""
    words = f"Already here: taken on {day(image.captured_on)}, added {day(image.created)}."
    if sent["captured_on"] not in (None, image.captured_on):
        given = day(sent["captured_on"])
        words += f" You gave {given}: open the picture and correct its day, if that is right."
    return " ".join(filter(None, (words, image.words_on_kind(sent["modality"]))))
