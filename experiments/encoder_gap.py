"""What keeps the encoder's posterior behind hypotheses: where it looks, or what is made of it.

python -m experiments.encoder_gap runs/suite/triangle/gau3 --out encoder_gap.json

Trained agents go through the protocol of their run again, each time acting on another z:

- hypotheses: the one that promises most (what `--inference hypotheses` does);
- hypotheses, a draw: a draw from their weights;
- their normal, a draw: a draw from the normal with their mean and covariance, which is what an
  encoder's posterior could be at best where all blocks are Gaussian;
- their normal, numbers by themselves: the same without covariances, as the encoder's posterior is;
- their mean;
- encoder, most promising: of 256 draws from its posterior the one that promises most under these;
- encoder, a draw: what `--inference amortised` does;
- encoder's mean.

All have seen what they themselves did, and keep both beliefs beside each other.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
from rich.table import Table

from structlat_jax.cli import evaluate, request
from structlat_jax.cli.console import make_console
from structlat_jax.cli.errors import main
from structlat_jax.cli.values import LocalPath
from structlat_jax.errors import InputError
from structlat_jax.inference import bayes, hypotheses, world_model
from structlat_jax.report import results
from structlat_jax.report.run_files import read_run
from structlat_jax.run.folders import make_folder, require_writable_file
from structlat_jax.store.run_folder import write_json
from structlat_jax.train.setup import Setup, make_setup

DRAWS = 256
"""From the encoder's posterior, of which the most promising is taken."""

_JITTER = 1e-6  # on the diagonal of a covariance, so that one hypothesis alone has a root too


@click.command(help=__doc__.replace("\n\npython", "\n\n\b\npython"))
@click.argument("run", type=LocalPath())
@click.option("--env", "named", metavar="NAME", help="Its environment, if that is your own file.")
@click.option("--repeats", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--out", type=LocalPath(), help="JSON file to write.")
def command(run: Path, named: str | None, repeats: int, out: Path | None) -> int:
    """See the module's docstring."""
    if out is not None:
        require_writable_file(out)
    files = read_run(run)
    env = request.saved_env(files.config, {"env": named, "env_options": ()})
    given = make_setup(files.config, env)
    setup = _by_hypotheses(given, run, repeats)
    learned = evaluate.learned_of(run, files.seeds, given)
    blind = files.config.structure.blind_episodes
    rows = []
    for way, choose in ways(setup).items():
        inference = dataclasses.replace(setup.inference, choose=choose)
        own = dataclasses.replace(setup, inference=inference)
        returns = evaluate.evaluate(own, learned, files).returns
        first = results.over_seeds(results.first_posterior(returns, blind))
        last = results.over_seeds(results.last_episode(returns))
        rows.append({"way": way, "first_posterior_return": first, "last_return": last})
    _show(rows)
    if out is not None:
        make_folder(out.parent)
        said = {name: files.results[name] for name in ("seeds", "first_seed", "updates")}
        said |= {"repeats": repeats, "jax_version": jax.__version__, "ways": rows}
        write_json(out, {"latent": files.latent, "env": str(env.spec), **said})
    return 0


def _by_hypotheses(given: Setup, run: Path, repeats: int) -> Setup:
    """The run's setup with hypotheses read through the places that they lead to.

    Raises:
      InputError: if the run has none.
    """
    known = (given.inference, *given.inference.candidates)
    if "hypotheses" not in [one.name for one in known]:
        raise InputError(f"agents of {run} have learned no hypotheses: they need --inference auto.")
    return make_setup(given.config.replace(inference="hypotheses", eval_repeats=repeats), given.env)


def ways(setup: Setup) -> Mapping[str, Callable[..., Any]]:
    """By name, which z is acted on: functions as `Inference.choose`.

    Args:
      setup: By hypotheses.
    """
    space, own = setup.space, setup.inference
    a_draw = make_setup(setup.config.replace(choice="thompson"), setup.env).inference.choose

    def mean(learned, belief, obs, left, choice):
        return own.note(belief).mean

    styles = bayes.styles_of(setup)  # which hypotheses do not differ in

    def normal(learned, belief, obs, left, choice):
        z = normal_draw(belief.hypotheses, choice[1])
        return bayes.told(space, styles, space.mean, z, belief.total)

    def diagonal(learned, belief, obs, left, choice):
        drawn = belief.hypotheses
        noise = jax.random.normal(choice[1], (space.dim,))
        z = hypotheses.mean(drawn) + hypotheses.spread(drawn) * noise
        return bayes.told(space, styles, space.mean, z, belief.total)

    def promising(learned, belief, obs, left, choice):
        return _most_promising(setup, learned, belief.total, obs, left, choice[1])

    def encoder_draw(learned, belief, obs, left, choice):
        return space.sample(space.posterior(belief.total), choice[1], hard=True)

    def encoder_mean(learned, belief, obs, left, choice):
        return space.mean(space.posterior(belief.total))

    normals = {"their normal, a draw": normal, "their normal, numbers by themselves": diagonal}
    gaussian = all(block.family == "gau" for block in space.blocks)  # others' z has a simplex
    return {
        "hypotheses": own.choose,
        "hypotheses, a draw": a_draw,
        **(normals if gaussian else {}),
        "their mean": mean,
        "encoder, most promising": promising,
        "encoder, a draw": encoder_draw,
        "encoder's mean": encoder_mean,
    }


def normal_draw(drawn: hypotheses.Hypotheses, key: Any) -> jax.Array:
    """A draw from the normal with the mean and the covariance of weighed hypotheses, ``[D]``."""
    mean = hypotheses.mean(drawn)
    apart = drawn.z - mean
    weighed = jax.nn.softmax(drawn.log_weights)[:, None] * apart
    root = jnp.linalg.cholesky(weighed.T @ apart + _JITTER * jnp.eye(len(mean)))
    return mean + root @ jax.random.normal(key, mean.shape)


def _most_promising(
    setup: Setup, learned: Any, total: jax.Array, obs: jax.Array, left: int, key: Any
) -> jax.Array:
    """Of draws from the encoder's posterior, the one that returns most on average over these."""
    env, width = setup.env, setup.structure.world_width
    reader = world_model.reader(world_model.make(width, env.obs_dim, env.action_dim))
    key_draw, key_choice = jax.random.split(key)
    posterior = setup.space.posterior(total)
    keys = jax.random.split(key_draw, DRAWS)
    z = jax.vmap(lambda k: setup.space.sample(posterior, k, hard=True))(keys)

    def mode(seen, latent):
        return setup.algorithm.act(learned.agent, seen, latent, None)

    given = (reader, learned.inference, mode)
    destination = reader.imagine(learned.inference, mode, obs, z, env.horizon).destination
    drawn = hypotheses.Hypotheses(z, reader.read(z, destination), jnp.zeros(DRAWS), destination)
    return hypotheses.greedy(*given, drawn, obs, left, key_choice)


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Return on test tasks, mean over seeds")
    for name in ("acts on", "first posterior episode", "last episode"):
        table.add_column(name, justify="left" if name == "acts on" else "right")
    for row in rows:
        numbers = (row[name]["mean"] for name in ("first_posterior_return", "last_return"))
        table.add_row(row["way"], *(f"{x:.2f}" for x in numbers))
    make_console().print(table)


if __name__ == "__main__":
    main(command)
