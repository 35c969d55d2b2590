"""What Dagster's Celery application (`dagster_celery.app`) reads when this directory is on the PYTHONPATH of a worker.

    PYTHONPATH=deploy/celery celery --app dagster_celery.app worker --prefetch-multiplier 1

`dagster-celery worker start` would write the broker's URL, password included, into a file below DAGSTER_HOME, and
leave the worker behind when it is ended itself; so the worker is started directly, and reads the URL where the rest
of the program does.

A worker holds the keys of one site, so it listens to the queue of that site, SCOOPJOY_CELERY_QUEUE, and to no other, whatever
`--queues` says: a worker of an empty or another queue waits for ever, and so does the night.
"""

# ruff: noqa: INP001 - Celery imports it by its name, from no package

import os
from typing import Any

from celery.signals import celeryd_after_setup

broker_url = result_backend = os.environ["SCOOPJOY_CELERY_BROKER"]
# A run waits for its steps' results as long as dagster.yaml lets it (max_runtime_seconds).
result_expires = 21600
# A worker that is started before its Redis waits for it.
broker_connection_retry_on_startup = True
# The end of a worker lets the steps in progress finish; a Redis that went away must not end them.
worker_cancel_long_running_tasks_on_connection_loss = False


@celeryd_after_setup.connect
def listen_to_the_queue_of_the_site(instance: Any, **_more: Any) -> None:
    """Dagster's application sets its own queue after it has read this file, so it is chosen once the worker is set up."""
    instance.app.amqp.queues.select([os.environ.get("SCOOPJOY_CELERY_QUEUE") or "dagster"])
