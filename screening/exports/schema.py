"""The JSON Schema of the records, made from the models. It is part of each export, and an import
checks each row with it.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from screening.exports.records import KINDS, Kind
from screening.models import Act, Through

FORMAT, VERSION = "skincheck-export", 1

Schema = dict[str, Any]

_TEXT: dict[type[models.Field[Any, Any]], Schema] = {
    models.UUIDField: {"format": "uuid"},
    models.DateTimeField: {"format": "date-time"},
    models.DateField: {"format": "date"},
    models.TimeField: {"format": "time"},
    models.DecimalField: {"pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
    models.BinaryField: {"contentEncoding": "base64"},
}


_ID: Schema = {"type": "string", "format": "uuid"}
_PERSON: Schema = {"id": _ID, "first_name": {"type": "string"}, "last_name": {"type": "string"}}
_CLINIC: Schema = {
    "id": _ID,
    "name": {"type": "string"},
    "review_before_reading": {"type": "boolean"},
    "requires_second_factor": {"type": "boolean"},
}
_NEWER_OF_CLINIC: Schema = {"requires_bound_keys": {"type": "boolean"}}
"""Of a clinic, what older exports lack."""
_PROFILE: Schema = {
    **_PERSON,
    "email": {"type": "string", "format": "email"},
    "date_joined": {"type": "string", "format": "date-time"},
    "last_login": {"type": ["string", "null"], "format": "date-time"},
    "mails_reminders": {"type": "boolean"},
}
_FILE: Schema = {
    "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "bytes": {"type": "integer", "minimum": 0},
}
_FILE_SAID: Schema = {"type": "object", "properties": _FILE, "required": list(_FILE)}
_MANIFEST: Schema = {
    "format": {"const": FORMAT},
    "version": {"const": VERSION},
    "files": {"type": "object", "additionalProperties": _FILE_SAID},
    "missing": {"type": "array", "items": {"type": "string"}},
}


_DIGITS: Schema = {"type": "string", "pattern": "^[0-9a-f]+$"}
"""The schema of the key and the signature, which older exports lack."""


def _object(properties: Schema) -> Schema:
    """An object with the properties that an import reads. It may have more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


DOCUMENTS: dict[str, Schema] = {
    "manifest.json": {
        **_object(_MANIFEST),
        "properties": {**_MANIFEST, "signed_by": _DIGITS, "signature": _DIGITS},
    },
    "people.json": {"type": "array", "items": _object(_PERSON)},
    "clinics.json": {
        "type": "array",
        "items": {**_object(_CLINIC), "properties": {**_CLINIC, **_NEWER_OF_CLINIC}},
    },
    "account.json": _object(_PROFILE),
}


_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
ACCESS: Schema = {
    "type": "object",
    "description": "Who looked at the records or changed them.",
    "properties": {
        "number": {"type": "integer", "minimum": 1},
        "at": {"type": "string", "format": "date-time"},
        "act": {"enum": Act.values},
        "through": {"enum": Through.values},
        "what": {"type": "string", "description": "The address, task or command by its name."},
        "actor": {"type": ["string", "null"], "format": "uuid"},
        "name": {"type": "string", "description": "Of the account, as long as it is there."},
        "records": {"type": "object", "additionalProperties": _TEXTS},
        "changes": {"type": "object", "additionalProperties": _TEXTS},
    },
}
ACCESS |= {"required": list(ACCESS["properties"]), "additionalProperties": False}
"""A line of ``accesses.jsonl``. records: by kind; changes: names of fields by record. Both are
empty if others' records were accessed as well.
"""


def schema() -> Schema:
    """The schemas of all files by name, in ``$defs``: of each line of the files in ``records/``,
    and of the other files.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{FORMAT} {VERSION}",
        "$defs": {
            **{kind.name: of_kind(kind) for kind in KINDS},
            "accesses.jsonl": ACCESS,
            **DOCUMENTS,
        },
    }


def of_kind(kind: Kind) -> Schema:
    properties = {one.name: _of_field(one) for one in kind.fields}
    return {
        "type": "object",
        "description": kind.about,
        "properties": properties,
        "required": [name for name in properties if name not in kind.newer],
        "additionalProperties": False,
    }


def _of_field(field: Any) -> Schema:
    about: Schema = {"description": str(field.help_text)} if field.help_text else {}
    if isinstance(field, models.JSONField):
        return about
    if field.is_relation:
        about = {"description": f"Of {field.related_model._meta.verbose_name_plural}.", **about}
        field_type = field.target_field
    else:
        field_type = field
    found = _of_type(field_type)
    if field.null:
        found["type"] = [found["type"], "null"]
    if field.choices:
        values = [value for value, _ in field.choices]
        blank = [""] if field.blank and "" not in values else []
        found["enum"] = [*values, *blank, *([None] if field.null else [])]
    return {**found, **about}


def _of_type(field: Any) -> Schema:
    match field:
        case models.BooleanField():
            return {"type": "boolean"}
        case models.IntegerField():
            return {"type": "integer"}
        case models.FloatField():
            return {"type": "number"}
    found = next((more for kind, more in _TEXT.items() if isinstance(field, kind)), {})
    longest = {"maxLength": field.max_length} if field.max_length and not found else {}
    return {"type": "string", **found, **longest}
