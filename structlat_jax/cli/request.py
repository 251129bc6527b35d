"""From options to what is to be done: an environment, a configuration, a plan."""

import dataclasses
import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from structlat_jax import config as configuration
from structlat_jax.cli import changes
from structlat_jax.cli.errors import flag
from structlat_jax.cli.folders import claim
from structlat_jax.cli.options import given, typed
from structlat_jax.config import Config
from structlat_jax.envs import AnyEnv, registry
from structlat_jax.envs.spec import DEFAULT, EnvSpec, canonical, parse_options, spec
from structlat_jax.errors import InputError
from structlat_jax.options import ConfigError
from structlat_jax.run.plan import PLAN_FIELDS, Plan, saved_plan, settings
from structlat_jax.store.run_folder import (
    CONFIG_FILE,
    CheckpointError,
    read_config,
    read_json,
    reason,
)

_IN_FILES = {"structure", "hyper", "env", *PLAN_FIELDS}
"""What a file may have that is no run's, each a table or a number of the plan."""

_FLAGS = {"env_options": "--env-option", "from_run": "--from"}
"""Settings whose flags have other names."""


def new_plan(options: dict[str, Any]) -> tuple[Plan, AnyEnv]:
    """The plan and the environment that the options describe.

    Raises:
      ConfigError, EnvError, InputError: if they are not allowed.
    """
    if options["config_file"] is not None:
        return _from_file(options["config_file"], options)
    wanted = spec(canonical(options["env"] or DEFAULT), parse_options(options["env_options"]))
    env = registry.make(wanted.name, **dict(wanted.options))
    wanted = registry.described(wanted, env)
    name = options["preset"] or configuration.preset_names(env)[0]
    config, updates = configuration.preset(name, env, wanted)
    config = config.replace(**given(options))
    numbers = {field: options[field] for field in PLAN_FIELDS if field != "preset"}
    numbers["updates"] = numbers["updates"] or updates
    return Plan(config=config, preset=name, **numbers), env


def unread(config: Config, options: dict[str, Any]) -> list[str]:
    """A sentence about each option on the command line that this configuration does not read."""
    reasons = {name: changes.unread(config, name) for name in given(options)}
    return [
        ConfigError.free(f"`{name}` is not read: {why}.").sentence(flag)
        for name, why in reasons.items()
        if why
    ]


def planned(out: Path | None, resume: bool, marker: str, options: dict[str, Any]) -> dict[str, Any]:
    """Options as the folder to be resumed has them in its file, as far as it can be read: there
    will be a sentence about one that cannot."""
    try:
        data = read_json(out / marker) if resume and out is not None else {}
    except (OSError, CheckpointError):
        return options
    kept = data.items() if isinstance(data, dict) else ()
    return options | {n: v for n, v in kept if n in options and isinstance(v, type(options[n]))}


def saved_env(config: Config, options: dict[str, Any]) -> AnyEnv:
    """The environment of a configuration that was read; ``--env`` and its options name it again.

    Raises:
      EnvError: if it cannot be made, or is another one.
    """
    given, more = options["env"], parse_options(options["env_options"])
    if given is None and more and not config.env.is_code:
        given = config.env.name or None
    return registry.named(config.env, given, **more)


def refuse_differences(out: Path, saved: dict[str, Any], options: dict[str, Any]) -> None:
    """Compares the options that the user typed with those of the folder to be resumed.

    Args:
      out: The folder.
      saved: Its settings by name.
      options: Of the command.

    Raises:
      InputError: if they contradict each other, with the difference.
    """
    own = {name: value for name, value in typed(options).items() if name in saved}
    if own.pop("env_options", None):
        wanted = parse_options(options["env_options"])
        own |= {"env_options": {**saved["env_options"], **wanted}}
    own.pop("env", None)  # code that was named again may have moved; `registry.named` looks at it
    different = "; ".join(
        f"{_FLAGS.get(name, flag(name))} is {saved[name]!r} there and {value!r} here"
        for name, value in own.items()
        if value != saved[name]
    )
    if different:
        raise InputError(f"--resume {out} has another configuration: {different}.")


def read_plan(out: Path, marker: str = CONFIG_FILE) -> tuple[Plan, dict[str, Any]]:
    """What the folder to be resumed is to do, and its file as a dictionary.

    Raises:
      FileNotFoundError, CheckpointError: naming the file, if it cannot be used.
    """
    config, data = read_config(out, marker)
    try:
        return saved_plan(config, data), data
    except ConfigError as error:
        raise CheckpointError(f"{out / marker}: {error}") from None


def require_same(out: Path, plan: Plan, options: dict[str, Any], **more: Any) -> None:
    """Checks the options against the plan of the folder to be resumed; raises `InputError`."""
    if options["config_file"] is not None:
        raise InputError("--resume goes by the folder's own configuration; it takes no --config.")
    refuse_differences(out, {**settings(plan), **more}, options)


def resumed(
    out: Path,
    marker: str,
    options: dict[str, Any],
    own: Sequence[str],
    check: Callable[[Plan, dict[str, Any]], Any],
) -> tuple[Plan, AnyEnv, dict[str, Any]]:
    """What the folder of several runs says that is to be resumed; it is claimed.

    Args:
      out: The folder.
      marker: Its file.
      options: Of the command.
      own: Those options that the file has beside the plan, texts joined by semicolons where lists.
      check: ``(plan, the file's dictionary)``; raises `ConfigError` if the file makes no runs.

    Raises:
      InputError, EnvError, CheckpointError, FileNotFoundError: if it cannot be used, or if the
        options contradict it.
    """
    plan, data = read_plan(out, marker)
    try:
        check(plan, data)
    except ConfigError as error:
        raise CheckpointError(f"{out / marker}: {error}") from None
    saved, here = ({name: _joined(said[name]) for name in own} for said in (data, options))
    require_same(out, plan, {**options, **here}, **saved)
    env = saved_env(plan.config, options)
    claim(out)
    return plan, env, data


def require_folder(out: Path | None, overwrite: bool) -> Path:
    """The folder to resume; raises `InputError` if there is none or if it is to be replaced."""
    if out is None or overwrite:
        raise InputError("--resume needs --out with the run folder, and no --overwrite.")
    return out


def _from_file(path: Path, options: dict[str, Any]) -> tuple[Plan, AnyEnv]:
    """A run from its configuration, flags on top of it."""
    if options["preset"] is not None:
        raise InputError("--config and --preset both say where values come from; give one of them.")
    data = read_config_file(path)
    of_run = "schema_version" in data  # which says all; what others leave out is a preset's
    if unknown := [] if of_run else sorted(set(data) - _IN_FILES):
        raise InputError(
            f"--config {path}: {', '.join(unknown)} is none of {', '.join(sorted(_IN_FILES))}."
        )
    try:
        config = Config.from_dict(data)
    except ConfigError as error:
        raise InputError(f"--config {path}: {error}") from None
    wanted = _env_on_top(config.env, options)
    if wanted != config.env:  # another environment, which need not be as wide
        config = config.replace(env=dataclasses.replace(config.env, widths=()))
    env = saved_env(config, options)
    preset, updates = _preset_of(path, data, env, of_run)
    if not of_run:
        config = Config.from_dict(data, preset)
    config = config.replace(env=registry.described(wanted, env), **given(options))
    flags = typed(options)
    numbers = {
        name: flags[name] if name in flags or name not in data else data[name]
        for name in PLAN_FIELDS
        if name in flags or name in data
    }
    defaults = {name: options.get(name) for name in PLAN_FIELDS} | {"preset": str(path.name)}
    updates = defaults["updates"] or updates
    return saved_plan(config, {**defaults, "updates": updates, **numbers}), env


def _preset_of(path: Path, data: dict[str, Any], env: AnyEnv, of_run: bool) -> tuple[Config, int]:
    """The preset that a file's fields stand on, the first one where it names none."""
    try:
        return configuration.preset(None if of_run else data.get("preset"), env)
    except (ConfigError, TypeError) as error:
        raise InputError(f"--config {path}: {error}") from None


def _env_on_top(wanted: EnvSpec, options: dict[str, Any]) -> EnvSpec:
    name = canonical(options["env"]) if options["env"] else wanted.name
    return spec(name, {**dict(wanted.options), **parse_options(options["env_options"])})


def read_config_file(path: Path) -> dict[str, Any]:
    """What a JSON or TOML file holds; raises `InputError`."""
    try:
        text = path.read_bytes()
        data = tomllib.loads(text.decode()) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--config {path} cannot be read: {reason(error)}.") from None
    if not isinstance(data, dict):
        raise InputError(f"--config {path} must hold an object of fields.")
    return data


def _joined(value: Any) -> Any:
    return ";".join(value) if isinstance(value, list | tuple) else value
