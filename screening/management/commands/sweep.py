"""``manage.py sweep``: the process that finds waiting and lost work, with or without a broker."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from screening import sweeper
from screening.operations import heartbeats


class Command(BaseCommand):
    help = "Find waiting and lost work, continuously; do it if no worker does."
    requires_system_checks = ()  # they load the pages, which this process does not need

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--alive", action="store_true", help="only say whether another one is")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["alive"]:
            if not heartbeats.is_alive(heartbeats.SWEEPER):
                raise CommandError("No sweeper has reported lately.")
            return
        sweeper.sweep_for_ever()
