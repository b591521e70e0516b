"""``manage.py demo``: accounts and synthetic records to explore."""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from io import BytesIO
from typing import Any, NamedTuple

from allauth.account.models import EmailAddress
from django.conf import settings
from django.utils import timezone

from accounts import agreements, services
from accounts.models import Clinic, User
from screening.body_map import services as body_map_services
from screening.body_map.services import Spot
from screening.images import services as image_services
from screening.images import synthetic
from screening.models import Lesion, Patient, Reminder
from screening.privacy.commands import RecordedCommand
from screening.records import services as record_services
from screening.reminders import services as reminder_services
from screening.reviews import services as review_services

CLINICIAN = "clinician@demo.skincheck.example"
SELF_TRACKER = "tracker@demo.skincheck.example"
EMBEDDED_PASSWORD = "skincheck-demo"  # noqa: S105  known to all: see _account
CLINIC = "Demo clinic"


class Visit(NamedTuple):
    """days_ago: when the picture was taken. The other fields are as in
    ``synthetic.draw_lesion``.
    """

    days_ago: int
    radius: float
    dark_side: float = 0.0
    bulge: float = 0.0


# Shape and colour change more than between two pictures of one lesion, so that alerts come from the
# rules, whatever the model reads.
GROWING = (
    Visit(365, 0.12),
    Visit(270, 0.122, 0.03, 0.03),
    Visit(180, 0.121, 0.1, 0.06),
    Visit(90, 0.125, 0.38, 0.5),
    Visit(7, 0.132, 0.62, 1.0),
)
STEADY = (Visit(560, 0.12), Visit(375, 0.121), Visit(190, 0.1205))
REMOVED = (Visit(410, 0.15), Visit(300, 0.155))
ITCHING = (Visit(20, 0.1),)
NEW = (Visit(3, 0.09),)
OWN_ARM = (Visit(280, 0.12), Visit(100, 0.1205))
OWN_LEG = (Visit(30, 0.1),)


class Command(RecordedCommand):
    help = "Create demo accounts and synthetic records. Run again, it adds only what is missing."
    requires_system_checks = ()  # a first start need not load the model twice

    def handle(self, *args: Any, **options: Any) -> None:
        today = timezone.localdate()
        self._clinic_record(self._account("clinician", CLINICIAN), today)
        self._own_record(self._account("self-tracker", SELF_TRACKER), today)

    def _account(self, who: str, email: str) -> User:
        """Refuse unless the installation is embedded and unreachable for others: the passwords are
        known.
        """
        user = User.objects.filter(email=email).first()
        password = EMBEDDED_PASSWORD if settings.EMBEDDED else secrets.token_urlsafe(12)
        if user is None:
            user = User.objects.create_user(email, password)
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
            agreements.agree(user=user)
        elif not user.check_password(password):
            password = "(as it was set before)"  # noqa: S105
        self.stdout.write(f"  {who:12}  {email:34}  {password}")
        return user

    def _clinic_record(self, clinician: User, today: date) -> None:
        """Five lesions: one that changes, one whose picture is due, one that was removed, one with
        a symptom, and a new one.
        """
        clinic = Clinic.objects.with_member(clinician).filter(name=CLINIC).first()
        clinic = clinic or services.found_clinic(user=clinician, name=CLINIC)
        agreements.agree(user=clinician, clinic=clinic)
        patient = clinic.patients.filter(
            label="Demo patient 1"
        ).first() or record_services.register_patient(
            user=clinician,
            clinic=clinic,
            label="Demo patient 1",
            birth_year=today.year - 58,
            sex="female",
            skin_type="II",
        )
        story = Story(clinician, patient, today)
        story.follow(
            "Growing spot", Spot("back", 0.57, 0.29), GROWING, seed=31, months=3, changing=True
        )
        quiet = story.follow("Quiet spot", Spot("front", 0.46, 0.4), STEADY, seed=39, months=6)
        story.conclude(
            quiet, "nv", "monitor", "Regular network, even colour. Photograph again in six months."
        )
        removed = story.follow("Removed spot", Spot("front", 0.255, 0.327), REMOVED, seed=4)
        story.conclude(removed, "uncertain", "excise", "Irregular border: excise to be sure.")
        story.examine(removed, "nv", "Junctional nevus, removed whole.")
        story.follow("Itching spot", Spot("back", 0.6, 0.827), ITCHING, seed=7, itching=True)
        story.follow("New spot", Spot("front", 0.55, 0.28), NEW, seed=21, months=3)

    def _own_record(self, tracker: User, today: date) -> None:
        own = tracker.patients.filter(clinic=None).first() or record_services.register_patient(
            user=tracker, label="My skin", birth_year=today.year - 36, sex="male"
        )
        story = Story(tracker, own, today)
        story.follow("Spot on the arm", Spot("front", 0.818, 0.473), OWN_ARM, seed=21, months=3)
        story.follow("Spot on the leg", Spot("front", 0.6, 0.827), OWN_LEG, seed=10, months=6)


class Story(NamedTuple):
    """The history of a patient's lesions. Running it again adds only what is missing."""

    user: User
    patient: Patient
    today: date

    def follow(
        self,
        label: str,
        spot: Spot,
        visits: tuple[Visit, ...],
        *,
        seed: int,
        months: int | None = None,
        **symptoms: bool,
    ) -> Lesion:
        """Add a lesion on the body map, with a synthetic picture per visit. months: of its
        reminder.
        """
        lesion = self.patient.lesions.filter(label=label).first() or body_map_services.open_lesion(
            user=self.user, patient=self.patient, spot=spot, label=label, **symptoms
        )
        for visit in visits:
            self._photograph(lesion, visit, seed)
        if months is not None and not Reminder.objects.filter(lesion=lesion).exists():
            reminder_services.set_reminder(user=self.user, lesion=lesion, interval_months=months)
        return lesion

    def conclude(self, lesion: Lesion, conclusion: str, management: str, note: str) -> None:
        """Conclude on the newest picture."""
        newest = lesion.images.latest_first().first()
        if newest is not None and not newest.reviews.exists():
            review_services.record_review(
                user=self.user,
                image=newest,
                conclusion=conclusion,
                management=management,
                note=note,
            )

    def examine(self, lesion: Lesion, diagnosis: str, note: str) -> None:
        """Record histology three weeks after the newest picture."""
        newest = lesion.images.latest_first().first()
        if newest is not None and not lesion.histologies.exists():
            review_services.record_histology(
                user=self.user,
                lesion=lesion,
                diagnosis=diagnosis,
                examined_on=newest.captured_on + timedelta(weeks=3),
                note=note,
            )

    def _photograph(self, lesion: Lesion, visit: Visit, seed: int) -> None:
        """Add the picture, unless it is there: the same drawing is recognised as the same
        picture.
        """
        captured_on = self.today - timedelta(days=visit.days_ago)
        drawn = synthetic.draw_lesion(
            seed=seed, radius=visit.radius, dark_side=visit.dark_side, bulge=visit.bulge
        )
        image_services.add_image(
            user=self.user,
            lesion=lesion,
            file=BytesIO(synthetic.jpeg(drawn)),
            captured_on=captured_on,
            is_synthetic=True,
        )
