"""Experiments that read a finished run and write what they found."""

import json

import tiny
from click.testing import CliRunner

import structlat_jax as sl


def read_by(command, config, folder):
    """A run of seeds 4 and 5 on the triangle; what a command prints of it, and what it writes."""
    options = {"seeds": 2, "seed": 4, "updates": 5, "evals": 1, "out": folder / "run"}
    with tiny.quick_compile():
        run = sl.train(config, "triangle", **options)
        out = folder / "deep" / "found.json"
        done = CliRunner().invoke(command, [str(run.path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    return run, done.output, json.loads(out.read_text())
