"""What the launchpad shows of the resources: fields that can be overridden one by one, or nothing at all."""

from typing import Any, TypeVar, cast
from weakref import WeakSet

import dagster as dg
import pydantic
from pydantic import Field

_Resource = TypeVar("_Resource", bound=dg.ConfigurableResource)  # type: ignore[type-arg]


def overridable(resource: _Resource) -> _Resource:
    """The same resource, of which a run's configuration may set some fields and leave the others as they are.

    Dagster fills the fields that a run's configuration leaves out from the *class*, not from the configured instance: an
    override of one policy option would bring back the default rate, and one of `close` would drop its lock. So the
    configured values become the defaults of a class of its own.
    """
    kind = type(resource)
    values = dict(resource)
    fields = {
        name: (
            info.annotation,
            Field(default=values[name], description=info.description, repr=info.repr),
        )
        for name, info in kind.model_fields.items()
    }
    made: Any = pydantic.create_model(kind.__name__, __base__=kind, **fields)  # type: ignore[call-overload]
    _CONFIGURED.add(made)
    return cast("_Resource", made())


def fixed(resource: dg.ConfigurableResource) -> dg.ResourceDefinition:  # type: ignore[type-arg]
    """The same resource, which the launchpad neither shows nor takes.

    Whoever may launch a run could else send our credentials to an address of his own; and dozens of lines would hide the
    few that people need.
    """
    # Not `process_config_and_initialize`: it makes an instance of Dagster, with a database, for every resource of a run.
    return dg.configured(overridable(resource).get_resource_definition(), config_schema={})(lambda _: {})


_CONFIGURED: WeakSet[type] = WeakSet()
"""The classes that `overridable` made: their defaults are what was configured."""


def overrides(resource: dg.ConfigurableResource) -> dict[str, tuple[Any, Any]]:  # type: ignore[type-arg]
    """What this run sets otherwise than the settings, by field: what they say, and what the run says.

    Of a resource that `overridable` did not make nothing is known. Never asked of one with secrets.
    """
    kind = type(resource)
    if kind not in _CONFIGURED:
        return {}
    return {
        name: (info.default, getattr(resource, name))
        for name, info in kind.model_fields.items()
        if getattr(resource, name) != info.default
    }
