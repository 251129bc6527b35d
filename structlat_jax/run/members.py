"""Several runs side by side, the members of a table or a sweep: trained together, resumable."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from structlat_jax.envs import AnyEnv
from structlat_jax.report.run_files import RESULTS_FILE
from structlat_jax.run.folders import make_folder
from structlat_jax.run.plan import Plan, differences, saved_plan, settings
from structlat_jax.store.run_folder import CONFIG_FILE, CheckpointError, read_config, write_config
from structlat_jax.train.setup import Setup, make_setup


class Member(NamedTuple):
    """One of several runs: its label, its folder, its plan and its environment."""

    label: str
    folder: Path
    plan: Plan
    env: AnyEnv

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return (self.folder / RESULTS_FILE).is_file()

    @property
    def setup(self) -> Setup:
        """Of its configuration and environment."""
        return make_setup(self.plan.config, self.env)


def make(labelled: Iterable[tuple[str, Path, Plan]], env: AnyEnv) -> list[Member]:
    """The members in the order in which they are shown.

    Raises:
      CheckpointError: if a folder that is there belongs to something else.
    """
    members = [Member(*each, env) for each in labelled]
    for one in members:
        if (one.folder / CONFIG_FILE).exists():
            config, data = read_config(one.folder)
            there, own = settings(saved_plan(config, data)), settings(one.plan)
            different = "; ".join(
                f"{name} is {there[name]!r} there and {own[name]!r} here"
                for name in differences(there, own)
            )
            if different:
                raise CheckpointError(f"{one.folder} belongs to another table: {different}.")
    return members


def prepare(members: list[Member]) -> None:
    """Makes the folders and writes their configurations, where they are not there yet."""
    for one in members:
        if not (one.folder / CONFIG_FILE).exists():
            make_folder(one.folder)
            write_config(one.folder, one.plan.config, **one.plan.records())
