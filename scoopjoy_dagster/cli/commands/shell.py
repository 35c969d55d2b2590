"""The command about the shell: completion."""

from __future__ import annotations

import click

from scoopjoy_dagster.cli.app import COMPLETE, app, examples

SHELLS = ("bash", "zsh", "fish")


@app.command(
    epilog=examples(
        'eval "$(scoopjoy completion bash)"         # in ~/.bashrc',
        'eval "$(scoopjoy completion zsh)"          # in ~/.zshrc, after compinit',
        "scoopjoy completion fish > ~/.config/fish/completions/scoopjoy.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, assets and days in your shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, shell  # noqa: S101 - click knows the three
    click.echo(found(app, {}, "scoopjoy", COMPLETE).source())
