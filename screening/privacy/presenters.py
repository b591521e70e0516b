"""Entries of the audit log in plain words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.apps import apps

from accounts.models import ApiKey, Application, Clinic, Membership, User
from screening.models import Act, AuditEntry, Patient, Share, Through
from screening.privacy.queries import is_only_about, names_of

NOUNS = {
    "alert": ("alert about a change", "alerts about changes"),
    "announcement": ("event in the change feed", "events in the change feed"),
    "apikey": ("API key", "API keys"),
    "application": ("application", "applications"),
    "batch": ("batch", "batches"),
    "batchrow": ("row of a batch", "rows of a batch"),
    "calendarfeed": ("calendar link", "calendar links"),
    "changemark": ("note on a change", "notes on changes"),
    "clinic": ("clinic's settings", "clinics' settings"),
    "comparison": ("comparison", "comparisons"),
    "consent": ("consent to research", "consents to research"),
    "correction": ("correction", "corrections"),
    "datakey": ("encryption key", "encryption keys"),
    "delivery": ("message to another system", "messages to another system"),
    "dicomdelivery": ("picture sent to a DICOM node", "pictures sent to DICOM nodes"),
    "dicomnode": ("DICOM node", "DICOM nodes"),
    "doctorvisit": ("doctor's visit", "doctor's visits"),
    "erasure": ("request to erase", "requests to erase"),
    "export": ("download of everything", "downloads of everything"),
    "externalidentifier": ("name in another system", "names in another system"),
    "following": ("invitation of a clinic", "invitations of clinics"),
    "histology": ("histology", "histologies"),
    "idempotentrequest": ("answer to a program", "answers to a program"),
    "imagescale": ("scale of a picture", "scales of pictures"),
    "invitation": ("invitation", "invitations"),
    "lesion": ("spot", "spots"),
    "lesionimage": ("picture", "pictures"),
    "lesionposition": ("place on the body map", "places on the body map"),
    "measurement": ("measurement", "measurements"),
    "membership": ("membership", "memberships"),
    "opinion": ("doctor's opinion", "doctor's opinions"),
    "outline": ("outline", "outlines"),
    "patient": ("record", "records"),
    "prediction": ("reading by the software", "readings by the software"),
    "predictionmaps": ("map of a reading", "maps of readings"),
    "reminder": ("reminder", "reminders"),
    "review": ("clinician's conclusion", "clinicians' conclusions"),
    "reviewseal": ("seal of a conclusion", "seals of conclusions"),
    "setback": ("task to try again", "tasks to try again"),
    "share": ("link for a doctor", "links for a doctor"),
    "shareopening": ("opening of a link", "openings of a link"),
    "webhook": ("webhook", "webhooks"),
}
"""Singular and plural, by the name of the model."""

DOWNLOADS = {
    "patient_report": "the report (PDF)",
    "lesion_report": "the report of a spot (PDF)",
    "shared_report": "the report (PDF)",
    "share_letter": "a letter with the report (PDF)",
    "api:patient-report": "the report (PDF)",
    "api:lesion-report": "the report of a spot (PDF)",
    "image_dicom": "a picture (DICOM)",
    "image_dicom_report": "a reading (DICOM)",
    "image_dicom_mask": "the outline of a spot (DICOM)",
    "export_file": "everything, as one file",
    "export_fetch": "everything, as one file",
    "api:export-file": "everything, as one file",
}
"""Descriptions by URL name."""

_MAIN = ("patient", "lesion", "lesionimage")
_LISTED = 3


@dataclass(frozen=True, slots=True)
class Look:
    """An entry. way: through what, empty for the pages. whose: the patients, if several are
    possible. changed: names of the fields. address: the caller's, empty if it is not shown.
    """

    entry: AuditEntry
    who: str
    way: str
    did: str
    whose: str
    changed: str
    address: str

    @property
    def at(self) -> datetime:
        return self.entry.at


def for_person(
    entries: Sequence[AuditEntry], patients: Collection[UUID], reader: User
) -> list[Look]:
    """Entries about these patients' records, for the people responsible for them."""
    callers = _Callers(entries, reader)
    return [
        Look(
            entry=entry,
            who=callers.who(entry),
            way=callers.way(entry),
            did=_did(entry) if is_only_about(entry, patients) else _among_others(entry),
            whose="",
            changed=_changed(entry) if is_only_about(entry, patients) else "",
            address="",
        )
        for entry in entries
    ]


def for_clinic(entries: Sequence[AuditEntry], clinic: Clinic, reader: User | None) -> list[Look]:
    """Entries about this clinic, for its admins, without the addresses of patients. reader: shown
    as "You".
    """
    callers = _Callers(entries, reader)
    named = {UUID(one) for entry in entries for one in entry.details["patients"]}
    # As rows, not as values: the page shows whose records they are, which makes an entry itself.
    patients = Patient.objects.filter(clinic=clinic, pk__in=named).only("label")
    labels = {patient.pk: patient.label for patient in patients}
    members = set(Membership.objects.filter(clinic=clinic).values_list("user", flat=True))
    found = []
    for entry in entries:
        is_alone = set(entry.details["clinics"]) <= {str(clinic.pk)}
        may_show = entry.actor is None or entry.actor in members
        found.append(
            Look(
                entry=entry,
                who=callers.who(entry),
                way=callers.way(entry),
                did=_did(entry) if is_alone else _among_others(entry),
                whose=_whose(entry, labels),
                changed=_changed(entry) if is_alone else "",
                address=(entry.address or "") if may_show else "",
            )
        )
    return found


_WAYS = {
    Through.API: "through the API",
    Through.FHIR: "through FHIR",
    Through.ADMIN: "as an operator of this site",
    Through.MIGRATED: "noted in an earlier log",
}
_NOBODY = {
    Through.WORKER: "The software itself",
    Through.COMMAND: "An operator, by a command",
    Through.CALENDAR: "A calendar program, by its link",
    Through.SHARE: "Someone with a link",
}


class _Callers:
    """The authors of the entries, as far as they are still known."""

    def __init__(self, entries: Iterable[AuditEntry], reader: User | None) -> None:
        entries = list(entries)
        self._reader = reader.pk if reader else None
        self._names = names_of(entry.actor for entry in entries)
        keys = {entry.key for entry in entries if entry.key is not None}
        self._keys = {pk: one.name for pk, one in ApiKey.objects.in_bulk(keys).items()}
        self._keys |= {pk: one.name for pk, one in Application.objects.in_bulk(keys).items()}
        links = {UUID(one) for entry in entries for one in _links(entry)}
        recipients = Share.objects.filter(pk__in=links).values_list("pk", "recipient")
        self._recipients = {str(pk): recipient for pk, recipient in recipients}

    def who(self, entry: AuditEntry) -> str:
        if entry.actor is not None:
            if entry.actor == self._reader:
                return "You"
            return self._names.get(entry.actor, "An account that is gone")
        return _NOBODY.get(Through(entry.through), "Someone who was not logged in")

    def way(self, entry: AuditEntry) -> str:
        if entry.through == Through.SHARE:
            found = [self._recipients[one] for one in _links(entry) if one in self._recipients]
            return f"the link for {found[0]}" if found else "a link for a doctor"
        way = _WAYS.get(Through(entry.through), "")
        if entry.key is None:
            return way
        return f"{way}, {self._keys.get(entry.key, 'a key that is gone')}"


def _links(entry: AuditEntry) -> list[str]:
    if entry.through != Through.SHARE:
        return []
    found: list[str] = entry.details.get("records", {}).get("share", [])
    return found


def _among_others(entry: AuditEntry) -> str:
    if entry.act == Act.WRITE:
        return "Changed it together with others"
    return "Saw it in a list with others"


def _did(entry: AuditEntry) -> str:
    if entry.what in DOWNLOADS and entry.act == Act.READ:
        return f"Downloaded {DOWNLOADS[entry.what]}"
    if entry.act == Act.WRITE:
        return _wrote(entry)
    counts: dict[str, int] = entry.details["counts"]
    if entry.act != Act.READ or not counts:
        return str(Act(entry.act).label)
    shown = [kind for kind in _MAIN if kind in counts]
    kinds = shown if shown and shown != ["patient"] else list(counts)
    return f"Looked at {_listed([_counted(kind, counts[kind]) for kind in kinds])}"


def _wrote(entry: AuditEntry) -> str:
    acts: dict[str, Counter[str]] = {"Added": Counter(), "Changed": Counter(), "Deleted": Counter()}
    for record, fields in entry.details["changes"].items():
        kind = record.partition(":")[0]
        if kind in NOUNS and kind != "correction":  # the change itself is named already
            acts[_verb(fields)][kind] += 1
    said = [
        f"{verb} {_listed([_counted(kind, n) for kind, n in kinds.items()])}"
        for verb, kinds in acts.items()
        if kinds
    ]
    joined = "; ".join([*said[:1], *(one[0].lower() + one[1:] for one in said[1:])])
    return joined or "Made a change"


def _verb(fields: dict[str, list[str]]) -> str:
    if "" in fields:
        return "Deleted"
    return "Added" if all(old == "" for old, _ in fields.values()) else "Changed"


def _changed(entry: AuditEntry) -> str:
    """The names of the fields that changed in what was there before."""
    found: dict[str, None] = {}
    for record, fields in entry.details.get("changes", {}).items():
        kind = record.partition(":")[0]
        if kind in NOUNS and _verb(fields) == "Changed":
            names = _fields(kind)
            found |= dict.fromkeys(names[one] for one in fields if one in names)
    return ", ".join(found)


def _fields(kind: str) -> dict[str, str]:
    """The names of a model's fields by column, which equals the attribute."""
    for app in ("screening", "accounts"):
        model = apps.get_app_config(app).models.get(kind)
        if model is not None:
            fields = model._meta.concrete_fields
            return {one.attname: str(one.verbose_name) for one in fields if one.name != "modified"}
    return {}


def _counted(kind: str, count: int) -> str:
    one, many = NOUNS[kind]
    if count > 1:
        return f"{count} {many}"
    return f"the {one}" if kind == "patient" else f"{'an' if one[0] in 'aeiouA' else 'a'} {one}"


def _listed(words: Sequence[str]) -> str:
    """The first few, and how many more."""
    kept = list(words[:_LISTED])
    if len(words) > _LISTED:
        kept.append("more")
    return " and ".join([", ".join(kept[:-1]), kept[-1]] if len(kept) > 1 else kept)


def _whose(entry: AuditEntry, labels: dict[UUID, str]) -> str:
    found = [labels[pk] for one in entry.details["patients"] if (pk := UUID(one)) in labels]
    more = len(found) - _LISTED
    return ", ".join(found[:_LISTED]) + (f" and {more} more" if more > 0 else "")
