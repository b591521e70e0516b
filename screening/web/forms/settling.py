"""The base of all forms whose record settles warnings: they carry what of the lesion they
showed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django import forms

from accounts.models import User
from screening.formatting import moment
from screening.models import Alert, Correction, Lesion, LesionImage
from screening.predictions import arrivals
from screening.predictions.advice import act_words
from screening.predictions.arrivals import Arrivals

T = TypeVar("T")

CAME = (
    "Something was added to this spot since you opened this page. Nothing is saved yet; what "
    "you entered is kept. Look at it, then send the form again: your entry covers it then."
)
ANOTHER = (
    "This page now shows another picture than the one you opened it with. Nothing is saved yet, "
    "and what you entered is kept. Look at the picture, then send it again."
)


class SettlingForm(forms.Form):
    """A form that carries the moment up to which it showed the lesion (``shown_at``), and the
    picture that it is about, if any (``shown_image``).

    If more has arrived since, or the form does not carry it, it shows that (``came``) and asks.
    """

    shown_at = forms.CharField(required=False, widget=forms.HiddenInput)
    shown_image = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        lesion: Lesion,
        user: User,
        image: LesionImage | None = None,
        shown_at: datetime | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.came: Arrivals | None = None
        self._lesion, self._now = lesion, shown_at or arrivals.last(lesion, user)
        self._user, self._image = user, str(image.pk) if image else ""
        self.initial = {
            **self.initial,
            "shown_at": self._now.isoformat(),
            "shown_image": self._image,
        }

    def clean_shown_at(self) -> datetime | None:
        try:
            return moment(self.cleaned_data["shown_at"])
        except ValueError:
            return None

    @property
    def came_words(self) -> list[str]:
        """What arrived besides pictures and readings."""
        if self.came is None:
            return []
        marked = ", ".join(self.came.symptoms)
        words = [f"It is marked as {marked}."] if marked else []
        return words + [_words(one) for one in self.came.others]

    def write(self, write: Callable[..., T], fields: dict[str, Any]) -> T | None:
        """Write the record; None if the form has to ask first."""
        image, shown_at = fields.pop("shown_image"), fields["shown_at"] or self._lesion.created
        self.came = arrivals.since(self._lesion, shown_at, self._user)
        if not self.came and image == self._image:
            return write(**fields | {"shown_at": shown_at})
        data: Any = self.data
        data = self.data = data.copy()
        data[self.add_prefix("shown_at")] = self._now.isoformat()
        data[self.add_prefix("shown_image")] = self._image
        self.add_error(None, CAME if self.came else ANOTHER)
        return None


class EntryForm(SettlingForm):
    """An entry that may correct an earlier one. standing: those of the lesion; the form asks
    whether it corrects one of them, if there are any.
    """

    beside = "No: it is another one"
    question = "Does it correct what was entered?"
    named: ClassVar[Callable[..., str]]
    """The words for an entry in that question."""

    def __init__(self, *args: Any, standing: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if standing:
            by_pk = {str(one.pk): one for one in standing}
            named = [(pk, self.named(one)) for pk, one in by_pk.items()]
            self.fields["supersedes"] = forms.TypedChoiceField(
                choices=[("", self.beside), *named],
                coerce=by_pk.get,
                empty_value=None,
                required=False,
                label=self.question,
            )
            self.order_fields(["supersedes"])

    @classmethod
    def initial_by(cls, asked: str, standing: Sequence[Any]) -> dict[str, Any]:
        """The values of the standing entry with the key ``asked``, which the form is to correct."""
        found = next((one for one in standing if str(one.pk) == asked), None)
        if found is None:
            return {}
        values = {name: getattr(found, name) for name in cls.base_fields if hasattr(found, name)}
        return {**values, "supersedes": asked}


def _words(record: Any) -> str:
    match record:
        case Alert():
            return f"Alert: {record.get_rule_display().lower()}."
        case Correction():
            return f"It was opened again by {record.made_by}."
        case _:
            return f"{act_words(record)}."
