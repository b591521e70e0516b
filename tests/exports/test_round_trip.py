"""An export is imported into an empty installation and exported again: nothing is lost."""

from __future__ import annotations

import json
import zipfile
from hashlib import sha256
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.urls import reverse
from jsonschema import Draft202012Validator

from accounts.models import Clinic, User
from accounts.roles import Role
from screening.corrections import moves
from screening.errors import ArchiveRefused
from screening.exports import imports
from screening.exports.records import KINDS, LEFT_OUT
from screening.models import Batch, DoctorVisit, Patient, Review, Share
from screening.models.signatures import export_keys, sign_export
from screening.privacy import services as audit
from screening.reviews import chain
from screening.sealing import MAGIC
from tests.clients import Browser
from tests.exports.conftest import file_of, made
from tests.factories import (
    ClinicFactory,
    LesionFactory,
    LesionImageFactory,
    MembershipFactory,
    PatientFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

# What docs/export.md says is not as it was.
RESIGNED = {"number", "previous_signature", "signature"}
# What the first exports did not have.
BEFORE = {
    "visits": {"shown_at", "supersedes", "settles"},
    "reviews": {"shown_at"},
    "histologies": {"shown_at", "withdrawn_at", "withdrawn_by", "withdrawn_because"},
    "corrections": {"histology"},
    "shares": {"message"},
}


def contents(file: BytesIO) -> dict[str, Any]:
    """By name: rows by identifier, documents, else bytes."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            if name.endswith(".jsonl"):
                found[name] = {row["id"]: row for row in map(json.loads, data.splitlines())}
            else:
                found[name] = json.loads(data) if name.endswith(".json") else data
    return found


def empty() -> None:
    """As newly installed."""
    for label in ("screening", "accounts", "account", "usersessions"):
        for model in apps.get_app_config(label).get_models():
            rows = model._base_manager.all()
            rows._raw_delete(rows.db)
    assert not User.objects.exists()


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """What must be equal after an import. Documents for other readers are compared by the rows they
    are made of.
    """
    kept = {
        name: value
        for name, value in found.items()
        if name.startswith(("records/", "pictures/", "thumbnails/", "tables/"))
        or name in ("people.json", "clinics.json", "schema.json")
    }
    for row in kept["records/reviews.jsonl"].values():
        for field in RESIGNED:
            row.pop(field)
    for row in kept["records/shares.jsonl"].values():
        row.pop("revoked_at")
    return kept


def test_a_persons_record_comes_back_whole(personas, own, mailoutbox):
    user = personas.self_tracker
    before = contents(file_of(file := made(user)))
    data = file_of(file)
    empty()
    imports.import_export(data)

    back = User.objects.get(email=user.email)
    assert back.is_active
    assert not back.has_usable_password()
    after = contents(file_of(made(back)))
    assert compared(after) == compared(before)
    assert after.keys() == before.keys()
    profile = ("id", "email", "first_name", "last_name", "date_joined", "mails_reminders")
    assert [before["account.json"][name] for name in profile] == [
        after["account.json"][name] for name in profile
    ]
    assert not list(chain.broken())
    mailoutbox.clear()
    Browser().post(reverse("account_reset_password"), {"email": user.email})
    assert [mail.to for mail in mailoutbox] == [[user.email]]


def test_every_kind_has_a_row_in_this_test(personas, own):
    found = contents(file_of(made(personas.self_tracker)))
    without = [kind.name for kind in KINDS if not found[f"records/{kind.name}.jsonl"]]
    assert without == []


def test_a_clinics_patient_comes_into_another_clinic(personas, of_clinic):
    data = file_of(made(personas.admin, personas.patient))
    before = contents(data)
    empty()
    clinic = ClinicFactory(name="South")
    imports.import_export(data, clinic=clinic)

    assert Clinic.objects.get() == clinic
    patient = Patient.objects.get()
    assert patient.clinic == clinic
    assert [one.event for one in patient.announcements.all()] == ["patient.created"]
    reviewer = Review.objects.first().reviewer
    assert reviewer.is_elsewhere
    assert not reviewer.is_active
    admin = MembershipFactory(clinic=clinic, role=Role.ADMIN).user
    after = contents(file_of(made(admin, patient)))
    for name in ("lesions", "images", "readings", "maps", "reviews", "histologies"):
        here, there = (one[f"records/{name}.jsonl"] for one in (after, before))
        assert here.keys() == there.keys()
    assert "account.json" not in before


def test_no_link_of_before_opens_and_no_archive_is_waited_for(personas, own):
    own.batch.state = "importing"
    own.batch.save()
    data = file_of(made(personas.self_tracker))
    empty()
    imports.import_export(data)
    assert Share.objects.get().secret_sha256 != own.share.secret_sha256
    assert not Share.objects.active().exists()
    assert Batch.objects.get().state == "cancelled"


def test_the_file_says_what_is_in_it(personas, own):
    export = made(personas.self_tracker)
    with zipfile.ZipFile(file_of(export)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        names = set(archive.namelist())
        assert names == {*manifest["files"], "manifest.json"}
        for name, said in manifest["files"].items():
            data = archive.read(name)
            assert (sha256(data).hexdigest(), len(data)) == (said["sha256"], said["bytes"])
        with own.image.file.open("rb") as stored:
            assert archive.read(f"pictures/{own.image.pk}.jpg") == stored.read()
        schema = json.loads(archive.read("schema.json"))
        Draft202012Validator.check_schema(schema)
        for kind in KINDS:
            check = Draft202012Validator(schema["$defs"][kind.name])
            for line in archive.read(f"records/{kind.name}.jsonl").splitlines():
                check.validate(json.loads(line))
        assert archive.read(f"reports/{personas.own_patient.pk}.pdf").startswith(b"%PDF")
        assert archive.read(f"reports/lesions/{own.lesion.pk}.pdf").startswith(b"%PDF")
        bundle = json.loads(archive.read(f"fhir/{personas.own_patient.pk}.json"))
        assert {one["resource"]["resourceType"] for one in bundle["entry"]} >= {
            "Patient",
            "Media",
            "Observation",
        }
        assert str(own.image.pk) in archive.read("tables/images.csv").decode()
    assert export.sha256 == sha256(file_of(export).read()).hexdigest()


def test_withdrawn_pictures_are_there_and_marked(personas, own):
    found = contents(file_of(made(personas.self_tracker)))
    row = found["records/images.jsonl"][str(own.slip.pk)]
    assert row["withdrawn_because"] == "A finger."
    assert row["file"] in found
    assert str(own.slip.pk) not in found["tables/images.csv"].decode()


def test_every_table_is_in_an_export_or_left_out_for_a_reason():
    known = {kind.model for kind in KINDS} | LEFT_OUT.keys()
    assert set(apps.get_app_config("screening").get_models()) == known


def test_no_secret_leaves(personas, own):
    text = file_of(made(personas.self_tracker)).getvalue()
    with zipfile.ZipFile(BytesIO(text)) as archive:
        whole = b"".join(map(archive.read, archive.namelist())).decode("latin-1")
    for secret in (own.share.secret_sha256, personas.self_tracker.password):
        assert secret not in whole


def rewritten(data: BytesIO, change: dict[str, bytes], *, honest: bool) -> BytesIO:
    """The ZIP with other files. honest: with a manifest that lists them, signed again."""
    out = BytesIO()
    with zipfile.ZipFile(data) as old, zipfile.ZipFile(out, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        for name in old.namelist():
            content = change.get(name, old.read(name))
            if name in change and honest:
                said = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
                manifest["files"][name] = said
            if name != "manifest.json":
                new.writestr(name, content)
        if honest:
            manifest.pop("signature")
            manifest["signature"] = sign_export(manifest)
        new.writestr("manifest.json", change.get("manifest.json", json.dumps(manifest)))
    out.seek(0)
    return out


def test_a_changed_file_is_refused_and_leaves_nothing(personas, own, media):
    data = file_of(made(personas.self_tracker))
    path = f"pictures/{own.image.pk}.jpg"
    lines = "records/lesions.jsonl"
    with zipfile.ZipFile(data) as archive:
        row = archive.read(lines)
    empty()
    here = {one for one in media.rglob("*") if one.is_file()}
    for change, honest, said in (
        ({path: b"other"}, False, "not as it was written"),
        ({path: b"<svg>"}, True, "not the picture"),
        ({lines: row.replace(b'"itching": true', b'"itching": "x"')}, True, "line 1"),
        ({lines: b""}, True, "contradicts"),
        ({"people.json": b'[{"id": 1}]'}, True, "people.json"),
        ({"clinics.json": b"["}, True, "no JSON"),
        ({"manifest.json": b"{}"}, False, "manifest.json"),
    ):
        with pytest.raises(ArchiveRefused, match=said):
            imports.import_export(rewritten(data, change, honest=honest))
        assert not User.objects.exists()
    assert {one for one in media.rglob("*") if one.is_file()} == here


def manifest_with(data: BytesIO, **fields: Any) -> BytesIO:
    """The ZIP with these fields in its manifest, without a new signature. None removes a field."""
    with zipfile.ZipFile(data) as archive:
        manifest = json.loads(archive.read("manifest.json")) | fields
    kept = {name: value for name, value in manifest.items() if value is not None}
    return rewritten(data, {"manifest.json": json.dumps(kept).encode()}, honest=False)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"site": "https://other.example.org"}, "not as it was signed"),
        ({"missing": ["pictures/x.jpg"]}, "not as it was signed"),
        ({"signed_by": None}, "not as it was signed"),
        ({"signed_by": "0" * 64}, "not as it was signed"),
        ({"signature": "0" * 128}, "not as it was signed"),
        ({"signature": None}, "not signed"),
    ],
)
def test_a_manifest_that_is_not_as_it_was_signed_is_refused(personas, own, fields, said):
    data = manifest_with(file_of(made(personas.self_tracker)), **fields)
    empty()
    with pytest.raises(ArchiveRefused, match=said):
        imports.import_export(data)
    assert not User.objects.exists()


def test_a_file_of_another_site_needs_its_key(personas, own, settings):
    data = file_of(made(personas.self_tracker))
    theirs = export_keys()[0]
    empty()
    settings.SECRET_KEY = "another site's"
    for known in ("", export_keys()[0], "not a key"):
        with pytest.raises(ArchiveRefused, match=theirs):
            imports.import_export(data, signed_by=known)
    assert imports.import_export(data, signed_by=f" {theirs.upper()} ")["patients"] == 1
    empty()
    settings.SECRET_KEY_FALLBACKS = ["another site's"]
    settings.SECRET_KEY = "a new one"
    with pytest.raises(ArchiveRefused, match=theirs):
        imports.import_export(data)
    out = StringIO()
    call_command("export_key", stdout=out)
    assert out.getvalue().strip() == export_keys()[0] != theirs


def test_a_new_secret_key_still_knows_its_exports(personas, own, settings):
    data = file_of(made(personas.self_tracker))
    empty()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    assert imports.import_export(data)["patients"] == 1


def test_a_file_from_before_signatures_is_taken_if_asked_for(personas, own):
    data = manifest_with(file_of(made(personas.self_tracker)), signature=None, signed_by=None)
    empty()
    with pytest.raises(ArchiveRefused, match="--unsigned"):
        imports.import_export(data)
    assert imports.import_export(data, unsigned=True)["patients"] == 1


def as_written_before(data: BytesIO) -> BytesIO:
    """The ZIP as it was before newer tables and fields, and before signatures."""
    out = BytesIO()
    with zipfile.ZipFile(data) as now, zipfile.ZipFile(out, "w") as old:
        manifest = json.loads(now.read("manifest.json"))
        del manifest["signature"], manifest["signed_by"]
        kept = {name: now.read(name) for name in manifest["files"]}
        del kept["records/followings.jsonl"]
        for name, fields in BEFORE.items():
            rows = [json.loads(line) for line in kept[f"records/{name}.jsonl"].splitlines()]
            assert rows
            lines = [{one: row[one] for one in row if one not in fields} for row in rows]
            kept[f"records/{name}.jsonl"] = "\n".join(map(json.dumps, lines)).encode()
        manifest["files"] = {
            name: {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
            for name, content in kept.items()
        }
        for name, content in (kept | {"manifest.json": json.dumps(manifest).encode()}).items():
            old.writestr(name, content)
    out.seek(0)
    return out


def test_a_file_from_before_newer_tables_and_fields_is_taken(personas, own):
    data = as_written_before(file_of(made(personas.self_tracker)))
    empty()
    counts = imports.import_export(data, unsigned=True)
    assert counts["followings"] == 0
    assert counts["visits"] == DoctorVisit.everything.count() > 0
    assert set(DoctorVisit.everything.values_list("settles", flat=True)) == {False}
    assert set(Share.objects.values_list("message", flat=True)) == {""}


@pytest.mark.parametrize("name", ["lesions", "visits"])
def test_a_file_without_an_older_table_or_field_is_refused(personas, own, name):
    data = file_of(made(personas.self_tracker))
    lines = f"records/{name}.jsonl"
    with zipfile.ZipFile(data) as archive:
        rows = [json.loads(line) for line in archive.read(lines).splitlines()]
    for row in rows:
        del row["created"]
    change = {lines: "\n".join(map(json.dumps, rows)).encode()}
    empty()
    with pytest.raises(ArchiveRefused, match="created"):
        imports.import_export(rewritten(data, change, honest=True))


def test_nobody_in_a_file_speaks_for_an_account_here(personas, own):
    data = file_of(made(personas.self_tracker))
    with pytest.raises(ArchiveRefused, match="exists here"):
        imports.import_export(data)
    empty()
    UserFactory(email=personas.self_tracker.email)
    with pytest.raises(ArchiveRefused, match="Name it as the owner"):
        imports.import_export(data)
    owner = User.objects.get()
    imports.import_export(data, owner=owner)
    assert Patient.objects.get().owner == owner
    assert User.objects.get() == owner
    with pytest.raises(ArchiveRefused, match="is here already"):
        imports.import_export(data, owner=owner, clinic=Clinic.objects.get())


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_lost_picture_is_named_and_does_not_stop_the_rest(personas, own, is_damaged):
    if is_damaged:
        Path(own.image.file.path).write_bytes(MAGIC)
    else:
        own.image.file.storage.delete(own.image.file.name)
    data = file_of(made(personas.self_tracker))
    before = contents(data)
    assert before["manifest.json"]["missing"] == [f"pictures/{own.image.pk}.jpg"]
    empty()
    imports.import_export(data)
    after = contents(file_of(made(User.objects.get(email=personas.self_tracker.email))))
    assert after["manifest.json"]["missing"] == before["manifest.json"]["missing"]


def test_what_was_moved_to_somebody_else_is_theirs(personas, of_clinic):
    """Nothing of another patient is in the file, in either direction."""
    other = PatientFactory(clinic=personas.clinic)
    theirs = LesionFactory(patient=other)
    came, went = LesionImageFactory(lesion=theirs), LesionImageFactory(lesion=of_clinic.lesion)
    for image, to in ((came, of_clinic.lesion), (went, theirs)):
        moves.move_image(user=personas.admin, image=image, lesion=to, acknowledged=True)
    data = file_of(made(personas.admin, personas.patient))
    found = contents(data)
    assert str(came.pk) in found["records/images.jsonl"]
    assert str(went.pk) not in found["records/images.jsonl"]
    named = found["records/corrections.jsonl"].values()
    assert {row["patient"] for row in named} == {str(personas.patient.pk)}
    assert str(went.pk) not in {row["image"] for row in named}
    empty()
    imports.import_export(data, clinic=ClinicFactory())
    assert Patient.objects.count() == 1


def test_operators_import_by_a_command(personas, own, tmp_path):
    path = tmp_path / "export.zip"
    call_command("export_record", str(path), account=personas.self_tracker.email)
    empty()
    out = StringIO()
    call_command("import_export", str(path), stdout=out)
    assert "1 patients" in out.getvalue()
    assert Patient.objects.get(owner__email=personas.self_tracker.email)
    with pytest.raises(CommandError, match="exists here"):
        call_command("import_export", str(path))
    with pytest.raises(CommandError, match="exists already"):
        call_command("export_record", str(path), account=personas.self_tracker.email)


def test_the_documentation_lists_every_field():
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for kind in KINDS:
        fields = ", ".join(f"`{one.name}`" for one in kind.fields)
        assert f"| `{kind.name}` | {kind.about} | {fields} |" in text


def test_who_looked_is_in_the_file_and_nobody_else(personas, of_clinic):
    other = PatientFactory(clinic=personas.clinic)
    client = Browser()
    client.force_login(personas.viewer)
    for path in (reverse("patients"), reverse("patient", args=[personas.patient.pk])):
        client.get(path)
    client.get(reverse("patient", args=[other.pk]))
    audit.chain_all()
    with zipfile.ZipFile(file_of(made(personas.admin, personas.patient))) as archive:
        text = archive.read("accesses.jsonl").decode()
        schema = json.loads(archive.read("schema.json"))
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        Draft202012Validator(schema["$defs"]["accesses.jsonl"]).validate(line)
    listed, looked = (line for line in lines if line["through"] == "page")
    assert [listed["what"], looked["what"]] == ["patients", "patient"]
    assert looked["name"] == str(personas.viewer)
    assert str(personas.patient.pk) in looked["records"]["patient"]
    assert listed["records"] == {}
    assert str(other.pk) not in text
