"""Bodies as MuJoCo's models, rebuilt from the numbers of a task. The host alone comes here.

The numbers are logarithms of factors on what the standard body has, in groups (`GROUPS`). Lengths
change the description, from which the engine's own compiler takes masses, inertias and places
anew; what is left changes the compiled model, of which the engine then computes all that follows
(`mj_setConst`). So a mixture of bodies is a body, and not a mixture of what follows from bodies.
"""

import contextlib
import copy
import functools
import importlib.util
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from structlat_jax.envs.bodies.kinds import Kind
from structlat_jax.envs.spec import EnvError

LOCK = threading.RLock()
"""Of all that calls the engine: it has one pool of threads, which two devices at once abort."""

KEPT = 4096
"""Bodies that are kept built, per kind; one is some 15 kB."""

GROUPS: dict[str, tuple[tuple[str, ...], str]] = {
    "mass": (("body_mass",), "bodies"),
    "inertia": (("body_inertia",), "bodies"),
    "damping": (("dof_damping",), "joints"),
    "friction": (("geom_friction",), "shapes"),
    "density": (("body_mass", "body_inertia"), "one"),
    "payload": (("body_mass", "body_inertia"), "torso"),
    "damping_of_all": (("dof_damping",), "one"),
    "grip": (("geom_friction",), "one"),
    "strength": (("actuator_gear",), "one"),
    "gear": (("actuator_gear",), "one"),
}
"""Groups of numbers: the fields of the model that they multiply, and what has one each. ``length``
comes before them: the limbs of the kind."""


def size_of(kind: Kind, group: str) -> int:
    """How many numbers a group has for a kind of body."""
    if group == "length":
        return len(kind.limbs)
    owner = GROUPS[group][1]
    return getattr(kind, owner) if owner in ("bodies", "joints", "shapes") else 1


def require(name: str, backend: str) -> None:
    """Raises `EnvError` unless what simulates bodies is installed."""
    wanted = {"mujoco": "bodies", "gymnasium": "bodies"}
    if backend == "mjx":
        wanted["mujoco.mjx"] = "mjx"
    for module, extra in wanted.items():
        try:
            found = importlib.util.find_spec(module) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            raise EnvError(
                f"the environment {name} needs {module}: pip install 'structlat-jax[{extra}]'."
            )


@contextlib.contextmanager
def quietly() -> Iterator[Any]:
    """The engine, its lock taken; what it warns of, a simulation that diverges or an attribute that
    will go, it neither prints nor writes into the working directory."""
    import mujoco

    with LOCK:
        before = mujoco.get_mju_user_warning()
        mujoco.set_mju_user_warning(_unheard)
        try:
            yield mujoco
        finally:
            mujoco.set_mju_user_warning(before)


def _unheard(words: str) -> None:
    del words


def build(kind: Kind, numbers: Mapping[str, Any]) -> Any:
    """The model of a body.

    Args:
      kind: Of body.
      numbers: Logarithms of factors by group, arrays of as many as `size_of` says.

    Raises:
      EnvError: if no such body can be simulated, with what is wrong with it.
    """
    given = {name: np.asarray(x, np.float64) for name, x in numbers.items()}
    for name, logs in given.items():
        with np.errstate(over="ignore"):
            factors = np.exp(logs)
        if not (np.all(np.isfinite(factors)) and np.all(factors > 0)):
            raise EnvError(
                f"the {name} of a {kind.name} must be the standard body's times finite numbers "
                f"above 0, not times {factors.tolist()}."
            )
    with quietly() as mujoco:
        lengths = given.pop("length", None)
        if lengths is None:
            model = copy.copy(_standard(kind))
        else:
            model = _compiled(kind, dict(zip(kind.limbs, np.exp(lengths), strict=True)))
        for name, logs in given.items():
            _multiply(model, *GROUPS[name], np.exp(logs))
        mujoco.mj_setConst(model, mujoco.MjData(model))
        if not all(np.all(np.isfinite(x)) for x in (model.body_invweight0, model.dof_M0)):
            raise EnvError(f"the engine finds no weights for a {kind.name} of {given}.")
    return model


def _multiply(model: Any, fields: tuple[str, ...], owner: str, factors: np.ndarray) -> None:
    for field in fields:
        values = getattr(model, field)
        if owner == "bodies":
            values = values[1:]  # the first is the world
        elif owner == "torso":
            values = values[1:2]
        values *= factors.reshape(-1, *[1] * (values.ndim - 1))


@functools.cache
def _standard(kind: Kind) -> Any:
    return _compiled(kind, {})


def _compiled(kind: Kind, lengths: Mapping[str, float]) -> Any:
    """The model with limbs so many times as long, without what is only for looking at."""
    import mujoco

    spec = mujoco.MjSpec.from_file(os.path.join(_assets(), kind.file))
    for geom in spec.geoms:
        geom.material = ""
    for some in (spec.materials, spec.textures):
        for one in list(some):
            # Newer engines have the one, older ones the other.
            spec.delete(one) if hasattr(spec, "delete") else one.delete()
    scale = {
        body: lengths.get(limb, 1.0) for limb, (names, _) in kind.limbs.items() for body in names
    }
    if lengths:
        _stretch(spec, scale)
    total, spec.compiler.settotalmass = spec.compiler.settotalmass, -1.0
    model = spec.compile()
    if total > 0:
        mujoco.mj_setTotalmass(model, total)
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def _stretch(spec: Any, scale: Mapping[str, float]) -> None:
    """Makes limbs longer, at one thickness; each hangs where its parent ends then."""
    for body in spec.bodies:
        own = scale.get(body.name)
        if own is None:
            continue  # the world among them, whose parent some engines cannot be asked for
        above = scale.get(body.parent.name, 1.0)
        for geom in body.geoms:
            geom.pos = own * np.asarray(geom.pos)
            geom.size = np.asarray(geom.size) * [1.0, own, 1.0]  # of a capsule: half its length
        joints = list(body.joints)
        if len(joints) != 1:  # the trunk, which hangs on nothing
            continue
        (joint,) = joints
        hinge = np.array(joint.pos)
        body.pos = above * (np.asarray(body.pos) + hinge) - own * hinge
        joint.pos = own * hinge


def _assets() -> str:
    """Where gymnasium keeps its models; nothing of it is imported, since that takes a second."""
    found = importlib.util.find_spec("gymnasium")
    return os.path.join(os.path.dirname(found.origin), "envs", "mujoco", "assets")


class Cache:
    """Bodies by their numbers, the latest `KEPT` of them.

    A step of the environment is given numbers and not models, and must not build anew what it has
    built a step before.
    """

    def __init__(self, kind: Kind, groups: Mapping[str, int]):
        self.kind, self.groups = kind, groups
        self._built: dict[bytes, Any] = {}

    def of(self, numbers: np.ndarray | None) -> Any:
        """The model of a body with numbers ``[P]``, group after group; None for the standard body.
        None where there is no such body."""
        if numbers is None:
            return self._kept(b"", {})
        parts = np.split(numbers, np.cumsum(list(self.groups.values()))[:-1])
        return self._kept(numbers.tobytes(), dict(zip(self.groups, parts, strict=True)))

    def _kept(self, key: bytes, numbers: dict[str, np.ndarray]) -> Any:
        with LOCK:
            if key not in self._built:
                try:
                    made = build(self.kind, numbers)
                except EnvError:
                    made = None  # whoever steps it finds it fallen
                while len(self._built) >= KEPT:
                    del self._built[next(iter(self._built))]
                self._built[key] = made
            return self._built[key]
