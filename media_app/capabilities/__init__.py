"""What a storage must be able to do, tried on the real one.

Everything is put into a hidden place of its own, which is emptied before and after.
"""

from media_app.capabilities.answers import Checked, Verdict
from media_app.capabilities.checking import check

__all__ = ["Checked", "Verdict", "check"]
