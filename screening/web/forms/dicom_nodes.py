"""Forms for DICOM nodes. The rules are in ``interop.dicomweb``."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import User
from screening.interop.dicomweb.nodes import FIELDS, LONGEST_CREDENTIALS
from screening.models import Authorization, DicomNode, Lesion
from screening.web.forms.choices import offer
from screening.web.forms.edit_form import EditForm
from screening.webhooks.targets import MAX_LENGTH


class DicomNodeForm(EditForm):
    name = forms.CharField(
        max_length=80,
        help_text="A name that everyone in the clinic recognises, for example “Hospital archive”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    address = forms.CharField(
        max_length=MAX_LENGTH,
        help_text="Of its DICOMweb service, on the public internet, with https://: what comes "
        "before /studies.",
        widget=forms.URLInput(
            attrs={"autocomplete": "off", "placeholder": "https://archive.example/dicom-web"}
        ),
    )
    authorization = forms.ChoiceField(
        label="How requests are authorised",
        choices=Authorization.choices,
        initial=Authorization.BASIC,
    )
    credentials = forms.CharField(
        required=False,
        label="User name and password, or token",
        max_length=LONGEST_CREDENTIALS,
        help_text="As name:password, or the token alone. They are stored encrypted, and not shown "
        "again. When you change a node, leave this empty to keep them.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    for_research = forms.BooleanField(
        required=False,
        label="It is for research: only pictures of those who consented to research go there",
    )

    @staticmethod
    def values_of(node: DicomNode) -> dict[str, Any]:
        return {name: getattr(node, name) for name in FIELDS}


class SendForm(forms.Form):
    node = forms.ModelChoiceField(DicomNode.objects.none(), label="Archive", empty_label=None)
    with_readings = forms.BooleanField(
        required=False, label="With what the software read: report and outline"
    )

    def __init__(self, *args: Any, user: User, lesion: Lesion, **options: Any) -> None:
        super().__init__(*args, **options)
        self.nodes = DicomNode.objects.visible_to(user).filter(clinic=lesion.patient.clinic_id)
        offer(self, "node", self.nodes)

    @property
    def has_nodes(self) -> bool:
        return bool(self.nodes)
