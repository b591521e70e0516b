"""Reminders as a calendar feed (RFC 5545): all-day events with stable UIDs."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import reverse
from icalendar import Calendar, Event

from accounts.models import User
from accounts.second_factors import admitted
from screening.models import CalendarFeed, Reminder

REFRESH = timedelta(hours=12)


def owner_of(secret: str) -> User | None:
    """The user whose calendar a link opens. None for a revoked, replaced or unknown link, and
    while the user could not get in.
    """
    feeds = CalendarFeed.objects.filter(admitted("user__")).select_related("user")
    feed = feeds.filter(secret_sha256=CalendarFeed.digest(secret)).first()
    return feed.user if feed else None


def calendar_of(user: User) -> bytes:
    """All of the user's reminders as all-day events, whatever the reader's time zone."""
    calendar = Calendar()
    calendar.add("prodid", "-//SkinCheck//Reminders//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add("x-wr-calname", "SkinCheck reminders")
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", REFRESH)
    reminders = Reminder.objects.addressed_to(user).active().select_related("lesion__patient")
    for reminder in reminders.order_by("due_on", "pk"):
        calendar.add_component(_event(reminder))
    return calendar.to_ical()


def _event(reminder: Reminder) -> Event:
    address = f"{settings.SITE_URL}{reverse('lesion', args=[reminder.lesion_id])}"
    event = Event()
    event.add("uid", f"{reminder.pk}@{urlsplit(settings.SITE_URL).hostname}")
    event.add("dtstamp", reminder.modified)
    event.add("last-modified", reminder.modified)
    event.add("dtstart", reminder.rings_on)
    event.add("dtend", reminder.rings_on + timedelta(days=1))
    event.add("summary", f"New picture: {reminder.public_name}")
    event.add("description", f"Add a new picture: {address}")
    event.add("url", address)
    event.add("class", "PRIVATE")
    event.add("transp", "TRANSPARENT")
    return event
