"""What a process is told about the others."""

import click
import jax
import pytest

from experiments import hosts


@pytest.mark.parametrize(("total", "count"), [(0, 2), (1, 3), (7, 3), (8, 4), (3, 1)])
def test_shares_cover_everything_once(monkeypatch, total, count):
    monkeypatch.setattr(jax, "process_count", lambda: count)
    covered = []
    for index in range(count):
        monkeypatch.setattr(jax, "process_index", lambda index=index: index)
        first, size = hosts.share(total)
        covered += range(first, first + size)
        assert size in (total // count, -(-total // count))
    assert covered == list(range(total))


def test_a_single_process_agrees_with_itself():
    assert hosts.agreed(lambda: {"a": 1}) == {"a": 1}
    assert hosts.gather(b"abc") == [b"abc"]
    assert hosts.is_first()


def test_nobody_to_join():
    before = jax.process_count()
    hosts.join(coordinator=None, processes=None, process_id=None, cluster=False)
    assert jax.process_count() == before


class Service:
    """Stands for the service of a process that is told of a key after some looks."""

    def __init__(self, held, late=0, dead=False):
        self.held, self.late, self.dead = held, late, dead

    def key_value_set_bytes(self, key, value):
        self.held[key] = value

    def blocking_key_value_get_bytes(self, key, timeout_in_ms):
        if self.dead:
            raise jax.errors.JaxRuntimeError("UNAVAILABLE: task died")
        if self.late:
            self.late -= 1
            raise jax.errors.JaxRuntimeError("DEADLINE_EXCEEDED: not yet")
        return self.held[key]


@pytest.fixture
def played(monkeypatch):
    """Plays one process after the other, all on the same service."""
    held = {}

    def play(index, call, **service):
        monkeypatch.setattr(jax, "process_count", lambda: 3)
        monkeypatch.setattr(jax, "process_index", lambda: index)
        client = Service(held, **service)
        monkeypatch.setattr(hosts, "_client", lambda: client)
        monkeypatch.setattr(hosts, "_numbers", iter([0]))
        return call()

    return play


def test_long_messages_arrive_whole(played):
    long = bytes(range(256)) * 10_000
    assert played(2, lambda: hosts.gather(long)) == []
    assert played(1, lambda: hosts.gather(b"")) == []
    assert played(0, lambda: hosts.gather(b"mine"), late=5) == [b"mine", b"", long]


def test_only_the_first_decides(played):
    assert played(0, lambda: hosts.agreed(lambda: {"a": [1, None]})) == {"a": [1, None]}
    assert played(1, lambda: hosts.agreed(lambda: 1 / 0), late=2) == {"a": [1, None]}


def test_bad_input_of_the_first_is_everyones(played):
    def bad():
        raise click.UsageError("--out is a file.")

    for index in range(3):
        with pytest.raises(click.UsageError, match="--out is a file"):
            played(index, lambda call=bad if index == 0 else must_not_run: hosts.agreed(call))


def must_not_run():
    raise AssertionError


def test_a_process_that_ended_is_one_sentence(played):
    with pytest.raises(click.ClickException, match="ended early"):
        played(0, lambda: hosts.gather(b""), dead=True)


@pytest.mark.parametrize("others", [None, jax.errors.JaxRuntimeError("UNAVAILABLE: task died")])
def test_an_interrupted_process_waits_for_the_others(monkeypatch, others):
    waited = []

    def shutdown():
        waited.append(True)
        if others:
            raise others

    monkeypatch.setattr(jax.distributed, "shutdown", shutdown)
    with pytest.raises(click.exceptions.Exit) as left, hosts.leaving_together():
        raise click.exceptions.Exit(130)
    assert (left.value.exit_code, waited) == (130, [True])


def test_a_process_that_fails_or_ends_well_does_not_wait(monkeypatch):
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: pytest.fail("it waited"))
    with hosts.leaving_together():
        pass
    with pytest.raises(click.UsageError), hosts.leaving_together():
        raise click.UsageError("no")
