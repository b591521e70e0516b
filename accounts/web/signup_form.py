"""What sign-up asks for besides address and password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.html import format_html

from accounts import agreements
from accounts.models import User


class AgreementForm(forms.Form):
    """Both boxes must be ticked; neither is ticked beforehand."""

    of_age = forms.BooleanField()
    agrees = forms.BooleanField(
        label="I agree to the privacy page and the terms, and know that SkinCheck is not for "
        "emergencies",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["of_age"].label = f"I am {settings.MINIMUM_AGE} years old or older"
        self.fields["agrees"].help_text = format_html(
            '<a href="{}">Privacy</a> · <a href="{}">Terms</a>',
            reverse_lazy("privacy"),
            reverse_lazy("terms"),
        )


class SignupForm(AgreementForm):
    """allauth's hook, with its name and arguments."""

    def signup(self, request: HttpRequest, user: User) -> None:
        agreements.agree(user=user)
