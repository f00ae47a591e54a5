"""The files of a message, by the message's id."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from media_app import views as media_views
from media_app.serving import refuse
from messages_app.models import Attachment


# Exempt as the view that answers in the end: a POST is refused all the same.
@csrf_exempt
@require_safe
def file_of_message(request: HttpRequest, message_id: UUID) -> HttpResponseBase:
    """The message's first file, or the one at ``?position=N``; answered as ``/media/<uuid>/``
    is.
    """
    attachments = Attachment.objects.filter(message_id=message_id).order_by("position")
    position = request.GET.get("position")
    if position is not None:
        if not (position.isascii() and position.isdigit() and len(position) <= 4):
            return refuse(404, "There is no such file: a position is a number, from 0.")
        attachments = attachments.filter(position=int(position))
    media_id = attachments.values_list("media_id", flat=True).first()
    if media_id is None:
        return refuse(404, "There is no such file.")
    return media_views.original(request, media_id)
