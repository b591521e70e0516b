"""The operator's view of accounts. Clinics are run by their own admins, on their own pages."""

from __future__ import annotations

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from accounts.models import ApiKey, Clinic, Invitation, Membership, User

# Through the site's own login, so that its rate limits hold here too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "SkinCheck"
admin.site.site_title = "SkinCheck"
admin.site.unregister(Group)


class ReadOnlyAdmin(admin.ModelAdmin):
    """To look at only: every change goes through the write path."""

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
    """An operator closes and opens accounts here, and names other operators. Nothing else."""

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
    readonly_fields = ["email", "first_name", "last_name", "date_joined", "last_login"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(Clinic)
class ClinicAdmin(ReadOnlyAdmin):
    list_display = ["name", "created"]
    search_fields = ["name"]
    inlines = [MembershipInline]


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
    search_fields = ["email"]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["name", "prefix", "user", "created", "expires_at", "last_used_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["name", "prefix", "user__email"]
    exclude = ["secret_sha256"]


class ApplicationAdmin(ReadOnlyAdmin):
    """Registered by django-oauth-toolkit, which the settings point here."""

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
