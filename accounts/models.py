"""People, the clinics they work in, and the keys their systems use."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models import Exists, ExpressionWrapper, OuterRef, Q
from django.utils import timezone
from django.utils.functional import cached_property
from oauth2_provider.models import AbstractApplication
from uuid_utils.compat import uuid7

from accounts.roles import REVIEWERS, Role

ELSEWHERE = "elsewhere.invalid"
"""The domain of the addresses of imported people without an account."""


class Held(NamedTuple):
    """A user's role in a clinic, and what the clinic requires of its members."""

    role: str
    reviews_blind: bool
    demands_factor: bool


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """Create an active account. No account may have this e-mail address yet."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """Someone who logs in with an e-mail address. Without a clinic, they track their own skin."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    username = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)

    mails_reminders = models.BooleanField(
        default=True,
        db_default=True,
        help_text="If off, the only unrequested mail is about changes to the account.",
    )

    erased_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Scheduled time of erasure. Until then the account can only cancel it.",
    )

    # The clinic of the key or application that acts for this user; nothing else is visible. Not
    # stored.
    bound_clinic: Clinic | None = None
    # A key that is bound to no clinic acts for this user. Not stored.
    uses_unbound_key: bool = False
    # Of whoever is logged in, brought along by ``accounts.log_in``. Not stored.
    has_withdrawn: bool = False
    has_factor: bool = False

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.get_full_name() or self.email

    @property
    def is_elsewhere(self) -> bool:
        """Whether this is only the name of a person with an account in another installation."""
        return self.email.endswith(f"@{ELSEWHERE}")

    @cached_property
    def roles(self) -> list[Held]:
        """Asked once in the life of this object: a request. ``accounts.log_in`` brings them along
        for whoever is logged in.
        """
        rows = self.memberships.annotate(demands_factor=demands_factor())
        found = rows.values_list("role", "clinic__review_before_reading", "demands_factor")
        return [Held(*row) for row in found]

    @property
    def reviews_blind(self) -> bool:
        """Whether the user concludes in a clinic that requires this before findings are shown."""
        return any(held.reviews_blind and held.role in REVIEWERS for held in self.roles)


INVITATION_DAYS = 7


class ClinicQuerySet(models.QuerySet["Clinic"]):
    def with_member(self, user: User, roles: tuple[Role, ...] = tuple(Role)) -> ClinicQuerySet:
        """Clinics where ``user`` holds one of ``roles``; only the bound clinic if the caller has
        one. A key that is bound to none reaches no clinic that requires it.
        """
        held = Membership.objects.filter(user=user, role__in=roles)
        if user.bound_clinic is not None:
            held = held.filter(clinic=user.bound_clinic)
        elif user.uses_unbound_key:
            held = held.filter(clinic__requires_bound_keys=False)
        return self.filter(pk__in=held.values("clinic"))


class Clinic(models.Model):
    """An organisation whose members work on the same patients."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    name = models.CharField(max_length=120)
    review_before_reading = models.BooleanField(
        default=False,
        help_text="Clinicians see the model's reading only after they have recorded their own.",
    )
    requires_second_factor = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Members need a second factor to log in.",
    )
    requires_bound_keys = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Members' API keys reach its records only if they are bound to it.",
    )
    code = models.CharField(
        max_length=12,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="People use it to invite the clinic to their record. Empty if nobody can.",
    )

    objects = ClinicQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["code"], condition=~Q(code=""), name="code_is_of_one_clinic"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def written_code(self) -> str:
        """The code in groups of four, as people read it out."""
        return "-".join(self.code[start : start + 4] for start in range(0, len(self.code), 4))


def demands_factor(membership: str = "") -> ExpressionWrapper:
    """A condition on memberships: whoever holds it must have a second factor. membership: the path
    from other rows.
    """
    asks = Q((f"{membership}clinic__requires_second_factor", True))
    if settings.ADMINS_NEED_SECOND_FACTOR:
        asks |= Q((f"{membership}role", Role.ADMIN))
    return ExpressionWrapper(asks, output_field=models.BooleanField())


class MembershipQuerySet(models.QuerySet["Membership"]):
    def of_people(self) -> MembershipQuerySet:
        """Memberships of people, without those of applications."""
        return self.filter(user__accounts_application=None)


class Membership(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["clinic", "user"], name="one_membership_per_clinic"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} at {self.clinic}"


def is_admins(issuer: str) -> Exists:
    """A condition on rows of a ``clinic``: the user named by the field ``issuer`` is currently an
    admin of it, with an active account and an agreement that they have not withdrawn. What an admin
    issued is valid only while this is so.
    """
    return Exists(
        Membership.objects.filter(
            clinic=OuterRef("clinic"),
            user=OuterRef(issuer),
            role=Role.ADMIN,
            user__is_active=True,
        ).exclude(has_withdrawn("user__"))
    )


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def open(self) -> InvitationQuerySet:
        """Neither accepted nor withdrawn or replaced; with ``stands``: whether the sender may
        currently invite. The link of an open invitation may have expired.
        """
        return self.filter(accepted_at=None, withdrawn_at=None).annotate(
            stands=is_admins("invited_by")
        )

    def standing(self) -> InvitationQuerySet:
        return self.open().filter(Q(stands=True))


class Invitation(models.Model):
    """An offer of membership, sent by e-mail as a signed link that names this row."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField("e-mail address")
    role = models.CharField(max_length=10, choices=Role)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="invitations_sent")
    accepted_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(
        null=True, editable=False, help_text="When it was withdrawn or replaced."
    )
    mailed_at = models.DateTimeField(
        null=True, editable=False, help_text="When the mail server accepted it. Empty if not yet."
    )

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-created"]
        constraints = [
            models.UniqueConstraint(
                fields=["clinic", "email"],
                condition=Q(accepted_at=None, withdrawn_at=None),
                name="one_open_invitation_per_clinic_and_email",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="invited_role_is_known"
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(withdrawn_at=None),
                name="accepted_invitation_is_not_withdrawn",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.clinic}"

    @property
    def expires_at(self) -> datetime:
        """When the mailed link stops working."""
        return self.created + timedelta(days=INVITATION_DAYS)

    @property
    def is_expired(self) -> bool:
        return timezone.now() >= self.expires_at


class Agreement(models.Model):
    """A person's agreement to the privacy page and the terms, in one version; or the confirmation
    for a clinic that its patients are informed and consent.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="agreements")
    clinic = models.ForeignKey(
        Clinic, null=True, on_delete=models.CASCADE, related_name="agreements"
    )
    version = models.CharField(max_length=12)
    given_at = models.DateTimeField(default=timezone.now, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-given_at"]

    def __str__(self) -> str:
        return f"{self.user_id}, {self.version}"


def has_withdrawn(person: str = "") -> Q:
    """A condition: the person withdrew their agreement and has not agreed again. person: the path
    from the filtered rows to the user; empty for users.
    """
    own = Agreement.objects.filter(user=OuterRef(f"{person}pk"), clinic=None)
    ended, standing = own.exclude(withdrawn_at=None), own.filter(withdrawn_at=None)
    return Q(Exists(ended)) & ~Q(Exists(standing))


KEY_PREFIX = "sk_"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def unrevoked(self) -> ApiKeyQuerySet:
        return self.filter(revoked_at=None)

    def revocable_by(self, user: User) -> ApiKeyQuerySet:
        """One's own, and those that are bound to a clinic which the user runs."""
        run = Clinic.objects.with_member(user, (Role.ADMIN,))
        return self.filter(Q(user=user) | Q(clinic__in=run))

    def active(self) -> ApiKeyQuerySet:
        """Keys that are currently valid."""
        return self.unrevoked().filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))

    def unbound_in(self, clinic: Clinic) -> ApiKeyQuerySet:
        """Valid keys of members that are bound to no clinic."""
        return self.active().filter(clinic=None, user__memberships__clinic=clinic)


class ApiKey(models.Model):
    """A secret with which a program acts for its owner. Only its SHA-256 is stored: the secret is
    random, so a slow password hash would add nothing.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, editable=False)
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    clinic = models.ForeignKey(
        Clinic,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text="The only clinic it sees. Empty: everything its owner sees.",
    )
    scopes = models.JSONField(
        null=True,
        blank=True,
        help_text="What it may do. Empty: everything, as for keys older than scopes.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and timezone.now() >= self.expires_at

    @staticmethod
    def digest(secret: str) -> str:
        return hashlib.sha256(secret.encode()).hexdigest()


class ApplicationQuerySet(models.QuerySet["Application"]):
    def active(self) -> ApplicationQuerySet:
        """Not revoked; with ``stands``: false once the responsible user is no longer an admin."""
        return self.filter(revoked_at=None).annotate(stands=is_admins("registered_by"))

    def standing(self) -> ApplicationQuerySet:
        """Applications that can currently get and use tokens."""
        return self.active().filter(Q(stands=True))


class Application(AbstractApplication):
    """Another system that works for one clinic, by OAuth 2 client credentials.

    It acts as ``user``, a member of that clinic that nobody can log in as.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)  # type: ignore[assignment]
    clinic = models.ForeignKey(Clinic, on_delete=models.CASCADE, related_name="applications")
    registered_by = models.ForeignKey(
        User,
        on_delete=models.PROTECT,
        related_name="registered_applications",
        help_text="Responsible for it. It works only while they are an admin of the clinic.",
    )
    scopes = models.JSONField(help_text="What its tokens may do.")
    jwks = models.JSONField(
        default=list,
        db_default=[],
        editable=False,
        help_text="Public keys it authenticates with. Empty if they are at jwks_url or it uses "
        "its secret.",
    )
    jwks_url = models.URLField(
        max_length=500,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="Where its public keys are.",
    )
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = ApplicationQuerySet.as_manager()

    class Meta(AbstractApplication.Meta):
        ordering = ["-created"]

    @property
    def signs_in_with_keys(self) -> bool:
        return bool(self.jwks or self.jwks_url)

    def is_usable(self, request: object) -> bool:
        """Whether it may get tokens now. django-oauth-toolkit calls this before issuing one."""
        return Application.objects.standing().filter(pk=self.pk).exists()


class UsedAssertion(models.Model):
    """An assertion that an application signed in with. Each counts once, in all processes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="used_assertions"
    )
    jti_sha256 = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField(editable=False, help_text="After this it is refused anyway.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["application", "jti_sha256"], name="assertion_is_used_once"
            ),
        ]

    def __str__(self) -> str:
        return self.jti_sha256
