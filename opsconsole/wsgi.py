"""The WSGI entry point for granian."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")

gc.disable()  # until everything is loaded: the app `console` turns it on again
application = get_wsgi_application()
