"""DICOM nodes of a clinic: their write path, and a question to see whether one answers."""

from __future__ import annotations

from base64 import b64encode
from threading import BoundedSemaphore
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from accounts.encrypted_text import Undecipherable
from accounts.models import Clinic, User
from accounts.services import lock_members, require_clinic_admin
from screening.errors import Busy, NotSent
from screening.models import DicomNode
from screening.models.dicom_node import Authorization
from screening.webhooks.http import Headers, get
from screening.webhooks.targets import check_target
from skincheck_site import untrusted_json

FIELDS = ("name", "address", "authorization", "for_research")
MAX_NODES = 10
LONGEST_CREDENTIALS = 4000
TEST_SECONDS = 5.0
TESTS_AT_ONCE = 1
_LARGEST_ANSWER = 1_000_000
DICOM_JSON: Headers = {"Accept": "application/dicom+json"}
_WAS_USED = (
    "Pictures were sent to the address before, and records say so. Add another DICOM node, and "
    "remove this one."
)
_LOST = "The credentials of this node cannot be read any more. Enter them again."


_tests = BoundedSemaphore(TESTS_AT_ONCE)
"""Of the web process: nodes that hang leave its other threads to everyone else."""


class Tested(NamedTuple):
    """message: what came back, in words."""

    answers: bool
    message: str


@transaction.atomic
def add_node(*, user: User, clinic: Clinic, credentials: str = "", **fields: Any) -> DicomNode:
    """credentials: ``user:password``, or the token."""
    require_clinic_admin(user=user, clinic=clinic)
    lock_members(clinic.pk)  # the others are counted, so nobody adds one meanwhile
    if DicomNode.objects.standing().filter(clinic=clinic).count() >= MAX_NODES:
        raise ValidationError(f"There are {MAX_NODES} DICOM nodes already. Remove one first.")
    return _save(DicomNode(clinic=clinic), credentials, fields)


@transaction.atomic
def edit_node(*, user: User, node: DicomNode, credentials: str = "", **fields: Any) -> DicomNode:
    """Empty ``credentials`` keep the stored ones, unless the address or the scheme changes: they
    are never sent to another address, or in another way.

    The address of a node that something was sent to cannot change: records would say that it went
    elsewhere.
    """
    # No delivery is added meanwhile, and nobody removes the node.
    node.refresh_from_db(from_queryset=DicomNode.objects.select_for_update())
    _require_manageable(user, node)
    address = node.address
    edited = _save(node, credentials, fields)
    sent = node.deliveries.attempted() | node.deliveries.active()
    if edited.address != address and sent.exists():
        raise ValidationError({"address": _WAS_USED})
    return edited


@transaction.atomic
def remove_node(*, user: User, node: DicomNode) -> None:
    """Send nothing more there. What was sent stays on record."""
    _require_manageable(user, node)
    node.removed_at = timezone.now()
    node.authorization, node.encrypted_credentials = Authorization.NONE, ""
    node.save()


def test_node(*, user: User, node: DicomNode) -> Tested:
    """Search it for one study (QIDO-RS). Nothing is stored. Raises Busy while others are tested."""
    _require_manageable(user, node)
    if not _tests.acquire(blocking=False):
        raise Busy
    try:
        return _tested(node)
    finally:
        _tests.release()


def _tested(node: DicomNode) -> Tested:
    try:
        found = get(
            f"{node.address}/studies?limit=1",
            most=_LARGEST_ANSWER,
            seconds=TEST_SECONDS,
            headers={**DICOM_JSON, **authorised(node)},
        )
    except NotSent as reason:
        return Tested(False, str(reason))
    return _read(found.status_code, found.body)


def authorised(node: DicomNode) -> Headers:
    """The header that authorises a request. Raises NotSent if nothing opens the credentials."""
    try:
        credentials = node.credentials
    except Undecipherable:
        raise NotSent(_LOST) from None
    if node.authorization == Authorization.BASIC:
        return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
    if node.authorization == Authorization.BEARER:
        return {"Authorization": f"Bearer {credentials}"}
    return {}


def _read(code: int, body: bytes) -> Tested:
    if code in (401, 403):
        return Tested(False, f"It answers, but refuses the authorisation (status {code}).")
    if code == 404:
        return Tested(
            False,
            "It answers, but there is no DICOMweb at this address (status 404). The address often "
            "ends in /dicom-web or /dicomweb.",
        )
    if 300 <= code < 400:
        return Tested(False, f"It answers with a redirect (status {code}). Enter where it leads.")
    if code == 204 or (code == 200 and _is_list(body)):
        return Tested(True, "It answers a search for studies, as DICOMweb does (QIDO-RS).")
    return Tested(False, f"It answers, but not as DICOMweb does (status {code}).")


def _is_list(body: bytes) -> bool:
    try:
        return isinstance(untrusted_json.loads(body.decode()), list)
    except ValueError:
        return False


def _require_manageable(user: User, node: DicomNode) -> None:
    if not DicomNode.objects.managed_by(user).contains(node):
        raise PermissionDenied("Only an admin of the clinic manages its DICOM nodes.")


def _save(node: DicomNode, credentials: str, fields: dict[str, Any]) -> DicomNode:
    if unknown := fields.keys() - set(FIELDS):
        raise TypeError(f"DicomNode takes no {', '.join(sorted(unknown))}")
    before = (node.address, node.authorization)
    for name, value in fields.items():
        setattr(node, name, value.strip() if isinstance(value, str) else value)
    node.address = node.address.rstrip("/")
    check_target(node.address, field="address")
    if "?" in node.address:
        raise ValidationError({"address": "Leave out what begins with a question mark."})
    if node.address.endswith("/studies"):
        raise ValidationError({"address": "Leave out /studies: give what comes before it."})
    _set_credentials(
        node, credentials.strip(), is_as_before=before == (node.address, node.authorization)
    )
    node.full_clean()
    node.save()
    return node


def _set_credentials(node: DicomNode, credentials: str, *, is_as_before: bool) -> None:
    if node.authorization == Authorization.NONE:
        if credentials:
            _refuse("Choose how they are sent, or leave them out.")
        node.credentials = ""
    elif credentials:
        _check_credentials(node.authorization, credentials)
        node.credentials = credentials
    elif not node.encrypted_credentials:
        _refuse("Enter the user name and password, or the token.")
    elif not is_as_before:
        _refuse("Enter them again: those that are stored are for what was here before.")


def _check_credentials(authorization: str, credentials: str) -> None:
    if len(credentials) > LONGEST_CREDENTIALS or not credentials.isprintable():
        _refuse(f"Give at most {LONGEST_CREDENTIALS} characters in one line.")
    if authorization == Authorization.BASIC and ":" not in credentials:
        _refuse("Give the user name and the password with a colon between: name:password.")
    if authorization == Authorization.BEARER and not (
        credentials.isascii() and " " not in credentials
    ):
        _refuse("A token has no spaces and only ASCII characters.")


def _refuse(message: str) -> None:
    raise ValidationError({"credentials": message})
