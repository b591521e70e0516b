"""Import an export of another installation. For operators: it trusts the file on who did what, but
gives nobody in the file access to an account here.

Identifiers stay. ``docs/export.md`` lists what differs afterwards.
"""

from __future__ import annotations

import secrets
import zipfile
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import IO, Any
from uuid import UUID

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.files.base import ContentFile
from django.db import DataError, IntegrityError, connection, models, transaction
from django.utils import timezone
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaError

from accounts import services as account_services
from accounts.models import Clinic, User
from screening.errors import ArchiveRefused
from screening.exports import records
from screening.exports.records import KINDS, Kind
from screening.exports.schema import DOCUMENTS, of_kind
from screening.models import (
    ACTIVE_BATCH,
    Batch,
    Event,
    LesionImage,
    Patient,
    PredictionMaps,
    Review,
    Share,
    Trace,
)
from screening.models.fields import SealedBinaryField
from screening.models.signatures import export_holds, export_keys
from screening.reviews import services as review_services
from screening.webhooks.outbox import announce_about
from skincheck_site import untrusted_json

MAX_LINE_BYTES = 20_000_000
MAX_DOCUMENT_BYTES = 100_000_000
_CHUNK = 1_000_000
_BEGINS = {"jpg": b"\xff\xd8\xff", "png": b"\x89PNG\r\n"}
OWNER_HERE = (
    "Somebody has an account here with the address in the file. Name it as the owner to put the "
    "record into it."
)
CLINIC_HERE = "The clinic in the file exists here. Name it, or another, as the clinic."
UNSIGNED = (
    "The file is not signed: it is older than signatures, or somebody removed it. Import it with "
    "--unsigned only if you know where it comes from."
)
SIGNED_ELSEWHERE = (
    "Another site signed the file, with the key {}. Ask that site for its key (manage.py "
    "export_key) and, if it is this one, name it with --signed-by."
)
PERSON_HERE = "The file names {} as an account that exists here: nobody can speak for it."


def import_export(
    file: IO[bytes],
    *,
    owner: User | None = None,
    clinic: Clinic | None = None,
    signed_by: str = "",
    unsigned: bool = False,
) -> Counter[str]:
    """Import all of the file, or nothing. Returns the number of rows by kind.

    owner: the account that gets a person's own records; without it, one is created with the address
    in the file and without a password. clinic: the clinic that gets its patients; without it, the
    file's clinic is created, without members. signed_by: the public key of another site whose
    exports are accepted too. unsigned: accept a file without a signature, or signed by an unknown
    site. Raises ArchiveRefused.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            source = _Source(archive)
            source.check()
            source.require_signature(signed_by, unsigned=unsigned)
            return _Import(source, owner, clinic).run()
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError) as error:
        raise ArchiveRefused(f"The file is damaged: {error}") from None


class _Source:
    """The ZIP and its manifest."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        manifest = self._json("manifest.json")
        self._manifest = manifest
        self.files: dict[str, Any] = manifest["files"]
        self.missing = set(manifest["missing"])

    def check(self) -> None:
        """Check that every file is there once, and as the manifest says."""
        names = [one.filename for one in self._archive.infolist()]
        if len(set(names)) != len(names) or set(names) != {*self.files, "manifest.json"}:
            raise ArchiveRefused("The files are not those that the manifest lists.")
        for name, said in self.files.items():
            digest, size = sha256(), 0
            with self._archive.open(name) as entry:
                while size <= said["bytes"] and (part := entry.read(_CHUNK)):
                    digest.update(part)
                    size += len(part)
            if (digest.hexdigest(), size) != (said["sha256"], said["bytes"]):
                raise ArchiveRefused(f"{name} is not as it was written.")

    def require_signature(self, signed_by: str, *, unsigned: bool) -> None:
        """Check that a known site signed the manifest, and thereby every file. Raises
        ArchiveRefused; with ``unsigned`` only for an invalid signature.
        """
        content = {name: said for name, said in self._manifest.items() if name != "signature"}
        key, signature = content.get("signed_by", ""), self._manifest.get("signature", "")
        if not signature:
            if not unsigned:
                raise ArchiveRefused(UNSIGNED)
        elif not export_holds(content, signature, key):
            raise ArchiveRefused("The manifest is not as it was signed.")
        elif key not in (*export_keys(), signed_by.strip().lower()) and not unsigned:
            raise ArchiveRefused(SIGNED_ELSEWHERE.format(key))

    def document(self, name: str) -> Any:
        """The parsed document; None if there is no such file."""
        return self._json(name) if name in self.files else None

    def rows(self, kind: Kind) -> Iterator[records.Row]:
        """Rows that match the schema; none from a file older than the kind. Raises
        ArchiveRefused.
        """
        name = f"records/{kind.name}.jsonl"
        if name not in self.files:
            if kind.is_newer:
                return
            raise ArchiveRefused(f"{name} is missing.")
        check = Draft202012Validator(of_kind(kind))
        with self._archive.open(name) as lines:
            number = 0
            while line := lines.readline(MAX_LINE_BYTES):
                number += 1
                try:
                    row = untrusted_json.loads(line)
                    check.validate(row)
                except (ValueError, SchemaError) as error:
                    raise ArchiveRefused(f"{name}, line {number}: {_said(error)}") from None
                yield row

    def picture(self, path: str) -> ContentFile[bytes] | None:
        """The picture; None if it was lost before the export. Raises ArchiveRefused."""
        if path in self.missing:
            return None
        extension = path.rpartition(".")[2]
        if path not in self.files or extension not in _BEGINS:
            raise ArchiveRefused(f"The picture {path} is missing.")
        if self.files[path]["bytes"] > MAX_DOCUMENT_BYTES:
            raise ArchiveRefused(f"{path} is too large for a picture.")
        data = self._archive.read(path)
        if not data.startswith(_BEGINS[extension]):
            raise ArchiveRefused(f"{path} is not the picture that its name says.")
        return ContentFile(data, name=path)

    def _json(self, name: str) -> Any:
        try:
            size = self._archive.getinfo(name).file_size
            if size > MAX_DOCUMENT_BYTES:
                raise ArchiveRefused(f"{name} is too large.")
            found = untrusted_json.loads(self._archive.read(name))
            Draft202012Validator(DOCUMENTS[name]).validate(found)
        except KeyError:
            raise ArchiveRefused(f"This is no export of SkinCheck: it has no {name}.") from None
        except (ValueError, SchemaError) as error:
            raise ArchiveRefused(f"{name}: {_said(error)}") from None
        return found


def _said(error: Exception) -> str:
    return error.message[:200] if isinstance(error, SchemaError) else "This is no JSON."


def _was_erased(identifier: str) -> bool:
    return Trace.objects.filter(pk=Trace.of_identifier(identifier)).exists()


class _Import:
    def __init__(self, source: _Source, owner: User | None, clinic: Clinic | None) -> None:
        self._source, self._owner, self._clinic = source, owner, clinic
        self._account = source.document("account.json")
        self._users: dict[UUID, UUID] = {}
        self._clinics: dict[UUID, UUID] = {}
        self._stored: list[Any] = []

    def run(self) -> Counter[str]:
        try:
            with transaction.atomic():
                self._refuse_erased()
                self._take_clinics()
                self._take_people()
                counts = Counter({kind.name: self._take(kind) for kind in KINDS})
                connection.check_constraints()
                return counts
        except (IntegrityError, DataError, ObjectDoesNotExist) as error:
            self._forget()
            raise ArchiveRefused(f"It contradicts what is here: {error}") from None
        except BaseException as error:
            self._forget()
            if isinstance(error, ValidationError):
                raise ArchiveRefused(" ".join(error.messages)) from None
            raise

    def _forget(self) -> None:
        for file in self._stored:
            file.storage.delete(file.name)

    def _refuse_erased(self) -> None:
        """Refuse records that were erased here: a search for traces would find them, and the next
        restore would erase them again.
        """
        for row in self._source.rows(KINDS[0]):
            if _was_erased(row["id"]):
                raise ArchiveRefused(f"The record {row['id']} was erased here.")

    def _take_clinics(self) -> None:
        for said in self._source.document("clinics.json") or []:
            pk = UUID(said["id"])
            if self._clinic is not None:
                self._clinics[pk] = self._clinic.pk
                continue
            if Clinic.objects.filter(pk=pk).exists():
                raise ArchiveRefused(CLINIC_HERE)
            Clinic.objects.create(
                pk=pk,
                name=said["name"],
                review_before_reading=said["review_before_reading"],
                requires_second_factor=said["requires_second_factor"],
                requires_bound_keys=said.get("requires_bound_keys", False),
            )
            self._clinics[pk] = pk

    def _take_people(self) -> None:
        owners = {row["owner"] for row in self._source.rows(KINDS[0]) if row["owner"]}
        people = {one["id"]: one for one in self._source.document("people.json") or []}
        if self._account is not None:
            people[self._account["id"]] = self._account
            owners.add(self._account["id"])
        for said in people.values():
            pk = UUID(said["id"])
            if said["id"] in owners and self._owner is not None:
                self._users[pk] = self._owner.pk
            else:
                self._users[pk] = self._person(pk, said)

    def _person(self, pk: UUID, said: dict[str, Any]) -> UUID:
        if _was_erased(said["id"]):
            raise ArchiveRefused(f"The account {said['id']} was erased here.")
        known = User.objects.filter(pk=pk).first()
        email = said.get("email", "")
        if known is not None and not (known.is_elsewhere and not email):
            raise ArchiveRefused(PERSON_HERE.format(said["id"]))
        if email and User.objects.filter(email=email.lower()).exists():
            raise ArchiveRefused(OWNER_HERE)
        if known is None:
            names = {name: said[name] for name in ("first_name", "last_name")}
            if email:
                fields: Any = User._meta.get_field
                more = ("date_joined", "last_login", "mails_reminders")
                names |= {name: fields(name).to_python(said[name]) for name in more}
            account_services.add_from_elsewhere(pk=pk, email=email, **names)
        return pk

    def _take(self, kind: Kind) -> int:
        rows = self._source.rows(kind)
        if kind.model is Review:  # the chain follows the order in which they were signed
            rows = iter(sorted(rows, key=lambda row: row["number"]))
        count = 0
        for said in rows:
            row = kind.model(**self._mapped(kind, records.read(kind, said)))
            self._prepare(row)
            # Raw, so that ``modified`` stays as it was.
            row.save_base(raw=True, force_insert=True)
            if isinstance(row, Patient):
                announce_about(row, Event.PATIENT_CREATED)
            count += 1
        return count

    def _mapped(self, kind: Kind, values: dict[str, Any]) -> dict[str, Any]:
        """Replace the identifiers of accounts and clinics by those of this installation."""
        for one in kind.fields:
            known = {User: self._users, Clinic: self._clinics}.get(one.related_model)
            if known is not None and values.get(one.attname) is not None:
                if values[one.attname] not in known:
                    raise ArchiveRefused(f"{kind.name} name somebody who is not in the file.")
                values[one.attname] = known[values[one.attname]]
        return values

    def _prepare(self, row: models.Model) -> None:
        match row:
            case Patient():
                if Patient.everything.filter(pk=row.pk).exists():
                    raise ArchiveRefused(f"The record {row.pk} is here already.")
            case LesionImage():
                self._store(row)
            case PredictionMaps():  # a raw row bypasses the fields that encrypt
                for one in row._meta.concrete_fields:
                    if isinstance(one, SealedBinaryField):
                        setattr(row, one.attname, one.sealed(row))
            case Review():
                review_services.sign_again(row)
            case Share():  # nobody has a link to it here
                row.secret_sha256 = Share.digest(secrets.token_urlsafe(32))
                row.revoked_at = row.revoked_at or timezone.now()
            case Batch() if row.state in ACTIVE_BATCH:  # its archive stayed behind
                row.state = Batch.State.CANCELLED
                row.failure = "It was imported without its archive."

    def _store(self, image: LesionImage) -> None:
        for file in (image.file, image.thumbnail):
            content = self._source.picture(str(file.name))
            if content is None:
                file.name = file.field.generate_filename(image, str(file.name))
            else:
                file.save(str(file.name), content, save=False)
                self._stored.append(file)
