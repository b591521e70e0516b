"""Write path of applications: other systems that work for one clinic, by OAuth 2."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import AccessToken
from uuid_utils.compat import uuid7

from accounts import public_keys
from accounts import scopes as known_scopes
from accounts.models import Application, Clinic, Membership, User
from accounts.public_keys import Keys
from accounts.roles import Role
from accounts.services import require_clinic_admin

# A program never records conclusions and never manages people.
APPLICATION_ROLES = (Role.ASSISTANT, Role.VIEWER)


@transaction.atomic
def register_application(
    *, user: User, clinic: Clinic, name: str, role: str, scopes: Iterable[str], keys: str = ""
) -> tuple[Application, str]:
    """Register the application. It acts as a separate member of ``clinic`` and may request tokens.

    keys: a JSON Web Key Set or its URL, with which alone it then signs in. Without keys it uses its
    secret, which is returned only here.
    """
    require_clinic_admin(user=user, clinic=clinic)
    if role not in APPLICATION_ROLES:
        raise ValidationError({"role": "An application is an assistant or a viewer."})
    pk = uuid7()
    acting = User.objects.create_user(f"{pk}@applications.invalid", None, first_name=name.strip())
    secret = generate_client_secret()  # with keys, nobody learns the secret
    application = Application(
        id=pk,
        name=name.strip(),
        clinic=clinic,
        user=acting,
        registered_by=user,
        scopes=known_scopes.checked(scopes),
        client_secret=secret,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
        **public_keys.given(keys),
    )
    _require_address(application.jwks_url)
    application.full_clean()
    application.save()
    Membership.objects.create(clinic=clinic, user=acting, role=role)
    return application, "" if application.signs_in_with_keys else secret


@transaction.atomic
def renew_secret(*, user: User, application: Application) -> str:
    """Replace the secret, or the keys by a secret; the old one becomes invalid. Tokens issued with
    it expire normally.
    """
    require_clinic_admin(user=user, clinic=application.clinic)
    return _sign_in_with(application, {"jwks": [], "jwks_url": ""})


@transaction.atomic
def set_keys(*, user: User, application: Application, keys: str) -> Application:
    """Let it sign in with these keys only: a JSON Web Key Set or the URL of one."""
    require_clinic_admin(user=user, clinic=application.clinic)
    given = public_keys.given(keys)
    _require_address(given["jwks_url"])
    if not any(given.values()):
        raise ValidationError({"keys": public_keys.NO_KEYS})
    _sign_in_with(application, given)
    return application


@transaction.atomic
def take_over_application(*, user: User, application: Application) -> None:
    """Make ``user`` responsible for the application: it works for as long as they are an admin."""
    require_clinic_admin(user=user, clinic=application.clinic)
    Application.objects.active().filter(pk=application.pk).update(registered_by=user)


@transaction.atomic
def revoke_application(*, user: User, application: Application) -> None:
    """Invalidate its secret and tokens. What it recorded stays."""
    require_clinic_admin(user=user, clinic=application.clinic)
    Application.objects.active().filter(pk=application.pk).update(revoked_at=timezone.now())
    AccessToken.objects.filter(application=application).delete()
    Membership.objects.filter(user=application.user).delete()
    User.objects.filter(accounts_application=application).update(is_active=False)


def _sign_in_with(application: Application, keys: Keys) -> str:
    """Allow one way to sign in at a time: the secret changes too, and nobody learns it."""
    secret = generate_client_secret()
    application.jwks, application.jwks_url = keys["jwks"], keys["jwks_url"]
    application.client_secret = secret
    application.save(update_fields=["jwks", "jwks_url", "client_secret", "updated"])
    return secret


def _require_address(url: str) -> None:
    """Check the form of the URL. Whether it is public is checked on each request to it."""
    if url and (len(url) > 500 or not url.startswith("https://")):
        raise ValidationError({"keys": public_keys.NO_KEYS})
