"""The Content-Security-Policy of our pages: ``CONTENT_SECURITY_POLICY``, and where files come
from.
"""

from __future__ import annotations

from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

from media_app.delegation import file_origins


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
        origins = file_origins()
        parts.update = {"img-src": origins, "media-src": origins}
        return parts
