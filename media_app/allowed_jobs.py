"""What a worker may run. Whoever can write to Redis can queue these jobs, and runs no other code
here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer


class ForbiddenJobError(ValueError):
    """A job that is not in ``settings.RQ_JOBS``."""


def check_allowed(function: object) -> None:
    """Raise ForbiddenJobError unless ``function`` (a dotted path) is the path of a job."""
    if not any(function in names for names in settings.RQ_JOBS.values()):
        raise ForbiddenJobError(f"{str(function)[:100]} is not in RQ_JOBS")


class AllowedJob(Job):
    """RQ's job, which refuses other functions before it imports them, and has no callbacks and
    webhooks.
    """

    @property
    def func(self) -> Callable[..., Any]:
        """Raises ForbiddenJobError."""
        # RQ would look the name up in the instance instead.
        if self.instance is not None:
            raise ForbiddenJobError("a method is not in RQ_JOBS")
        check_allowed(self.func_name)
        function: Callable[..., Any] = super().func
        return function

    def restore(self, raw_data: Any) -> None:
        """Read a job from Redis. RQ would import and call what the callbacks name, and call the
        webhooks.
        """
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = (
            self._stopped_callback_name
        ) = None
        self.webhooks = []


def forbid_pickle() -> None:
    """Make JSON the default of RQ. Some pages of its dashboard use the default whatever
    ``RQ_QUEUES`` says, and a pickle from Redis runs code.
    """
    DefaultSerializer.dumps = JSONSerializer.dumps
    DefaultSerializer.loads = JSONSerializer.loads
