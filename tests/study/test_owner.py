"""Of several drivers exactly one has a trial; a dead driver's trials are taken over, and it cannot write to them any more."""

import subprocess
import sys
import threading
import time

import psutil
import pytest
import sqlalchemy as sa

from farfield.study import Store, Trial, run
from farfield.study.arrays import encode
from farfield.study.owner import SILENCE, Owner, living, place
from farfield.study.schema import owners, trials

TRIAL = Trial("demo", {"x": 1}, 0)


def record(store, trial=TRIAL):
    return store.get([trial.key]).get(trial.key)


def let_fall_silent(store, owner, **changes):
    """Change an owner's row as if its machine had died long ago."""
    values = {"heartbeat": owners.c.heartbeat - SILENCE - 1, **changes}
    store.write(lambda c: c.execute(sa.update(owners).where(owners.c.id == owner.id).values(**values)))


def test_of_many_at_once_exactly_one_gets_each_trial(store, url):
    todo = [Trial("demo", {"x": x}, 0) for x in range(25)]
    got, start = [], threading.Barrier(4)

    def drive():
        other = Store(url)
        with Owner(other) as owner:
            start.wait()
            mine = [t.key for t in todo if owner.claim(t, None, provenance={})]
            got.append(mine)
            start.wait()
        other.close()

    drivers = [threading.Thread(target=drive) for _ in range(4)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert sorted(key for mine in got for key in mine) == sorted(t.key for t in todo)


def test_a_claim_needs_the_trial_to_be_as_it_was_seen(store):
    with Owner(store) as a, Owner(store) as b, Owner(store) as c:
        assert a.claim(TRIAL, None, provenance={})
        seen = record(store)
        assert b.claim(TRIAL, seen, provenance={}) and not c.claim(TRIAL, seen, provenance={})
        assert record(store).attempts == 2
        # The first owner lost it: it can neither end it nor give it back.
        assert not a.finish(TRIAL, encode({"by": "a"}), seconds=1.0, host="a")
        assert not a.fail(TRIAL, "no", "no", seconds=1.0, host="a")
        assert not a.begin_again(TRIAL)
        a.__exit__(None, None, None)
        assert b.finish(TRIAL, encode({"by": "b"}), seconds=2.0, host="b")
        assert (record(store).result, record(store).host, record(store).seconds) == ({"by": "b"}, "b", 2.0)


def test_the_arrays_of_a_lost_attempt_leave_no_file(store, tmp_path):
    import numpy as np

    with Owner(store) as a, Owner(store) as b:
        a.claim(TRIAL, None, provenance={})
        b.claim(TRIAL, record(store), provenance={})
        assert b.finish(TRIAL, encode({"a": np.arange(2)}), seconds=1.0, host="")
        assert not a.finish(TRIAL, encode({"a": np.arange(3)}), seconds=1.0, host="")
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    assert record(store).result["a"].load().tolist() == [0, 1]


def test_leaving_gives_back_what_was_not_ended(store):
    failed = Trial("demo", {"x": 2}, 0)
    with pytest.raises(KeyboardInterrupt), Owner(store) as owner:
        owner.claim(TRIAL, None, provenance={})
        owner.claim(failed, None, provenance={})
        owner.fail(failed, "no", "trace", seconds=1.0, host="here")
        owner.claim(failed, record(store, failed), provenance={})
        raise KeyboardInterrupt
    assert record(store) is None
    # One that was being tried again is what it was before.
    assert (record(store, failed).state, record(store, failed).error) == ("failed", "no")
    assert living(store) == set()


def test_a_success_wipes_the_error_of_the_attempt_before(store):
    with Owner(store) as owner:
        owner.claim(TRIAL, None, provenance={})
        owner.fail(TRIAL, "no", "trace", seconds=1.0, host="")
        owner.claim(TRIAL, record(store), provenance={})
        owner.finish(TRIAL, encode({"a": 1}), seconds=1.0, host="")
    assert (record(store).error, record(store).traceback, record(store).attempts) == (None, None, 2)


def test_a_driver_lives_while_it_is_heard_of(store):
    with Owner(store) as here, Owner(store) as away:
        assert living(store) == {here.id, away.id}
        # A process id says nothing about another machine.
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        store.write(
            lambda c: c.execute(sa.update(owners).where(owners.c.id == away.id).values(place="x", pid=gone.pid))
        )
        assert living(store) == {here.id, away.id}
        let_fall_silent(store, away, place="elsewhere")
        assert living(store) == {here.id}


@pytest.mark.parametrize("reused", [False, True])
def test_a_driver_of_this_machine_whose_process_is_gone_is_dead_at_once(store, reused):
    with Owner(store) as owner:
        gone = subprocess.Popen([sys.executable, "-c", ""])
        gone.wait()
        # Its number may be another process's by now: that one began at another time.
        values = {"began": psutil.Process().create_time() - 1000} if reused else {"pid": gone.pid}
        store.write(
            lambda c: c.execute(sa.update(owners).where(owners.c.id == owner.id).values(place=place(), **values))
        )
        assert living(store) == set()


def test_a_dead_entry_that_nobody_has_collected_is_not_a_driver(store):
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(zombie.pid)
    began = process.create_time()
    while process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    with Owner(store) as owner:
        values = {"pid": zombie.pid, "began": began}
        store.write(lambda c: c.execute(sa.update(owners).where(owners.c.id == owner.id).values(**values)))
        assert living(store) == set()
    zombie.wait()


def test_the_heart_beats_and_comes_back_after_being_taken_for_dead(store, monkeypatch):
    monkeypatch.setattr("farfield.study.owner.BEAT", 0.05)
    with Owner(store) as owner:
        store.write(lambda c: c.execute(sa.delete(owners)))
        assert living(store) == set()
        give_up = time.monotonic() + 10
        while living(store) != {owner.id}:
            assert time.monotonic() < give_up
            time.sleep(0.02)


def test_rows_of_dead_drivers_do_not_pile_up(store):
    with Owner(store) as dead:
        let_fall_silent(store, dead, place="elsewhere")
        with Owner(store) as owner:
            ids = store.read(lambda c: c.execute(sa.select(owners.c.id)).scalars().all())
            assert ids == [owner.id]


def test_run_takes_over_from_a_dead_machine_and_the_revived_one_changes_nothing(store):
    with Owner(store) as dead:
        dead.claim(TRIAL, None, provenance={})
        let_fall_silent(store, dead, place="elsewhere")
        (outcome,) = run(lambda point, seed: {"by": "the living"}, [TRIAL], store)
        assert not outcome.kept and outcome.result == {"by": "the living"}
        assert not dead.finish(TRIAL, encode({"by": "the dead"}), seconds=1.0, host="")
    assert record(store).result == {"by": "the living"} and record(store).attempts == 2


def test_run_waits_for_a_living_driver_and_takes_its_outcome(store, url):
    with Owner(store) as other:
        other.claim(TRIAL, None, provenance={})

        def finish():
            time.sleep(0.3)
            other.finish(TRIAL, encode({"by": "the other"}), seconds=1.0, host="")

        later = threading.Thread(target=finish)
        later.start()
        (outcome,) = run(lambda point, seed: {"by": "this"}, [TRIAL], store)
        later.join()
    assert outcome.kept and outcome.result == {"by": "the other"}


def test_run_takes_what_a_living_driver_gives_back(store):
    other = Owner(store)
    other.__enter__()
    other.claim(TRIAL, None, provenance={})
    later = threading.Timer(0.3, other.__exit__, (None, None, None))
    later.start()
    (outcome,) = run(lambda point, seed: {"by": "this"}, [TRIAL], store)
    later.join()
    assert not outcome.kept and outcome.result == {"by": "this"}


def test_a_driver_that_loses_its_trial_in_the_middle_yields_what_the_other_made_of_it(store, url):
    def slow(point, seed):
        # While this runs, another driver takes the trial over and ends it.
        other_store = Store(url)
        with Owner(other_store) as other:
            assert other.claim(TRIAL, record(other_store), provenance={})
            other.finish(TRIAL, encode({"by": "the other"}), seconds=1.0, host="")
        other_store.close()
        return {"by": "this"}

    (outcome,) = run(slow, [TRIAL], store)
    assert outcome.kept and outcome.result == {"by": "the other"}


def test_messages_of_any_kind_are_kept(store):
    with Owner(store) as owner:
        owner.claim(TRIAL, None, provenance={})
        owner.fail(TRIAL, "a\0b \ud800 é", "t\0", seconds=0.1, host="")
    assert record(store).error == "a\\x00b \\ud800 é"
    assert store.read(lambda c: c.execute(sa.select(trials.c.traceback)).scalar()) == "t\\x00"
