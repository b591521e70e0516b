"""Forms of links to a record. The rules are in ``screening.privacy.sharing``."""

from __future__ import annotations

from django import forms


class ShareForm(forms.Form):
    recipient = forms.CharField(
        max_length=120, label="For whom?", help_text="For example “Dermatology, North clinic”."
    )
    days = forms.TypedChoiceField(
        label="For how long?",
        choices=[(1, "A day"), (7, "A week"), (30, "30 days"), (90, "90 days")],
        coerce=int,
        initial=7,
    )
    message = forms.CharField(
        required=False,
        max_length=4000,
        label="Message",
        help_text="What you ask or want to say, as in a referral letter. It is shown above the "
        "record, and printed before the report.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    code = forms.CharField(
        required=False,
        max_length=64,
        help_text="Asked for before anything is shown. Do not send it together with the link.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class CodeForm(forms.Form):
    code = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "off"}))


class OpinionForm(forms.Form):
    name = forms.CharField(max_length=120, label="Your name and practice")
    text = forms.CharField(
        max_length=4000, label="Your opinion", widget=forms.Textarea(attrs={"rows": 5})
    )
