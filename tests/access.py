"""Who may do what, in one table: a line for every URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import MULTIPART_CONTENT

from ml import reader
from screening.exports import emails as export_emails
from screening.interop.dicom import uids
from tests.batches.uploads import batch_of
from tests.clients import shown
from tests.factories import picture

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MEMBERS = ("admin", "clinician", "assistant", "viewer")
OUTSIDERS = ("self_tracker", "colleague", "stranger")


class Answer(Enum):
    DONE = "it is done or shown"
    LOGIN = "who are you?"
    FORBIDDEN = "to see only"
    HIDDEN = "there is no such thing"
    UNKNOWN = "the body names what is not there"


DONE, LOGIN, FORBIDDEN, HIDDEN, UNKNOWN = Answer
Rule = Mapping[str, Answer]

# By relation to the record, or by persona for exceptions.
ANYONE = dict.fromkeys((*MEMBERS, "owner", "outsider", "anonymous"), DONE)
SIGNED_IN = ANYONE | {"anonymous": LOGIN}
SEES = SIGNED_IN | {"outsider": HIDDEN}
WRITES = SEES | {"viewer": FORBIDDEN}
CONCLUDES = WRITES | {"assistant": FORBIDDEN, "owner": FORBIDDEN}
ERASES = WRITES | {"assistant": FORBIDDEN}
ADMINISTERS = CONCLUDES | {"clinician": FORBIDDEN}
OWNS = SEES | dict.fromkeys(MEMBERS, FORBIDDEN)  # the person whose record it is
LEAVES = ADMINISTERS | {"viewer": DONE}  # the viewer's own membership
HOLDS_THE_KEY = dict.fromkeys(SIGNED_IN, HIDDEN) | dict.fromkeys(("clinician", "owner"), DONE)
HOLDS_THE_KEY["anonymous"] = LOGIN
MANAGES = SEES | dict.fromkeys(("clinician", "assistant", "viewer"), HIDDEN)
HOLDS_SECRETS = SEES | dict.fromkeys(("clinician", "assistant", "viewer"), HIDDEN)
IS_INVITED = dict.fromkeys(SIGNED_IN, FORBIDDEN) | {"stranger": DONE, "anonymous": LOGIN}
EXPORTS = ADMINISTERS | {"owner": DONE}
HOLDS_THE_EXPORT = dict.fromkeys(SIGNED_IN, HIDDEN) | dict.fromkeys(("admin", "owner"), DONE)
HOLDS_THE_EXPORT["anonymous"] = LOGIN
KEEPS = WRITES | {"viewer": HIDDEN}  # withdrawn records are visible to those who may restore them
KEEPS_OWN = dict.fromkeys(SIGNED_IN, HIDDEN) | {"owner": DONE, "anonymous": LOGIN}
KEEPS_TISSUE = KEEPS | {"assistant": HIDDEN, "owner": HIDDEN}
INVITES = dict.fromkeys(SIGNED_IN, HIDDEN) | {"self_tracker": DONE, "anonymous": LOGIN}
ANSWERS = ERASES | {"assistant": HIDDEN, "viewer": HIDDEN}
NOBODY = dict.fromkeys(ANYONE, HIDDEN)


@dataclass(frozen=True)
class World:
    """One of everything, of the clinic or of a person without a clinic (``owner``)."""

    owner: str
    patient: Any
    lesion: Any
    image: Any
    prediction: Any
    review: Any
    histology: Any
    comparison: Any
    position: Any
    visit: Any
    alert: Any
    mark: Any
    outline: Any
    scale: Any
    measurement: Any
    correction: Any
    withdrawn: Any
    withdrawn_visit: Any
    withdrawn_histology: Any
    withdrawn_lesion: Any
    withdrawn_patient: Any
    sibling: Any
    twin: Any
    key: Any
    session: Any
    share: Any
    shared: str
    mail_off: str
    erasure: Any
    receipt: str
    webhook: Any
    delivery: Any
    dicom_node: Any
    dicom_delivery: Any
    export: Any
    followed: Any
    following: Any
    other_clinic: Any
    batch: Any = None
    clinic: Any = None
    membership: Any = None
    invitation: Any = None
    application: Any = None
    secret: str = ""
    token: str = ""
    reminder: Any = None
    calendar: str = ""

    def standing(self, persona: str) -> str:
        if persona == self.owner:
            return "owner"
        return persona if self.clinic and persona not in OUTSIDERS else "outsider"


@dataclass(frozen=True)
class Sent:
    """A request with a valid body. done: the status code of success."""

    rule: Rule
    body: Callable[[World], dict[str, Any]] = lambda world: {}
    done: int = 302
    content_type: str = "application/json"  # to programs
    own_rule: Rule | None = None  # if it is not the clinic's record but a person's own
    scopes: tuple[str, ...] = ()  # beside that of the address

    def answer(self, persona: str, world: World) -> Answer:
        rule = self.own_rule if self.own_rule and not world.clinic else self.rule
        if persona in OUTSIDERS and persona in rule:
            return rule[persona]
        return rule["anonymous" if persona == "anonymous" else world.standing(persona)]


@dataclass(frozen=True)
class Line:
    """methods: who may GET, and what to send with the others. args: of the URL."""

    methods: Mapping[str, Sent]
    args: Callable[[World], tuple[Any, ...]] = lambda world: ()
    clinic_only: bool = False

    @property
    def is_public(self) -> bool:
        return any(sent.rule is ANYONE for sent in self.methods.values())


def at(name: str) -> Callable[[World], tuple[Any, ...]]:
    return lambda world: (getattr(world, name).pk,)


def line(see: Rule | None = None, args: str | Callable[[World], Any] = "", **sent: Any) -> Line:
    methods = dict(sent)
    if see is not None:
        methods |= {"GET": Sent(see, done=200), "HEAD": Sent(see, done=200)}
    clinic_only = args == "clinic" or methods.pop("clinic_only", False)
    found = args if callable(args) else at(args) if args else lambda world: ()
    return Line(methods, found, clinic_only)


def api(rule: Rule, body: Callable[[World], dict[str, Any]], done: int, **more: Any) -> Sent:
    """Users who may not see what the body refers to get 400 instead of 404."""
    hidden = {who: UNKNOWN for who, answer in rule.items() if answer is HIDDEN}
    return Sent({**rule, **hidden}, body, done, **more)


def file() -> SimpleUploadedFile:
    return SimpleUploadedFile("mole.jpg", picture(), "image/jpeg")


def credentials(world: World) -> dict[str, str]:
    return {"client_id": world.application.client_id, "client_secret": world.secret}


def archive() -> SimpleUploadedFile:
    data = batch_of([{"image": "a.jpg", "lesion_id": "L"}], {"a.jpg": picture()})
    return SimpleUploadedFile("batch.zip", data, "application/zip")


def uids_of(world: World) -> tuple[str, str, str]:
    """Of the image's study and series, and its own."""
    image = world.image
    return (
        uids.study_uid(image.lesion.patient_id, image.captured_on),
        uids.series_uid(image.lesion_id, image.captured_on, image.modality),
        uids.instance_uid(image),
    )


def latest(world: World) -> Any:
    return world.lesion.images.latest_first().first()


REVIEW = {"conclusion": "nv", "management": "monitor"}
WEBHOOK = {
    "name": "W",
    "target": "https://practice.example.org/",
    "events": ["review.recorded"],
}
DICOM_NODE = {"name": "Archive", "address": "https://archive.example.org/", "authorization": "none"}
VISIT = {"visited_on": "2026-03-15", "finding": "harmless"}
REASON = {"reason": "Entered in error."}
WITHDRAWAL = {"act": "withdraw", **REASON}
ON_THE_CHEST = {"view": "front", "x": 0.5, "y": 0.3}
BY_VERSION = {"args": lambda world: (reader.DEFAULT_VERSION,)}
MATRIX: dict[str, Line] = {
    # Pages that belong to no record
    "home": line(ANYONE),  # who is not logged in gets the landing page
    "try_picture": line(ANYONE),
    "try_worker": line(ANYONE),
    "model_network": line(ANYONE, **BY_VERSION),
    "health_live": line(ANYONE),
    "health_ready": line(ANYONE),
    "status": line({**NOBODY, "anonymous": LOGIN}),  # staff only
    "data_set": line(ANYONE),
    "help": line(ANYONE),
    "problems": line(ANYONE),
    "problem": line(ANYONE, lambda w: ("not-found",)),
    "model": line(ANYONE),
    "model_version": line(ANYONE, **BY_VERSION),
    "model_card": line(ANYONE, **BY_VERSION),
    # Records
    "patients": line(SIGNED_IN),
    "patient_new": line(SIGNED_IN, POST=Sent(SIGNED_IN, lambda w: {"label": "X"})),
    "patient": line(SEES, "patient"),
    "patient_edit": line(WRITES, "patient", POST=Sent(WRITES, lambda w: {"label": "X"})),
    "patient_access": line(
        WRITES,
        "patient",
        POST=Sent(WRITES, lambda w: {"recipient": "Dr", "days": "7"}, done=200),
    ),
    "patient_looks": line(EXPORTS, "patient"),
    "patient_export": line(EXPORTS, "patient", POST=Sent(EXPORTS)),
    "account_export": line(SIGNED_IN, POST=Sent(SIGNED_IN)),
    "export": line(HOLDS_THE_EXPORT, "export"),
    "export_status": line(HOLDS_THE_EXPORT, "export"),
    "export_file": line(HOLDS_THE_EXPORT, "export"),
    "export_remove": line(args="export", POST=Sent(HOLDS_THE_EXPORT)),
    "export_fetch": line(HOLDS_THE_EXPORT, lambda w: (export_emails.token_of(w.export),)),
    "patient_clinic": line(
        OWNS, "patient", POST=Sent(OWNS, lambda w: {"code": w.other_clinic.written_code})
    ),
    "following_end": line(args="followed", POST=Sent(INVITES)),
    "following_accept": line(
        args="following", clinic_only=True, POST=Sent(ANSWERS, lambda w: {"label": "New"})
    ),
    "following_decline": line(args="following", clinic_only=True, POST=Sent(ANSWERS)),
    "clinic_followings": line(ERASES, "clinic"),
    "clinic_code": line(args="clinic", POST=Sent(ADMINISTERS)),
    "share_letter": line(WRITES, "share"),
    "share_revoke": line(args="share", POST=Sent(WRITES)),
    # The secret is in the address.
    "shared": line(
        ANYONE,
        lambda w: (w.shared,),
        POST=Sent(ANYONE, lambda w: {"name": "Dr", "text": "Harmless."}),
    ),
    "shared_report": line(ANYONE, lambda w: (w.shared,)),
    "shared_picture": line(ANYONE, lambda w: (w.shared, w.image.pk)),
    "patient_research": line(args="patient", POST=Sent(WRITES, lambda w: {"consents": "yes"})),
    "patient_timeline": line(SEES, "patient"),
    "lesion_new": line(WRITES, "patient", POST=Sent(WRITES, lambda w: {"label": "X"})),
    "lesion": line(SEES, "lesion"),
    "lesion_edit": line(WRITES, "lesion", POST=Sent(WRITES, lambda w: {"label": "X"})),
    "lesion_visit": line(OWNS, "lesion", POST=Sent(OWNS, lambda w: VISIT | shown(w.lesion))),
    "lesion_reopen": line(args="lesion", POST=Sent(WRITES)),
    "worklist": line(SIGNED_IN),
    "clinic_agreement": line(SEES, "clinic"),
    "clinic_audit": line(ADMINISTERS, "clinic"),
    "clinic_audit_table": line(ADMINISTERS, "clinic"),
    "worklist_item": line(
        CONCLUDES, "lesion", POST=Sent(CONCLUDES, lambda w: REVIEW | shown(latest(w)))
    ),
    "lesion_histology": line(
        CONCLUDES,
        "lesion",
        POST=Sent(
            CONCLUDES,
            lambda w: {"diagnosis": "nv", "examined_on": "2026-03-20"} | shown(w.lesion),
        ),
    ),
    "lesion_place": line(WRITES, "lesion", POST=Sent(WRITES, lambda w: ON_THE_CHEST)),
    "lesion_compare": line(SEES, "lesion"),
    "comparison_mark": line(
        args="comparison", POST=Sent(WRITES, lambda w: {"verdict": "unchanged"})
    ),
    "alert_close": line(args="alert", POST=Sent(WRITES, lambda w: {"reason": "Looked at it."})),
    "image_outline": line(
        WRITES, "image", POST=Sent(WRITES, lambda w: {"points": "0.2,0.2 0.8,0.2 0.5,0.8"})
    ),
    "image_scale": line(
        WRITES,
        "image",
        POST=Sent(WRITES, lambda w: {"source": "field_of_view", "millimetres": "20"}),
    ),
    "image_new": line(
        WRITES,
        "lesion",
        POST=Sent(
            WRITES,
            lambda w: {"file": file(), "captured_on": "2026-03-01", "modality": "dermatoscopic"},
        ),
    ),
    "image": line(SEES, "image"),
    # Corrections: each operation by someone who may do it, with its data
    "image_correct": line(WRITES, "image", POST=Sent(WRITES, lambda w: WITHDRAWAL)),
    "lesion_correct": line(WRITES, "lesion", POST=Sent(WRITES, lambda w: WITHDRAWAL)),
    "visit_correct": line(OWNS, "visit", POST=Sent(OWNS, lambda w: WITHDRAWAL)),
    "histology_correct": line(CONCLUDES, "histology", POST=Sent(CONCLUDES, lambda w: WITHDRAWAL)),
    "patient_correct": line(WRITES, "patient", POST=Sent(WRITES, lambda w: WITHDRAWAL)),
    "correction_undo": line(WRITES, "correction", POST=Sent(WRITES)),
    "withdrawn": line(SIGNED_IN),
    "withdrawn_thumbnail": line(KEEPS, "withdrawn"),
    "image_dicom": line(SEES, "image"),
    "image_dicom_report": line(SEES, "image"),
    "image_dicom_mask": line(SEES, "image"),
    "image_status": line(SEES, "image"),
    "image_read": line(args="image", POST=Sent(WRITES)),
    "image_review": line(args="image", POST=Sent(CONCLUDES, lambda w: REVIEW | shown(w.image))),
    "media": line(SEES, lambda w: (w.image.pk, "thumbnail")),
    # Reports
    "patient_report": line(SEES, "patient"),
    "lesion_report": line(SEES, "lesion"),
    # Reminders
    "reminders": line(SIGNED_IN),
    "lesion_reminder": line(args="lesion", POST=Sent(WRITES, lambda w: {"interval_months": "3"})),
    "reminder_snooze": line(args="reminder", POST=Sent(WRITES, lambda w: {"span": "week"})),
    "reminder_stop": line(args="reminder", POST=Sent(WRITES)),
    "calendar_link": line(POST=Sent(SIGNED_IN, done=200)),
    "calendar_revoke": line(POST=Sent(SIGNED_IN)),
    "calendar": line(ANYONE, lambda w: (w.calendar,)),  # the secret is in the address
    # Batches
    "batches": line(SIGNED_IN),
    "batch_new": line(
        SIGNED_IN,
        POST=Sent(
            SIGNED_IN,
            lambda w: {"archive": archive(), "captured_on": "2026-03-01", "dry_run": "on"},
        ),
    ),
    "batch": line(SEES, "batch"),
    "batch_status": line(SEES, "batch"),
    "batch_cancel": line(args="batch", POST=Sent(WRITES)),
    "batch_resume": line(args="batch", POST=Sent(WRITES)),
    "batch_problems": line(SEES, "batch"),
    "batch_results": line(SEES, "batch"),
    # Account and clinics
    "account": line(SIGNED_IN, POST=Sent(SIGNED_IN, lambda w: {"first_name": "A"})),
    "api_key_new": line(
        POST=Sent(SIGNED_IN, lambda w: {"name": "K", "days": 30, "access": "read"}, done=200)
    ),
    "api_key_revoke": line(args="key", POST=Sent(HOLDS_THE_KEY)),
    "privacy": line(ANYONE),
    "terms": line(ANYONE),
    "agree": line(SIGNED_IN, POST=Sent(SIGNED_IN, lambda w: {"of_age": "on", "agrees": "on"})),
    "agreement_withdraw": line(POST=Sent(SIGNED_IN)),
    "account_erase": line(
        SIGNED_IN, POST=Sent(SIGNED_IN, lambda w: {"typed": "nobody@example.org"}, done=200)
    ),
    "patient_erase": line(
        ERASES, "patient", POST=Sent(ERASES, lambda w: {"typed": "another"}, done=200)
    ),
    "erasures": line(SIGNED_IN),
    "erasure_confirm": line(
        args="erasure",
        clinic_only=True,
        POST=Sent(ERASES | {"assistant": HIDDEN, "viewer": HIDDEN}),
    ),
    "erasure_undo": line(
        args="erasure", POST=Sent(ERASES | {"assistant": HIDDEN, "viewer": HIDDEN})
    ),
    # The token is in the address.
    "erasure_receipt": line(ANYONE, lambda w: (w.erasure.token,)),
    "erasure_receipt_file": line(ANYONE, lambda w: (w.receipt,)),
    "mail_switch": line(POST=Sent(SIGNED_IN)),
    # The link in the address says who it is for.
    "mail_off": line(ANYONE, lambda w: (w.mail_off,), POST=Sent(ANYONE, done=200)),
    "session_end": line(args=lambda w: (w.session.pk,), POST=Sent(HOLDS_THE_KEY)),
    "clinic_second_factor": line(args="clinic", POST=Sent(ADMINISTERS)),
    "clinic_bound_keys": line(args="clinic", POST=Sent(ADMINISTERS)),
    "clinic_new": line(SIGNED_IN, POST=Sent(SIGNED_IN, lambda w: {"name": "C"})),
    "clinic": line(SEES, "clinic"),
    "clinic_reviewing": line(args="clinic", POST=Sent(ADMINISTERS)),
    "clinic_invite": line(
        args="clinic",
        POST=Sent(ADMINISTERS, lambda w: {"email": "new@example.org", "role": "viewer"}),
    ),
    "invitation_withdraw": line(
        args=lambda w: (w.clinic.pk, w.invitation.pk), clinic_only=True, POST=Sent(ADMINISTERS)
    ),
    "membership_role": line(
        args=lambda w: (w.clinic.pk, w.membership.pk),
        clinic_only=True,
        POST=Sent(ADMINISTERS, lambda w: {"role": "assistant"}),
    ),
    "membership_remove": line(
        args=lambda w: (w.clinic.pk, w.membership.pk), clinic_only=True, POST=Sent(LEAVES)
    ),
    "application_new": line(
        args="clinic",
        POST=Sent(
            ADMINISTERS, lambda w: {"name": "A", "role": "viewer", "access": "read"}, done=200
        ),
    ),
    "application_renew": line(
        args=lambda w: (w.clinic.pk, w.application.pk),
        clinic_only=True,
        POST=Sent(ADMINISTERS, done=200),
    ),
    "application_keys": line(
        args=lambda w: (w.clinic.pk, w.application.pk),
        clinic_only=True,
        POST=Sent(ADMINISTERS, lambda w: {"keys": "https://example.org/jwks.json"}),
    ),
    "application_take_over": line(
        args=lambda w: (w.clinic.pk, w.application.pk), clinic_only=True, POST=Sent(ADMINISTERS)
    ),
    "application_revoke": line(
        args=lambda w: (w.clinic.pk, w.application.pk), clinic_only=True, POST=Sent(ADMINISTERS)
    ),
    # The secret identifies the application.
    "oauth_token": line(
        clinic_only=True,
        POST=Sent(
            ANYONE,
            lambda w: {"grant_type": "client_credentials", **credentials(w)},
            200,
            MULTIPART_CONTENT,
        ),
    ),
    "oauth_revoke": line(
        clinic_only=True,
        POST=Sent(ANYONE, lambda w: {"token": "x", **credentials(w)}, 200, MULTIPART_CONTENT),
    ),
    "oauth_metadata": line(ANYONE),
    "accept_invitation": line(
        IS_INVITED, lambda w: (w.token,), clinic_only=True, POST=Sent(IS_INVITED)
    ),
    # Webhooks
    "webhook_new": line(SIGNED_IN, POST=Sent(SIGNED_IN, lambda w: WEBHOOK)),
    "clinic_webhook_new": line(ADMINISTERS, "clinic", POST=Sent(ADMINISTERS, lambda w: WEBHOOK)),
    "webhook": line(HOLDS_SECRETS, "webhook"),
    "webhook_edit": line(HOLDS_SECRETS, "webhook", POST=Sent(HOLDS_SECRETS, lambda w: WEBHOOK)),
    **{
        name: line(args="webhook", POST=Sent(HOLDS_SECRETS))
        for name in (
            "webhook_test",
            "webhook_rotate",
            "webhook_on",
            "webhook_off",
            "webhook_resend_failed",
            "webhook_remove",
        )
    },
    # DICOM nodes: of a clinic. The one of a person's own world is another clinic's.
    "dicom_node_new": line(ADMINISTERS, "clinic", POST=Sent(ADMINISTERS, lambda w: DICOM_NODE)),
    "dicom_node": line(MANAGES, "dicom_node", clinic_only=True),
    "dicom_node_edit": line(
        MANAGES, "dicom_node", clinic_only=True, POST=Sent(MANAGES, lambda w: DICOM_NODE)
    ),
    "dicom_node_test": line(args="dicom_node", clinic_only=True, POST=Sent(MANAGES)),
    "dicom_node_remove": line(args="dicom_node", clinic_only=True, POST=Sent(MANAGES)),
    "lesion_send": line(
        args="lesion",
        clinic_only=True,
        POST=Sent(WRITES, lambda w: {"node": str(w.dicom_node.pk)}),
    ),
    "dicom_delivery_send_again": line(args="dicom_delivery", clinic_only=True, POST=Sent(WRITES)),
    "delivery": line(HOLDS_SECRETS, "delivery"),
    "delivery_resend": line(args="delivery", POST=Sent(HOLDS_SECRETS)),
    # The API
    "api:clinic-list": line(SIGNED_IN),
    "api:clinic-detail": line(SEES, "clinic"),
    "api:patient-list": line(
        SIGNED_IN,
        POST=api(
            WRITES,
            lambda w: {"label": "X", "clinic": w.clinic and str(w.clinic.pk)},
            201,
            own_rule=SIGNED_IN,
        ),
    ),
    "api:patient-detail": line(SEES, "patient", PATCH=Sent(WRITES, lambda w: {"sex": ""}, 200)),
    "api:lesion-list": line(
        SIGNED_IN, POST=api(WRITES, lambda w: {"patient": str(w.patient.pk)}, 201)
    ),
    "api:lesion-detail": line(SEES, "lesion", PATCH=Sent(WRITES, lambda w: {"notes": "n"}, 200)),
    "api:image-list": line(
        SIGNED_IN,
        POST=api(
            WRITES,
            lambda w: {"lesion": w.lesion.pk, "file": file()},
            202,
            content_type=MULTIPART_CONTENT,
        ),
    ),
    "api:image-detail": line(
        SEES, "image", PATCH=Sent(WRITES, lambda w: {"captured_on": "2026-01-15"}, 200)
    ),
    "api:image-file": line(SEES, "image"),
    "api:image-dicom": line(SEES, "image"),
    "api:image-dicom-report": line(SEES, "image"),
    "api:image-dicom-mask": line(SEES, "image"),
    "api:image-thumbnail": line(SEES, "image"),
    **{
        f"api:{what}-{act}": line(args=what, POST=Sent(WRITES, body, 200))
        for what, act, body in (
            ("image", "withdraw", lambda w: REASON),
            ("image", "move", lambda w: {"lesion": str(w.sibling.pk), "acknowledged": True}),
            ("lesion", "withdraw", lambda w: REASON),
            ("lesion", "move", lambda w: {"patient": str(w.twin.pk), "acknowledged": True}),
            ("lesion", "merge", lambda w: {"into": str(w.sibling.pk), "acknowledged": True}),
            ("patient", "withdraw", lambda w: REASON),
            ("patient", "merge", lambda w: {"into": str(w.twin.pk), "acknowledged": True}),
        )
    },
    "api:image-restore": line(args="withdrawn", POST=Sent(KEEPS, done=200)),
    "api:lesion-restore": line(args="withdrawn_lesion", POST=Sent(KEEPS, done=200)),
    "api:patient-restore": line(args="withdrawn_patient", POST=Sent(KEEPS, done=200)),
    "api:visit-withdraw": line(args="visit", POST=Sent(OWNS, lambda w: REASON, 200)),
    "api:visit-restore": line(args="withdrawn_visit", POST=Sent(KEEPS_OWN, done=200)),
    "api:histology-withdraw": line(args="histology", POST=Sent(CONCLUDES, lambda w: REASON, 200)),
    "api:histology-restore": line(args="withdrawn_histology", POST=Sent(KEEPS_TISSUE, done=200)),
    "api:correction-undo": line(
        args="correction", POST=Sent(WRITES, done=200, scopes=("images:write",))
    ),
    "api:image-corrections": line(SEES, "image"),
    "api:visit-corrections": line(SEES, "visit"),
    "api:histology-corrections": line(SEES, "histology"),
    "api:lesion-corrections": line(SEES, "lesion"),
    "api:patient-corrections": line(SEES, "patient"),
    "api:prediction-list": line(
        SIGNED_IN, POST=api(WRITES, lambda w: {"image": str(w.image.pk)}, 202)
    ),
    "api:prediction-detail": line(SEES, "prediction"),
    "api:prediction-maps": line(SEES, "prediction"),
    "api:prediction-mask": line(SEES, "prediction"),
    "api:event-list": line(SIGNED_IN),
    "api:histology-list": line(
        SIGNED_IN,
        POST=api(
            CONCLUDES,
            lambda w: {
                "lesion": str(w.lesion.pk),
                "diagnosis": "nv",
                "examined_on": "2026-03-20",
            },
            201,
        ),
    ),
    "api:histology-detail": line(SEES, "histology"),
    "api:worklist-list": line(SIGNED_IN),
    "api:clinic-agreement": line(SEES, "clinic"),
    "api:review-list": line(
        SIGNED_IN, POST=api(CONCLUDES, lambda w: {"image": str(w.image.pk), **REVIEW}, 201)
    ),
    "api:review-detail": line(SEES, "review"),
    # FHIR
    "fhir:metadata": line(ANYONE),
    "fhir:smart": line(ANYONE),
    "fhir:search": line(SIGNED_IN, lambda w: ("Patient",)),
    "fhir:posted-search": line(
        args=lambda w: ("Patient",),
        POST=Sent(SIGNED_IN, done=200, content_type="application/x-www-form-urlencoded"),
    ),
    "fhir:read": line(SEES, lambda w: ("Patient", w.patient.pk)),
    "fhir:everything": line(SEES, "patient", POST=Sent(SEES, done=200)),
    "fhir:binary": line(SEES, "image"),
    "fhir:nothing": line(
        NOBODY,
        lambda w: ("R4/Patient/x/y",),
        **{m: Sent(NOBODY) for m in METHODS if m not in ("GET", "HEAD")},
    ),
    # DICOMweb
    # The walks send no multipart/related: tests/api/dicomweb/test_store.py does.
    "dicomweb:studies": line(SIGNED_IN, POST=Sent(SIGNED_IN, done=415)),
    "dicomweb:all-series": line(SIGNED_IN),
    "dicomweb:all-instances": line(SIGNED_IN),
    "dicomweb:series-of-study": line(SEES, lambda w: uids_of(w)[:1]),
    "dicomweb:instances-of-study": line(SEES, lambda w: uids_of(w)[:1]),
    "dicomweb:instances-of-series": line(SEES, lambda w: uids_of(w)[:2]),
    "dicomweb:study": line(SEES, lambda w: uids_of(w)[:1], POST=Sent(SIGNED_IN, done=415)),
    **{
        f"dicomweb:{name}": line(SEES, lambda w, depth=depth: uids_of(w)[:depth])
        for name, depth in {
            "series": 2,
            "instance": 3,
            "study-metadata": 1,
            "series-metadata": 2,
            "instance-metadata": 3,
            "rendered": 3,
        }.items()
    },
    "dicomweb:frames": line(SEES, lambda w: (*uids_of(w), "1")),
    "dicomweb:rendered-frame": line(SEES, lambda w: (*uids_of(w), "1")),
    "dicomweb:nothing": line(
        NOBODY,
        lambda w: ("studies/",),
        **{m: Sent(NOBODY) for m in METHODS if m not in ("GET", "HEAD")},
    ),
    "api:webhook-list": line(
        SIGNED_IN,
        POST=api(
            ADMINISTERS,
            lambda w: {**WEBHOOK, "clinic": w.clinic and str(w.clinic.pk)},
            201,
            own_rule=SIGNED_IN,
        ),
    ),
    "api:webhook-detail": line(
        HOLDS_SECRETS,
        "webhook",
        PATCH=Sent(HOLDS_SECRETS, lambda w: {"name": "n"}, 200),
        DELETE=Sent(HOLDS_SECRETS, done=204),
    ),
    "api:webhook-secret": line(HOLDS_SECRETS, "webhook"),
    "api:webhook-rotate": line(args="webhook", POST=Sent(HOLDS_SECRETS, done=200)),
    "api:webhook-test": line(args="webhook", POST=Sent(HOLDS_SECRETS, done=202)),
    "api:delivery-list": line(SIGNED_IN),
    "api:delivery-detail": line(HOLDS_SECRETS, "delivery"),
    "api:delivery-resend": line(args="delivery", POST=Sent(HOLDS_SECRETS, done=202)),
    "api:dicom-node-list": line(
        SIGNED_IN,
        POST=api(
            ADMINISTERS,
            lambda w: {**DICOM_NODE, "clinic": str(w.clinic.pk)},
            201,
        ),
        clinic_only=True,
    ),
    "api:dicom-node-detail": line(
        SEES,
        "dicom_node",
        clinic_only=True,
        PATCH=Sent(ADMINISTERS, lambda w: DICOM_NODE, 200),
        DELETE=Sent(ADMINISTERS, done=204),
    ),
    "api:dicom-node-test": line(
        args="dicom_node", clinic_only=True, POST=Sent(ADMINISTERS, done=200)
    ),
    "api:dicom-delivery-list": line(SIGNED_IN),
    "api:dicom-delivery-detail": line(SEES, "dicom_delivery", clinic_only=True),
    "api:dicom-delivery-resend": line(
        args="dicom_delivery",
        clinic_only=True,
        POST=Sent(WRITES, done=202, scopes=("images:read",)),
    ),
    "api:lesion-send": line(
        args="lesion",
        clinic_only=True,
        POST=Sent(WRITES, lambda w: {"node": str(w.dicom_node.pk)}, 202, scopes=("images:read",)),
    ),
    "api:following-list": line(
        SIGNED_IN,
        POST=api(
            OWNS,
            lambda w: {"patient": str(w.patient.pk), "code": w.other_clinic.written_code},
            201,
        ),
    ),
    "api:following-detail": line(ANSWERS | {"self_tracker": DONE}, "followed", clinic_only=True),
    "api:following-accept": line(
        args="following", clinic_only=True, POST=Sent(ANSWERS, lambda w: {"label": "New"}, 200)
    ),
    "api:following-decline": line(args="following", clinic_only=True, POST=Sent(ANSWERS, done=200)),
    "api:following-end": line(
        args="followed",
        clinic_only=True,
        POST=Sent(INVITES | {"admin": FORBIDDEN, "clinician": FORBIDDEN}, done=200),
    ),
    "api:position-list": line(
        SIGNED_IN,
        POST=api(WRITES, lambda w: {"lesion": str(w.lesion.pk), **ON_THE_CHEST}, 201),
    ),
    "api:position-detail": line(SEES, "position"),
    "api:visit-list": line(
        SIGNED_IN, POST=api(OWNS, lambda w: {"lesion": str(w.lesion.pk), **VISIT}, 201)
    ),
    "api:visit-detail": line(SEES, "visit"),
    "api:lesion-reopen": line(args="lesion", POST=Sent(WRITES, done=200)),
    "api:patient-ugly-duckling": line(SEES, "patient"),
    "api:batch-list": line(
        SIGNED_IN,
        POST=api(
            WRITES,
            lambda w: {"archive": archive(), **({"clinic": w.clinic.pk} if w.clinic else {})},
            202,
            own_rule=SIGNED_IN,
            content_type=MULTIPART_CONTENT,
        ),
    ),
    "api:batch-detail": line(SEES, "batch"),
    "api:batch-cancel": line(args="batch", POST=Sent(WRITES, done=202)),
    "api:batch-resume": line(args="batch", POST=Sent(WRITES, done=202)),
    "api:batch-problems": line(SEES, "batch"),
    "api:batch-results": line(SEES, "batch"),
    "api:export-list": line(
        SIGNED_IN, POST=api(EXPORTS, lambda w: {"patient": str(w.patient.pk)}, 202)
    ),
    "api:export-detail": line(HOLDS_THE_EXPORT, "export"),
    "api:export-file": line(HOLDS_THE_EXPORT, "export"),
    "api:prediction-export": line(SIGNED_IN),
    "api:image-isic": line(SIGNED_IN),
    "api:measurement-list": line(SIGNED_IN),
    "api:measurement-detail": line(SEES, "measurement"),
    "api:scale-list": line(
        SIGNED_IN,
        POST=api(
            WRITES,
            lambda w: {"image": str(w.image.pk), "source": "ruler", "mm_per_pixel": 0.05},
            201,
        ),
    ),
    "api:scale-detail": line(SEES, "scale"),
    "api:outline-list": line(
        SIGNED_IN,
        POST=api(
            WRITES,
            lambda w: {"image": str(w.image.pk), "points": [[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]]},
            201,
        ),
    ),
    "api:outline-detail": line(SEES, "outline"),
    "api:comparison-list": line(
        SIGNED_IN,
        POST=api(
            SEES,
            lambda w: {
                "earlier": str(w.comparison.earlier_id),
                "later": str(w.comparison.later_id),
            },
            202,  # the outline was drawn since: compared anew
        ),
    ),
    "api:comparison-detail": line(SEES, "comparison"),
    "api:change-mark-list": line(
        SIGNED_IN,
        POST=api(
            WRITES,
            lambda w: {"comparison": str(w.comparison.pk), "verdict": "unchanged"},
            201,
        ),
    ),
    "api:change-mark-detail": line(SEES, "mark"),
    "api:alert-list": line(SIGNED_IN),
    "api:alert-detail": line(SEES, "alert"),
    "api:alert-close": line(
        args="alert", POST=Sent(WRITES, lambda w: {"reason": "Looked at it."}, 200)
    ),
    "api:reminder-list": line(
        SIGNED_IN,
        POST=api(WRITES, lambda w: {"lesion": str(w.lesion.pk), "interval_months": 6}, 201),
    ),
    "api:reminder-detail": line(SEES, "reminder"),
    "api:reminder-snooze": line(
        args="reminder", POST=Sent(WRITES, lambda w: {"span": "month"}, 200)
    ),
    "api:reminder-stop": line(args="reminder", POST=Sent(WRITES, done=200)),
    "api:lesion-reminder": line(SEES, "lesion"),
    "api:calendar-feed": line(
        SIGNED_IN, POST=Sent(SIGNED_IN, done=201), DELETE=Sent(SIGNED_IN, done=204)
    ),
    "api:lesion-report": line(SEES, "lesion"),
    "api:patient-report": line(SEES, "patient"),
    "api:schema": line(ANYONE),
    "api:docs": line(ANYONE),
    "api:redoc": line(ANYONE),
    "api:nothing": line(
        NOBODY,
        lambda w: ("v1/x",),
        **{m: Sent(NOBODY) for m in METHODS if m not in ("GET", "HEAD")},
    ),
}
