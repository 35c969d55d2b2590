"""What the assets work with: the resources of a run, by name and type.

Every asset declares all of them, because a dry run shows the plan of the whole day whichever asset comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

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

    @classmethod
    def of(cls, resources: object) -> Tools:
        """Those that a run was given, or `dagster.build_resources` made."""
        return cls(**{name: getattr(resources, name) for name in TOOLS})


TOOLS = frozenset(one.name for one in fields(Tools))
"""Their keys, for `required_resource_keys`."""
