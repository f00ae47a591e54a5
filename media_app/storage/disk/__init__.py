"""Objects as files below one folder."""

from __future__ import annotations

from media_app.storage.disk.folder import DiskStorage

__all__ = ["DiskStorage"]
