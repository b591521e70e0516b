"""Reminders: when the next pictures are due, and the private calendar link."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from accounts.recent_log_in import recent_log_in
from screening import write_access
from screening.formatting import day
from screening.models import CalendarFeed, Lesion, Patient, Reminder, Standing
from screening.records import queries as record_queries
from screening.reminders import calendar as reminder_calendar
from screening.reminders import queries as reminder_queries
from screening.reminders import services as reminder_services
from screening.web import form_tokens
from screening.web.forms.reminders import ReminderForm, SnoozeForm
from screening.web.forms.submit import submit
from screening.web.views.requests import UserRequest

REMINDERS_A_PAGE = 50


@require_safe
def listing(request: UserRequest) -> HttpResponse:
    return _page(request)


@require_POST
def set_interval(request: UserRequest, pk: UUID) -> HttpResponse:
    """Set an interval, or none to stop the reminder."""
    visible = Lesion.objects.visible_to(request.user).select_related("patient")
    lesion = get_object_or_404(visible, pk=pk)
    form = ReminderForm(request.POST, record=lesion)
    if form.is_valid() and form.cleaned_data["interval_months"] is None:
        form.write(lambda: _set_none(request, lesion))
    else:
        saved = submit(form, reminder_services.set_reminder, user=request.user, lesion=lesion)
        if saved is not None:
            messages.success(request, f"The next picture is due on {day(saved.due_on)}.")
    for errors in form.errors.values():
        messages.error(request, " ".join(map(str, errors)))
    return redirect(f"{reverse('lesion', args=[pk])}#reminder")


@require_POST
def snooze(request: UserRequest, pk: UUID) -> HttpResponse:
    reminder = _visible(request, pk)
    form = SnoozeForm(request.POST)
    saved = submit(form, reminder_services.snooze_reminder, user=request.user, reminder=reminder)
    if saved is not None:
        put_off = f"{reminder.lesion} is put off until {day(saved.rings_on)}."
        messages.success(request, put_off)
    else:
        for errors in form.errors.values():
            messages.error(request, " ".join(map(str, errors)))
    return _back(request, reminder)


@require_POST
def stop(request: UserRequest, pk: UUID) -> HttpResponse:
    reminder = _visible(request, pk)
    reminder_services.stop_reminder(user=request.user, reminder=reminder)
    messages.success(request, f"The reminders for {reminder.lesion} have stopped.")
    return _back(request, reminder)


@never_cache
@require_POST
@recent_log_in
def calendar_link(request: UserRequest) -> HttpResponse:
    """Respond with the page itself, because the secret could not be read after a redirect."""
    secret = reminder_services.make_calendar_link(user=request.user)
    form_tokens.made(request, reverse("reminders"))
    return _page(request, request.build_absolute_uri(reverse("calendar", args=[secret])))


@require_POST
def calendar_revoke(request: UserRequest) -> HttpResponse:
    reminder_services.revoke_calendar_link(user=request.user)
    messages.success(request, "The calendar link no longer works.")
    return redirect("reminders")


@login_not_required
@never_cache
@require_safe
def calendar(request: HttpRequest, secret: str) -> HttpResponse:
    """For calendar programs, which cannot log in: the link alone gives access."""
    user = reminder_calendar.owner_of(secret)
    if user is None:
        raise Http404("This calendar link does not work.")
    return HttpResponse(
        reminder_calendar.calendar_of(user),
        content_type="text/calendar; charset=utf-8",
        headers={"Content-Disposition": 'inline; filename="skincheck.ics"'},
    )


def _page(request: UserRequest, calendar_url: str = "") -> HttpResponse:
    """calendar_url: of the link that was just created."""
    choices = reminder_queries.choices(request.user)
    whose = request.GET.get("whose", "")
    if whose not in dict(choices):
        whose = ""
    reminders = reminder_queries.reminders_of(request.user, whose)
    show = request.GET.get("show", "")
    if show in Standing.values:
        shown = reminders.standing(show, timezone.localdate())
    else:
        show, shown = "", reminders.active()
    writable = Patient.objects.writable_by(request.user)
    page = Paginator(shown, REMINDERS_A_PAGE).get_page(request.GET.get("page"))
    patients = {reminder.lesion.patient_id for reminder in page.object_list}
    _attach_standing(list(page.object_list), request.user)
    return render(
        request,
        "screening/reminders.html",
        {
            "page": page,
            "counts": reminder_queries.counts(reminders),
            "show": show,
            "choices": choices,
            "whose": whose,
            "writable": set(writable.filter(pk__in=patients).values_list("pk", flat=True)),
            "feed": CalendarFeed.objects.filter(user=request.user).first(),
            "calendar_url": calendar_url,
        },
    )


def _attach_standing(reminders: list[Reminder], user: User) -> None:
    """Attach each lesion's standing outcome: anyone about to take a picture sees a warning
    first.
    """
    wanted = Lesion.objects.filter(pk__in=[reminder.lesion_id for reminder in reminders])
    lesions = list(record_queries.with_latest(wanted.select_related("patient"), user))
    found = {lesion.pk: lesion for lesion in record_queries.attach_latest_images(lesions, user)}
    for reminder in reminders:
        reminder.lesion = found[reminder.lesion_id]


def _visible(request: UserRequest, pk: UUID) -> Reminder:
    visible = Reminder.objects.visible_to(request.user).select_related("lesion__patient")
    return get_object_or_404(visible, pk=pk)


def _set_none(request: UserRequest, lesion: Lesion) -> None:
    reminder = Reminder.objects.filter(lesion=lesion).select_related("lesion__patient").first()
    if reminder is None:
        write_access.require_writable(user=request.user, patient=lesion.patient)
    else:
        reminder_services.stop_reminder(user=request.user, reminder=reminder)
    messages.success(request, f"The reminders for {lesion} have stopped.")


def _back(request: UserRequest, reminder: Reminder) -> HttpResponse:
    """Redirect to the page with the button."""
    if "from_list" in request.POST:
        return redirect("reminders")
    return redirect(f"{reverse('lesion', args=[reminder.lesion_id])}#reminder")
