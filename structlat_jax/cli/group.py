"""A command made of others, none of which is imported before it is asked for."""

import importlib
from collections.abc import Mapping

import click

import structlat_jax


class _Lazy(click.Group):
    """A group whose commands are ``(module of this package, name in it, help)`` by name."""

    def __init__(self, known: Mapping[str, tuple[str, str, str]]):
        text = structlat_jax.__doc__.partition("\n")[0]
        options = {"invoke_without_command": True, "callback": _show_help}
        super().__init__("structlat", help=text, **options)
        self._known = known

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._known)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._known:
            return None
        module, attribute, _ = self._known[name]
        return getattr(importlib.import_module(f"structlat_jax.cli.{module}"), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in self._known.items()])


@click.pass_context
def _show_help(ctx: click.Context) -> None:
    """What the group does by itself: click would end with an error, or not, by its version."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def make(known: Mapping[str, tuple[str, str, str]]) -> click.Group:
    """The group of the commands."""
    return click.version_option(structlat_jax.__version__)(_Lazy(known))
