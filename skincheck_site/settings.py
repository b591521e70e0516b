"""One settings file, read from the environment.

With nothing set, SkinCheck runs embedded: SQLite, a broker on disk, media under ``var/``. Setting
``DATABASE_URL``, ``REDIS_URL`` and ``AWS_STORAGE_BUCKET_NAME`` moves each of them to PostgreSQL,
Redis and S3. ``docs/architecture.md`` lists every variable.
"""

import fcntl
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from skincheck_site import beat, identity_provider, logs
from skincheck_site.api import OAUTH2_PROVIDER, SPECTACULAR_SETTINGS  # noqa: F401  settings

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

VAR_DIR = Path(env("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
VAR_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)

DATABASE_URL: str = env("DATABASE_URL", default="")
REDIS_URL: str = env("REDIS_URL", default="")
S3_BUCKET: str = env("AWS_STORAGE_BUCKET_NAME", default="")
EMBEDDED = not (DATABASE_URL or REDIS_URL or S3_BUCKET)


def _own_key(name: str, new: Callable[[], str]) -> str:
    """A key of an embedded installation: created once, in a file that only its owner can read.
    Processes that start at the same time get the same one.
    """
    descriptor = os.open(VAR_DIR / name, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        key = file.read()
        if not key:  # new, or a disk was full
            key = new()
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
    return key


SECRET_KEY: str = env("SECRET_KEY", default="")
if not SECRET_KEY:
    if not EMBEDDED:
        raise ImproperlyConfigured(
            "Set SECRET_KEY (or SECRET_KEY_FILE): only the embedded default makes its own."
        )
    SECRET_KEY = _own_key("secret_key", get_random_secret_key)

# Former SECRET_KEYs: their signatures remain valid.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])

# The operator's key opens the data keys, with which pictures are encrypted. Former ones follow it.
ENCRYPTION_KEYS: list[str] = env("ENCRYPTION_KEY", default="").split()
ENCRYPT_AT_REST = env.bool("ENCRYPT_AT_REST", default=EMBEDDED or bool(ENCRYPTION_KEYS))
if EMBEDDED and not ENCRYPTION_KEYS and (ENCRYPT_AT_REST or (VAR_DIR / "encryption_key").exists()):
    ENCRYPTION_KEYS = _own_key("encryption_key", partial(token_hex, 32)).split()
if ENCRYPT_AT_REST and not ENCRYPTION_KEYS:
    raise ImproperlyConfigured("Set ENCRYPTION_KEY (or ENCRYPTION_KEY_FILE), or ENCRYPT_AT_REST=0.")
if not all(re.fullmatch("[0-9a-f]{64}", key) for key in ENCRYPTION_KEYS):
    raise ImproperlyConfigured(
        "ENCRYPTION_KEY is 64 hexadecimal digits, from `openssl rand -hex 32`. A former key "
        "follows on a line of its own."
    )

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL: str = env("SITE_URL", default="http://127.0.0.1:8000")
# The base of FHIR's canonical names. Other systems store them, so it stays when the site moves.
CANONICAL_URL: str = env("CANONICAL_URL", default=SITE_URL).rstrip("/")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "oauth2_provider",
    "rest_framework",
    "accounts",
    "screening",
]

MIDDLEWARE = [
    "skincheck_site.request_id.RequestIdMiddleware",
    "screening.privacy.requests.audited",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "skincheck_site.caching.keep_nothing",
    "skincheck_site.compression.ProgramsGZip",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "skincheck_site.bodies.refuse_large",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.web.sessions.IdleLimit",
    "accounts.web.preconditions.Preconditions",
    "screening.web.form_tokens.PageForms",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "screening.api.http.throttling.tell_limits",
]

ROOT_URLCONF = "skincheck_site.urls"
WSGI_APPLICATION = "skincheck_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "screening.web.navigation.frame",
            ],
            "builtins": ["screening.templatetags.page_forms"],
        },
    },
]

# Database

if DATABASE_URL:
    DATABASES = {"default": env.db_url("DATABASE_URL")}
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": VAR_DIR / "db.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Language and time

LANGUAGE_CODE = "en-gb"
TIME_ZONE = env("TIME_ZONE", default="UTC")
USE_TZ = True
DATE_FORMAT = "j M Y"
USE_I18N = False

# Cache, broker and worker

if REDIS_URL:
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "skincheck_site.cache.ForgivingRedis",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 1},
        }
    }
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, float] = {
        "visibility_timeout": 300,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        # Adding an image does not wait for an unavailable broker: the sweep rings later.
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "skincheck_site.cache.ForgivingFiles",
            "LOCATION": VAR_DIR / "cache",
            "OPTIONS": {"MAX_ENTRIES": 10_000},  # includes the counters of the rate limits
        }
    }
    CELERY_BROKER_TRANSPORT = "skincheck_site.broker:Transport"
    CELERY_BROKER_URL = f"sqlite:///{VAR_DIR / 'broker.sqlite3'}"
    # A poll of an unchanged file only looks at its state (skincheck_site.broker).
    CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.02}

# A worker that has claimed a prediction owns it for this long; the hard limit below is shorter.
PREDICTION_LEASE_SECONDS = env.int("PREDICTION_LEASE_SECONDS", default=60)
PREDICTION_SWEEP_SECONDS = env.int("PREDICTION_SWEEP_SECONDS", default=30)

CELERY_TASK_SOFT_TIME_LIMIT = 40
CELERY_TASK_TIME_LIMIT = 45
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "skincheck_site.scheduler:Scheduler"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = beat.schedule()

# Webhooks and DICOM nodes may be at private addresses, on any port, without TLS. For development.
WEBHOOK_ALLOW_PRIVATE = env.bool("WEBHOOK_ALLOW_PRIVATE", default=False)

# Files

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
MEDIA_ROOT = VAR_DIR / "media"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "screening.operations.storage.SealedFiles"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if S3_BUCKET:
    from botocore.config import Config

    STORAGES["default"] = {
        "BACKEND": "screening.operations.sealed_s3.SealedS3",
        "OPTIONS": {
            "bucket_name": S3_BUCKET,
            "endpoint_url": env("AWS_S3_ENDPOINT_URL", default=None),
            "region_name": env("AWS_S3_REGION_NAME", default=None),
            "default_acl": "private",
            "file_overwrite": False,
            # Errors of an unavailable storage are reported within the worker's time limit.
            "client_config": Config(
                connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 3}
            ),
        },
    }
# The internal location at which nginx serves the media (X-Accel-Redirect).
MEDIA_ACCEL_PREFIX: str = env("MEDIA_ACCEL_PREFIX", default="")
# Of a request without its files: those stream to disk and have separate limits.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 5_000_000
# On the disk of the media: an archive may exceed a /tmp in memory, and need not be copied.
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(exist_ok=True)
# Quotas of a person's own record and of a clinic, in millions of bytes.
ACCOUNT_STORAGE_MB = env.int("ACCOUNT_STORAGE_MB", default=5_000)
CLINIC_STORAGE_MB = env.int("CLINIC_STORAGE_MB", default=200_000)
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
FILE_UPLOAD_HANDLERS = [
    "screening.web.uploads.CappedUploadHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "screening.web.uploads.OnDiskUploadHandler",
]

# Accounts

# How many proxies in front of us add the caller's address to X-Forwarded-For.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.log_in.BackendWithRoles"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
PASSWORD_LENGTH = 12  # at least
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {},
        "MinimumLengthValidator": {"min_length": PASSWORD_LENGTH},
        "CommonPasswordValidator": {},  # of a list that Django brings along
        "NumericPasswordValidator": {},
    }.items()
] + [{"NAME": "accounts.passwords.SiteWordsValidator"}]
FOUND_CLINICS: str = env("FOUND_CLINICS", default="anyone" if EMBEDDED else "verified")
if FOUND_CLINICS not in ("anyone", "verified", "staff"):
    raise ImproperlyConfigured("FOUND_CLINICS is one of anyone, verified and staff.")
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    action: f"accounts.web.entrance_forms.{name}"
    for action, name in {
        "login": "LogInForm",
        "signup": "SignUpForm",
        "add_email": "AddEmailForm",
        "change_password": "ChangePasswordForm",
        "set_password": "SetPasswordForm",
        "reset_password": "ResetPasswordForm",
        "reset_password_from_key": "ResetPasswordKeyForm",
    }.items()
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = env("ACCOUNT_EMAIL_VERIFICATION", default="optional")
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.web.signup_form.SignupForm"
# Named on the privacy page and in the terms, whose texts are in templates/privacy/.
OPERATOR: str = env("OPERATOR", default="")
OPERATOR_CONTACT: str = env("OPERATOR_CONTACT", default="")
# Years. Younger people cannot open an account.
MINIMUM_AGE = env.int("MINIMUM_AGE", default=16)
# A clinic must keep a patient's record for this many years after its last entry.
RETENTION_YEARS = env.int("RETENTION_YEARS", default=10)
# Changes to the log-in, and handing out data, require a log-in within this many seconds.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
# Admins of clinics, beside operators, who always do.
ADMINS_NEED_SECOND_FACTOR = env.bool("ADMINS_NEED_SECOND_FACTOR", default=not EMBEDDED)
MFA_ADAPTER = "accounts.second_factors.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "SkinCheck"
# Where an address need not be confirmed. Elsewhere nobody can log in before it is.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_FORMS = {
    "activate_totp": "accounts.web.forms.AppForm",
    "add_webauthn": "accounts.web.forms.PasskeyForm",
    "authenticate_webauthn": "accounts.web.forms.PasskeyFactorForm",
    "login_webauthn": "accounts.web.forms.PasskeyLogInForm",
    "reauthenticate_webauthn": "accounts.web.forms.PasskeyAgainForm",
}
SESSION_ENGINE = "accounts.session_store"
# A session ends after this long without a request, and two weeks after the log-in in any case.
SESSION_IDLE_MINUTES = env.int("SESSION_IDLE_MINUTES", default=720)
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
# An unresponsive mail server must not block a worker or the page that sends an invitation.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="SkinCheck <noreply@localhost>")

# Log-in with a clinic's own identity provider (OpenID Connect): https://client:secret@its-address
OIDC_URL: str = env("OIDC_URL", default="")
IDENTITY_PROVIDER = identity_provider.of(OIDC_URL) if OIDC_URL else None
if IDENTITY_PROVIDER:
    _place = INSTALLED_APPS.index("allauth.mfa")
    INSTALLED_APPS[_place:_place] = [
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
    ]
    SOCIALACCOUNT_PROVIDERS = IDENTITY_PROVIDER.providers
    SOCIALACCOUNT_ADAPTER = "accounts.provider.ProviderAdapter"
    # Owners of an existing account connect it after a log-in: an address alone is not enough.
    SOCIALACCOUNT_EMAIL_AUTHENTICATION = False

# API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.authentication.AccessTokenAuthentication",
        "accounts.authentication.PageSession",
    ],
    # Deny by default: a view without permissions is for staff only.
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "screening.api.http.negotiation.Negotiation",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "screening.api.http.pagination.CreatedCursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "screening.api.http.errors.problem_handler",
    "NUM_PROXIES": TRUSTED_PROXIES,
    "DEFAULT_THROTTLE_CLASSES": ["screening.api.http.throttling.CallerThrottle"],
    "DEFAULT_THROTTLE_RATES": {"caller": env("API_RATE", default="600/min"), "token": "60/min"},
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
OAUTH2_PROVIDER_APPLICATION_MODEL = "accounts.Application"

# Security

HTTPS = env.bool("HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
COOKIE_PREFIX = "__Host-" if HTTPS else ""  # browsers refuse it over plain HTTP
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}sessionid"
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrftoken"
MESSAGE_STORAGE = "skincheck_site.cookies.MessageStorage"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS  # browsers allow it for localhost alone
CSRF_FAILURE_VIEW = "screening.web.form_tokens.csrf_failure"
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/"]
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        # Plotly positions its labels with style attributes and injects its own style sheet.
        "style-src": [SELF, "'unsafe-inline'"],
        "object-src": [NONE],
        "base-uri": [NONE],
        # Browsers hold the redirect to an identity provider to this too.
        "form-action": [SELF, *([IDENTITY_PROVIDER.origin] if IDENTITY_PROVIDER else [])],
        "frame-ancestors": [NONE],
    },
}

# Audit log

# Older entries are replaced by a signature of their segment; 0 keeps all of them.
AUDIT_RETENTION_YEARS = env.int("AUDIT_RETENTION_YEARS", default=10)

# Logs

LOG_FORMAT: str = env("LOG_FORMAT", default="text")
if LOG_FORMAT not in logs.FORMATS:
    raise ImproperlyConfigured("LOG_FORMAT is one of text and json.")
LOGGING = logs.configuration(env("LOG_LEVEL", default="INFO"), LOG_FORMAT)

# Debug toolbar: enabled by script/dev. It appears only with DEBUG, and to this machine.

DEBUG_TOOLBAR = env.bool("DEBUG_TOOLBAR", default=False)
if DEBUG_TOOLBAR:
    INTERNAL_IPS = ["127.0.0.1"]
    INSTALLED_APPS += ["debug_toolbar"]
    MIDDLEWARE.insert(1, "debug_toolbar.middleware.DebugToolbarMiddleware")
