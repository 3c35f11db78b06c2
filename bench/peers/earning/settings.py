"""Settings of the peer of an earn; its database is named by BENCH_PEERS_URL, its pool is as large as the console's."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "bench"
ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {"default": environ.Env.db_url_config(os.environ["BENCH_PEERS_URL"])}
DATABASES["default"]["CONN_MAX_AGE"] = 0
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "pool": {"min_size": 1, "max_size": int(os.environ.get("OPS_DB_POOL_SIZE", "8")), "timeout": 3},
}
INSTALLED_APPS = ["bench.peers.earning"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.peers.earning.urls"
MIGRATION_MODULES = {"earning": None}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
