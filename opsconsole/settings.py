"""All settings, read from the environment once. Nothing configured means: local, on embedded servers under var/.

OPS_ENV is `local` (default without DATABASE_URL), `test`, or `production` (default with it). In production every
secret must be given, and what is missing or wrong is named in one line at start-up.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NoReturn

import environ
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from psycopg.conninfo import conninfo_to_dict
from redis import Redis

from opsconsole import embedded

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
VAR = Path(env("OPS_VAR", default=str(BASE_DIR / "var"))).resolve()

OPS_ENV = env("OPS_ENV", default="production" if "DATABASE_URL" in os.environ else "local")
PRODUCTION = OPS_ENV == "production"
DEBUG = False
DEMO = env.bool("OPS_DEMO", default=not PRODUCTION) and not PRODUCTION


def _stop(problem: str) -> NoReturn:
    sys.exit(f"opsconsole: {problem}")


if OPS_ENV not in ("local", "test", "production"):
    _stop(f"OPS_ENV is {OPS_ENV!r}; it must be local, test or production.")


def _secret(name: str, make: Any) -> str:
    """A secret from the environment; outside production one that is made once and kept under var/secrets."""
    if value := env(name, default=""):
        return str(value)
    if PRODUCTION:
        _stop(f"{name} is not set; production needs it.")
    path = VAR / "secrets" / name.lower()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(make())
        try:
            os.link(fresh, path)  # the first of several processes wins, and all of them read its value
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()


SECRET_KEY = _secret("SECRET_KEY", lambda: secrets.token_urlsafe(64))
FIELD_ENCRYPTION_KEYS = [
    key for key in _secret("FIELD_ENCRYPTION_KEYS", lambda: Fernet.generate_key().decode()).split(",") if key
]
JOURNAL_SIGNING_KEY = _secret("JOURNAL_SIGNING_KEY", lambda: base64.b64encode(secrets.token_bytes(32)).decode())
JOURNAL_PUBLIC_KEYS = env.list("JOURNAL_PUBLIC_KEYS", default=[])
JOURNAL_ORIGIN = env("JOURNAL_ORIGIN", default="opsconsole/journal")
for _key in FIELD_ENCRYPTION_KEYS:
    try:
        Fernet(_key)
    except ValueError:
        _stop("FIELD_ENCRYPTION_KEYS must be Fernet keys (32 bytes, URL-safe base64), separated by commas.")
try:
    if len(base64.b64decode(JOURNAL_SIGNING_KEY, validate=True)) != 32:  # noqa: PLR2004 - an Ed25519 seed
        raise ValueError("length")
except ValueError:
    _stop("JOURNAL_SIGNING_KEY must be an Ed25519 seed: 32 bytes in base64.")

# --- databases ------------------------------------------------------------------------------------------------------

for _name in ("DATABASE_URL", "REDIS_URL"):
    if PRODUCTION and not env(_name, default=""):
        _stop(f"{_name} is not set; production needs it.")
_EMBEDDED = embedded.urls(VAR)
DATABASE_URL = env("DATABASE_URL", default=_EMBEDDED.database)
DATABASE_OWNER_URL = env("DATABASE_OWNER_URL", default="" if "DATABASE_URL" in os.environ else _EMBEDDED.owner)
DATABASE_OPERATOR_URL = env("DATABASE_OPERATOR_URL", default="" if "DATABASE_URL" in os.environ else _EMBEDDED.operator)
REDIS_URL = env("REDIS_URL", default=_EMBEDDED.redis)


# A server across the network may vanish without a word: nobody waits for it longer than this. A URL may say otherwise.
_ACROSS_THE_NETWORK = {
    "connect_timeout": "5",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",  # milliseconds that what we sent may stay unacknowledged
}


def _database(name: str, url: str) -> dict[str, Any]:
    """Django's form of a libpq URL, so that psql and the application read the same one."""
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
    except Exception as error:  # noqa: BLE001 - libpq says what is wrong with it
        _stop(f"{name} is not a PostgreSQL URL: {error}")
    host = parts.pop("host", "")
    return {
        "ENGINE": "opsconsole.core.postgres",
        "NAME": parts.pop("dbname", "molam_connect"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": host,
        "PORT": str(parts.pop("port", "")),
        "OPTIONS": parts if _is_socket(host) else _ACROSS_THE_NETWORK | parts,
    }


def _is_socket(host: str) -> bool:
    return not host or host.startswith(("/", "@"))


DATABASES = {"default": _database("DATABASE_URL", DATABASE_URL)}
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 3  # of what `core.database.one_row` asks
DATABASES["default"]["TEST"] = {"NAME": env("TEST_DB", default="test_molam_connect")}
DATABASE_APPLICATION = _database("DATABASE_URL", DATABASE_URL)
DATABASE_OWNER = _database("DATABASE_OWNER_URL", DATABASE_OWNER_URL or DATABASE_URL)
# Past a pooler: what holds a lock for as long as its session lasts needs a session of its own.
DATABASE_DIRECT = _database("DATABASE_DIRECT_URL", env("DATABASE_DIRECT_URL", default=DATABASE_URL))
# A backup is read by a role that may read everything, and restored on trial by one that may make a database.
_OWNER_URL = DATABASE_OWNER_URL or DATABASE_URL
BACKUP_DATABASE = _database("BACKUP_DATABASE_URL", env("BACKUP_DATABASE_URL", default=_OWNER_URL))
BACKUP_SCRATCH = _database("BACKUP_SCRATCH_URL", env("BACKUP_SCRATCH_URL", default=_OWNER_URL))
DB_APP_ROLE = DATABASES["default"]["USER"]
DB_OWNER_ROLE = DATABASE_OWNER["USER"]
DB_OPERATOR_ROLE = env("DB_OPERATOR_ROLE", default="operator")
OPS_PGBOUNCER = env.bool("OPS_PGBOUNCER", default=False)  # transaction pooling: nothing outlives a transaction
if OPS_PGBOUNCER:
    if not env("DATABASE_DIRECT_URL", default=""):
        _stop("OPS_PGBOUNCER needs DATABASE_DIRECT_URL, past the pooler: the scheduler leads by a lock of its session.")
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = None
if env.bool("OPS_DB_POOL", default=False):  # web processes only: a pool does not survive the fork of a worker
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": env.int("OPS_DB_POOL_SIZE", default=8),
        "timeout": 3,  # seconds to wait for a connection: without a database an answer must come soon
    }
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = False  # the engine looks for itself
    if not OPS_PGBOUNCER:  # which takes no options for a session
        # A row that somebody else keeps must not take one thread after the other away from everybody.
        said = DATABASES["default"]["OPTIONS"].get("options", "")
        DATABASES["default"]["OPTIONS"]["options"] = f"-c lock_timeout=5s {said}".rstrip()
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None if env.bool("OPS_DB_KEEP", default=True) else 0
try:
    Redis.from_url(REDIS_URL)
except ValueError as error:
    _stop(f"REDIS_URL is not a Redis URL: {error}")

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- applications ---------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "opsconsole.core",
    "opsconsole.console.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "opsconsole.identity.apps.TokensConfig",
    "guardian",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_prometheus",
    "opsconsole.journal",
    "opsconsole.approvals",
    "opsconsole.changes",
    "opsconsole.identity",
    "opsconsole.notifications",
    "opsconsole.backups",
    "opsconsole.runbooks",
    "opsconsole.plans",
    "opsconsole.treasury",
    "loyalty",
    "opsconsole.monitoring",
    "opsconsole.console",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "opsconsole.core.browsers.BrowserPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "opsconsole.core.requests.RequestIdMiddleware",
    "opsconsole.core.browsers.BrowserSessions",
    "opsconsole.core.languages.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "opsconsole.core.browsers.BrowserUsers",
    "opsconsole.core.admin.viewing.ViewingMiddleware",
    "opsconsole.core.browsers.BrowserMessages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "opsconsole.urls"
WSGI_APPLICATION = "opsconsole.wsgi.application"
APPEND_SLASH = True
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
            ]
        },
    }
]

# --- people ---------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None  # guardian: nobody is a user
GUARDIAN_RAISE_403 = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
if OPS_ENV == "test":  # a hundred people a minute are made there, and none of them has anything to lose
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "admin:login"
# Who must prove themselves by more than a password: everybody, whoever approves or executes (deciders), nobody.
REQUIRE_SECOND_FACTOR = env("OPS_REQUIRE_SECOND_FACTOR", default="everybody" if PRODUCTION else "nobody")
if REQUIRE_SECOND_FACTOR not in ("everybody", "deciders", "nobody"):
    _stop("OPS_REQUIRE_SECOND_FACTOR must be everybody, deciders or nobody.")
if PRODUCTION and REQUIRE_SECOND_FACTOR != "everybody":
    _stop("OPS_REQUIRE_SECOND_FACTOR must be everybody in production.")
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_TTL": timedelta(days=env.int("API_TOKEN_DAYS", default=30)),
    "AUTO_REFRESH": False,
}

# Molam ID: a PEM, or {"kid": PEM, ...} while keys are rotated. A newline may be written as \n.
MOLAM_ID_AUDIENCE = env("MOLAM_ID_AUDIENCE", default="opsconsole")
MOLAM_ID_ISSUER = env("MOLAM_ID_ISSUER", default="")
MOLAM_ID_LEEWAY_SECONDS = env.int("MOLAM_ID_LEEWAY_SECONDS", default=30)
MOLAM_ID_ROLES_CLAIM = env("MOLAM_ID_ROLES_CLAIM", default="roles")
MOLAM_ID_ROLES: dict[str, str] = env.dict("MOLAM_ID_ROLES", default={})  # their names for our roles: theirs=ours,...


def _molam_id_keys(text: str) -> dict[str, str]:
    """Public RSA keys by `kid`; a single one has the name "" and fits whatever the token calls it."""
    try:
        given = json.loads(text) if text.startswith("{") else {"": text} if text else {}
        keys = {str(kid): str(pem).replace("\\n", "\n") for kid, pem in given.items()}
        for pem in keys.values():
            key = load_pem_public_key(pem.encode())
            if not isinstance(key, RSAPublicKey) or key.key_size < 2048:  # noqa: PLR2004 - RFC 7518, 3.3
                raise ValueError("not an RSA key of 2048 bits or more")
    except (ValueError, UnsupportedAlgorithm) as problem:
        _stop(f"MOLAM_ID_JWT_PUBLIC must be a PEM public key, or a JSON object of them by kid: {problem}")
    return keys


MOLAM_ID_KEYS = _molam_id_keys(env("MOLAM_ID_JWT_PUBLIC", default="").strip())

# --- HTTP -----------------------------------------------------------------------------------------------------------

ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]", "testserver"]
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if PRODUCTION and not ALLOWED_HOSTS:
    _stop("ALLOWED_HOSTS is not set; production needs it.")
# Passkeys belong to a host name; `localhost` is the one that browsers allow without TLS, on any port.
WEBAUTHN_RP_ID = env("WEBAUTHN_RP_ID", default=ALLOWED_HOSTS[0].lstrip(".") if PRODUCTION else "localhost")
WEBAUTHN_ORIGINS = env.list("WEBAUTHN_ORIGINS", default=[f"https://{WEBAUTHN_RP_ID}"] if PRODUCTION else [])
if "*" in WEBAUTHN_RP_ID:
    _stop("WEBAUTHN_RP_ID must be given where ALLOWED_HOSTS begins with *: passkeys belong to one host name.")
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# No script but our files. unfold's Alpine evaluates the expressions in its attributes, hence 'unsafe-eval'; its colours
# and Alpine's x-show are inline styles. Nothing of either can come in by what people type, which templates escape.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
LANGUAGE_COOKIE_SECURE, LANGUAGE_COOKIE_HTTPONLY, LANGUAGE_COOKIE_SAMESITE = PRODUCTION, True, "Lax"
SESSION_COOKIE_SAMESITE = "Lax"  # a link in a notification opens the page; a form elsewhere sends nothing
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = ("__Host-session", "__Host-csrf") if PRODUCTION else ("sessionid", "csrftoken")
SECURE_SSL_REDIRECT = PRODUCTION and env.bool("SECURE_SSL_REDIRECT", default=True)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = PRODUCTION
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
API_MAX_BODY_BYTES = env.int("API_MAX_BODY_BYTES", default=1_048_576)
METRICS_TOKEN = env("METRICS_TOKEN", default="")
# Alertmanager shows it at /api/alerts; production without one takes no alerts in.
ALERTMANAGER_TOKEN = (
    env("ALERTMANAGER_TOKEN", default="")
    if PRODUCTION
    else _secret("ALERTMANAGER_TOKEN", lambda: secrets.token_urlsafe(32))
)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["opsconsole.core.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "opsconsole.core.negotiation.UsualNegotiation",
    "DEFAULT_PARSER_CLASSES": ["opsconsole.core.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "opsconsole.core.pagination.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "opsconsole.core.problems.handle",
    "COERCE_DECIMAL_TO_STRING": True,
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OpsConsole",
    "DESCRIPTION": "Dangerous operations as requests: previewed, approved, executed exactly once, provably recorded.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ReviewVerdictEnum": "opsconsole.approvals.states.ReviewVerdict",
        "EarningRuleKindEnum": "loyalty.states.RuleKind",
        "FraudRuleKindEnum": "loyalty.serializers.fraud.KINDS",
    },
}

# --- words, times, files --------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR / "static" if PRODUCTION else None  # elsewhere files are served from where they lie
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR / "files"},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
    "artifacts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": VAR / "artifacts", "file_permissions_mode": 0o640},
    },
}
if _bucket := env("ARTIFACTS_BUCKET", default=""):
    STORAGES["artifacts"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {"bucket_name": _bucket, "file_overwrite": False, "default_acl": None},
    }

BACKUP_DIRECTORY = Path(env("BACKUP_DIRECTORY", default=str(VAR / "backups"))).absolute()
BACKUP_PG_BIN = env("BACKUP_PG_BIN", default="")  # the folder with pg_dump and pg_restore, where they are not found
BACKUP_DEADLINE_SECONDS = env.int("BACKUP_MAX_TIME_MS", default=7_200_000) // 1000

# --- the outside world ----------------------------------------------------------------------------------------------

RUN_DEADLINE_SECONDS = env.int("MAX_RUN_TIME_MS", default=3_600_000) // 1000
RUN_LEASE_SECONDS = env.float("RUN_LEASE_SECONDS", default=30.0)  # how long a lost worker's run waits for another
SANDBOX_BANK_KEY_ID = env("SANDBOX_BANK_KEY_ID", default="sandbox")
SANDBOX_BANK_SECRET = env("SANDBOX_BANK_SECRET", default="sandbox-secret")
SANDBOX_BANK_URL = env("SANDBOX_BANK_URL", default="http://127.0.0.1:8090")

# Notifications. Links in them lead to PUBLIC_URL; e-mail goes by EMAIL_URL (smtp, smtp+tls or smtp+ssl://user:pass@host).
PUBLIC_URL = env(
    "PUBLIC_URL", default=f"https://{ALLOWED_HOSTS[0].lstrip('.')}" if PRODUCTION else "http://localhost:8000"
).rstrip("/")
if not PUBLIC_URL.startswith(("https://", "http://")) or "*" in PUBLIC_URL:
    _stop("PUBLIC_URL must be the address of this console: https://host.")
EMAIL_HOST = ""  # without EMAIL_URL nobody is told by e-mail
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env("EMAIL_FROM", default="opsconsole@localhost")
if env("EMAIL_URL", default=""):
    _mail = env.email_url("EMAIL_URL")
    if not _mail["EMAIL_BACKEND"].endswith("smtp.EmailBackend") or not _mail["EMAIL_HOST"]:
        _stop("EMAIL_URL must be smtp://, smtp+tls:// or smtp+ssl:// with a host.")
    EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"] or 25
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"] or "", _mail["EMAIL_HOST_PASSWORD"] or ""
    EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
NOTIFICATIONS_ALLOW_HTTP = not PRODUCTION
# Whom runbooks tell to call, by role: on_call_engineer=+221 33 ...,tech_lead=...
ESCALATION_CONTACTS: dict[str, str] = env.dict("OPS_ESCALATION_CONTACTS", default={})
NOTIFICATIONS_CA_FILE = env("NOTIFICATIONS_CA_FILE", default="")  # of receivers with a certificate of the house
try:  # networks inside that webhooks may go to all the same
    NOTIFICATIONS_ALLOWED_NETWORKS = [
        ip_network(text)
        for text in env.list("NOTIFICATIONS_ALLOWED_NETWORKS", default=[] if PRODUCTION else ["127.0.0.0/8", "::1/128"])
    ]
except ValueError as error:
    _stop(f"NOTIFICATIONS_ALLOWED_NETWORKS must be networks, separated by commas: {error}")

# --- logs -----------------------------------------------------------------------------------------------------------

LOG_LEVEL = env("LOG_LEVEL", default="INFO").upper()
_SHARED_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_SHARED_PROCESSORS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(default=str),
            "foreign_pre_chain": _SHARED_PROCESSORS,
        }
    },
    "filters": {"not_of_probes": {"()": "opsconsole.core.requests.NotOfProbes"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR", "filters": ["not_of_probes"]},
        "rq.worker": {"level": "WARNING"},
        "urllib3": {"level": "ERROR"},
    },
}

# --- the admin's face -----------------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "OpsConsole",
    "SITE_HEADER": "OpsConsole",
    "SITE_SYMBOL": "verified_user",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": "opsconsole.console.site.favicon",
        }
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "ENVIRONMENT": "opsconsole.console.site.environment",
    "STYLES": ["opsconsole.console.site.stylesheet", "opsconsole.console.site.login_stylesheet"],
    "SCRIPTS": ["opsconsole.console.site.script", "opsconsole.console.site.passkey_script"],
    "ACCOUNT": {"navigation": "opsconsole.console.navigation.account_links"},
    "SIDEBAR": {
        "navigation": "opsconsole.console.navigation.sidebar",
        "show_search": True,
        "command_search": True,
    },
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .188 259.8)",
            "600": "oklch(54.6% .215 262.9)",
            "700": "oklch(48.8% .217 264.4)",
            "800": "oklch(42.4% .181 265.6)",
            "900": "oklch(37.9% .138 265.5)",
            "950": "oklch(28.2% .087 267.9)",
        }
    },
}
