"""The console command ``structlat``: a command per thing to do, loaded when it is asked for."""

import importlib
import sys

_COMMANDS = {
    "train": ("commands", "train", "Train agents on an environment."),
    "sweep": ("commands", "sweep", "Seeds, latents and hyper-parameters, all combinations."),
    "tune": ("commands", "tune", "Search hyper-parameters, by Optuna."),
    "suite": ("commands", "suite", "Does structure pay? Latents on families of known structure."),
    "join": ("finished_commands", "join", "Several suites of other seeds as one."),
    "evaluate": ("finished_commands", "evaluate", "Evaluate trained agents under other protocols."),
    "figures": ("finished_commands", "figures", "Draw the figures of finished runs."),
    "view": ("finished_commands", "view", "Look at finished runs step by step, in a browser."),
    "film": ("finished_commands", "film", "Make a film of how a run adapts to a task."),
    "config": ("commands", "config", "Show the configuration that a command would use."),
    "envs": ("commands", "envs", "List the environments that have a name."),
}


def main() -> None:
    """The entry point; ``structlat COMMAND --help`` says what each one takes."""
    try:
        importlib.import_module("click")
        importlib.import_module("rich")
    except ImportError:
        needs = (
            "the structlat command needs more than the library: pip install 'structlat-jax[cli]'."
        )
        sys.exit(f"error: {needs}")
    from structlat_jax.cli.errors import main as run
    from structlat_jax.cli.group import make

    run(make(_COMMANDS))


if __name__ == "__main__":
    main()
