"""Updates per second, ours against eager PyTorch, and where the speed comes from.

The same update at the same sizes on the same replay, drawing from it included: ours dispatched
operation by operation, jitted alone, in a scan of updates, inside the scanned meta-step (which
collects as well, every 300 updates with the default preset, and here every 20 with the paper's, in
place of its 1,000); the last two also with one seed per core; and the PyTorch baseline of
benchmarks/torch_pearl, which collects nothing: scans of updates are its like.
Programs take turns; a ratio is that of one round. Presets of other algorithms than PEARL are those
that the baseline has as well; where these learn from trials, an update alone is part of the updates
of one meta-step, on the same trials. Another environment is timed at the paper's sizes
but for its contexts, which are single episodes, and its tasks, of which there are as many as an
update has.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax
import jax.numpy as jnp
from rich.console import Console

from benchmarks import harness
from benchmarks.training import Run, compile_updates, one_update, updates_of_trials
from structlat_jax import config as configuration
from structlat_jax.algos.options import WITHOUT_LATENT
from structlat_jax.config import PRESETS, Config
from structlat_jax.envs import make

TORCH = "PyTorch, eager"
TORCH_MISSING = "PyTorch is not installed (pip install '.[bench]'), so its half is left out"

# Updates per meta-step, and per turn of PyTorch: enough to time, at the speed of each preset.
_UPDATES = {"cpu": (300, 50), "paper": (20, 5)}
_UPDATES |= {"pearl-belief": (300, 50), "oracle": (300, 50), "maml": (16, 16)}


@click.command(help=__doc__)
@click.option(
    "--preset",
    "presets",
    type=click.Choice(list(_UPDATES)),
    multiple=True,
    help="May be given several times; cpu and paper by default.",
)
@click.option("--latent", "latents", multiple=True, metavar="SPEC", show_default=True,
              default=("dir:2x4,gau:2", "gau:5", "cat:2x4,gau:2"),
              help="May be given several times.")  # fmt: skip
@click.option("--env", "env", metavar="NAME", help="Another environment than the point robot.")
@harness.options(repeats=7)
def command(presets, latents, env: str | None, repeats: int, quick: bool, out: Path | None) -> None:
    """See the module's docstring."""
    harness.use_all_cores()
    presets = ["paper"] if env else presets or list(PRESETS)[: 1 if quick else None]
    if not has_torch():
        Console().print(TORCH_MISSING)
    rows = []
    for name in presets:
        for latent in latents[: 1 if quick or name in WITHOUT_LATENT else None]:
            config = elsewhere(env) if env else harness.preset(name)[0]
            config, updates = config.replace(latent=latent), _UPDATES[name]
            if quick:
                few = {"minibatches": 1, "updates_per_step": 3}
                config, updates = harness.quick_config(config, **few), (3, 2)
            config = config.replace(updates_per_step=updates[0])
            label = f"{name}, {env}" if env else name
            rows += _rows(label, config, updates[1], 2 if quick else repeats)
    harness.report("step_throughput", out, rows)


def elsewhere(name: str) -> Config:
    """The paper's sizes on another environment."""
    env = make(name)
    config, _ = configuration.preset("paper", env)
    few = {"train_tasks": config.structure.meta_batch, "eval_train_tasks": 1, "test_tasks": 1}
    context = {"context_episodes": 1, "context_episodes_min": 1}
    block = {"prior_episodes": 1, "posterior_episodes": 1, "replay_steps": 20_000}
    return config.replace(env=env.spec, **few, **context, **block)


def has_torch() -> bool:
    """Whether the baseline can run."""
    return importlib.util.find_spec("torch") is not None


class Timed(NamedTuple):
    """A program: a call without arguments, its updates, and the seconds that compiling it took."""

    call: Callable[[], Any]
    updates: int
    compile_seconds: float = 0.0


def _rows(label: str, config: Config, torch_updates: int, repeats: int) -> list[dict[str, Any]]:
    run = Run(config, devices=jax.devices()[:1])
    run.step()  # so that the replay holds something
    of_trials = config.structure.is_on_policy
    slow, fast = _from_trials(run) if of_trials else _from_batches(run, torch_updates)
    # Operation by operation takes seconds; two turns of it say what there is to say.
    found = harness.interleaved({name: one.call for name, one in slow.items()}, 2)
    found |= harness.interleaved({name: one.call for name, one in fast.items()}, repeats)
    every = {**slow, **fast}
    rates = {name: [every[name].updates / s for s in seconds] for name, seconds in found.items()}
    theirs = rates.get(TORCH)
    return [
        {
            "preset": label,
            "latent": "-" if config.structure.algorithm in WITHOUT_LATENT else str(run.setup.space),
            "program": name,
            **harness.summary(rates[name]),
            "compile_seconds": every[name].compile_seconds,
            **(_against(rates[name], theirs) if theirs and name in fast else {}),
        }
        for name in every
    ]


def _from_batches(run: Run, torch_updates: int) -> tuple[dict[str, Timed], dict[str, Timed]]:
    """The programs of an algorithm that learns from batches: slow ones, and the others."""
    devices = len(jax.devices())
    state, hyper = run.one_seed(), jax.tree.map(jnp.float32, run.setup.config.hyper)
    alone = jax.tree.map(lambda x: x[None], state)
    update = one_update(run.setup)
    jitted, seconds = harness.compiled(jax.jit(update).lower(hyper, state))
    scanned, _, scan_seconds = compile_updates(run.setup, alone, run.updates)
    fast = {
        "jitted update": Timed(lambda: jitted(hyper, state), 1, seconds),
        "scanned updates": Timed(scanned, run.updates, scan_seconds),
        "scanned meta-step": Timed(run.step, run.updates, run.compile_seconds),
    }
    if devices > 1:
        every = _everywhere(run, devices)
        both, _, seconds = compile_updates(run.setup, every.state, run.updates, devices)
        fast[f"scanned updates, {devices} seeds"] = Timed(both, every.updates, seconds)
        fast |= _meta_step(every, devices)
    torch_call = _torch(run, state, torch_updates) if has_torch() else None
    if torch_call is not None:
        fast[TORCH] = Timed(torch_call, torch_updates)
    return {"op by op": Timed(lambda: update(hyper, state), 1)}, fast


def _from_trials(run: Run) -> tuple[dict[str, Timed], dict[str, Timed]]:
    """The same of one that learns from trials, all updates of a meta-step at a time."""
    devices = len(jax.devices())
    learn, given = updates_of_trials(run.setup, run.one_seed())
    jitted, seconds = harness.compiled(jax.jit(learn).lower(*given))
    fast = {
        "scanned updates": Timed(lambda: jitted(*given), run.updates, seconds),
        "scanned meta-step": Timed(run.step, run.updates, run.compile_seconds),
    }
    if devices > 1:
        fast |= _meta_step(_everywhere(run, devices), devices)
    if has_torch():
        fast[TORCH] = Timed(_torch_trials(run, given), run.updates)
    return {}, fast


def _everywhere(run: Run, devices: int) -> Run:
    """One seed per device, with something in its replay."""
    every = Run(run.setup.config, devices)
    every.step()
    return every


def _meta_step(every: Run, devices: int) -> dict[str, Timed]:
    timed = Timed(every.step, every.updates, every.compile_seconds)
    return {f"scanned meta-step, {devices} seeds": timed}


def _against(ours: list[float], theirs: list[float]) -> dict[str, float]:
    pairs = harness.summary([a / b for a, b in zip(ours, theirs, strict=True)])
    return {f"x PyTorch {name}": value for name, value in pairs.items()}


def _torch(run: Run, state: Any, updates: int) -> Callable[[], None] | None:
    """So many updates by the baseline; None, and a sentence, if it has no such latents."""
    from benchmarks.torch_pearl import convert, others
    from benchmarks.torch_pearl.latents import NotPorted

    convert.use_device()
    try:
        agent = others.make(run.setup, state.params)
    except NotPorted as error:
        Console().print(f"{error} Its row is left out.", markup=False)
        return None
    replay = convert.replay(run.setup, state)
    hyper = run.setup.config.hyper
    kl_weight, entropy_weight = hyper.kl_weight, hyper.entropy_weight
    shape = (run.setup.config.structure.meta_batch,)

    def call():
        for _ in range(updates):
            agent.update(replay.draw(agent.space.noise(shape)), kl_weight, entropy_weight)

    return call


def _torch_trials(run: Run, given: Sequence[Any]) -> Callable[[], Any]:
    """All updates of one meta-step by the baseline, on the trials that ours are given."""
    from benchmarks.torch_pearl import convert
    from benchmarks.torch_pearl.maml import Maml

    convert.use_device()
    hyper, learner, trials, *_ = given
    theirs = Maml(run.setup, learner.params)
    return lambda: theirs.learn(theirs.behind(trials), float(hyper.entropy_weight))


if __name__ == "__main__":
    command()
