"""Which of Dagster's executors works on the steps of a run, by the settings.

Here: the choice, and how the settings become the executor's configuration. Not here: where a run is started, which is
the run launcher's business and stands in `dagster.yaml`. The libraries of an executor are imported only when it is
chosen: those of Celery and Kubernetes are extras of this package.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from scoopjoy_dagster.settings import Settings, SettingsError

BROKER = "SCOOPJOY_CELERY_BROKER"


def _closed(
    executor: dg.ExecutorDefinition, config: Mapping[str, Any] | None = None
) -> dg.ExecutorDefinition:
    """The executor with this configuration, of which a run may set nothing."""
    return executor.configured(lambda _: config or {}, name=executor.name, config_schema={})


IN_ONE_PROCESS = _closed(dg.in_process_executor)
"""All steps of a run in the run's own process."""


def chosen(settings: Settings, steps: Collection[str]) -> dg.ExecutorDefinition:
    """The executor of every run; `steps` are the assets that may have a pod of their own kind.

    Raises:
        SettingsError: its library is not installed, or the file with the pods of the steps cannot be used.
    """
    match settings.executor:
        case "multiprocess":
            return _closed(dg.multiprocess_executor)
        case "celery":
            return _celery(settings.celery_queue)
        case "k8s":
            return _k8s(settings.step_pods, steps)
        case _:
            return IN_ONE_PROCESS


def _celery(queue: str) -> dg.ExecutorDefinition:
    """A task for each step, in the queue of this site: its workers have the site's keys, and no others do."""
    try:
        from dagster_celery import celery_executor
    except ImportError:
        raise _missing("celery") from None
    broker = {"env": BROKER}  # named, not read: a password in it stays out of the definitions
    return _closed(
        celery_executor,
        {"broker": broker, "backend": broker, "config_source": {"task_default_queue": queue}},
    )


def _k8s(step_pods: str, steps: Collection[str]) -> dg.ExecutorDefinition:
    """A Kubernetes Job for each step, like the run's own but for what `step_pods` says."""
    try:
        from dagster_k8s import k8s_job_executor
        from dagster_k8s.job import UserDefinedDagsterK8sConfig
    except ImportError:
        raise _missing("k8s") from None
    pods = _pods(step_pods, steps) if step_pods else {}
    made = _closed(k8s_job_executor, {"per_step_k8s_config": pods})
    # Dagster would look at it when a run starts: at 01:00.
    problems = [error.message for error in made.apply_config_mapping({"config": {}}).errors or ()]
    for step, pod in pods.items() if not problems else ():
        try:
            UserDefinedDagsterK8sConfig.from_dict(pod)  # type: ignore[no-untyped-call]
        except Exception as problem:  # noqa: BLE001 - it raises nothing narrower
            problems.append(f"{step}: {problem}")
    if problems:
        raise SettingsError(f"SCOOPJOY_STEP_PODS names a file that Dagster refuses: {problems[0]}.")
    return made


def _pods(path: str, steps: Collection[str]) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as problem:
        raise SettingsError(
            f"SCOOPJOY_STEP_PODS does not name a file that can be read as YAML ({type(problem).__name__})."
        ) from None
    if not isinstance(found, dict) or not set(found) <= set(steps):
        raise SettingsError(
            "SCOOPJOY_STEP_PODS names a file that does not map assets to Kubernetes settings; the assets are "
            f"{', '.join(steps)}."
        )
    return found


def _missing(extra: str) -> SettingsError:
    return SettingsError(
        f"SCOOPJOY_EXECUTOR is {extra}, but what it needs is not installed: pip install 'scoopjoy_dagster[{extra}]'."
    )
