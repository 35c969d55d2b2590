"""What a run may set otherwise than the settings: a closed class of plain values, and nothing that reads the environment.

Dagster makes a field of a resource that is a string, a whole number or a switch a *source*: it also takes `{env: NAME}`, and puts
the value of that variable in its place. Whoever may launch a run would read every secret of the process so. What is bound here
takes a switch, a number or one of a few words, as typed.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args, get_origin
from weakref import WeakSet

import dagster as dg
import pydantic
from pydantic import Field
from pydantic.fields import FieldInfo


def bound(resource: dg.ConfigurableResource, overridable: Collection[str] = ()) -> dg.ResourceDefinition:  # type: ignore[type-arg]
    """The resource, of which a run may set these fields and no others; what it leaves out stays as configured.

    Dagster refuses everything else before the run. The rest stays closed because whoever may launch a run could else send
    our credentials to an address of their own.

    Raises:
        TypeError: a field that is to be overridable is no switch, no number and no choice of words.
    """
    made = _with_defaults(resource)
    schema = {name: _plain(made, name, made.model_fields[name]) for name in overridable}
    # Not `process_config_and_initialize`: it makes an instance of Dagster, with a database, for every resource of a run.
    definition: dg.ResourceDefinition = made().get_resource_definition()
    return definition.configured(lambda chosen: chosen, config_schema=schema)


def _with_defaults(resource: dg.ConfigurableResource) -> Any:  # type: ignore[type-arg]
    """A class of its own whose defaults are what this resource was configured with.

    Dagster fills the fields that a run's configuration leaves out from the *class*, not from the configured instance: an
    override of one policy option would bring back the default rate, and one of `close` would drop its lock.
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
    made = pydantic.create_model(kind.__name__, __base__=kind, **fields)  # type: ignore[call-overload]
    _CONFIGURED.add(made)
    return made


def _plain(kind: type, name: str, info: FieldInfo) -> dg.Field:
    """The field as Dagster takes it as typed, and not from a variable."""
    kinds: Mapping[Any, Any] = {bool: dg.Bool, float: dg.Float}
    plain = kinds.get(info.annotation)
    if get_origin(info.annotation) is Literal:
        words = [dg.EnumValue(word) for word in get_args(info.annotation)]
        plain = dg.Enum(f"{kind.__name__}_{name}", words)
    if plain is None:
        raise TypeError(
            f"{kind.__name__}.{name} cannot be overridable: only switches, numbers and choices of words can."
        )
    return dg.Field(plain, default_value=info.default, description=info.description)


_CONFIGURED: WeakSet[type] = WeakSet()
"""The classes that `bound` made: their defaults are what was configured."""


def overrides(resource: dg.ConfigurableResource) -> dict[str, tuple[Any, Any]]:  # type: ignore[type-arg]
    """What this run sets otherwise than the settings, by field: what they say, and what the run says.

    Of a resource that `bound` did not make nothing is known. Never asked of one with secrets.
    """
    kind = type(resource)
    if kind not in _CONFIGURED:
        return {}
    return {
        name: (info.default, getattr(resource, name))
        for name, info in kind.model_fields.items()
        if getattr(resource, name) != info.default
    }


console = dg.colored_console_logger.configured(
    lambda chosen: chosen,
    config_schema={
        "log_level": dg.Field(
            dg.Enum(
                "LogLevel", [dg.EnumValue(one) for one in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")]
            ),
            default_value="INFO",
            description="What of the run's log is also printed by its process.",
        )
    },
)
"""Dagster's own logger, without a name to choose."""
