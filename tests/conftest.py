"""Personas, and settings that keep tests fast and separate from ``var/``."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from accounts.models import Clinic, User
from accounts.roles import Role
from screening.models import Patient
from tests.clients import Browser
from tests.factories import (
    ClinicFactory,
    ConsentFactory,
    MembershipFactory,
    PatientFactory,
    UserFactory,
)

# Of pytest-django: what a test asks for that queries the database.
DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-only",
        action="store_true",
        help="leave out the tests that no database answers, as when they have passed on another",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("database_only"):
        others = [item for item in items if not uses_database(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if uses_database(item)]


def pytest_collection_finish() -> None:
    """Keep the garbage collector off the modules and tests, which stay to the end, and let it run
    rarely: it takes a quarter of the time in which Django builds a long query.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def uses_database(item: pytest.Item) -> bool:
    """Itself or by a fixture; without that, pytest-django refuses it every query. Or it starts
    processes, which know the database and the broker from the environment."""
    fixtures = set(getattr(item, "fixturenames", ()))
    return bool(
        fixtures & DATABASE_FIXTURES
        or item.get_closest_marker("django_db")
        or item.get_closest_marker("stack")
    )


@dataclass(frozen=True)
class Personas:
    """The users tested against each other. All but the last three belong to the clinic."""

    clinic: Clinic
    patient: Patient
    own_patient: Patient
    admin: User
    clinician: User
    assistant: User
    viewer: User
    self_tracker: User
    colleague: User
    stranger: User


@pytest.fixture
def personas(db: None) -> Personas:
    clinic = ClinicFactory(name="North clinic")
    self_tracker = UserFactory(email="tracker@example.org")

    def member(role: str, at: Clinic = clinic) -> User:
        email = f"{role}@{at.name.split()[0].lower()}.example.org"
        return MembershipFactory(clinic=at, role=role, user__email=email).user

    admin = member(Role.ADMIN)
    return Personas(
        clinic=clinic,
        patient=ConsentFactory(  # so that exports for research include it
            patient__clinic=clinic, patient__label="N-1", recorded_by=admin
        ).patient,
        own_patient=PatientFactory(own=True, owner=self_tracker, label="My skin"),
        admin=admin,
        clinician=member(Role.CLINICIAN),
        assistant=member(Role.ASSISTANT),
        viewer=member(Role.VIEWER),
        self_tracker=self_tracker,
        colleague=member(Role.CLINICIAN, ClinicFactory(name="South clinic")),
        stranger=UserFactory(email="stranger@example.org"),
    )


@pytest.fixture
def client() -> Browser:
    """Replaces pytest-django's, which disables CSRF protection."""
    return Browser()


@pytest.fixture(scope="session", autouse=True)
def _a_folder_for_static_files(tmp_path_factory):
    """For the live server too, which is started once: WhiteNoise warns without one."""
    django_settings.STATIC_ROOT = tmp_path_factory.mktemp("static")


@pytest.fixture(autouse=True)
def _apart_from_the_installation(settings, tmp_path):
    """Separate media folder, no second factor, a fast password hash, a broker in memory, and plain
    static names.
    """
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.ADMINS_NEED_SECOND_FACTOR = False  # as embedded; its own tests turn it on
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real images; tests that need it are skipped without it."""
    if not (SHARED_DATA / "ham10000").is_dir():
        pytest.skip(f"needs the real images in {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def clock(monkeypatch):
    """Set the clock back or forth."""

    class Clock(datetime):
        ahead = timedelta()

        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + cls.ahead

    monkeypatch.setattr("django.utils.timezone.datetime", Clock)
    return Clock
