"""Settings come from the environment and fail loudly; checks catch an unsafe deployment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from django.core import checks
from django.test import override_settings

from ml import reader
from skincheck_site.checks import model_is_there, production_is_whole

ROOT = Path(__file__).resolve().parents[1]
INHERITED = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
POSTGRES = "postgres://someone:secret@127.0.0.1/skincheck"


def settings_with(tmp_path: Path, show: str, **environment: str) -> subprocess.CompletedProcess:
    """Import the settings in a fresh process and print an expression of them."""
    return subprocess.run(
        [sys.executable, "-c", f"from skincheck_site import settings; print(({show}))"],
        cwd=ROOT,
        env=INHERITED | {"VAR_DIR": str(tmp_path / "var")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_nothing_needs_to_be_set(tmp_path):
    shown = "settings.EMBEDDED, settings.DEBUG, settings.DATABASES['default']['ENGINE']"
    result = settings_with(tmp_path, shown)
    assert result.stdout.strip() == "(True, False, 'django.db.backends.sqlite3')"


def test_an_embedded_installation_keeps_its_own_key(tmp_path):
    first = settings_with(tmp_path, "settings.SECRET_KEY").stdout
    second = settings_with(tmp_path, "settings.SECRET_KEY").stdout
    other = settings_with(tmp_path / "other", "settings.SECRET_KEY").stdout
    assert first == second != other
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_have_one_key(tmp_path, monkeypatch):
    """The first one takes its time between the file and the key."""
    from skincheck_site import settings

    def slow() -> str:
        time.sleep(0.2)
        return uuid4().hex

    monkeypatch.setattr(settings, "VAR_DIR", tmp_path)
    (tmp_path / "key").touch(0o600)  # a full disk ended the first start
    with ThreadPoolExecutor() as pool:
        keys = set(pool.map(lambda _: settings._own_key("key", slow), range(4)))
    assert keys == {(tmp_path / "key").read_text()} != {""}


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": POSTGRES},
        {"REDIS_URL": "redis://127.0.0.1:6379/0"},
        {"AWS_STORAGE_BUCKET_NAME": "skincheck"},
    ],
)
def test_production_needs_a_key_of_its_own(tmp_path, environment):
    result = settings_with(tmp_path, "settings.SECRET_KEY", **environment)
    assert result.returncode != 0
    assert "Set SECRET_KEY" in result.stderr
    assert not (tmp_path / "var" / "secret_key").exists()


def test_secrets_may_come_from_files(tmp_path):
    file = tmp_path / "key"
    file.write_text("from a file")
    environment = {"DATABASE_URL": POSTGRES, "SECRET_KEY_FILE": str(file)}
    result = settings_with(tmp_path, "settings.SECRET_KEY", **environment)
    assert result.stdout.strip() == "from a file", result.stderr


def test_an_embedded_installation_makes_its_encryption_key_once(tmp_path):
    shown = "settings.ENCRYPT_AT_REST, settings.ENCRYPTION_KEYS"
    first = settings_with(tmp_path, shown).stdout
    assert first.startswith("(True, ['")
    assert settings_with(tmp_path, shown).stdout == first
    assert (tmp_path / "var" / "encryption_key").stat().st_mode & 0o777 == 0o600
    off = settings_with(tmp_path, shown, ENCRYPT_AT_REST="0")
    assert off.stdout == first.replace("True", "False"), "what is there stays readable"
    settings_with(tmp_path / "other", shown, ENCRYPT_AT_REST="0")
    assert not (tmp_path / "other" / "var" / "encryption_key").exists()


def test_the_encryption_key_has_its_form_and_former_ones_follow(tmp_path):
    shown = "settings.ENCRYPT_AT_REST, settings.ENCRYPTION_KEYS"
    production = {"DATABASE_URL": POSTGRES, "SECRET_KEY": "x"}
    assert settings_with(tmp_path, shown, **production).stdout.strip() == "(False, [])"
    file = tmp_path / "keys"
    file.write_text(f"{'ab' * 32}\n{'cd' * 32}\n")
    both = settings_with(tmp_path, shown, ENCRYPTION_KEY_FILE=str(file), **production)
    assert both.stdout.strip() == f"(True, ['{'ab' * 32}', '{'cd' * 32}'])", both.stderr
    for wrong in ({"ENCRYPTION_KEY": "short"}, {"ENCRYPT_AT_REST": "1"}):
        refused = settings_with(tmp_path, shown, **production, **wrong)
        assert refused.returncode != 0
        assert "ENCRYPTION_KEY" in refused.stderr


def test_the_environment_moves_each_part(tmp_path):
    shown = (
        "settings.DATABASES['default']['ENGINE'], settings.CELERY_BROKER_URL, "
        "settings.STORAGES['default']['BACKEND'], settings.CACHES['default']['BACKEND']"
    )
    result = settings_with(
        tmp_path,
        shown,
        SECRET_KEY="x",
        DATABASE_URL=POSTGRES,
        REDIS_URL="redis://127.0.0.1:6399/2",
        AWS_STORAGE_BUCKET_NAME="skincheck",
    )
    for expected in ("postgresql", "redis://127.0.0.1:6399/2", "SealedS3", "ForgivingRedis"):
        assert expected in result.stdout, result.stderr


def test_https_makes_cookies_secure(tmp_path):
    names = "settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME"
    shown = f"settings.SESSION_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT, {names}"
    plain = "(False, False, 'sessionid', 'csrftoken')"
    assert settings_with(tmp_path, shown).stdout.strip() == plain
    secure = "(True, True, '__Host-sessionid', '__Host-csrftoken')"
    assert settings_with(tmp_path, shown, HTTPS="1").stdout.strip() == secure


def test_the_visibility_timeout_is_above_the_hard_limit(settings, tmp_path):
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT
    assert settings.CELERY_TASK_TIME_LIMIT < 60  # the default lease
    shown = "settings.CELERY_BROKER_TRANSPORT_OPTIONS['visibility_timeout']"
    result = settings_with(tmp_path, shown, SECRET_KEY="x", REDIS_URL="redis://127.0.0.1/0")
    assert int(result.stdout) > settings.CELERY_TASK_TIME_LIMIT


def identifiers(found: list[checks.CheckMessage]) -> set[str]:
    return {str(message.id) for message in found}


@override_settings(EMBEDDED=True)
def test_an_embedded_installation_passes_the_checks():
    assert production_is_whole() == []


@override_settings(EMBEDDED=False, HTTPS=False, REDIS_URL="", DATABASE_URL=POSTGRES, DEBUG=True)
def test_half_a_production_is_caught():
    found = identifiers(production_is_whole())
    assert found == {"skincheck.W001", "skincheck.W002", "skincheck.E002"}


@override_settings(EMBEDDED=False, HTTPS=True, REDIS_URL="redis://r", DATABASE_URL=POSTGRES)
def test_a_whole_production_passes():
    assert production_is_whole() == []


def test_a_missing_model_is_caught(monkeypatch, tmp_path):
    assert model_is_there() == []
    monkeypatch.setattr(reader, "ARTIFACTS", tmp_path)
    reader.card.cache_clear()
    reader.load.cache_clear()
    try:
        assert identifiers(model_is_there()) == {"skincheck.E001"}
    finally:
        monkeypatch.undo()
        reader.card.cache_clear()
        reader.load.cache_clear()
