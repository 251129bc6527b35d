"""How the functions of a host environment get into its workers."""

import contextlib
import pickle
import sys
from collections.abc import Iterator
from typing import Any

from structlat_jax.envs.spec import FILE_MODULE, EnvError


def pack(thing: Any) -> bytes:
    """Anything that workers are to have, functions and classes that no module has included, as
    what `pickle.loads` reads.

    Raises:
      EnvError: if cloudpickle is not installed, or if something cannot be packed.
    """
    try:
        import cloudpickle
    except ImportError:
        raise EnvError(
            "host environments need cloudpickle: pip install 'structlat-jax[host]'."
        ) from None
    try:
        with _by_value(cloudpickle):
            return cloudpickle.dumps(thing)
    except (TypeError, AttributeError, ValueError, pickle.PicklingError) as error:
        words = " ".join(str(error).split())[:200].rstrip(".")
        raise EnvError(f"a host environment cannot be sent to its workers: {words}.") from error


@contextlib.contextmanager
def _by_value(cloudpickle: Any) -> Iterator[None]:
    """Within it, what files of environments define goes along, since workers cannot import it."""
    modules = [m for name, m in list(sys.modules.items()) if name.startswith(FILE_MODULE)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
