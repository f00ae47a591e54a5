from __future__ import annotations

import logging
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from mediahub.databases import serve_pages

# Gunicorn stops, instead of starting the next worker, when one exits with this code.
_CANNOT_LOAD = 4

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mediahub.settings")
serve_pages()

try:
    application = get_wsgi_application()
except ImproperlyConfigured as error:
    logging.getLogger(__name__).critical("%s", error)
    sys.exit(_CANNOT_LOAD)
