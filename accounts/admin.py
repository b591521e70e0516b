"""The operator's view of accounts. Clinics are run by their own admins, on their own pages."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from accounts.models import (
    Agreement,
    ApiKey,
    Clinic,
    Invitation,
    Membership,
    UsedAssertion,
    User,
)

SOCIAL = ("SocialApp", "SocialAccount", "SocialToken")
# Through the site's own log-in, so that its rate limits apply here too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "SkinCheck"
admin.site.site_title = "SkinCheck"
admin.site.unregister([Group, EmailAddress, Authenticator, UserSession])
if settings.IDENTITY_PROVIDER:  # its tables hold the provider's data on people, and its tokens
    admin.site.unregister([apps.get_model("socialaccount", name) for name in SOCIAL])


class ReadOnlyAdmin(admin.ModelAdmin):
    """Read-only, but complete: every change goes through the write path."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Including fields that no form has, but without those that ``exclude`` names."""
        left_out = self.exclude or ()
        return [field.name for field in self.opts.fields if field.name not in left_out]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(admin.TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(ReadOnlyInline):
    model = Membership
    fields = ["user", "role", "created"]
    readonly_fields = ["user", "role", "created"]


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Operators deactivate and activate accounts here, and appoint other operators. Nothing
    else.
    """

    list_display = ["email", "first_name", "last_name", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff"]
    search_fields = ["email", "first_name", "last_name"]
    ordering = ["email"]
    fields = [
        "email",
        "first_name",
        "last_name",
        "is_active",
        "is_staff",
        "is_superuser",
        "date_joined",
        "last_login",
    ]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["email", "first_name", "last_name", "date_joined", "last_login"]


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    """Replaces allauth's admin, in which an address could be changed and marked as confirmed."""

    list_display = ["email", "user", "primary", "verified"]
    list_select_related = ["user"]
    list_filter = ["primary", "verified"]
    search_fields = ["email", "user__email"]


@admin.register(Clinic)
class ClinicAdmin(ReadOnlyAdmin):
    list_display = [
        "name",
        "review_before_reading",
        "requires_second_factor",
        "requires_bound_keys",
        "created",
    ]
    list_filter = ["review_before_reading", "requires_second_factor", "requires_bound_keys"]
    search_fields = ["name"]
    inlines = [MembershipInline]


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ["user", "clinic", "role", "created"]
    list_select_related = ["user", "clinic"]
    list_filter = ["role"]
    search_fields = ["user__email", "clinic__name"]


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    list_display = [
        "email",
        "clinic",
        "role",
        "created",
        "mailed_at",
        "accepted_at",
        "withdrawn_at",
    ]
    list_select_related = ["clinic"]
    list_filter = ["role", ("mailed_at", admin.EmptyFieldListFilter)]
    search_fields = ["email", "clinic__name"]


@admin.register(Agreement)
class AgreementAdmin(ReadOnlyAdmin):
    list_display = ["user", "clinic", "version", "given_at", "withdrawn_at"]
    list_select_related = ["user", "clinic"]
    list_filter = ["version"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "prefix", "user", "created", "expires_at", "last_used_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__email"]
    exclude = ["secret_sha256"]


@admin.register(UsedAssertion)
class UsedAssertionAdmin(ReadOnlyAdmin):
    list_display = ["application", "expires_at"]
    list_select_related = ["application"]


class ApplicationAdmin(ReadOnlyAdmin):
    """Registered by django-oauth-toolkit through a setting."""

    list_display = ["name", "clinic", "created", "last_used_at", "revoked_at"]
    list_select_related = ["clinic"]
    search_fields = ["name", "client_id"]
    fields = [
        "name",
        "clinic",
        "client_id",
        "scopes",
        "user",
        "registered_by",
        "last_used_at",
        "revoked_at",
    ]


class TokenAdmin(ReadOnlyAdmin):
    """For django-oauth-toolkit's tokens and grants, registered through a setting: without their
    secrets.
    """

    list_display = ["pk", "application", "user", "created"]
    list_select_related = ["application", "user"]
    fields = ["application", "user", "created", "updated"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["application", "user", "created", "updated"]
