"""``--workers``: who goes through the episodes of host environments."""

from typing import Any

import click

RAY = "ray"


class _Workers(click.ParamType):
    """A number of processes, or Ray's."""

    name = "workers"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if value == RAY:
            return value
        if str(value).isdecimal() and int(value) > 0:
            return int(value)
        self.fail(f"must be a whole number of at least 1 or {RAY}, not {value!r}.", param, ctx)


def _set(ctx: click.Context, _: Any, value: int | str | None) -> None:
    """They hold until the command ends; no result depends on them."""
    if value is not None:
        from structlat_jax.envs.host import pools

        ctx.with_resource(pools.workers(value))


option = click.option(
    "--workers",
    type=_Workers(),
    metavar="N",
    expose_value=False,
    callback=_set,
    help="Of environments that are objects of Python: processes that go through their episodes, "
    f"one per core by default; or {RAY}, for the cores of a Ray cluster.",
)
