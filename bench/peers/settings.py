"""Settings of the project that the peers run in; its database is named by BENCH_PEERS_URL."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "bench"
DATABASES = {"default": environ.Env.db_url_config(os.environ["BENCH_PEERS_URL"])}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "auditlog",
    "pgtrigger",
    "pghistory",
    "bench.peers.apps.PeersConfig",
]
MIGRATION_MODULES = {"peers": None}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
