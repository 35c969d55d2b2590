"""Commands that serve something until Ctrl-C: dev, sandbox, demo."""

from __future__ import annotations

import os

import click

from scoopjoy_dagster.cli.app import app, consoles, examples, json_option, new_console, now, port_type


@app.command(
    epilog=examples(
        "scoopjoy dev",
        "scoopjoy --env-file .env dev --port 3001",
    )
)
@click.option(
    "--port",
    type=port_type,
    default=3000,
    show_default=True,
    help="Port of the UI, on loopback; 0: a free one.",
)
def dev(port: int) -> None:
    """Serve Dagster's UI with its daemon for the configured site, until Ctrl-C."""
    from scoopjoy_dagster.cli.workplace import usable_port, workplace
    from scoopjoy_dagster.local.processes import ChildProcesses
    from scoopjoy_dagster.local.services import running_dagster

    out = new_console()
    port = usable_port(port)
    with workplace() as place:
        place.prepare_storage()
        environment = {
            **place.environment,
            "SCOOPJOY_UI_URL": os.environ.get("SCOOPJOY_UI_URL") or f"http://127.0.0.1:{port}",
        }
        children = ChildProcesses(place.directory / "logs")
        with running_dagster(children, environment, port=port, directory=place.directory) as running:
            out.print(
                f"Dagster: {running.address} (logs in {place.directory / 'logs'}; Ctrl-C ends it)",
                highlight=False,
            )
            children.watch()


version_option = click.option(
    "--erpnext-version",
    "version",
    type=click.Choice(["15", "16"]),
    default="15",
    show_default=True,
    help="Which ERPNext it is: 15, or 16 with what is said of it in docs/erpnext-v16.md.",
)


@app.command(
    epilog=examples(
        "scoopjoy sandbox --port 8000 > sandbox.env &     # then: . ./sandbox.env; scoopjoy check",
        "scoopjoy sandbox --erpnext-version 16",
    )
)
@click.option(
    "--port",
    type=port_type,
    default=8000,
    show_default=True,
    help="Port of the embedded ERPNext; 0: a free one.",
)
@click.option(
    "--latency",
    type=click.Choice(["erpnext-v15"]),
    help="Answer as slowly as a real ERPNext of this name; see docs/performance.md. Default: at once.",
)
@version_option
def sandbox(port: int, latency: str | None, version: str) -> None:
    """Serve the embedded ERPNext with its example data, mail sink and headquarters, until Ctrl-C."""
    from scoopjoy_dagster.cli.demo import serve_sandbox

    serve_sandbox(new_console(), port, latency, f"v{version}")


@app.command(
    epilog=examples(
        "scoopjoy demo",
        "scoopjoy demo --once --json          # close one day, print what came of it, end",
        "scoopjoy demo --erpnext-version 16",
    )
)
@click.option("--once", is_flag=True, help="Exit after the close instead of serving the UI.")
@json_option
@click.option(
    "--port", type=port_type, default=3000, show_default=True, help="Port of the UI; 0: a free one."
)
@version_option
def demo(once: bool, as_json: bool, port: int, version: str) -> None:
    """Start the embedded world, close its last business day, and keep serving Dagster's UI until Ctrl-C."""
    from scoopjoy_dagster.cli.demo import run_demo

    out, progress = consoles(as_json=as_json)
    raise click.exceptions.Exit(
        run_demo(out, progress, once=once, as_json=as_json, port=port, now=now(), line=f"v{version}")
    )
