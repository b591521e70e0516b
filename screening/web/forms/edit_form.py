"""The base of all forms that edit a record: they carry the values they were opened with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from screening.errors import Changed
from screening.web.forms import conflicts
from skincheck_site import untrusted_json

T = TypeVar("T")

CHANGED = (
    "This was changed since you opened the page, by someone else or in another tab. Nothing is "
    "saved yet: both values are shown below. Choose, and save again."
)


class EditForm(forms.Form):
    """A form that edits a record and carries the values it was opened with (``opened``).

    record: None for a form that creates one, which carries nothing.
    """

    opened = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, record: models.Model | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.record: Any = record
        if record is None:
            del self.fields["opened"]
            return
        standing = self.values_of(record)
        self.initial = {**standing, **self.initial, "opened": conflicts.as_seen(standing)}

    @staticmethod
    @abstractmethod
    def values_of(record: Any) -> dict[str, Any]:
        """The record's values by field. Every form that edits one defines its own."""

    def standing(self) -> dict[str, Any]:
        """``values_of`` the record, read again."""
        return self.values_of(self.record._meta.model._base_manager.get(pk=self.record.pk))

    def wanted(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "opened"}

    def unseen(self, now: conflicts.Values) -> list[str]:
        """Both values of what no visible field shows, in words. now: what others have changed."""
        return []

    def clean_opened(self) -> str:
        """Without it no checkbox is known to have been seen, so an empty one unsets nothing.
        Invalid text is treated as missing: everything is compared.
        """
        text: str = self.cleaned_data["opened"]
        if not text:
            standing = self.standing().items()
            return conflicts.as_seen({name: value for name, value in standing if value is not True})
        try:
            return text if isinstance(untrusted_json.loads(text), dict) else "{}"
        except ValueError:
            return "{}"

    def write(self, write: Callable[[], T]) -> T | None:
        """Write the changes. None if the record changed meanwhile: the form then shows both values
        and asks.
        """
        if self.record is None:
            return write()
        try:
            return conflicts.write_unchanged(
                write,
                locked=self.record,
                standing=self.standing,
                seen=self.cleaned_data["opened"],
                wanted=self.wanted(),
            )
        except Changed as changed:
            self._show_both(changed.now)
            return None

    def _show_both(self, now: conflicts.Values) -> None:
        data: Any = self.data
        data = self.data = data.copy()
        data[self.add_prefix("opened")] = conflicts.as_seen(self.standing())
        self.add_error(None, ValidationError([CHANGED, *self.unseen(now)]))
        for name, value in now.items():
            field = self.fields.get(name)
            if field is None or field.widget.is_hidden:
                continue
            if isinstance(field, forms.BooleanField) and value:
                data[self.add_prefix(name)] = "on"  # unticking it is a deliberate choice
            typed = self.cleaned_data.get(name)
            self.add_error(name, both(_written(field, value), _written(field, typed)))


def both(now: str, typed: str) -> str:
    return f"Now: {now}. You entered: {typed}."


def _written(field: forms.Field, value: Any) -> str:
    if isinstance(field, forms.BooleanField):
        return "marked" if value else "not marked"
    values = value if isinstance(value, list | tuple) else [value]
    labels = {str(key): str(label) for key, label in getattr(field, "choices", [])}
    texts = [labels.get(str(one), str(one)) for one in values if one not in (None, "")]
    return f"“{', '.join(texts)}”" if texts else "nothing"
