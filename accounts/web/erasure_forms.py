"""Forms of erasure. The rules are in ``screening.erasure.services``."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from screening.models import Ground


class ErasureForm(forms.Form):
    """Asks for a word, so that nobody erases by accident."""

    typed = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, word: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._word = word
        self.fields["typed"].label = f"Type “{word}” to confirm"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        typed = cleaned.pop("typed", None)
        if typed is not None and typed.strip().casefold() != self._word.strip().casefold():
            raise ValidationError({"typed": f"This is not “{self._word}”."})
        return cleaned


class GroundForm(ErasureForm):
    ground = forms.ChoiceField(
        label="Why is it erased?",
        choices=Ground.choices,
        widget=forms.RadioSelect,
        help_text="Kept with the receipt, which names nobody.",
    )
    field_order = ("ground", "typed")
