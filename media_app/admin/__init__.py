"""Files for the eyes of staff."""

from media_app.admin.media import MediaAdmin

__all__ = ["MediaAdmin"]
