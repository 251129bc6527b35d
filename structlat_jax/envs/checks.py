"""What an environment must be, looked at before anything is compiled: one abstract evaluation, and
of a host environment one step."""

import textwrap
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from structlat_jax.envs.base import AnyEnv, Env, Step, labels
from structlat_jax.envs.host import trial
from structlat_jax.envs.host.base import HostEnv
from structlat_jax.envs.spec import EnvError
from structlat_jax.shapes import Transition, make_key

_SIZES = ("obs_dim", "action_dim", "horizon")


def require_env(name: str, env: Any) -> None:
    """Checks an environment without running it; of a host environment, one step.

    Args:
      name: What it is called in the sentence.
      env: What is to be one.

    Raises:
      EnvError: naming the field that is not as `Env` says.
    """
    if not isinstance(env, AnyEnv):
        raise EnvError(f"{name} must make an Env or a HostEnv, not {type(env).__name__}.")
    for field in _SIZES:
        value = getattr(env, field)
        if type(value) is not int or value < 1:
            raise EnvError(
                f"{field} of {name} must be a whole number of at least 1, not {value!r}."
            )
    if type(env.discrete) is not bool:
        raise EnvError(f"discrete of {name} must be true or false, not {env.discrete!r}.")
    if env.discrete and env.action_dim < 2:
        raise EnvError(f"action_dim of {name} must be at least 2, since it is discrete, not 1.")
    key, task, tasks = _tasks(name, env)
    if isinstance(env, Env):
        _require_dynamics(name, env, key, task)
    _require_names(name, env, task)
    _shape(name, "label or factors", lambda t: labels(env, t), tasks)
    if env.split is not None:
        _require_split(name, tasks, _shape(name, "split", lambda k: env.split(k, 3, 2), key))
    if env.explore is not None:
        actions = _shape(name, "explore", env.explore, key)
        _require_floats(name, "what explore returns", actions, (env.horizon, env.action_dim))
    if isinstance(env, HostEnv):
        trial.require(name, env)


def _require_names(name: str, env: AnyEnv, task: Any) -> None:
    """Checks what is known of a task, which has a name each."""
    known = {field: getattr(env, field) for field in ("factors", "derived")}
    shapes = {x: _shape(name, x, tell, task) for x, tell in known.items() if tell is not None}
    for field, shape in shapes.items():
        if not isinstance(shape, Mapping):
            raise EnvError(f"{field} of {name} must return a dictionary of arrays by name.")
    both = shapes.get("factors", {}).keys() & shapes.get("derived", {}).keys()
    if both:
        raise EnvError(f"factors and derived of {name} both have {', '.join(sorted(both))}.")


def _tasks(name: str, env: AnyEnv) -> tuple[Any, Any, Any]:
    """The shapes of a key, of one task, and of three of them."""
    key = jax.eval_shape(lambda: make_key(0))
    tasks = _shape(name, "sample_tasks", lambda k: env.sample_tasks(k, 3), key)
    leaves = jax.tree.leaves(tasks)
    if not leaves or any(not x.shape or x.shape[0] != 3 for x in leaves):
        shapes = [list(x.shape) for x in leaves]
        raise EnvError(
            f"sample_tasks of {name} must return arrays that lead with [n]; for 3 tasks it returns "
            f"{shapes or 'none'}."
        )
    return key, jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tasks), tasks


def _require_dynamics(name: str, env: Env, key: Any, task: Any) -> None:
    state = _shape(name, "reset", env.reset, key, task)
    obs = _shape(name, "observe", env.observe, state)
    _require_floats(name, "what observe returns", obs, (env.obs_dim,), "obs_dim")
    action = jax.ShapeDtypeStruct((env.action_dim,), jnp.float32)
    on = f" on an action of shape [action_dim] = [{env.action_dim}]"
    step = _shape(name, "step", env.step, state, action, task, on=on)
    if not isinstance(step, Step):
        raise EnvError(f"step of {name} must return a Step, not {type(step).__name__}.")
    _require_floats(name, "obs of step", step.obs, (env.obs_dim,), "obs_dim")
    for field in ("reward", "train_reward", "done"):
        _require_scalar(name, f"{field} of step", getattr(step, field))
    _require_same(name, state, step.state)
    transition = Transition(obs, action, *(step.reward,) * 2, obs, step.done)
    for field, arguments in (("oracle_return", (task,)), ("success", (transition, task))):
        if (fn := getattr(env, field)) is not None:
            _require_scalar(name, field, _shape(name, field, fn, *arguments))


def _shape(name: str, field: str, fn: Any, *arguments: Any, on: str = "") -> Any:
    def checked(*given):
        out = fn(*given)
        _require_numbers(name, field, out)
        return out

    try:
        return jax.eval_shape(checked, *arguments)
    except EnvError:
        raise
    except Exception as error:  # anybody's code
        raise EnvError(f"{field} of {name} fails{on}: {_why(error)}{_place(error)}.") from error


def _place(error: Exception) -> str:
    """Where in somebody's code it was raised, as far as that can be told."""
    own = [Path(__file__).parent, Path(jax.__file__).parents[1]]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_file() and not any(path.is_relative_to(folder) for folder in own):
            return f" (line {frame.lineno} of {path.name})"
    return ""


def _why(error: Exception) -> str:
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return (
            "Python's if, while, and, or, not cannot ask for a value of a compiled function; "
            "jnp.where and jax.lax.cond can"
        )
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return "NumPy cannot compute with a value of a compiled function; jax.numpy can"
    words = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {textwrap.shorten(words, 300, placeholder=' ...')}"


def _require_split(name: str, tasks: Any, both: Any) -> None:
    """That training and test tasks are such as `Env.sample_tasks` gives, so many of each."""
    wanted = [jax.tree.map(lambda x, n=n: (n, *x.shape[1:], x.dtype), tasks) for n in (3, 2)]
    found = jax.tree.map(lambda x: (*x.shape, x.dtype), both)
    if not isinstance(both, tuple) or list(found) != wanted:
        raise EnvError(
            f"split of {name} must return two sets of tasks, as many as it is asked for and with "
            "the shapes and types that sample_tasks gives."
        )


def _require_numbers(name: str, field: str, out: Any) -> None:
    for path, leaf in jax.tree_util.tree_flatten_with_path(out)[0]:
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | bool | int | float):
            place = jax.tree_util.keystr(path).lstrip(".") or "result"
            raise EnvError(f"{field} of {name} must return numbers; its {place} is {leaf!r}.")


def _require_floats(name: str, what: str, found: Any, shape: tuple, field: str = "") -> None:
    if not hasattr(found, "shape") or found.shape != shape:
        given = list(found.shape) if hasattr(found, "shape") else type(found).__name__
        wanted = f"[{field}] = {list(shape)}" if field else f"{list(shape)}"
        raise EnvError(f"{what} of {name} must have shape {wanted}, not {given}.")
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise EnvError(f"{what} of {name} must be of a floating type, not {found.dtype}.")


def _require_scalar(name: str, what: str, found: Any) -> None:
    if not hasattr(found, "shape") or found.shape != ():
        given = list(found.shape) if hasattr(found, "shape") else type(found).__name__
        raise EnvError(f"{what} of {name} must be a scalar, not {given}.")


def _require_same(name: str, before: Any, after: Any) -> None:
    """A scan needs a state that keeps its structure, its shapes and its types."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise EnvError(f"step of {name} must return a state of the same structure as reset.")
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    for one, other in pairs:
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            raise EnvError(
                f"step of {name} must return a state with the shapes and types that reset gives "
                f"({one.dtype}{list(one.shape)}), not {other.dtype}{list(other.shape)}."
            )
