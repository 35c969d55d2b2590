"""Channels: alerts to Slack, Teams, PagerDuty, a webhook or anything else that apprise knows, by URL.

The URLs are secrets. A channel is called by its number and its scheme, apprise logs nothing, and of what it says about a
failure only the kind is kept: its own texts may hold tokens and addresses.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apprise import Apprise, NotifyBase
    from apprise.result import NotifyResult

    from scoopjoy_dagster.automation.alert import Alert

CONNECT_S = 4.0
READ_S = 8.0
SEND_S = 12.0
"""Seconds that one alert may take on all channels together: they are called at the same time. The first two are of
one request, unless the URL says otherwise (`cto`, `rto`)."""

LOCAL = frozenset(["syslog", "dbus", "qt", "kde", "glib", "gio", "gnome", "macosx", "windows", "blink1"])
"""Schemes that show an alert on the machine that runs Dagster: it would count as delivered, and reach nobody."""


_ALIVE = re.compile(
    r"(?<=@)(?=\S)"  # @everyone, @channel, @room, an address
    r"|(?<=<)(?=\S)"  # <!channel>, <@U1>, <users/all>, <https://...|text>
    r"|(?<=:)(?=//)|(?<=\])(?=\()"  # an address, and [text](address)
    r"|(?<=[^\W_]\.)(?=[^\W\d_]{2})"  # evil.com is a link to some
)
"""Places in a text at which a chat sees a mention or a link."""


def inert(text: str) -> str:
    """The text so that no chat finds a mention or a link in it: with a space of no width where one would begin.

    For what ERPNext and others have said; the links of an alert are our own.
    """
    return _ALIVE.sub("\u200b", text)


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel: its place in the setting (from 1), the scheme of its URL, and the URL, which is a secret."""

    number: int
    scheme: str
    url: str = field(repr=False)

    @property
    def name(self) -> str:
        """What it is called wherever people read it."""
        return f"channel {self.number} ({self.scheme})"


def split(text: str) -> list[Channel]:
    """The channels of the setting: URLs separated by spaces or line breaks, each once."""
    urls = dict.fromkeys(text.split())
    return [Channel(number, _scheme(url), url) for number, url in enumerate(urls, start=1)]


def problem(channel: Channel) -> str:
    """Why nothing can be sent to a channel, as a sentence without its URL; empty for one that is right.

    Nothing is sent to find out.
    """
    if not channel.scheme:
        return (
            f"Channel {channel.number} of SCOOPJOY_ALERT_CHANNELS is no URL: it must look like scheme://..."
        )
    if channel.scheme in LOCAL:
        return (
            f"Channel {channel.number} of SCOOPJOY_ALERT_CHANNELS ({channel.scheme}) shows alerts only on the machine "
            "that runs Dagster, where nobody looks; name a service that reaches people"
        )
    service = _service(channel)
    if service is None:
        return (
            f"Channel {channel.number} of SCOOPJOY_ALERT_CHANNELS ({channel.scheme}) is not a URL that apprise "
            "understands; compare it with the examples in docs/alerts.md"
        )
    if len(service) > 1:
        return (
            f"Channel {channel.number} of SCOOPJOY_ALERT_CHANNELS ({channel.scheme}) names {len(service)} targets; "
            "give each a URL of its own, so that one which fails repeats nothing to the others"
        )
    return ""


def send(alert: Alert, channels: Sequence[Channel], timeout_s: float = SEND_S) -> dict[Channel, str]:
    """Send one alert to these channels, all of them right, at the same time.

    Returns:
        For each channel why it has not taken the alert; empty when it has.
    """
    asset = _asset()
    from apprise import Apprise, NotifyFormat, NotifyType

    kinds = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING, "recovered": NotifyType.SUCCESS}
    post: Apprise = Apprise(asset=asset)
    asked: list[Channel] = []
    for channel in channels:
        for service in _services(channel, alert):
            post.add(service)
            asked.append(channel)
    outcome = post.notify(
        body=alert.brief,
        title=inert(alert.subject),
        notify_type=kinds[alert.severity],
        body_format=NotifyFormat.TEXT,
        interpret_escapes=False,
        timeout=timeout_s,
    )
    # In the order in which they were added.
    results = list(outcome)
    if len(results) != len(asked):
        return dict.fromkeys(channels, "apprise could not prepare the message")
    reasons = dict.fromkeys(channels, "")
    for channel, result in zip(asked, results, strict=True):
        reasons[channel] = reasons[channel] or _reason(result)
    return reasons


def _scheme(url: str) -> str:
    found = re.match(r"([a-z][a-z0-9+.-]*)://", url, re.IGNORECASE)
    return found[1].lower() if found else ""


def _reason(result: NotifyResult) -> str:
    """Why a channel did not take it: never apprise's own words.

    The last attempt is asked, not the result: a URL with `optional=yes` makes every failure a success.
    """
    from apprise.result import AppriseResultStatus

    if not result.attempts:
        return "it was not tried"
    last = result.attempts[-1]
    if last.status is AppriseResultStatus.SUCCESS:
        return ""
    if last.status is AppriseResultStatus.TIMEOUT:
        return "no answer in time"
    said = " ".join(entry.message for entry in last.logs)
    status = re.search(r"\berror=(\d{3})\b", said)
    if status:
        return f"it answered with HTTP status {status[1]}"
    if re.search(r"connection error", said, re.IGNORECASE):
        return "no connection, or no answer in time"
    return "it did not take the message"


def _services(channel: Channel, alert: Alert) -> list[NotifyBase]:
    """What an alert goes to: once to a channel, but once for each thing that it is about where a recovery is to resolve what
    an alert raised (PagerDuty with `action=map`), as both need one key.
    """
    services = []
    for about in alert.about:
        service = _service(channel)
        if service is None:
            continue
        services.append(service)
        if getattr(service, "action", "") != "map" or getattr(service, "dedup", "") is not None:
            break
        setattr(service, "dedup", f"scoopjoy {about}")  # noqa: B010 - no attribute of every service
    return services


def _service(channel: Channel) -> NotifyBase | None:
    """Apprise's object of a channel; None when the URL is wrong."""
    asset = _asset()
    from apprise import Apprise
    from apprise.common import OverflowMode

    service: Any = Apprise.instantiate(channel.url, asset=asset)
    if service is None:
        return None
    kind = type(service)
    if service.socket_connect_timeout == kind.socket_connect_timeout:
        service.socket_connect_timeout = CONNECT_S
    if service.socket_read_timeout == kind.socket_read_timeout:
        service.socket_read_timeout = READ_S
    if service.overflow_mode is OverflowMode.UPSTREAM:
        # A text that is too long for a service would be refused for as long as it waits.
        service.overflow_mode = OverflowMode.TRUNCATE
    service.retry = 0  # the outbox tries again
    return service  # type: ignore[no-any-return]


def hush_urls() -> None:
    """Keep the lines out of every log that urllib3 writes about each request at DEBUG: secrets are in the paths."""
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


@cache
def _asset() -> Any:
    """Apprise's settings: nothing is written to this machine, and nothing is logged."""
    with warnings.catch_warnings():
        # It loads every service that it knows at once, some with the help of modules that Python is parting with.
        warnings.simplefilter("ignore", DeprecationWarning)
        from apprise import AppriseAsset
        from apprise.apprise import N_MGR

        N_MGR.load_modules()  # type: ignore[no-untyped-call]
    hush_urls()
    logger = logging.getLogger("apprise")
    logger.propagate = False  # its lines name hosts, and at some levels tokens
    logger.addHandler(logging.NullHandler())
    return AppriseAsset(
        app_id="ScoopJoy",
        app_desc="ScoopJoy nightly close",
        app_url="",
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
    )


def usable(text: str) -> tuple[list[Channel], list[str]]:
    """The channels of the setting that are right, and a sentence for each that is not."""
    found = split(text)
    problems = {channel: problem(channel) for channel in found}
    return [one for one in found if not problems[one]], list(_said(problems.values()))


def _said(texts: Iterable[str]) -> Iterable[str]:
    return (text for text in texts if text)
