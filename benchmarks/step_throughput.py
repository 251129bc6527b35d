"""Updates per second, ours against PEARL in eager PyTorch, and where the speed comes from.

The same update at the same sizes on the same replay, drawing from it included: ours dispatched
operation by operation, jitted alone, in a scan of updates, inside the scanned meta-step (which
collects as well, every 300 updates with the default preset, and here every 20 with the paper's, in
place of its 1,000); the last two also with one seed per core; and the PyTorch baseline of
benchmarks/torch_pearl, which collects nothing: scans of updates are its like.
Programs take turns; a ratio is that of one round. Another environment is timed at the paper's sizes
but for its contexts, which are single episodes, and its tasks, of which there are as many as an
update has.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
from rich.console import Console

from benchmarks import harness
from benchmarks.training import Run, compile_updates, one_update
from structlat_jax import config as configuration
from structlat_jax.config import PRESETS, Config
from structlat_jax.envs import make

TORCH_MISSING = "PyTorch is not installed (pip install '.[bench]'), so its half is left out"

# Updates per meta-step, and per turn of PyTorch: enough to time, at the speed of each preset.
_UPDATES = {"cpu": (300, 50), "paper": (20, 5)}


@click.command(help=__doc__)
@click.option("--preset", "presets", type=click.Choice(list(PRESETS)), multiple=True)
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
        for latent in latents[: 1 if quick else None]:
            config = elsewhere(env) if env else harness.preset(name)[0]
            config, updates = config.replace(latent=latent), _UPDATES[name]
            if quick:
                config, updates = harness.quick_config(config), (3, 2)
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


def _rows(label: str, config: Config, torch_updates: int, repeats: int) -> list[dict[str, Any]]:
    run = Run(config, devices=jax.devices()[:1])
    devices = len(jax.devices())
    run.step()  # so that the replay holds something
    state, hyper = run.one_seed(), jax.tree.map(jnp.float32, config.hyper)
    alone = jax.tree.map(lambda x: x[None], state)
    update = one_update(run.setup)
    jitted, seconds = harness.compiled(jax.jit(update).lower(hyper, state))
    scanned, _, scan_seconds = compile_updates(run.setup, alone, run.updates)
    calls: dict[str, tuple[Callable[[], Any], int, float]] = {
        "op by op": (lambda: update(hyper, state), 1, 0.0),
        "jitted update": (lambda: jitted(hyper, state), 1, seconds),
        "scanned updates": (scanned, run.updates, scan_seconds),
        "scanned meta-step": (run.step, run.updates, run.compile_seconds),
    }
    if devices > 1:
        every = Run(config, devices)
        every.step()
        both, _, seconds = compile_updates(run.setup, every.state, run.updates, devices)
        calls[f"scanned updates, {devices} seeds"] = (both, every.updates, seconds)
        calls[f"scanned meta-step, {devices} seeds"] = (
            every.step, every.updates, every.compile_seconds,
        )  # fmt: skip
    torch_call = _torch(run, state, torch_updates) if has_torch() else None
    if torch_call is not None:
        calls["PyTorch, eager"] = (torch_call, torch_updates, 0.0)
    # Operation by operation takes seconds; two turns of it say what there is to say.
    slow = {name: calls[name][0] for name in ("op by op",)}
    fast = {name: call for name, (call, _, _) in calls.items() if name not in slow}
    found = {**harness.interleaved(slow, 2), **harness.interleaved(fast, repeats)}
    rates = {name: [calls[name][1] / s for s in seconds] for name, seconds in found.items()}
    theirs = rates.get("PyTorch, eager")
    return [
        {
            "preset": label,
            "latent": str(run.setup.space),
            "program": name,
            **harness.summary(rates[name]),
            "compile_seconds": calls[name][2],
            **(_against(rates[name], theirs) if theirs and name in fast else {}),
        }
        for name in calls
    ]


def _against(ours: list[float], theirs: list[float]) -> dict[str, float]:
    pairs = harness.summary([a / b for a, b in zip(ours, theirs, strict=True)])
    return {f"x PyTorch {name}": value for name, value in pairs.items()}


def _torch(run: Run, state: Any, updates: int) -> Callable[[], None] | None:
    """So many updates by the baseline; None, and a sentence, if it has no such latents."""
    from benchmarks.torch_pearl import convert
    from benchmarks.torch_pearl.agent import Agent
    from benchmarks.torch_pearl.latents import NotPorted

    convert.use_device()
    try:
        agent = Agent(run.setup)
    except NotPorted as error:
        Console().print(f"{error} Its row is left out.", markup=False)
        return None
    convert.load(agent, state.params)
    replay = convert.replay(run.setup, state)
    hyper = run.setup.config.hyper
    kl_weight, entropy_weight = hyper.kl_weight, hyper.entropy_weight
    shape = (run.setup.config.structure.meta_batch,)

    def call():
        for _ in range(updates):
            agent.update(replay.draw(agent.space.noise(shape)), kl_weight, entropy_weight)

    return call


if __name__ == "__main__":
    command()
