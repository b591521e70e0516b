"""``manage.py verify_reviews``: check that every signed review is present and unchanged."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from screening.privacy.commands import RecordedCommand
from screening.reviews import chain


class Command(RecordedCommand):
    help = (
        "Check the signature of every review and the chain that they form. Exits with 1 if one was "
        "edited, forged or deleted. Note the last line elsewhere: it reveals even reviews cut off "
        "at the end."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        count = 0
        for review, text in chain.broken():
            count += 1
            self.stderr.write(
                f"review {review.pk}, number {review.number} of {review.created:%Y-%m-%d}: {text}."
            )
        if count:
            raise CommandError(f"{count} fault{'s' if count > 1 else ''} in the chain of reviews.")
        last = chain.last()
        if last is None:
            self.stdout.write("No review has been signed yet.")
        else:
            self.stdout.write(f"{last.number} reviews, all as signed. The last: {last.signature}")
