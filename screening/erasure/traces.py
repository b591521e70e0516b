"""Digests of what was erased, and the search for it in every table and every stored file.

Identifiers and SHA-256s are random, so a plain digest gives nothing away. Names and addresses could
be guessed: their digests need the secret key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.files.storage import default_storage
from django.db import models

from screening.errors import Damaged
from screening.models import Trace
from screening.models.erasure import TRACE
from screening.models.fields import SealedBinaryField

_UUID = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}(?![0-9a-f])"
)
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_MAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_WORD = re.compile(r"[^\s,;:()<>\"“”]+")
_LONGEST_NAME = 4
"""Words."""
_SAYS_NOTHING = (
    models.BooleanField,
    models.DateField,
    models.DecimalField,
    models.DurationField,
    models.FloatField,
    models.IntegerField,
    models.TimeField,
    SealedBinaryField,
)
_TEXT_FILES = (".csv", ".json", ".jsonl", ".txt")
_CHUNK = 500
Kind = Trace.Kind
of_identifier = Trace.of_identifier


class Found(NamedTuple):
    """where: table, column and row, or the name of a file. digest: of the trace."""

    where: str
    digest: str


def of_name(text: str, key: str | None = None) -> str:
    """The digest of a name or an address; key: another than the current secret key."""
    secret = hmac.digest((key or settings.SECRET_KEY).encode(), TRACE, hashlib.sha256)
    return hmac.digest(secret, _plain(text).encode(), hashlib.sha256).hex()


def note(kind: str, digests: Iterable[str], *, at: datetime) -> None:
    rows = [Trace(digest=one, kind=kind, erased_at=at) for one in dict.fromkeys(digests)]
    Trace.objects.bulk_create(rows, ignore_conflicts=True, batch_size=_CHUNK)


def identifiers_in(value: Any) -> set[str]:
    """All UUIDs (without hyphens) and SHA-256s in a value of a column."""
    text = _text(value).lower()
    found = {one.replace("-", "") for one in _UUID.findall(text)}
    return found | set(_SHA256.findall(text))


def readable(row: models.Model) -> Any:
    """What a row says that is not plain in its columns: a session's data are encoded."""
    return row.get_decoded() if isinstance(row, Session) else None


class Search:
    """A search for traces. only: the digests to look for; all without them."""

    def __init__(self, only: Collection[str] | None = None) -> None:
        rows = Trace.objects.all()
        if only is not None:
            rows = rows.filter(digest__in=list(only))
        self._known = {row.digest: (row.kind, row.erased_at) for row in rows.iterator()}
        self._keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        self._has_names = any(kind == Kind.NAME for kind, _ in self._known.values())

    def __iter__(self) -> Iterator[Found]:
        yield from self.in_database()
        yield from self.in_storage()

    def in_database(self) -> Iterator[Found]:
        """Every column that can hold text, of every table of every model."""
        for model in apps.get_models(include_auto_created=True):
            if model is not Trace and model._meta.managed and not model._meta.proxy:
                yield from self._in_table(model)

    def in_storage(self, *, contents: bool = True) -> Iterator[Found]:
        """The names of all stored files; with ``contents`` also what is in them, and in archives
        of pictures. Raises StorageAway.
        """
        storage: Any = default_storage
        storage.require_there()
        for name in _stored(""):
            yield from self._in_value(name, name)
            if contents:
                yield from self._in_file(name)

    def _in_table(self, model: type[models.Model]) -> Iterator[Found]:
        fields = [one for one in model._meta.concrete_fields if _may_tell(one)]
        dated = any(one.attname == "created" for one in model._meta.concrete_fields)
        rows = model._base_manager.order_by().only(
            *(one.attname for one in fields), *(["created"] if dated else []), "pk"
        )
        for row in rows.iterator(chunk_size=_CHUNK):
            created = getattr(row, "created", None) if dated else None
            for field in fields:
                where = f"{model._meta.label}.{field.name} of {row.pk}"
                yield from self._in_value(field.value_from_object(row), where, created)
            yield from self._in_value(readable(row), f"{model._meta.label} {row.pk}", created)

    def _in_value(self, value: Any, where: str, created: datetime | None = None) -> Iterator[Found]:
        if value in (None, "", b""):
            return
        if isinstance(value, UUID):
            yield from self._known_of([of_identifier(value.hex)], where)
            return
        digests = {of_identifier(one) for one in identifiers_in(value)}
        if isinstance(value, bytes | memoryview):
            digests.add(of_identifier(hashlib.sha256(value).hexdigest()))
        elif self._has_names:
            names = _names_in(_text(value))
            digests |= {of_name(name, key) for name in names for key in self._keys}
        yield from self._known_of(digests, where, created)

    def _in_file(self, name: str) -> Iterator[Found]:
        storage: Any = default_storage
        try:
            if key := storage.data_key_of(name):
                yield from self._known_of([of_identifier(key.hex)], name)
            with storage.open(name) as file:
                whole = hashlib.file_digest(file, "sha256").hexdigest()
                yield from self._known_of([of_identifier(whole)], name)
                if zipfile.is_zipfile(file):
                    with zipfile.ZipFile(file) as archive:
                        for member in archive.infolist():
                            yield from self._in_member(archive, member, name)
        except (FileNotFoundError, Damaged):  # deleted meanwhile, or nobody can open it
            return

    def _in_member(
        self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str
    ) -> Iterator[Found]:
        where = f"{name}: {member.filename}"
        stored = default_storage.get_modified_time(name)
        yield from self._in_value(member.filename, where, stored)
        with archive.open(member) as part:
            digest = hashlib.file_digest(part, "sha256").hexdigest()  # type: ignore[arg-type]
        yield from self._known_of([of_identifier(digest)], where)
        if member.filename.endswith(_TEXT_FILES):
            with archive.open(member) as part:
                for line in part:
                    yield from self._in_value(line.decode(errors="replace"), where, stored)

    def _known_of(
        self, digests: Iterable[str], where: str, created: datetime | None = None
    ) -> Iterator[Found]:
        for digest in digests:
            if digest not in self._known:
                continue
            kind, erased_at = self._known[digest]
            # A later row with the name is another person's, or of someone who came back.
            if kind != Kind.NAME or created is None or created <= erased_at:
                yield Found(where, digest)


def _may_tell(field: models.Field[Any, Any]) -> bool:
    """Masks and features identify nobody, and one that cannot be opened must stop no erasure."""
    if isinstance(field, models.ForeignKey):
        return _may_tell(field.target_field)
    return not isinstance(field, _SAYS_NOTHING)


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("latin-1")
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _names_in(text: str) -> set[str]:
    """Every run of a few words, and every address."""
    words = [word.strip(".!?'") for word in _WORD.findall(text)]
    runs = {
        " ".join(words[start : start + length])
        for length in range(1, _LONGEST_NAME + 1)
        for start in range(len(words) - length + 1)
    }
    return runs | set(_MAIL.findall(text)) | {text}


def _stored(folder: str) -> Iterator[str]:
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:  # nothing was ever stored, or the folder was removed meanwhile
        return
    yield from (f"{folder}/{file}" if folder else file for file in sorted(files))
    for inner in sorted(folders):
        yield from _stored(f"{folder}/{inner}" if folder else inner)
