"""What ``structlat config`` and ``structlat envs`` show."""

import json
from typing import Any

import click

from structlat_jax.cli import request
from structlat_jax.config import SCHEMA_VERSION, preset_names
from structlat_jax.envs import names, registry
from structlat_jax.envs.spec import parse_options


def show(**options: Any) -> None:
    """Shows the configuration that the options give, as JSON."""
    plan, _ = request.new_plan(options)
    data = {"schema_version": SCHEMA_VERSION, **plan.identity()}
    click.echo(json.dumps(data, indent=2))


def show_environments(env: str | None, env_options: tuple[str, ...]) -> None:
    """Lists the environments that have a name; with one of them, what is known of it."""
    if env is None:
        for name in names():
            click.echo(name)
        return
    made = registry.make(env, **parse_options(env_options))
    known = ("oracle_return", "success", "factors", "plane", "explore")
    told = [name for name in known if getattr(made, name) is not None]
    kind = " choices" if made.discrete else ""
    click.echo(f"{made.name}: obs_dim {made.obs_dim}, action_dim {made.action_dim}{kind}")
    click.echo(f"horizon {made.horizon}; it knows {', '.join(told) or 'no ground truth'}")
    click.echo(f"presets {', '.join(preset_names(made))}")
