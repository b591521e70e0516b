"""The form for a new batch. The rules are in ``screening.batches.services``."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import Clinic, User
from accounts.roles import WRITERS
from ml.opening.limits import size_in_words
from screening.batches.archives import MAX_ARCHIVE_BYTES
from screening.web.forms.confirming import ask_to_confirm
from screening.web.forms.days import DayField


class BatchForm(forms.Form):
    archive = forms.FileField(
        label="Archive",
        help_text="A ZIP with the pictures and one CSV that names them, up to "
        f"{size_in_words(MAX_ARCHIVE_BYTES)}.",
        error_messages={"required": "Choose the archive.", "empty": "The file is empty."},
        widget=forms.ClearableFileInput(attrs={"accept": ".zip,.jsonl,.ndjson"}),
    )
    captured_on = DayField(
        label="Taken on",
        required=False,
        help_text="For rows that do not say their own day. Without it, the day in each picture's "
        "file, or today.",
    )
    dry_run = forms.BooleanField(
        required=False,
        initial=True,
        label="Check first",
        help_text="All errors are shown, and nothing is imported until you say so.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinics = Clinic.objects.with_member(user, WRITERS)
        first = clinics.first()
        if first is not None:
            self.fields["clinic"] = forms.ModelChoiceField(
                clinics,
                required=False,
                initial=first.pk,
                label="Belongs to",
                empty_label="Myself: my own record",
                help_text="Patients and lesions are found by their identifiers, or created.",
            )
            ask_to_confirm(self, clinics)
        self.order_fields(["archive", "clinic"])
