"""What runs meant that were made before an option was there."""

from structlat_jax.config import Config


def test_what_a_run_did_before_an_option_was_there():
    recorded = {"schema_version": 1, "structure": {"width": 64, "inference": "hypotheses"}}
    found = Config.from_dict(recorded)
    assert found == Config().replace(width=64, inference="hypotheses", posterior="context")
    recorded["structure"]["train_tasks"] = 50  # all of them were evaluated
    assert Config.from_dict(recorded).structure.seen_tasks == 50
    recorded["structure"]["eval_train_tasks"] = 20
    assert Config.from_dict(recorded).structure.seen_tasks == 20
    written = {"schema_version": 1, **Config().to_dict()}
    assert Config.from_dict(written).structure.posterior == Config().structure.posterior == "task"
