"""A page that shows a run while it trains, to browsers of this machine; needs plotly."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from structlat_jax.envs.base import Env
from structlat_jax.report.view import page
from structlat_jax.run.loggers.base import Logger
from structlat_jax.run.loggers.page_history import History
from structlat_jax.run.loggers.page_server import PageServer
from structlat_jax.store.run_folder import CheckpointError, reason


class Page:
    """The page before its run is known; from here on it has its port.

    Args:
      port: Where it is served; 0 is any that is free.

    Raises:
      InputError: if plotly is not installed or the port cannot be had.
    """

    def __init__(self, port: int = 0):
        self._plotly, self._history = page.library(), History()
        self._server = PageServer(port, page.live(self._plotly), self._history)

    def logger(
        self,
        seeds: Sequence[int],
        run: str | Path | None = None,
        env: Env | None = None,
        tell: Callable[[str], None] = print,
    ) -> Logger:
        """The logger of its run; see `make`."""
        run = None if run is None else Path(run)
        tell(f"live at {self._server.address}")
        self._history.say(seeds=list(seeds), name="" if run is None else run.resolve().name)
        if run is not None:
            self._remember(run, len(seeds))

        def log(updates, metrics):
            self._history.log(updates, metrics, len(seeds))

        def message(text):
            self._history.say(said=text)

        def close():
            # Nobody waits for what nobody looks at.
            view = self._view(run, env) if run is not None and self._server.watched else None
            self._history.say(end=view)
            self.close()

        return Logger(log, message, close)

    def close(self) -> None:
        """Ends it, if it has not ended."""
        self._server.end()

    def _remember(self, run: Path, seeds: int) -> None:
        """Adds what a run has left that goes on now."""
        from structlat_jax.report import run_files  # SciPy, which other loggers do without

        file = run / run_files.METRICS_FILE
        if not file.is_file():
            return
        try:
            columns = run_files.read_metrics(file)
            updates = columns.pop("updates").reshape(-1, seeds)[:, 0]
            del columns["seed"]
            table = np.array([x.reshape(-1, seeds) for x in columns.values()])  # [metric, step, S]
        except (CheckpointError, KeyError, ValueError) as error:  # the run writes it anew
            self._history.say(said=f"curves begin here: {reason(error)}")
            return
        for step, done in enumerate(updates):
            known = zip(columns, table[:, step], strict=True)
            found = {name: values for name, values in known if not np.isnan(values).all()}
            self._history.log(int(done), found, seeds)

    def _view(self, run: Path, env: Env | None) -> str | None:
        """The page of the finished run; None if it is not finished or cannot be shown."""
        from structlat_jax.report import run_files

        if not (run / run_files.RESULTS_FILE).is_file():
            return None
        try:
            from structlat_jax.report.case import make_cases
            from structlat_jax.report.view import story  # it needs matplotlib

            files = [run_files.read_run(run)]
            (case,) = make_cases(files, 0, lambda run: env, lambda run, seed: None)
            return page.page([story.tell(case, story.MOST).data], self._plotly)
        except Exception as error:  # a run is worth more than its page
            self._history.say(said=f"the last evaluation cannot be shown: {reason(error)}.")
            return None


def make(
    seeds: Sequence[int],
    port: int = 0,
    run: str | Path | None = None,
    env: Env | None = None,
    tell: Callable[[str], None] = print,
) -> Logger:
    """A logger that serves a page at 127.0.0.1, with every metric of every seed and with the last
    evaluation, until it is closed.

    Args:
      seeds: The numbers of the seeds, in the order of the metrics.
      port: Where; 0 is any that is free.
      run: The folder of the run. What it holds at the start is in the curves, and if the run is
        finished at the end, pages that are open then get its evaluation step by step.
      env: Its environment, by which paths are drawn there.
      tell: Takes a sentence with the address.

    Raises:
      InputError: if plotly is not installed or the port cannot be had.
    """
    return Page(port).logger(seeds, run, env, tell)
