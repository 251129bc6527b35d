"""Shows the configuration that a command would use, as JSON for ``--config``.

structlat config --env my_env.py --preset paper --width 128
"""

import json
from typing import Any

import click

from structlat_jax.cli import request
from structlat_jax.cli.options import (
    SectionedCommand,
    config_options,
    env_options,
    program_help,
    run_options,
)
from structlat_jax.config import SCHEMA_VERSION, preset_names


@click.command("config", cls=SectionedCommand, help=program_help(__doc__))
@env_options
@run_options(seeds=1, default_folder="")
@config_options
def command(**options: Any) -> None:
    """See the module's docstring."""
    plan, _ = request.new_plan(options)
    data = {"schema_version": SCHEMA_VERSION, **plan.identity()}
    click.echo(json.dumps(data, indent=2))


@click.command("envs")
@env_options
def environments(env: str | None, env_options: tuple[str, ...]) -> None:
    """Lists the environments that have a name; with --env, what is known of one."""
    from structlat_jax.envs import names, registry
    from structlat_jax.envs.spec import parse_options

    if env is None:
        for name in names():
            click.echo(name)
        return
    made = registry.make(env, **parse_options(env_options))
    known = ("oracle_return", "success", "factors", "plane", "explore")
    told = [name for name in known if getattr(made, name) is not None]
    click.echo(f"{made.name}: obs_dim {made.obs_dim}, action_dim {made.action_dim}")
    click.echo(f"horizon {made.horizon}; it knows {', '.join(told) or 'no ground truth'}")
    click.echo(f"presets {', '.join(preset_names(made))}")
