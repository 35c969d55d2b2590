"""Resources whose fields can be overridden one by one in the launchpad."""

from typing import Any, TypeVar, cast

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
    return cast("_Resource", made())
