"""The hub's own settings, and the commands ``demo`` and ``simulate`` also with DEBUG=0.

For ``manage.py simulate`` beside a hub that runs as in production. The hub itself keeps
``mediahub.settings``.
"""

from __future__ import annotations

from mediahub.settings import *  # noqa: F403
from mediahub.settings import INSTALLED_APPS

if "simulator" not in INSTALLED_APPS:
    INSTALLED_APPS.append("simulator")
