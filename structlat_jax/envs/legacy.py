"""Configurations of earlier versions: from before an environment was part of them, when all were of
the point robot, and from before an option was there."""

from typing import Any

from structlat_jax.envs.spec import EnvError, EnvSpec, spec

_ANGLES = ("anchor_start", "anchor_end")


def unsaid(structure: dict[str, Any]) -> dict[str, Any]:
    """What runs did that were made before an option was there, by the option's name.

    Args:
      structure: The file's section.
    """
    tasks = structure.get("train_tasks")
    every = {"eval_train_tasks": tasks} if type(tasks) is int and tasks > 30 else {}
    return {"posterior": "context", **every}


def without_gone(hyper: dict[str, Any]) -> dict[str, Any]:
    """A file's ``hyper`` section without an option that is no longer there, where it asked for
    nothing.

    Args:
      hyper: The file's section.
    """
    gone = {"decoder_later": 1.0}
    return {name: x for name, x in hyper.items() if name not in gone or x != gone[name]}


def read_env(env: Any, structure: dict[str, Any]) -> tuple[EnvSpec, dict[str, Any]]:
    """The environment of a configuration file, and the rest of its ``structure`` section.

    Args:
      env: The file's ``env``; None, or a title alone, in files of earlier versions, which had the
        robot's angles in ``structure``.
      structure: The file's.

    Raises:
      EnvError: if it cannot be read.
    """
    rest = {name: value for name, value in structure.items() if name not in _ANGLES}
    if env is not None:
        return EnvSpec.from_dict(env), rest
    angles = [structure[name] for name in _ANGLES if name in structure]
    if not angles:
        return EnvSpec(), rest
    if len(angles) < 2 or any(type(x) not in (int, float) for x in angles):
        raise EnvError(f"{' and '.join(_ANGLES)} must be two numbers, not {angles!r}.")
    default = (0.0, 3.141592653589793)
    options = {} if tuple(angles) == default else {"anchors": tuple(angles)}
    return spec("point_robot", options), rest
