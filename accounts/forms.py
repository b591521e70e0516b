"""Parse what people type on the account and clinic pages. The rules are in ``services``."""

from __future__ import annotations

from django import forms

from accounts.models import ApiKey, Clinic, Role, User


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["first_name", "last_name"]
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
        }


class ClinicForm(forms.Form):
    name = forms.CharField(
        max_length=Clinic._meta.get_field("name").max_length,
        label="Name of the clinic",
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )


class InvitationForm(forms.Form):
    email = forms.EmailField(
        label="E-mail address", widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.CLINICIAN)


class ReviewingForm(forms.Form):
    review_before_reading = forms.BooleanField(
        required=False, label="Conclude first, then see the software's reading"
    )


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=Role.choices)


class ApiKeyForm(forms.Form):
    name = forms.CharField(
        max_length=ApiKey._meta.get_field("name").max_length,
        label="What will use it?",
        help_text="A name by which you recognise it, for example “Practice software”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
