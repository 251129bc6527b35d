"""What all tests share: the hypothesis profile, and that shapes are checked.

The annotations of the packages below are checked at every call, which while testing is mostly
once per trace: a wrong shape or kind of number raises `jaxtyping.TypeCheckError`.
"""

from hypothesis import settings
from jaxtyping import install_import_hook

CHECKED = ("algos", "data", "inference", "latents", "nets", "train", "types")
install_import_hook([f"structlat_jax.{name}" for name in CHECKED], "beartype.beartype")

settings.register_profile("default", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("default")
