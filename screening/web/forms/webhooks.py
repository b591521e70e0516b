"""Forms for webhooks. The rules are in ``webhooks.services``."""

from __future__ import annotations

from typing import Any

from django import forms

from screening.models import Event, Webhook
from screening.web.forms.edit_form import EditForm
from screening.webhooks.targets import MAX_LENGTH


class WebhookForm(EditForm):
    name = forms.CharField(
        max_length=80,
        help_text="A name that you will recognise, for example “Practice software”.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    target = forms.CharField(
        label="Address",
        max_length=MAX_LENGTH,
        help_text="On the public internet, with https://. Every event is sent there by POST.",
        widget=forms.URLInput(
            attrs={"autocomplete": "off", "placeholder": "https://practice.example/skincheck"}
        ),
    )
    events = forms.MultipleChoiceField(
        label="What it is told of",
        choices=[(event.value, f"{event.label} ({event.value})") for event in Event],
        initial=Event.values,
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
    )

    @staticmethod
    def values_of(webhook: Webhook) -> dict[str, Any]:
        return {name: getattr(webhook, name) for name in ("name", "target", "events")}
