"""Files for the eyes of staff."""

from media_app.admin.command_runs import CommandRunAdmin
from media_app.admin.media import MediaAdmin
from media_app.admin.pauses import AccountPauseAdmin

__all__ = ["AccountPauseAdmin", "CommandRunAdmin", "MediaAdmin"]
