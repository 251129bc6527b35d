"""Environments by name: those that are built in, those of installed packages, and anybody's file.

A package registers environments in the entry-point group `GROUP`, a name and a factory each.
"""

import dataclasses
import difflib
import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from structlat_jax import paths
from structlat_jax.envs import (
    drive_mix,
    football,
    grid_mix,
    meta_world,
    point_mix,
    point_robot,
    speed_mix,
)
from structlat_jax.envs.base import AnyEnv
from structlat_jax.envs.bodies import aims, mixes, varied
from structlat_jax.envs.checks import require_env
from structlat_jax.envs.spec import FILE_MODULE, EnvError, EnvSpec, canonical, spec

BUILT_IN: dict[str, Callable[..., AnyEnv]] = {
    "point_robot": point_robot.make,
    "point_mix": point_mix.make,
    "triangle": point_mix.triangle,
    "tetrahedron": point_mix.tetrahedron,
    "speed_mix": speed_mix.make,
    "drive_mix": drive_mix.make,
    "grid_mix": grid_mix.make,
    "cheetah_dir": aims.cheetah_dir,
    "cheetah_vel": aims.cheetah_vel,
    "ant_dir": aims.ant_dir,
    "ant_goal": aims.ant_goal,
    "hopper_body": varied.hopper_body,
    "walker_body": varied.walker_body,
    "cheetah_vel_mix": mixes.cheetah_vel_mix,
    "cheetah_reward_mix": mixes.cheetah_reward_mix,
    "hopper_body_mix": mixes.hopper_body_mix,
    "walker_body_mix": mixes.walker_body_mix,
    "football": football.make,
    "ml1": meta_world.ml1,
    "ml10": meta_world.ml10,
    "ml45": meta_world.ml45,
}
"""A new environment of the library is one new file and one entry here."""

GROUP = "structlat_jax.envs"


def names() -> list[str]:
    """All environments that have a name, built-in ones first."""
    return [*BUILT_IN, *sorted(set(_registered()) - set(BUILT_IN))]


def make(name: str | Path, **options: Any) -> AnyEnv:
    """Makes an environment.

    Args:
      name: That of a built-in or a registered environment, ``package.module:factory``, or
        ``path/to/file.py:factory`` (without ``:factory``: a factory called ``make``). A file or a
        module is imported, which runs its code.
      **options: For its factory.

    Raises:
      EnvError: if it cannot be found, if its code fails, if it takes no such option, or if what it
        makes is not an environment.
    """
    name = canonical(str(name))
    factory = _factory(name)
    _require_options(name, factory, options)
    try:
        env = factory(**options)
    except EnvError:
        raise
    except Exception as error:  # anybody's code
        raise EnvError(f"the environment {name} cannot be made: {_reason(error)}") from error
    require_env(name, env)
    own = described(spec(name, options), env)
    return dataclasses.replace(env, spec=own)


def make_safely(wanted: EnvSpec) -> AnyEnv:
    """The environment of a configuration that may be a stranger's: imports no file or module that
    the configuration names.

    Raises:
      EnvError: if that would be needed, with a sentence that says so.
    """
    if wanted.is_code:
        raise EnvError(
            f"the environment {wanted.name} is code of its own, which is not run unasked: name it "
            f"again (--env {wanted.name}, or env={wanted.name!r} in Python) if you trust it."
        )
    if not wanted.name:
        raise EnvError(
            f"the environment {wanted.title} was handed over as an object: hand it over again "
            "(env=...)."
        )
    return _made(wanted.name, wanted.options)


@functools.lru_cache(maxsize=16)
def _made(name: str, options: tuple) -> AnyEnv:
    """One object for one name and its options, so that what is compiled for it serves again."""
    return make(name, **dict(options))


def named(wanted: EnvSpec, given: "AnyEnv | str | Path | None", **options: Any) -> AnyEnv:
    """The environment of a configuration, where the user may name or hand it over once more.

    Args:
      wanted: Of the configuration.
      given: By the user; None to go by the configuration alone, see `make_safely`.
      **options: Over those of the configuration.

    Raises:
      EnvError: as `make` and `make_safely`, and if the widths are not those of the configuration.
    """
    if isinstance(given, AnyEnv):
        env = given
    elif given is None:
        env = make_safely(wanted)
    else:
        env = make(given, **{**dict(wanted.options), **options})
    _require_widths(wanted, env)
    return env


def described(wanted: EnvSpec, env: AnyEnv) -> EnvSpec:
    """The spec with what is known of the environment once it was made."""
    sizes = (env.obs_dim, env.action_dim, env.horizon)
    return EnvSpec(wanted.name, wanted.options, env.name, sizes)


def of_run(wanted: EnvSpec, env: AnyEnv) -> EnvSpec:
    """The spec of a run on an environment: its configuration's if that says how the environment was
    made, else `of_object`."""
    return wanted if wanted.widths else of_object(env)


def of_object(env: AnyEnv) -> EnvSpec:
    """The spec of an environment that was handed over: what `make` made it from, if it did."""
    return env.spec or described(spec(""), env)


def _require_widths(wanted: EnvSpec, env: AnyEnv) -> None:
    found = (env.obs_dim, env.action_dim, env.horizon)
    if wanted.widths and wanted.widths != found:
        words = ("obs_dim", "action_dim", "horizon")
        differences = "; ".join(
            f"{word} is {a} there and {b} here"
            for word, a, b in zip(words, wanted.widths, found, strict=False)
            if a != b
        )
        raise EnvError(
            f"the environment {env.name} is not the one that was trained on, {wanted}: "
            f"{differences}."
        )


def _registered() -> dict[str, importlib.metadata.EntryPoint]:
    return {one.name: one for one in importlib.metadata.entry_points(group=GROUP)}


def _factory(name: str) -> Callable[..., AnyEnv]:
    if name in BUILT_IN:
        return BUILT_IN[name]
    if paths.is_address(name):
        raise EnvError(paths.refusal("the file of an environment", name))
    if ":" in name:
        place, _, attribute = name.rpartition(":")
        module = _module(name, place)
        found = getattr(module, attribute, None)
        if not callable(found):
            raise EnvError(f"the environment {name} cannot be made: {place} has no {attribute}().")
        return found
    if name in (registered := _registered()):
        try:
            return registered[name].load()
        except Exception as error:  # anybody's package
            raise EnvError(f"the environment {name} cannot be loaded: {_reason(error)}") from error
    close = difflib.get_close_matches(name, names(), n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise EnvError(
        f"env must be one of {', '.join(names())}, package.module:factory, or "
        f"path/to/file.py:factory, not {name!r}{hint}."
    )


def _module(name: str, place: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            return _import_from_here(place)
        path = Path(place)
        if not path.is_file():
            raise EnvError(f"the environment {name} cannot be made: there is no file {place}.")
        found = importlib.util.spec_from_file_location(f"{FILE_MODULE}{path.stem}", path)
        module = importlib.util.module_from_spec(found)
        sys.modules[found.name] = module  # dataclasses and pickles of the file look themselves up
        found.loader.exec_module(module)
        return module
    except EnvError:
        raise
    except (Exception, SystemExit) as error:  # anybody's code, scripts included
        raise EnvError(f"the environment {name} cannot be imported: {_reason(error)}") from error


def _import_from_here(module: str) -> ModuleType:
    """As ``python -m`` would: the working directory counts, whatever started this process."""
    sys.path.insert(0, "")
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove("")


def _require_options(name: str, factory: Callable[..., AnyEnv], options: dict[str, Any]) -> None:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # of a builtin, for instance
        return
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return
    known = [one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY]
    for option in options:
        if option not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise EnvError(f"the environment {name} has no option {option!r}; {takes}.")


def _reason(error: BaseException) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    plain = isinstance(error, ValueError)
    return f"{words[:300].rstrip('.')}." if plain else f"{type(error).__name__}: {words[:300]}."
