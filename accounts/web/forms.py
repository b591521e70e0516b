"""Forms of the account and clinic pages. The rules are in ``services``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.forms import ChangePasswordForm as BaseChangePasswordForm
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.utils import encrypt
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import public_keys, scopes, services
from accounts.applications import APPLICATION_ROLES
from accounts.models import ApiKey, Clinic, Membership, User
from accounts.roles import Role
from screening.web.forms.edit_form import EditForm
from screening.webhooks.targets import check_target
from skincheck_site.untrusted_json import ShallowDecoder


class ProfileForm(EditForm):
    first_name = forms.CharField(
        required=False,
        max_length=User._meta.get_field("first_name").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "given-name"}),
    )
    last_name = forms.CharField(
        required=False,
        max_length=User._meta.get_field("last_name").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "family-name"}),
    )

    @staticmethod
    def values_of(user: User) -> dict[str, Any]:
        return {"first_name": user.first_name, "last_name": user.last_name}


class ClinicForm(forms.Form):
    name = forms.CharField(
        max_length=Clinic._meta.get_field("name").max_length,
        label="Name of the clinic",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="Email address", widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.CLINICIAN)


class ReviewingForm(EditForm):
    @staticmethod
    def values_of(clinic: Clinic) -> dict[str, Any]:
        return {"review_before_reading": clinic.review_before_reading}

    review_before_reading = forms.BooleanField(
        required=False, label="Conclude first, then see the software's reading"
    )


class SecondFactorForm(EditForm):
    @staticmethod
    def values_of(clinic: Clinic) -> dict[str, Any]:
        return {"requires_second_factor": clinic.requires_second_factor}

    requires_second_factor = forms.BooleanField(
        required=False, label="Members get in only with a second factor"
    )


class BoundKeysForm(EditForm):
    @staticmethod
    def values_of(clinic: Clinic) -> dict[str, Any]:
        return {"requires_bound_keys": clinic.requires_bound_keys}

    requires_bound_keys = forms.BooleanField(
        required=False, label="Accept only API keys that are for this clinic alone"
    )


class CredentialField(forms.JSONField):
    """A browser's passkey response. Anyone may send one, without an account."""

    def __init__(self) -> None:
        super().__init__(widget=forms.HiddenInput, decoder=ShallowDecoder)


class PasskeyLogInForm(LoginWebAuthnForm):
    credential = CredentialField()


class PasskeyAgainForm(ReauthenticateWebAuthnForm):
    credential = CredentialField()


class PasskeyFactorForm(AuthenticateWebAuthnForm):
    credential = CredentialField()


class AppForm(ActivateTOTPForm):
    def clean_code(self) -> str:
        """The code that adds the app has counted: it opens no log-in."""
        code: str = super().clean_code()
        app = TOTP(Authenticator(user=self.user, data={"secret": encrypt(self.secret)}))
        if not app.validate_code(code):
            raise get_adapter().validation_error("incorrect_code")
        return code


class PasskeyForm(AddWebAuthnForm):
    credential = CredentialField()
    passwordless = forms.BooleanField(
        required=False,
        initial=True,
        label="Log in with this passkey alone, without a password",
        help_text="The device then asks for your fingerprint, face or PIN. Leave this off for "
        "a security key without a PIN.",
    )
    field_order = ["name", "passwordless", "credential"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = "For example “My phone”."

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except (ValueError, KeyError):  # no credential at all
            raise get_adapter().validation_error("incorrect_code") from None
        return cleaned


class ChangePasswordForm(BaseChangePasswordForm):
    """Asks users with API keys whether to revoke these too."""

    end_keys = forms.BooleanField(required=False, label="End my API keys too")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = list(self.user.api_keys.active().values_list("name", flat=True))
        if names:
            self.fields["end_keys"].help_text = f"They are: {', '.join(names)}."
        else:
            del self.fields["end_keys"]

    def save(self) -> None:
        super().save()
        if self.cleaned_data.get("end_keys"):
            services.revoke_all_api_keys(user=self.user)


class RoleForm(EditForm):
    role = forms.ChoiceField(
        choices=Role.choices,
        error_messages=dict.fromkeys(
            ("required", "invalid_choice"), "Choose one of the four roles."
        ),
    )

    @staticmethod
    def values_of(membership: Membership) -> dict[str, Any]:
        return {"role": membership.role}


def _scope_choices() -> list[tuple[str, str]]:
    return [(scope, scope) for scope in scopes.known()]


class AccessForm(forms.Form):
    """What a program may do: read everything, do everything, or scopes chosen one by one."""

    access = forms.ChoiceField(
        label="What may it do?",
        choices=[
            ("read", "Look at everything"),
            ("write", "Look at everything, add and change"),
            ("chosen", "Only what I tick"),
        ],
        initial="read",
        widget=forms.RadioSelect,
    )
    scopes = forms.MultipleChoiceField(
        label="One by one",
        choices=_scope_choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def clean(self) -> dict[str, Any]:
        """``scopes`` as they will be stored. Scopes added to the API later are not included."""
        cleaned = super().clean() or {}
        access = cleaned.pop("access", None)
        if access == "read":
            cleaned["scopes"] = scopes.to_read()
        elif access == "write":
            cleaned["scopes"] = list(scopes.known())
        elif access == "chosen" and not cleaned.get("scopes"):
            self.add_error("scopes", "Tick at least one.")
        return cleaned


class ApiKeyForm(AccessForm):
    name = forms.CharField(
        max_length=ApiKey._meta.get_field("name").max_length,
        label="What will use it?",
        help_text="A name that you will recognise, for example “Practice software”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    clinic = forms.ModelChoiceField(
        queryset=Clinic.objects.none(),
        required=False,
        label="Where?",
        empty_label="Everything that I can see",
        help_text="A key for one clinic sees nothing else, not even your own record.",
    )
    days = forms.TypedChoiceField(
        label="For how long?",
        choices=[(30, "30 days"), (90, "90 days"), (365, "A year"), (0, "Until I revoke it")],
        coerce=int,
        initial=365,
    )
    field_order = ["name", "clinic", "days", "access", "scopes"]

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinics: Any = self.fields["clinic"]
        clinics.queryset = Clinic.objects.with_member(user)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        days = cleaned.pop("days", 0)
        cleaned["expires_at"] = timezone.now() + timedelta(days=days) if days else None
        return cleaned


class KeysForm(forms.Form):
    keys = forms.CharField(
        label="Public keys",
        help_text="The https address of its JSON Web Key Set, or the set itself.",
        max_length=public_keys.LARGEST,
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_keys(self) -> str:
        """Reject an address inside this network. It is checked again on each request."""
        text: str = self.cleaned_data["keys"]
        if text.startswith("http"):
            try:
                check_target(text)
            except ValidationError as error:
                raise ValidationError(error.messages) from None
        return text


class ApplicationForm(AccessForm, KeysForm):
    name = forms.CharField(
        max_length=80,
        label="What is it called?",
        help_text="For example “Practice system” or “Dermatoscope in room 2”. What it records is "
        "signed with this name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    role = forms.ChoiceField(
        choices=[(role.value, role.label) for role in APPLICATION_ROLES],
        help_text="An application never concludes and never manages members.",
    )
    field_order = ["name", "role", "access", "scopes", "keys"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["keys"].required = False
        self.fields["keys"].label = "Public keys, if it signs in with keys (SMART)"
        self.fields["keys"].help_text += " Leave it empty, and it gets a secret."
