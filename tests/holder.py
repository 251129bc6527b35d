"""A process that holds the lock of a run folder until it is killed."""

HOLD = """
import sys, time
from pathlib import Path
from structlat_jax.store.run_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""
