"""The PostgreSQL and Redis that run when no server is configured.

    servers = embedded.start_missing()      # those that DATABASE_URL and REDIS_URL do not name
    ...
    if servers:
        servers.release()

Every process that uses them starts or joins them, and the last one out turns off the lights. Nothing here
imports Django: `manage.py` calls it before the settings are read, and the settings ask it for `urls`.
"""

from opsconsole.embedded.keeping import Servers, keep, start, start_missing, unkeep
from opsconsole.embedded.places import EmbeddedError, Urls, urls, var_folder

__all__ = ["EmbeddedError", "Servers", "Urls", "keep", "start", "start_missing", "unkeep", "urls", "var_folder"]
