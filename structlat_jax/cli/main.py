"""The console command ``structlat``: a command per thing to do, loaded when it is asked for."""

import importlib
import sys

_COMMANDS = {
    "train": ("train", "command", "Train agents on an environment."),
    "sweep": ("sweep", "command", "Seeds, latents and hyper-parameters, all combinations."),
    "suite": ("suite", "command", "Does structure pay? Latents on families of known structure."),
    "evaluate": ("evaluate", "command", "Evaluate trained agents under other protocols."),
    "figures": ("figures", "command", "Draw the figures of finished runs."),
    "view": ("view", "command", "Look at finished runs step by step, in a browser."),
    "film": ("film", "command", "Make a film of how a run adapts to a task."),
    "config": ("config", "command", "Show the configuration that a command would use."),
    "envs": ("config", "environments", "List the environments that have a name."),
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
