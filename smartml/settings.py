"""Every setting, typed, from the environment.

Order: the process environment, then ``.env`` beside ``manage.py``, then ``stack.env`` in the local stack's
directory (written by ``manage.py runlocal``: ports while it runs), then ``secret.env`` there (generated
secrets). A value that does not parse stops the start with its name. ``.env.example`` lists every variable; a test
compares it with this file.
"""

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

BASE_DIR = Path(__file__).resolve().parent.parent
MIB = 2**20

env = environ.Env()
LOCAL_DIR = Path(env.str("SMARTML_LOCAL_DIR", default=str(BASE_DIR / ".local")))
for _env_file in (BASE_DIR / ".env", LOCAL_DIR / "stack.env", LOCAL_DIR / "secret.env"):
    if _env_file.is_file():
        env.read_env(_env_file, overwrite=False)

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. `make run` makes one for the local stack; elsewhere set it in the environment."
    )
# Vouches for stored models (`models_app.signing`); empty: SECRET_KEY does. Older keys still count, none signs.
MODEL_SIGNING_KEY = env.str("MODEL_SIGNING_KEY", default="")
MODEL_SIGNING_KEY_FALLBACKS = [key for key in env.list("MODEL_SIGNING_KEY_FALLBACKS", default=[]) if key]
# Refuse models from before there were signatures. Sign them first: `manage.py sign_models`.
MODEL_SIGNATURES_REQUIRED = env.bool("MODEL_SIGNATURES_REQUIRED", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- Application ---------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "axes",
    "csp",
    "smartml",
    "accounts",
    "datasets",
    "models_app",
    # After models_app, whose `qcluster` command replaces its own.
    "django_q",
]
MIDDLEWARE = [
    "smartml.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "smartml.middleware.PrivateAnswersMiddleware",
    "django.middleware.common.CommonMiddleware",
    "smartml.middleware.ApiHeadMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "smartml.middleware.HtmxLoginMiddleware",
    "smartml.middleware.ErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "smartml.urls"
WSGI_APPLICATION = "smartml.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "smartml.context.layout",
            ],
            "builtins": ["django.contrib.humanize.templatetags.humanize", "django_htmx.templatetags.django_htmx"],
        },
    }
]

# --- Accounts, sessions, queue broker (SQL) ------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{LOCAL_DIR / 'app.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Web and workers write to one file: without IMMEDIATE a read that turns into a write fails at once.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# To open a connection takes longer than what a request of the API asks by it.
DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES: dict[str, dict[str, Any]] = {"default": env.cache_url("CACHE_URL", default="locmemcache://smartml")}
# Counters of attempts: apart, so that neither what is cached nor clearing it makes room for more attempts.
CACHES["limits"] = CACHES["default"] | {"KEY_PREFIX": "limits"}
if CACHES["default"]["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache":
    CACHES["limits"] |= {"LOCATION": "limits", "OPTIONS": {"MAX_ENTRIES": 100_000}}

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("accounts:sign_in")
LOGIN_REDIRECT_URL = reverse_lazy("dashboard")
LOGOUT_REDIRECT_URL = reverse_lazy("accounts:sign_in")
AXES_FAILURE_LIMIT = env.int("SIGN_IN_FAILURE_LIMIT", default=8)
SIGN_IN_FAILURE_LIMIT_PER_IP = env.int("SIGN_IN_FAILURE_LIMIT_PER_IP", default=50)
AXES_COOLOFF_TIME = env.int("SIGN_IN_COOLOFF_HOURS", default=1)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HANDLER = "accounts.lockout.SignInHandler"
AXES_CLIENT_IP_CALLABLE = "accounts.clients.client_ip"
AXES_LOCKOUT_CALLABLE = "smartml.views.locked_out"
AXES_USERNAME_CALLABLE = "accounts.services.sign_in_name"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
# Failures have to be counted; who signed in from where, with which browser, nobody here needs to know.
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

# --- Security headers and cookies ----------------------------------------------------------------------------
# The local stack speaks plain HTTP on 127.0.0.1; everything else is expected behind TLS.
HTTPS = env.bool("HTTPS", default=True)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "smartml.views.csrf_failure"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = HTTPS
# Asked from inside, by plain HTTP, and without a secret in the answer.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Off: it would close plain HTTP for every other name below this one, for a year, whoever runs them.
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS and env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        # Tabler draws its form controls with data: images inside its style sheet.
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- Metadata: MongoDB ---------------------------------------------------------------------------------------
MONGODB_URI = env.str("MONGODB_URI", default="mongodb://127.0.0.1:27017/?directConnection=true")
MONGODB_DATABASE = env.str("MONGODB_DATABASE", default="smartml")
MONGODB_TIMEOUT_SECONDS = env.float("MONGODB_TIMEOUT_SECONDS", default=2.5)

# --- Data and models: Azure Blob Storage ---------------------------------------------------------------------
AZURE_STORAGE_ENABLED = env.bool("AZURE_STORAGE_ENABLED", default=False)
AZURE_ACCOUNT_URL = env.str("AZURE_ACCOUNT_URL", default="")
AZURE_TENANT_ID = env.str("AZURE_TENANT_ID", default="")
AZURE_CLIENT_ID = env.str("AZURE_CLIENT_ID", default="")
AZURE_CLIENT_SECRET = env.str("AZURE_CLIENT_SECRET", default="")
AZURE_AUTHORITY = env.str("AZURE_AUTHORITY", default="")
AZURE_DATASETS_CONTAINER = env.str("AZURE_DATASETS_CONTAINER", default="datasets")
AZURE_MODELS_CONTAINER = env.str("AZURE_MODELS_CONTAINER", default="models")

# --- Kaggle --------------------------------------------------------------------------------------------------
# For people without a token of their own: a token, or a user name with its key.
KAGGLE_API_TOKEN = env.str("KAGGLE_API_TOKEN", default="")
KAGGLE_USERNAME = env.str("KAGGLE_USERNAME", default="")
KAGGLE_KEY = env.str("KAGGLE_KEY", default="")
# Encrypts people's own tokens. The first key encrypts, every one decrypts.
KAGGLE_CREDENTIALS_KEY = [key.strip() for key in env.list("KAGGLE_CREDENTIALS_KEY", default=[]) if key.strip()]
KAGGLE_BASE_URL = env.str("KAGGLE_BASE_URL", default="")

# --- Queue ---------------------------------------------------------------------------------------------------
# `retry` exceeds every run time: the broker's redelivery is the last backstop, the jobs collection the truth.
_LONGEST_TRAINING = 4 * 3600
Q_CLUSTER = {
    "name": "light",
    "orm": "default",
    "workers": env.int("LIGHT_WORKERS", default=4),
    "timeout": 300,
    "retry": _LONGEST_TRAINING + 1200,
    "queue_limit": 1,
    "ack_failures": True,
    "max_attempts": 0,
    "save_limit": 100,
    "daemonize_workers": False,
    "poll": 0.5,
    "catch_up": False,
    "recycle": 50,
    "label": "Queue",
    "ALT_CLUSTERS": {
        "training": {
            "workers": env.int("TRAINING_WORKERS", default=1),
            "queue_limit": 1,
            "timeout": _LONGEST_TRAINING + 600,
            "retry": _LONGEST_TRAINING + 1200,
            "recycle": 1,
        }
    },
}

# --- Limits --------------------------------------------------------------------------------------------------
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=2 * 1024 * MIB)
MAX_COLUMNS = env.int("MAX_COLUMNS", default=5_000)
MAX_TRAINING_SECONDS = env.int("MAX_TRAINING_SECONDS", default=_LONGEST_TRAINING)
PREDICTOR_CACHE_BYTES = env.int("PREDICTOR_CACHE_BYTES", default=1024 * MIB)
# Of each web process, started when needed; with one, a model that is being loaded keeps all others waiting.
PREDICTOR_PROCESSES = max(1, env.int("PREDICTOR_PROCESSES", default=2))
# AutoGluon's model families to try ("GBM,CAT"); empty: those of the preset.
TRAINING_FAMILIES = env.list("TRAINING_FAMILIES", default=[])
# What one training's processes may hold together, in MiB; 0: its share of 80 % of the machine's memory.
TRAINING_MEMORY_MB = env.int("TRAINING_MEMORY_MB", default=0)
TRAININGS_RUNNING_PER_USER = env.int("TRAININGS_RUNNING_PER_USER", default=2)
TRAININGS_WAITING_PER_USER = env.int("TRAININGS_WAITING_PER_USER", default=20)
# Room that trainings leave on the disk of the temporary directory.
MIN_FREE_DISK_MB = env.int("MIN_FREE_DISK_MB", default=512)
# Where fewer rows are held out, the score comes from cross-validation over all rows; 0: never.
CROSS_VALIDATE_BELOW = env.int("CROSS_VALIDATE_BELOW", default=100)
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=45)
# Blobs that no metadata speaks of are reported at once and deleted when they are this old.
STRAY_BLOB_HOURS = env.int("STRAY_BLOB_HOURS", default=24)
# Uploads that nobody has imported or abandoned are deleted after this time.
STAGED_UPLOAD_HOURS = env.int("STAGED_UPLOAD_HOURS", default=24)
# Of one token of the API.
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)
API_ROWS_PER_PREDICTION = env.int("API_ROWS_PER_PREDICTION", default=5_000)
# Also the largest JSON body of the API.
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * MIB
# `datasets.views.upload` alone takes a file, with a handler of its own.
FILE_UPLOAD_HANDLERS = ["smartml.uploads.RefuseFiles"]
# The prediction form has a field for every feature.
DATA_UPLOAD_MAX_NUMBER_FIELDS = MAX_COLUMNS + 100

# --- Language, static files, mail, log -----------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
USE_THOUSAND_SEPARATOR = False
STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(LOCAL_DIR / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]
# Hashed names need a collected manifest: made by `runlocal` and by the container image, absent under DEBUG.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
# Mails about trainings are sent only where mail goes out.
MAIL_CONFIGURED = not env.str("EMAIL_URL", default="consolemail://").startswith("consolemail")
SITE_URL = env.str("SITE_URL", default="")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Smart ML Assistant <noreply@localhost>")
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "smartml.requestid.RequestIdFilter"}},
    "formatters": {
        "line": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # The Azure SDK logs whole requests, headers and all, at INFO.
        "azure": {"level": "WARNING"},
        # Repeats the sign-in server's answer word for word; `storage.credentials` logs what is safe to know.
        "azure.identity": {"level": "CRITICAL"},
        "pymongo": {"level": "WARNING"},
        # At DEBUG it logs addresses with the signatures that open them.
        "urllib3": {"level": "WARNING"},
        # A line for every good sign-in that there was nothing to forget.
        "axes": {"level": "WARNING"},
    },
}
