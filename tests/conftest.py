"""Personas, and settings that keep tests fast and separate from ``var/``."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import override_settings

from accounts.models import Clinic, User
from accounts.roles import Role
from accounts.web import sessions
from screening.images import sandbox
from screening.models import Patient, data_key
from screening.operations.storage import Sealed
from tests.access import World
from tests.clients import Browser
from tests.factories import (
    AgreementFactory,
    ClinicFactory,
    ConsentFactory,
    MembershipFactory,
    PatientFactory,
    UserFactory,
)
from tests.stack.installation import migrated
from tests.transactions import rolled_back

# Of pytest-django: what a test asks for that queries the database.
DATABASE_FIXTURES = {"db", "transactional_db", "live_server"}
# Folders and files whose tests are the same on any database, as those marked ``any_database``. They
# ask for pages, operations and files. The services and queries behind these have tests of their own
# on each database, as has every address: that of the access matrix.
ANY_DATABASE = (
    "tests/accounts/test_client_assertions.py",
    "tests/accounts/test_log_in.py",
    "tests/api/test_ended_rights.py",
    "tests/api/test_problems.py",
    "tests/api/test_schema.py",
    "tests/batches/test_cases.py",
    "tests/batches/test_isic.py",
    "tests/browser",
    "tests/client",
    "tests/images/test_screen.py",
    "tests/images/test_unreadable.py",
    "tests/interop/test_codes.py",
    "tests/interop/test_dicom_in.py",
    "tests/interop/test_dicom_out.py",
    "tests/interop/test_dicom_readings.py",
    "tests/interop/test_stow.py",
    "tests/ml",
    "tests/predictions/test_every_outlet.py",
    "tests/privacy/test_audit_walk.py",
    "tests/reminders/test_calendar.py",
    "tests/report",
    "tests/test_demo.py",
    "tests/test_unreadable.py",
    "tests/test_withdrawn.py",
    "tests/web",
    "tests/webhooks/test_pages.py",
    "tests/webhooks/test_receiver.py",
)
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-only",
        action="store_true",
        help="leave out tests that are the same on any database, as when they passed on another",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    left_out = config.getoption("database_only") and any(
        collection_path.is_relative_to(config.rootpath / one) for one in ANY_DATABASE
    )
    return True if left_out else None


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
    processes, which know the database and the broker from the environment.

    A test marked ``any_database`` does so only on the way to what it is about.
    """
    if item.get_closest_marker("any_database"):
        return False
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
    return create_personas()


def create_personas() -> Personas:
    clinic = ClinicFactory(name="North clinic")
    self_tracker = UserFactory(email="tracker@example.org")

    def member(role: str, at: Clinic = clinic) -> User:
        email = f"{role}@{at.name.split()[0].lower()}.example.org"
        return MembershipFactory(clinic=at, role=role, user__email=email).user

    admin = member(Role.ADMIN)
    colleague = member(Role.CLINICIAN, ClinicFactory(name="South clinic"))
    AgreementFactory(user=admin, clinic=clinic)
    AgreementFactory(user=colleague, clinic=colleague.memberships.get().clinic)
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
        colleague=colleague,
        stranger=UserFactory(email="stranger@example.org"),
    )


@dataclass(frozen=True)
class Everything:
    """All personas, and one of everything: the clinic's and the self-tracker's."""

    personas: Personas
    clinic: World
    own: World
    logged_in: dict[str, Browser]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, django_db_use_migrations: bool
) -> Iterator[None]:
    """The test database is a copy of one that was migrated once for all processes of a run."""
    wanted = connection.settings_dict["TEST"]
    with ExitStack() as stack:
        if django_db_use_migrations and connection.vendor == "postgresql":
            wanted["TEMPLATE"] = migrated().database
        elif django_db_use_migrations:
            wanted["NAME"] = "file:tests?mode=memory&cache=shared"
            # Open to the end: the last connection to close takes the memory along.
            memory = stack.enter_context(closing(sqlite3.connect(wanted["NAME"], uri=True)))
            with closing(sqlite3.connect(migrated().folder / "db.sqlite3")) as file:
                file.backup(memory)
        yield


@pytest.fixture(scope="module")
def shared_rows(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], AbstractContextManager[Path]]]:
    """Within it, a module's fixture creates rows that all tests of the module see. It yields the
    folder of their files.

    A test that uses them asks for ``db`` too, which rolls its own changes back, and copies the
    files to its ``MEDIA_ROOT``.
    """
    media = tmp_path_factory.mktemp("media")

    @contextmanager
    def creating() -> Iterator[Path]:
        with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=media):
            yield media

    of_the_module = rolled_back()
    with creating():
        of_the_module.__enter__()
    yield creating
    with creating():
        of_the_module.__exit__(None, None, None)


@pytest.fixture(scope="module")
def _everything(shared_rows: Any) -> tuple[Everything, Path]:
    from tests.test_access_matrix import clients_of, world_of  # it imports this module

    with shared_rows() as media:
        personas = create_personas()
        clinic, own = (world_of(personas, writer) for writer in ("clinician", "self_tracker"))
        return Everything(personas, clinic, own, clients_of(personas)), media


@pytest.fixture
def everything(
    db: None,
    _everything: tuple[Everything, Path],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Everything:
    """Created once a module, since it takes long."""
    found, media = _everything
    shutil.copytree(media, settings.MEDIA_ROOT)
    # A module of many tests takes minutes: its log-ins stay recent, and as just seen.
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 86_400
    monkeypatch.setattr(sessions, "_NOTED", 86_400)
    return found


@pytest.fixture
def clients(everything: Everything) -> dict[str, Browser]:
    """A browser for each persona; all but ``anonymous`` are logged in, once a module."""
    found = {}
    for persona, browser in everything.logged_in.items():
        found[persona] = Browser()
        found[persona].cookies.load({name: one.value for name, one in browser.cookies.items()})
    return found


@pytest.fixture
def client() -> Browser:
    """Replaces pytest-django's, which disables CSRF protection."""
    return Browser()


@pytest.fixture(scope="session", autouse=True)
def _apart_from_the_installation(tmp_path_factory):
    """No second factor, a fast password hash, a broker in memory, and plain static names. Data keys
    are remembered, so that no count of queries depends on how long the tests take.
    """
    patched = mock.patch.object(data_key, "FORGOTTEN_AFTER", 86_400)
    with (
        patched,
        override_settings(
            ADMINS_NEED_SECOND_FACTOR=False,  # as embedded; its own tests turn it on
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
            CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
            STORAGES={
                **django_settings.STORAGES,
                "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
            },
            STATIC_ROOT=tmp_path_factory.mktemp("static"),  # WhiteNoise warns without one
        ),
    ):
        yield


@pytest.fixture(autouse=True)
def _own_media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True)
def _no_transaction_waits_for_a_file(monkeypatch):
    """Neither a disk that hangs nor a slow decoder may keep the database locked. It fails the test
    at its end, because most callers handle errors of opening.
    """
    waits = []

    def watched(function):
        @wraps(function)
        def called(*args, **options):
            if any(not block._from_testcase for block in connection.atomic_blocks):
                waits.append("".join(traceback.format_stack()[-12:-1]))
            return function(*args, **options)

        return called

    monkeypatch.setattr(Sealed, "stored", watched(Sealed.stored))
    monkeypatch.setattr(sandbox, "run", watched(sandbox.run))
    yield
    if waits:
        pytest.fail("A file is opened or decoded within a transaction:\n" + waits[0])


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
