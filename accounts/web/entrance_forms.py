"""Forms of the log-in pages: allauth's, with our wording."""

from __future__ import annotations

from typing import Any, cast

from allauth.account import forms as allauth_forms
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.shortcuts import redirect

from accounts.web.forms import ChangePasswordForm as ChangesPasswordForm

RULES = (
    f"At least {settings.PASSWORD_LENGTH} characters, not only digits. "
    "No common word, nothing like your email."
)


class _PlainWords:
    """Labels that the fields do not repeat, and the password's rules in one line."""

    fields: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        if "password1" in self.fields:
            self.fields["password1"].help_text = RULES


class LogInForm(_PlainWords, allauth_forms.LoginForm): ...


class SignUpForm(_PlainWords, allauth_forms.SignupForm):
    field_order = ("email", "password1", "password2", "of_age", "agrees")

    def try_save(self, request: HttpRequest) -> tuple[Any, Any]:
        """The account, or the response if there is none: of a double click, one creates it."""
        if self.account_already_exists:  # it mails the owner, for which no transaction should wait
            return cast(tuple[Any, Any], super().try_save(request))
        try:
            with transaction.atomic():
                return cast(tuple[Any, Any], super().try_save(request))
        except IntegrityError:
            messages.info(request, "An account with this address has just been made. Log in.")
            return None, redirect("account_login")


class ChangePasswordForm(_PlainWords, ChangesPasswordForm): ...


class SetPasswordForm(_PlainWords, allauth_forms.SetPasswordForm): ...


class ResetPasswordForm(_PlainWords, allauth_forms.ResetPasswordForm): ...


class ResetPasswordKeyForm(_PlainWords, allauth_forms.ResetPasswordKeyForm): ...


class AddEmailForm(_PlainWords, allauth_forms.AddEmailForm): ...
