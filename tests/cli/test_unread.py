"""Options on the command line that the configuration does not read."""

from tiny import config

from structlat_jax.cli.request import unread


def test_what_is_not_read_is_said():
    made = config(algorithm="pearl", posterior="context")
    given = {"hidden": 32, "lr": 1e-3, "imagined_tasks": True, "seeds": 2, "inference": None}
    assert unread(made, given) == [
        "--hidden is not read: that takes --algorithm rl2 or varibad, and it is pearl.",
        "--imagined-tasks is not read: that takes --posterior task or truth, and it is context.",
    ]


def test_what_is_read_is_not():
    made = config(algorithm="varibad", minibatches=1)
    assert unread(made, {"hidden": 32, "belief_kl": 1.0, "clip": 0.1}) == []
    assert len(unread(made, {"posterior": "task", "inference": "auto", "inner_lr": 0.1})) == 3
    assert unread(config(posterior="task"), {"decoder_weight": 0.1, "block_delay": 10.0}) == []
