"""The small table that a run shows at its end."""

from collections.abc import Callable
from typing import Any

from rich.table import Table


def results_table(results: dict[str, Any]) -> Table:
    """The small table at the end of a run; what ``results.json`` does not have is left out."""
    seeds = f"{results['seeds']} seed{'s' if results['seeds'] > 1 else ''}"
    # An earlier version trained PEARL's agents alone, and named them by the latent.
    title = results.get("title", results["latent"])
    table = Table(title=f"{title}, {results['updates']:,} updates, {seeds}")
    table.add_column("measure")
    table.add_column("value", justify="right")
    acts_on_z = results.get("algorithm", "pearl") == "pearl"
    measures = _MEASURES if acts_on_z else _MEASURES | _OF_BELIEF
    for name, (text, tell) in measures.items():
        if name in results and text:
            table.add_row(text, tell(results, results[name]))
    for name, kl in results["kl_nats"].items():
        table.add_row(f"KL of {name}, in training", f"{kl:.2f} nats")
    for factor, blocks in results.get("recovery", {}).items():
        told = ", ".join(f"{name} {x:.2f}" for name, x in blocks.items() if x is not None)
        table.add_row(f"R^2 of {factor} from", told or "not finite")
    table.add_row(
        "updates per second of training, each seed", f"{results['updates_per_second'] or 0:.0f}"
    )
    rate = results["updates_per_second"]
    times = [results["wall_seconds"], results["compile_seconds"]]
    times += [results["updates"] / rate] if rate else []
    table.add_row("wall, of which compiling, training", ", ".join(f"{t:.0f} s" for t in times))
    return table


def _spread(results: dict[str, Any], entry: dict[str, Any]) -> str:
    if entry["mean"] is None:
        return "not finite"
    if entry["std"] is None:
        return f"{entry['mean']:.2f} (one seed)"
    low, high = entry["ci95"]
    return f"{entry['mean']:.2f} ± {entry['std']:.2f} (95 % {low:.2f} to {high:.2f})"


def _solved(results: dict[str, Any], entry: dict[str, Any]) -> str:
    """A share of tasks over seeds, in percent."""
    if entry["mean"] is None:
        return "not finite"
    text = f"{100 * entry['mean']:.0f} %"
    if entry["ci95"] is None:
        return text
    low, high = (100 * min(max(end, 0.0), 1.0) for end in entry["ci95"])
    return f"{text} (95 % {low:.0f} to {high:.0f})"


def _formatted(form: str, factor: float = 1.0) -> Callable[[dict[str, Any], Any], str]:
    def tell(results, value):
        if value is None:
            return "not finite" if results["test_return"]["mean"] is None else "-"
        return form.format(factor * value)

    return tell


def _of_oracle(results: dict[str, Any], percent: float | None) -> str:
    """Percent of the way from the floor to the oracle, and what these are."""
    text = _formatted("{:.1f}")(results, percent)
    floor, oracle = results.get("floor_return"), results["oracle_return"]
    if floor is None or oracle is None:
        return text
    return f"{text} (untrained {floor:.2f}, oracle {oracle:.2f})"


def _counted(results: dict[str, Any], names: list[str]) -> str:
    """Which there are, and how often each if they differ."""
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    if len(counts) == 1:
        return names[0]
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


_MEASURES = {
    "test_return": ("test return, last episode", _spread),
    "percent_of_oracle": ("  % of oracle", _of_oracle),
    "test_success": ("  test tasks solved by it", _solved),
    "inference_chosen": ("  inference, chosen on training tasks", _counted),
    "amortised_return": ("  with the encoder's posterior", _spread),
    "train_return": ("train return, last episode", _spread),
    "prior_return": ("prior episodes' return", _formatted("{:.2f}")),
    "first_posterior_return": ("first posterior episode's return", _formatted("{:.2f}")),
    "floor_return": ("return of the untrained policy", _formatted("{:.2f}")),
    "tasks_reached_by_prior": (
        "test tasks reached by a prior episode",
        _formatted("{:.0f} %", factor=100.0),
    ),
    "episodes_to_80_percent": (
        "episodes to 80 % of the gain",
        _formatted("{:.0f}"),
    ),
}
"""Fields of ``results.json`` in the order of the table: what they are called, how they are told."""

_OF_BELIEF = {
    "amortised_return": ("", _spread),  # it has no other inference
    "prior_return": ("first episode's return", _formatted("{:.2f}")),
    "first_posterior_return": ("second episode's return", _formatted("{:.2f}")),
    "tasks_reached_by_prior": (
        "test tasks reached in the first episode",
        _formatted("{:.0f} %", factor=100.0),
    ),
}
"""The same where agents act on what they believe: other names, and none for what is not told."""
