"""A run that goes on to another number of updates than it was started with.

Nothing that training computes depends on how many updates are to come, so that a run of A updates
that goes on to B holds the same bits as one of B, the points of its learning curve apart.
"""

import dataclasses
from pathlib import Path

from structlat_jax.algos import schedules
from structlat_jax.options import ConfigError
from structlat_jax.report.run_files import RESULTS_FILE
from structlat_jax.run.plan import Plan
from structlat_jax.store import checkpoint
from structlat_jax.store.run_folder import CONFIG_FILE, read_config, write_json


def to(plan: Plan, updates: int | None) -> Plan:
    """The plan with another number of updates; the same one if that rounds up to as many, or if
    ``updates`` is None."""
    longer = plan if updates is None else dataclasses.replace(plan, updates=updates)
    return plan if longer.steps == plan.steps else longer


def begin(out: Path, before: Plan, plan: Plan) -> str | None:
    """Has a run folder hold an unfinished run of another plan; call it within `locked`.

    Args:
      out: The folder.
      before: The plan that it holds.
      plan: From `to`.

    Returns:
      A sentence about what follows, or None if the plan is the same.

    Raises:
      ConfigError: about ``updates``, if more are done.
      FileNotFoundError, CheckpointError: if training cannot go on; nothing was changed.
      WriteError: if the folder cannot be written.
    """
    if plan is before:
        return None
    done = _done(out, before)
    if plan.whole_updates < done:
        raise ConfigError("updates", f"at least {done}, which {out} has done", plan.updates)
    _, data = read_config(out)
    # Results that are there say that the run of this configuration has ended: they go first.
    (out / RESULTS_FILE).unlink(missing_ok=True)
    write_json(out / CONFIG_FILE, {**data, "updates": plan.updates})
    words = schedules.ended(plan.config.hyper, done)
    stays = f"; schedules that have ended stay at their end: {', '.join(words)}" if words else ""
    again = "its results are written anew at the end"
    return f"the run goes on from {done:,} to {plan.whole_updates:,} updates, {again}{stays}."


def _done(out: Path, plan: Plan) -> int:
    step = checkpoint.last_step(out, plan.identity())
    if step is None and (out / RESULTS_FILE).is_file():
        raise FileNotFoundError(f"{out} has no checkpoint from which training could go on.")
    return (step or 0) * plan.config.structure.updates_per_step
