"""``manage.py demo``: accounts and a drawn record to look around in."""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from io import BytesIO
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts import services
from accounts.models import Clinic, User
from screening import intake, reviewing, synthetic
from screening.models import Lesion, Patient

CLINICIAN = "clinician@demo.skincheck.example"
SELF_TRACKER = "tracker@demo.skincheck.example"
EMBEDDED_PASSWORD = "skincheck-demo"  # noqa: S105  known to all: see _account
CLINIC = "Demo clinic"


class Visit(NamedTuple):
    """days_ago: when the picture was taken. The rest as in ``synthetic.draw_lesion``."""

    days_ago: int
    radius: float
    dark_side: float


GROWING = (
    Visit(365, 0.13, 0.0),
    Visit(270, 0.135, 0.05),
    Visit(180, 0.15, 0.2),
    Visit(90, 0.18, 0.55),
    Visit(7, 0.22, 0.95),
)
HARMLESS = (Visit(365, 0.12, 0.0), Visit(180, 0.121, 0.0), Visit(7, 0.1205, 0.0))


class Command(BaseCommand):
    help = "Make demo accounts and a drawn record. Run again, it adds only what is missing."
    requires_system_checks = ()  # a first start has better things to do than load the model twice

    def handle(self, *args: Any, **options: Any) -> None:
        today = timezone.localdate()
        self._clinic_record(self._account("clinician", CLINICIAN), today)
        self._own_record(self._account("self-tracker", SELF_TRACKER), today)

    def _account(self, who: str, email: str) -> User:
        """A known password is for an embedded installation only, which nobody else can reach."""
        user = User.objects.filter(email=email).first()
        password = EMBEDDED_PASSWORD if settings.EMBEDDED else secrets.token_urlsafe(12)
        if user is None:
            user = User.objects.create_user(email, password)
        elif not user.check_password(password):
            password = "(as it was set before)"  # noqa: S105
        self.stdout.write(f"  {who:12}  {email:34}  {password}")
        return user

    def _clinic_record(self, clinician: User, today: date) -> None:
        clinic = Clinic.objects.with_member(clinician).filter(name=CLINIC).first()
        clinic = clinic or services.found_clinic(user=clinician, name=CLINIC)
        patient = clinic.patients.filter(label="Demo patient 1").first() or intake.register_patient(
            user=clinician,
            clinic=clinic,
            label="Demo patient 1",
            birth_year=today.year - 58,
            sex="female",
            skin_type="II",
        )
        growing = _lesion(clinician, patient, "Growing spot", "back", changing=True)
        _follow(clinician, growing, GROWING, seed=31, today=today)
        harmless = _lesion(clinician, patient, "Quiet spot", "abdomen")
        _follow(clinician, harmless, HARMLESS, seed=39, today=today)
        first = harmless.images.order_by("captured_on").first()
        if first is not None and not first.reviews.exists():
            reviewing.record_review(
                user=clinician,
                image=first,
                conclusion="nv",
                management="monitor",
                note="Regular network, even colour. Photograph again in six months.",
            )

    def _own_record(self, tracker: User, today: date) -> None:
        own = tracker.patients.filter(clinic=None).first() or intake.register_patient(
            user=tracker, label="My skin", birth_year=today.year - 36, sex="male"
        )
        spot = _lesion(tracker, own, "Spot on the arm", "upper extremity")
        _follow(tracker, spot, HARMLESS[1:], seed=21, today=today)


def _lesion(user: User, patient: Patient, label: str, site: str, **symptoms: bool) -> Lesion:
    found = patient.lesions.filter(label=label).first()
    return found or intake.open_lesion(
        user=user, patient=patient, label=label, body_site=site, **symptoms
    )


def _follow(
    user: User, lesion: Lesion, visits: tuple[Visit, ...], *, seed: int, today: date
) -> None:
    """The same drawing is recognised as the same picture, so a second run adds nothing."""
    for visit in visits:
        drawn = synthetic.draw_lesion(seed=seed, radius=visit.radius, dark_side=visit.dark_side)
        intake.add_image(
            user=user,
            lesion=lesion,
            file=BytesIO(synthetic.jpeg(drawn)),
            captured_on=today - timedelta(days=visit.days_ago),
            is_synthetic=True,
        )
