from __future__ import annotations

import errno
import os
import time
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from screening.errors import KeyDestroyed, KeyMissing
from screening.models.erasure import Erasure
from screening.models.patient import Patient
from screening.sealing import KEY

INSTALLATION = UUID(int=0)
"""The owner of what belongs to no single patient: archives of batches, exports of an account."""
FORGOTTEN_AFTER = 600
"""Seconds for which a process keeps a data key in memory after opening it."""
MOST_REMEMBERED = 1000
_NONCE = 12
MISSING = (
    "Pictures are encrypted with an operator's key that is not set. Put it back in ENCRYPTION_KEY "
    "(embedded: var/encryption_key), on a line of its own, and restart. See docs/operations.md."
)

_opened: dict[UUID, tuple[float, bytes]] = {}


class DataKeyQuerySet(models.QuerySet["DataKey"]):
    def lost(self) -> DataKeyQuerySet:
        """Keys that none of the operator's configured keys opens, and that are not marked
        as lost.
        """
        return self._closed().filter(lost_at=None)

    def outdated(self) -> DataKeyQuerySet:
        """Keys wrapped with a former operator's key."""
        given_up = self._closed().exclude(lost_at=None)
        of_former = self.exclude(wrapped_by=next(iter(operators_keys()), ""))
        return of_former.exclude(pk__in=given_up.values("pk"))

    def _closed(self) -> DataKeyQuerySet:
        return self.exclude(wrapped_by__in=list(operators_keys()))


class DataKey(models.Model):
    """The key that encrypts one patient's pictures. It is stored encrypted ("wrapped") with the
    operator's key and destroyed with the record, after which nothing opens the pictures.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    patient = models.ForeignKey(
        Patient,
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="data_keys",
        help_text="Empty if it is the installation's key or is about to be destroyed.",
    )
    erasure = models.ForeignKey(
        Erasure,
        null=True,
        editable=False,
        on_delete=models.CASCADE,
        related_name="data_keys",
        help_text="It is destroyed with the last file of this erasure.",
    )
    wrapped = models.BinaryField(editable=False, help_text="Nonce, key and tag: AES-256-GCM.")
    wrapped_by = models.CharField(
        max_length=16, editable=False, help_text="Which operator's key opens it."
    )
    created = models.DateTimeField(default=timezone.now, editable=False)
    lost_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When an operator declared the key that opens it lost for good. What it "
        "encrypts counts as lost, and the patient gets a new key.",
    )

    objects = DataKeyQuerySet.as_manager()

    class Meta:
        ordering = ["created"]
        constraints = [
            models.CheckConstraint(
                condition=Q(patient__isnull=False) | Q(erasure__isnull=False) | Q(id=INSTALLATION),
                name="data_key_has_an_owner",
            ),
            models.UniqueConstraint(
                fields=["patient"],
                condition=Q(lost_at=None),
                name="one_data_key_per_patient",
            ),
        ]

    def __str__(self) -> str:
        return f"data key {self.pk}"

    @classmethod
    def of(cls, patient: Patient | None) -> DataKey:
        """The patient's key, or the installation's for None. Created on first use. Raises
        KeyMissing.
        """
        which: dict[str, Any] = {"patient": patient, "lost_at": None}
        if patient is None:
            which = {"pk": INSTALLATION}
        found = cls.objects.filter(**which).first()
        if found is None:
            # A new key beside keys that cannot be opened would hide the loss of the operator's key.
            if not settings.ENCRYPTION_KEYS:
                raise KeyMissing(errno.ENOKEY, MISSING)
            require_none_lost()
            made = cls(**which)
            made.wrap(os.urandom(KEY))
            values = {"wrapped": made.wrapped, "wrapped_by": made.wrapped_by}
            found, _ = cls.objects.get_or_create(**which, defaults=values | {"pk": made.pk})
        return found

    @property
    def is_lost(self) -> bool:
        """Whether it was given up, and its operator's key was not found again."""
        return self.lost_at is not None and self.wrapped_by not in operators_keys()

    @property
    def key(self) -> bytes:
        """Raises KeyMissing, or KeyDestroyed for a key marked as lost."""
        wrapping = operators_keys().get(self.wrapped_by)
        if self.is_lost:
            raise KeyDestroyed(errno.ENOENT, "The key of what is stored is lost.")
        if wrapping is None:
            raise KeyMissing(errno.ENOKEY, MISSING)
        wrapped = bytes(self.wrapped)
        try:
            key = AESGCM(wrapping).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], self.pk.bytes)
        except InvalidTag:
            raise KeyMissing(errno.ENOKEY, f"{self} was changed: restore it.") from None
        # It has the same identifier when created again after a rollback.
        if self.pk != INSTALLATION:
            if len(_opened) > MOST_REMEMBERED:
                _opened.clear()
            _opened[self.pk] = (time.monotonic() + FORGOTTEN_AFTER, key)
        return key

    def wrap(self, key: bytes) -> None:
        """Encrypt ``key`` with the operator's newest key. Does not save."""
        self.wrapped_by, wrapping = next(iter(operators_keys().items()))
        nonce = os.urandom(_NONCE)
        self.wrapped = nonce + AESGCM(wrapping).encrypt(nonce, key, self.pk.bytes)


def key_of(pk: UUID) -> bytes:
    """The data key that a header names. Raises KeyMissing, or KeyDestroyed if it was erased."""
    until, key = _opened.get(pk, (0.0, b""))
    if until > time.monotonic():
        return key
    found = DataKey.objects.filter(pk=pk).first()
    if found is None:
        raise KeyDestroyed(errno.ENOENT, "The key of what is stored was destroyed.")
    return found.key


def require_none_lost() -> None:
    """Raises KeyMissing."""
    if DataKey.objects.lost().exists():
        raise KeyMissing(errno.ENOKEY, MISSING)


def forget_opened() -> None:
    _opened.clear()


def operators_keys() -> dict[str, bytes]:
    """The operator's keys by their fingerprint, newest first."""
    keys = map(bytes.fromhex, settings.ENCRYPTION_KEYS)
    return {sha256(b"skincheck.operator.1" + key).hexdigest()[:16]: key for key in keys}
