"""The Content-Security-Policy of our pages: ``CONTENT_SECURITY_POLICY``, and where files come
from.
"""

from __future__ import annotations

import logging

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

from media_app.delegation import file_origins

log = logging.getLogger(__name__)


class ContentPolicyMiddleware(CSPMiddleware):
    """Give each answer without a policy of its own that of the settings.

    A picture of a page may be redirected to the bucket; the policy counts for redirects, too.
    """

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        # Only a page shows pictures: webhooks and health checks don't depend on the bucket.
        if response.get("Content-Type", "").startswith("text/html"):
            origins = _origins()
            parts.update = {"img-src": origins, "media-src": origins}
        return parts


def _origins() -> list[str]:
    """Those of the files; none where the bucket's settings can't work. Never raises."""
    try:
        return file_origins()
    except Exception as error:
        # Pages must open most of all when something is wrong. The text may name addresses.
        log.error(
            "pages don't show files of the bucket: its settings can't work",
            extra={"error": type(error).__name__},
        )
        return []
