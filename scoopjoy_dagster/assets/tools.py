"""What the assets work with: the resources of a run, by name and type, and whether it mails.

Every asset declares all of them, because a dry run shows the plan of the whole day whichever asset comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import dagster as dg

from scoopjoy_dagster.partitions import proven_backfill
from scoopjoy_dagster.resources.clock import ClockResource
from scoopjoy_dagster.resources.close import CloseResource
from scoopjoy_dagster.resources.erpnext import ERPNextResource
from scoopjoy_dagster.resources.headquarters import HeadquartersResource
from scoopjoy_dagster.resources.mail import MailResource
from scoopjoy_dagster.resources.policy import RoyaltyPolicyResource


@dataclass(frozen=True, slots=True)
class Tools:
    """The resources of a run."""

    erpnext: ERPNextResource
    royalty_policy: RoyaltyPolicyResource
    mail: MailResource
    headquarters: HeadquartersResource
    clock: ClockResource
    close: CloseResource
    mails: bool = True
    """Whether reports are mailed; see `mails_wanted`."""

    @classmethod
    def of(cls, resources: object, *, mails: bool = True) -> Tools:
        """Those that a run was given, or `dagster.build_resources` made."""
        return cls(**{name: getattr(resources, name) for name in TOOLS}, mails=mails)


TOOLS = frozenset(one.name for one in fields(Tools)) - {"mails"}
"""The keys of the resources, for `required_resource_keys`."""

MAIL_TAG = "scoopjoy/mail"
"""Run tag that asks for the reports of a backfill; `scoopjoy backfill --mail` sets it."""


def mails_wanted(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run mails reports: every run does, but one of a backfill only where that was asked for.

    Closing twenty missed days at once would fill every manager's mailbox.
    """
    return run.tags.get(MAIL_TAG) == "yes" or not proven_backfill(instance, run)
