"""Django's settings. Every value that a deployment chooses comes from ``mediahub.env``."""

from __future__ import annotations

import sys
import warnings
from urllib.parse import urlsplit

from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from mediahub import appearance, env, logs
from mediahub.databases import databases
from mediahub.env import BASE_DIR
from mediahub.storages import describe_storage

DEBUG = env.flag("DEBUG")
_DEVELOPMENT_KEY = "insecure-development-key"
SECRET_KEY = env.text("SECRET_KEY") or (_DEVELOPMENT_KEY if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. Put a long random text there (or DEBUG=1 to just look around)."
    )
SECRET_KEY_FALLBACKS = env.names("SECRET_KEY_FALLBACKS")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS")
# Where the outside reaches this hub; Twilio signs this address, not the one behind a proxy.
PUBLIC_URL = env.text("PUBLIC_URL", "http://localhost:8000").rstrip("/")

_SERVED = {
    "PUBLIC_URL": [urlsplit(PUBLIC_URL).hostname or ""],
    "ALLOWED_HOSTS": ALLOWED_HOSTS,
}
for _name, _hosts in _SERVED.items():
    if SECRET_KEY == _DEVELOPMENT_KEY and not all(map(env.is_local, _hosts)):
        raise ImproperlyConfigured(
            f"The development key cannot be used with {_name}={','.join(_hosts)}: everybody "
            "knows it, and signs in "
            "with it. Put a long random text into SECRET_KEY."
        )

INSTALLED_APPS = [
    "mediahub.apps.MediahubConfig",
    "messages_app.apps.MessagesConfig",
    "media_app.apps.MediaConfig",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_rq",
]
if DEBUG:
    # For its commands `demo` and `simulate`.
    INSTALLED_APPS.append("simulator")

MIDDLEWARE = [
    # First, so that refusals of the others have a policy, too.
    "mediahub.content_policy.ContentPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "mediahub.bodies.BodyLimitMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "mediahub.database_failures.DatabaseFailureMiddleware",
]

ROOT_URLCONF = "mediahub.urls"
WSGI_APPLICATION = "mediahub.wsgi.application"
# Nobody uploads anything here: what a form has in it never touches a disk (``mediahub.bodies``).
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = reverse_lazy("admin:login")
# Proxies that say in X-Forwarded-For whose request they pass on; nobody else is believed.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", "127.0.0.1,::1")
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

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
                "mediahub.admin.on_every_page",
            ]
        },
    }
]

# --- database ---------------------------------------------------------------

DATABASES = databases(
    env.database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
)

# --- files ------------------------------------------------------------------

MEDIA_STORAGE_BACKEND = env.choice("MEDIA_STORAGE_BACKEND", ("local", "s3", "r2"))
MEDIA_ROOT = env.text("MEDIA_ROOT", str(BASE_DIR / "media"))
# Keys for the metadata that travels with each object (Fernet, the new one first). Empty: readable
# base64.
MEDIA_METADATA_KEYS = env.names("MEDIA_METADATA_KEYS")
# Tells which files and messages were erased, without their ids (the new one first).
ERASURE_KEY = env.names("ERASURE_KEY")
# How long files are kept after their sender's last message. 0: for ever.
MEDIA_RETENTION_DAYS = env.number("MEDIA_RETENTION_DAYS", 0, least=0)
# Meta lets customers send documents of up to 100 MB.
MEDIA_MAX_BYTES = env.number("MEDIA_MAX_BYTES", 100 * 1024 * 1024)
# Who sends the bytes once they may be seen: this process, nginx in front of it, or the bucket
# itself.
MEDIA_DELIVERY = env.choice("MEDIA_DELIVERY", ("stream", "accel", "redirect"))
# A bucket of the same account that everybody may read at this address: it has copies of the files
# marked public.
R2_PUBLIC_BUCKET = env.text("R2_PUBLIC_BUCKET")
R2_PUBLIC_URL = env.text("R2_PUBLIC_URL").rstrip("/")
# How long a link that staff give out opens a file.
LINK_TTL_SECONDS = env.number("LINK_TTL_SECONDS", 900)

STATIC_ROOT = BASE_DIR / "staticfiles"
# After `collectstatic` files are compressed and cached for ever; before it they are served as they
# lie.
_COLLECTED = (STATIC_ROOT / "staticfiles.json").exists()
_STATIC_STORAGE = "django.contrib.staticfiles.storage.StaticFilesStorage"
if _COLLECTED or "collectstatic" in sys.argv:
    _STATIC_STORAGE = "whitenoise.storage.CompressedManifestStaticFilesStorage"

STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": MEDIA_ROOT},
    },
    "media": describe_storage(MEDIA_STORAGE_BACKEND, folder=MEDIA_ROOT),
    "staticfiles": {"BACKEND": _STATIC_STORAGE},
}
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = not _COLLECTED
if not _COLLECTED:
    warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)

# --- providers --------------------------------------------------------------

META_APP_SECRET = env.names("META_APP_SECRET")
META_VERIFY_TOKEN = env.names("META_VERIFY_TOKEN")
META_ACCESS_TOKEN = env.names("META_ACCESS_TOKEN")
META_GRAPH_URL = env.text("META_GRAPH_URL", "https://graph.facebook.com").rstrip("/")
META_GRAPH_VERSION = env.text("META_GRAPH_VERSION", "v25.0")
META_MEDIA_LIFETIME_HOURS = env.number("META_MEDIA_LIFETIME_HOURS", 0, least=0)
META_MEDIA_HOSTS = env.names("META_MEDIA_HOSTS", "fbsbx.com,fbcdn.net,whatsapp.net")

TWILIO_ACCOUNT_SID = env.text("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = env.names("TWILIO_AUTH_TOKEN")
TWILIO_SHARED_KEY_SECRET = env.names("TWILIO_SHARED_KEY_SECRET")
TWILIO_API_KEY = env.text("TWILIO_API_KEY")
TWILIO_API_SECRET = env.names("TWILIO_API_SECRET")
TWILIO_API_URL = env.text("TWILIO_API_URL", "https://api.twilio.com").rstrip("/")
TWILIO_MEDIA_HOSTS = env.names(
    "TWILIO_MEDIA_HOSTS", "twiliocdn.com,s3-external-1.amazonaws.com"
)

# --- photo sessions -----------------------------------------------------------

SESSION_START = env.choice("SESSION_START", ("keyword", "photo"))
SESSION_TTL_SECONDS = env.number("SESSION_TTL_SECONDS", 3600)
SESSION_WORDS_START = env.names("SESSION_WORDS_START", "SELL,START")
SESSION_WORDS_DONE = env.names("SESSION_WORDS_DONE", "DONE")
SESSION_WORDS_CANCEL = env.names("SESSION_WORDS_CANCEL", "CANCEL")
SESSION_WORDS_RESET = env.names("SESSION_WORDS_RESET", "RESET")
# Where submitted sessions are handed over, and the key that signs them.
SESSION_WEBHOOK_URL = env.text("SESSION_WEBHOOK_URL")
SESSION_WEBHOOK_SECRET = env.names("SESSION_WEBHOOK_SECRET")
# How long the links of a summary open its photos.
SUMMARY_LINK_TTL_SECONDS = env.number("SUMMARY_LINK_TTL_SECONDS", 7 * 24 * 3600)

# --- jobs -------------------------------------------------------------------

REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:6379/0")
# The jobs of each queue: workers run nothing else, whoever may have queued it.
RQ_JOBS = {
    "inbox": ["messages_app.jobs.drain"],
    "ingest": [
        "media_app.jobs.ingest",
        "media_app.jobs.purge",
        "media_app.jobs.sync_public_copies",
    ],
    "outbox": ["messages_app.jobs.send"],
    "handovers": ["messages_app.jobs.hand_over"],
    "previews": ["media_app.jobs.make_preview"],
    "commands": ["media_app.command_jobs.run"],
}
# Operators' commands that staff may start, without options: none of them deletes or replaces a
# file. Each with what its button says.
STAFF_COMMANDS = {
    "check_storage": "Check the storage",
    "media_stats": "Count files",
    "reconcile_media": "Compare rows and objects",
    "backfill_media": "Fetch what waits",
}
# One queue for each worker process: with several, a worker that dies between taking
# a job and starting it loses the job for good.
RQ_QUEUES = {
    name: {
        "URL": REDIS_URL,
        "DEFAULT_TIMEOUT": 600,
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
    for name in RQ_JOBS
}
RQ_SHOW_ADMIN_LINK = False

# --- web --------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = env.time_zone()
USE_TZ = True
USE_I18N = True

_HTTPS = PUBLIC_URL.startswith("https://")
if _HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
SECURE_SSL_REDIRECT = _HTTPS
# A provider that follows a redirect does so without the body it signed, and the delivery is lost.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^webhooks/"]
# The hub may live on an apex domain, and the hosts below it are not ours to bind to HTTPS, least of
# all for ever.
SECURE_HSTS_INCLUDE_SUBDOMAINS = False
SECURE_HSTS_PRELOAD = False
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS

# What a page of ours may load and run. Files that strangers sent bring a stricter policy of their
# own.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.NONE],
        # unfold's pages are written for Alpine, which compiles the expressions in their attributes:
        # unsafe-eval. Scripts and handlers that stand in a page itself do not run.
        "script-src": [csp.SELF, csp.UNSAFE_EVAL],
        # unfold and htmx write <style> elements into their pages.
        "style-src": [csp.SELF, csp.UNSAFE_INLINE],
        "font-src": [csp.SELF],
        "connect-src": [csp.SELF],
        "img-src": [csp.SELF],
        "media-src": [csp.SELF],
        "form-action": [csp.SELF],
        "base-uri": [csp.NONE],
        "frame-ancestors": [csp.NONE],
    }
}

LOG_LEVEL = env.log_level()
LOGGING = logs.configuration(LOG_LEVEL)

UNFOLD = appearance.UNFOLD
