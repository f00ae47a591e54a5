"""What a hub's environment must say so that a simulated provider can stand in for the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError

from simulator.posting import Answer

LOOPBACK = """\
META_GRAPH_URL=http://127.0.0.1:9101 META_MEDIA_HOSTS=127.0.0.1:9102 \
TWILIO_API_URL=http://127.0.0.1:9101 TWILIO_MEDIA_HOSTS=127.0.0.1:9102"""


def check_secrets(involved: Sequence[str]) -> None:
    """Raises CommandError with the names of the secrets that are not set."""
    needed: dict[str, dict[str, object]] = {
        "meta": {
            "META_APP_SECRET": settings.META_APP_SECRET,
            "META_ACCESS_TOKEN": settings.META_ACCESS_TOKEN,
        },
        "twilio": {
            "TWILIO_ACCOUNT_SID": settings.TWILIO_ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": settings.TWILIO_AUTH_TOKEN,
        },
    }
    missing = [
        name
        for provider in involved
        for name, value in needed[provider].items()
        if not value
    ]
    if missing:
        raise CommandError(
            f"Set {' and '.join(missing)} for the hub and for this command: any made-up "
            "text will do."
        )


def why_refused(answers: Sequence[Answer], url: str) -> str:
    """Where the hub takes none of it for a reason that can be told, that reason."""
    statuses = {answer.status for answer in answers}
    if statuses == {400}:
        allowed = ", ".join(settings.ALLOWED_HOSTS) or "none"
        return (
            f". The hub answers only to the hosts of its ALLOWED_HOSTS, here: {allowed}. "
            f"If {urlsplit(url).hostname} is not among them, add it there or choose another --url."
        )
    if statuses == {403}:
        return (
            ". The hub's secrets, or its PUBLIC_URL, are not those of this command; "
            "its log says which («webhook refused»)."
        )
    return ""


def ports(involved: Sequence[str]) -> tuple[int, int]:
    """The ports of the API and of the links, as the hub's environment names them.

    Raises CommandError where it names an address of another machine.
    """
    apis = {"meta": settings.META_GRAPH_URL, "twilio": settings.TWILIO_API_URL}
    hosts = {"meta": settings.META_MEDIA_HOSTS, "twilio": settings.TWILIO_MEDIA_HOSTS}
    api_ports = {_loopback_port(apis[provider]) for provider in involved}
    cdn_ports = {
        next(
            (
                port
                for host in hosts[provider]
                if (port := _loopback_port(f"http://{host}"))
            ),
            None,
        )
        for provider in involved
    }
    if len(api_ports) == len(cdn_ports) == 1:
        port, cdn_port = api_ports.pop(), cdn_ports.pop()
        if port and cdn_port and port != cdn_port:
            return port, cdn_port
    raise CommandError(
        "The hub would ask the real providers. Set these for the hub and for this command, "
        f"then start the hub again:\n\n  {LOOPBACK}"
    )


def _loopback_port(url: str) -> int | None:
    """The port of ``http://127.0.0.1:PORT``; None for any other address."""
    parts = urlsplit(url)
    if (parts.scheme, parts.hostname) != ("http", "127.0.0.1"):
        return None
    try:
        return parts.port
    except ValueError:
        return None
