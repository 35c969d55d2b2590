"""Child processes: ready when they answer, and gone, with everything they started, when we are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from scoopjoy_dagster.local.processes import ChildProcesses, ProcessError, free_port, orderly_end
from scoopjoy_dagster_tests.local.system import eventually, processes_with

if TYPE_CHECKING:
    from pathlib import Path

# A child with a child of its own, both named after the mark; STUBBORN ones ignore SIGTERM.
FAMILY = """
import signal, subprocess, sys
mark, stubborn = sys.argv[1:]
if stubborn == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the grandchild inherits it
subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)", mark])
signal.pause() if stubborn == "stubborn" else __import__("time").sleep(600)
"""

PARENT = """
import sys, time
from pathlib import Path
from scoopjoy_dagster.local.processes import ChildProcesses, orderly_end
logs, mark, stubborn, family, orderly = sys.argv[1:]
def run():
    with ChildProcesses(Path(logs), grace_s=1) as children:
        child = children.start("family", [sys.executable, "-c", family, mark, stubborn])
        while "up" not in child.log.read_text():
            time.sleep(0.02)
        print("started", flush=True)
        children.watch()
if orderly == "orderly":
    with orderly_end():
        run()
else:
    run()
"""


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return f"mark-{tmp_path.name}-{os.getpid()}"


def family(mark: str, how: str = "gentle") -> list[str]:
    return [sys.executable, "-c", FAMILY, mark, how]


def wait_until_up(path: Path) -> None:
    assert eventually(lambda: "up" in path.read_text())


def test_logs_are_ours_alone_also_those_that_the_child_makes(tmp_path: Path) -> None:
    (tmp_path / "family.log").touch(0o644)
    made = tmp_path / "storage" / "step.out"
    command = f"import pathlib; p = pathlib.Path({str(made)!r}); p.parent.mkdir(); p.write_text('sold'); print('up')"
    with ChildProcesses(tmp_path) as children:
        wait_until_up(children.start("family", [sys.executable, "-c", command]).log)
    for path in (tmp_path / "family.log", made, made.parent):
        assert path.stat().st_mode & 0o077 == 0, path
    assert tmp_path.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("how", ["gentle", "stubborn"])
def test_stopping_ends_the_child_and_what_it_started(tmp_path: Path, mark: str, how: str) -> None:
    with ChildProcesses(tmp_path, grace_s=1) as children:
        wait_until_up(children.start("family", family(mark, how)).log)
        assert len(processes_with(mark)) == 2
    assert eventually(lambda: processes_with(mark) == [])


def test_what_a_dead_child_leaves_behind_is_ended_too(tmp_path: Path, mark: str) -> None:
    with ChildProcesses(tmp_path, grace_s=5) as children:
        child = children.start("family", family(mark))
        wait_until_up(child.log)
        child.process.kill()
        child.process.wait()
        assert len(processes_with(mark)) == 1
    assert eventually(lambda: processes_with(mark) == [])


@pytest.mark.parametrize("how", ["gentle", "stubborn"])
@pytest.mark.parametrize("orderly", ["orderly", "plain"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_we_are_ended(
    tmp_path: Path, mark: str, number: signal.Signals, orderly: str, how: str
) -> None:
    logs = tmp_path / "logs"
    command = [sys.executable, "-c", PARENT, str(logs), mark, how, FAMILY, orderly]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "started\n"
        assert len([line for line in processes_with(mark) if str(logs) not in line]) == 2
        parent.send_signal(number)
        parent.communicate()
    assert eventually(lambda: processes_with(mark) == [])
    assert eventually(
        lambda: [line for line in processes_with("process_guard.py") if f" {parent.pid} " in line] == []
    )
    if orderly == "orderly" and number == signal.SIGTERM:
        assert parent.returncode == 128 + signal.SIGTERM


def test_nothing_is_left_when_the_work_fails(tmp_path: Path, mark: str) -> None:
    def work() -> None:
        with ChildProcesses(tmp_path, grace_s=5) as children:
            wait_until_up(children.start("family", family(mark)).log)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert processes_with(mark) == []


def test_children_are_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path, mark: str) -> None:
    with ChildProcesses(tmp_path) as children:
        child = children.start("family", family(mark))
        assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)


def test_a_server_is_ready_when_it_answers(tmp_path: Path) -> None:
    port = free_port()
    with ChildProcesses(tmp_path) as children:
        server = children.start(
            "server",
            [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
            directory=tmp_path,
        )
        children.wait_for_http(server, f"http://127.0.0.1:{port}/")


def test_a_child_that_dies_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    dying = "print('first'); print('the port is taken'); raise SystemExit(3)"
    with ChildProcesses(tmp_path) as children:
        child = children.start("webserver", [sys.executable, "-c", dying])
        with pytest.raises(
            ProcessError, match=r"webserver ended with exit code 3.*\n  first\n  the port is taken"
        ):
            children.wait_for_http(child, f"http://127.0.0.1:{free_port()}/")


def test_waiting_for_one_child_notices_the_death_of_another(tmp_path: Path, mark: str) -> None:
    with ChildProcesses(tmp_path) as children:
        alive = children.start("webserver", family(mark))
        children.start("daemon", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
        with pytest.raises(ProcessError, match=r"daemon was ended by SIGKILL.*\n  \(its log is empty\)"):
            children.wait_for_http(alive, f"http://127.0.0.1:{free_port()}/")


def test_a_child_that_never_answers_is_given_up_at_the_deadline(tmp_path: Path, mark: str) -> None:
    with ChildProcesses(tmp_path) as children:
        child = children.start("webserver", family(mark))
        with pytest.raises(ProcessError, match=r"webserver did not answer at .* within 0\.2 s"):
            children.wait_for_http(child, f"http://127.0.0.1:{free_port()}/", deadline_s=0.2)


def test_watching_ends_when_a_child_dies(tmp_path: Path, mark: str) -> None:
    with ChildProcesses(tmp_path) as children:
        child = children.start("daemon", family(mark))

        def kill_instead_of_sleeping(_seconds: float) -> None:
            child.process.kill()
            child.process.wait()

        with pytest.raises(ProcessError, match="daemon was ended by SIGKILL"):
            children.watch(sleep=kill_instead_of_sleeping)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        ChildProcesses(tmp_path) as children,
        pytest.raises(ProcessError, match="cannot be started: /no/program"),
    ):
        children.start("webserver", ["/no/program"])


def test_children_have_the_environment_they_are_given(tmp_path: Path) -> None:
    with ChildProcesses(tmp_path) as children:
        child = children.start(
            "env", [sys.executable, "-c", "import os; print(os.environ['A'], os.getcwd())"],
            environment={"A": "given"}, directory=tmp_path,
        )  # fmt: skip
        assert child.process.wait() == 0
    assert child.log.read_text().split() == ["given", str(tmp_path)]


def test_the_guard_knows_nothing_of_our_environment(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCOOPJOY_HQ_SECRET", "sentinel")
    with ChildProcesses(tmp_path) as children:
        wait_until_up(children.start("family", family(mark)).log)
        assert children._guard is not None
        assert psutil.Process(children._guard.pid).environ() == {}


def test_stopping_is_quick_for_children_that_obey(tmp_path: Path, mark: str) -> None:
    children = ChildProcesses(tmp_path, grace_s=60)
    wait_until_up(children.start("family", family(mark)).log)
    began = time.monotonic()
    children.stop()
    assert time.monotonic() - began < 30


def test_sigterm_is_an_orderly_end_only_inside_the_context() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, orderly_end():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_free_port_can_be_used() -> None:
    assert 1024 <= free_port() <= 65535
