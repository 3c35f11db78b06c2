"""The one app of the peers' project."""

from __future__ import annotations

from django.apps import AppConfig


class PeersConfig(AppConfig):
    """Rows whose changes are audited."""

    name = "bench.peers"
    label = "peers"
