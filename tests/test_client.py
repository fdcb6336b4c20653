"""The client in Nuke's process: with scripted programs in the worker's place, and with the real worker."""

from __future__ import annotations

import ast
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import talk
from command import CORE, PATIENCE, strays
from rig import FIRST, write_plate, write_tracks

PLUGIN = Path(__file__).resolve().parents[1] / "nuke_plugin"
sys.path.insert(0, str(PLUGIN))

from reage_nuke import client  # noqa: E402
from reage_nuke.client import Client, ClientError, settings_path, worker_argv, worker_environment  # noqa: E402

Event = dict[str, Any]
HELLO = {"event": "hello", "product": "reage", "protocol": 1, "version": "0"}
POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")


class Scripted(Client):
    """A client of a small program; `said` is all that it handed out."""

    def __init__(self, argv: list[str], folder: Path, **more: Any) -> None:
        super().__init__(argv, str(folder / "log" / "worker.log"), **more)
        self.said: list[Event] = []

    def events(self) -> list[Event]:
        started = time.monotonic()
        events = super().events()
        assert time.monotonic() - started < 0.5, "never waits"
        self.said += events
        return events

    def until(self, there: Callable[[], object], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < end, (self.said, self.log())
            self.events()
            time.sleep(0.005)

    def last(self, number: int | None) -> Event:
        """The event that ends a request."""
        self.until(lambda: self.ends(number))
        return self.ends(number)[0]

    def ends(self, number: int | None) -> list[Event]:
        return [event for event in self.said if event.get("id") == number and event["event"] in talk.LAST]

    def log(self) -> str:
        path = self._log.path
        return path.read_text(errors="replace") if path.exists() else ""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Scripted]]:
    """Makes clients of `python -c PROGRAM`, and closes them."""
    made: list[Scripted] = []

    def make(program: str, **more: Any) -> Scripted:
        lines = f"import json, os, sys, time\nHELLO = {json.dumps(HELLO)!r}\n" + _HELP + program
        made.append(Scripted([sys.executable, "-c", lines], tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


_HELP = """
def say(text):
    sys.stdout.write(text + "\\n"); sys.stdout.flush()
def hear():
    return json.loads(sys.stdin.readline())
def answer(**event):
    say(json.dumps(event))
"""


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody waits for counts as well."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


# ---- programs that are no worker -------------------------------------------------------------------------------------


def test_a_worker_greets_answers_and_stays(started: Callable[..., Scripted]) -> None:
    one = started("say(HELLO)\nwhile True:\n    r = hear(); answer(event='done', id=r['id'], got=r['params'])")
    assert not one.alive and one.events() == []
    first, second = one.send("run", {"a": 1}), one.send("preview", {"b": "ü"})
    assert one.alive and first != second
    assert one.last(first)["got"] == {"a": 1} and one.last(second)["got"] == {"b": "ü"}
    assert one.said[0] == HELLO and one.alive
    one.close()
    one.close()
    assert not one.alive and one.events() == []


@pytest.mark.parametrize(
    ("hello", "word"),
    [
        ({"event": "hello", "product": "other", "protocol": 1}, "not Reage"),
        ({"event": "hello", "product": "reage", "protocol": 2, "version": "9.1"}, "9.1"),
        ({"event": "done", "id": 1}, "not Reage"),
    ],
)
def test_a_foreign_or_newer_program_is_told_and_ended(
    started: Callable[..., Scripted], hello: Event, word: str
) -> None:
    one = started(
        f"say({json.dumps(hello)!r}); answer(event='done', id=1)\nprint(os.getpid(), file=sys.stderr)\nhear()"
    )
    told = one.last(one.send("run", {}))
    assert (told["event"], told["code"]) == ("error", 5) and word in told["message"] and not one.alive


def test_garbage_goes_to_the_log_and_harms_nothing(started: Callable[..., Scripted]) -> None:
    one = started(
        "say('banner'); say('[1, 2]'); say('{\"event\": 3}'); say(HELLO); say('{broken')\n"
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush()\n"
        "r = hear(); answer(event='frame', id=99); answer(event='frame', id=r['id'])\n"
        "answer(event='done', id=r['id']); answer(event='done', id=r['id']); hear()"
    )
    number = one.send("run", {})
    one.last(number)
    time.sleep(0.1)
    one.events()
    assert [event["event"] for event in one.said] == ["hello", "frame", "done"]
    assert "banner" in one.log() and "{broken" in one.log()


@pytest.mark.parametrize(
    ("end", "word"), [("sys.exit(0)", "before it had done"), ("sys.exit(7)", "exit status 7"), ("1 / 0", "ZeroDiv")]
)
def test_a_worker_that_goes_without_done_has_failed_whatever_its_exit_status(
    started: Callable[..., Scripted], end: str, word: str
) -> None:
    one = started(f"say(HELLO); r = hear(); print('last words', file=sys.stderr); {end}")
    first, second = one.send("run", {}), one.send("run", {})
    for number in (first, second):
        told = one.last(number)
        assert told["event"] == "error" and told["code"] == 1
        assert word in told["message"] and "last words" in told["message"] and "\n" not in told["message"]
    assert not one.alive and "last words" in one.log()
    again = one.send("run", {})  # starts another
    assert one.alive and again > second
    assert one.last(again)["event"] == "error" and len(one.ends(first)) == 1


def test_a_program_that_cannot_be_started_is_an_event(tmp_path: Path) -> None:
    one = Scripted([str(tmp_path / "no" / "python"), "-m", "reage"], tmp_path)
    one.start()
    one.until(lambda: one.said)
    assert one.said[0]["id"] is None and one.said[0]["code"] == 5 and "install.py" in one.said[0]["message"]
    told = one.last(one.send("run", {}))
    assert told["event"] == "error" and str(tmp_path) in told["message"] and not one.alive


def test_a_worker_that_reads_nothing_does_not_stop_its_caller(started: Callable[..., Scripted]) -> None:
    one = started("say(HELLO)\ntime.sleep(60)")
    began = time.monotonic()
    for _ in range(40):
        one.send("run", {"a": "x" * 100_000})
    assert time.monotonic() - began < 2.0
    told = one.last(one.send("run", {"a": "x" * client.LONGEST}))
    assert told["code"] == 2 and "long" in told["message"]
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 3.0
    one.events()
    assert len([event for event in one.said if event["event"] == "cancelled"]) == 40


def test_much_noise_fills_no_pipe_and_the_log_is_put_aside_when_it_grows(
    started: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOG_BYTES", 200_000)
    one = started(
        "say(HELLO)\nfor i in range(3000): print('n' * 200, file=sys.stderr)\n"
        "answer(event='done', id=hear()['id']); hear()"
    )
    one.last(one.send("run", {}))
    path = one._log.path
    aside = path.with_name(path.name + ".1")
    one.until(lambda: aside.exists(), 20.0)
    assert path.stat().st_size < 300_000 and aside.stat().st_size < 300_000


# ---- cancelling ------------------------------------------------------------------------------------------------------


def test_a_polite_worker_is_asked_and_its_answer_to_the_asking_is_nobodys(started: Callable[..., Scripted]) -> None:
    one = started(
        "say(HELLO); r = hear(); c = hear(); assert c['method'] == 'cancel' and c['params'] == {'id': r['id']}\n"
        "answer(event='cancelled', id=r['id']); answer(event='done', id=c['id'])\n"
        "r = hear(); answer(event='done', id=r['id']); hear()"
    )
    number = one.send("run", {})
    one.cancel(number)
    one.cancel(number)
    assert one.last(number) == {"event": "cancelled", "id": number} and one.alive
    after = one.send("run", {})
    assert one.last(after)["event"] == "done"
    one.cancel(after)  # too late: nothing to do
    assert [event["event"] for event in one.said] == ["hello", "cancelled", "done"]


@POSIX
@pytest.mark.parametrize("stubborn", [False, True])
def test_a_hanging_worker_is_ended_with_its_children(
    started: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    monkeypatch.setattr(client, "TERMINATING", 0.3)
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " if stubborn else ""
    sleeper = f"{ignore}import time; time.sleep(60)"
    one = started(
        f"{ignore}import subprocess; say(HELLO); r = hear()\n"
        f"child = subprocess.Popen([sys.executable, '-c', {sleeper!r}]); time.sleep(0.3 if {stubborn} else 0)\n"
        "answer(event='frame', id=r['id'], pids=[os.getpid(), child.pid]); time.sleep(60)",
        patience=0.3,
    )
    number, other = one.send("run", {}), one.send("run", {})
    one.until(lambda: len(one.said) == 2)
    pids = one.said[1]["pids"]
    began = time.monotonic()
    one.cancel(number)
    assert one.last(number) == {"event": "cancelled", "id": number}
    assert 0.3 < time.monotonic() - began < 4.0
    assert one.last(other)["event"] == "error" and "cancelled" in one.last(other)["message"]
    one.until(lambda: all(gone(pid) for pid in pids), 5.0)
    assert not one.alive


@POSIX
def test_a_killed_worker_leaves_no_children_and_its_death_is_noticed_though_they_hold_its_pipe(
    started: Callable[..., Scripted],
) -> None:
    one = started(
        "import subprocess; say(HELLO); r = hear()\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "answer(event='frame', id=r['id'], pids=[os.getpid(), child.pid]); time.sleep(60)"
    )
    number = one.send("run", {})
    one.until(lambda: len(one.said) == 2)
    worker, child = one.said[1]["pids"]
    os.kill(worker, signal.SIGKILL)
    told = one.last(number)
    assert told["event"] == "error" and "killed" in told["message"] and not one.alive
    one.until(lambda: gone(child), 5.0)


def test_a_worker_without_work_is_let_go_and_another_comes_when_it_is_needed(started: Callable[..., Scripted]) -> None:
    one = started("say(HELLO)\nfor line in sys.stdin:\n    answer(event='done', id=json.loads(line)['id'])", idle=0.3)
    one.last(one.send("run", {}))
    one.until(lambda: not one.alive, 10.0)
    assert [event["event"] for event in one.said] == ["hello", "done"], "no news"
    assert one.last(one.send("run", {}))["event"] == "done"


def test_a_worker_that_says_nothing_is_given_up(
    started: Callable[..., Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GREETING", 0.3)
    one = started("time.sleep(60)")
    told = one.last(one.send("run", {}))
    assert told["code"] == 5 and "said nothing" in told["message"] and not one.alive


# ---- how it is started -----------------------------------------------------------------------------------------------


def test_the_environment_is_nukes_without_what_harms_another_python() -> None:
    base = {
        "PATH": "/p",
        "LD_LIBRARY_PATH": "/nuke",
        "OCIO": "/c.ocio",
        "PYTHONPATH": "/nuke/python",
        "PYTHONHOME": "/nuke",
        "PYTHONSTARTUP": "x",
        "PYTHONEXECUTABLE": "x",
        "__PYVENV_LAUNCHER__": "x",
        "VIRTUAL_ENV": "x",
        "CONDA_PREFIX": "x",
        "QT_PLUGIN_PATH": "x",
        "QT_QPA_PLATFORM_PLUGIN_PATH": "x",
        "LD_PRELOAD": "x",
    }
    clean = worker_environment(base)
    assert clean["PATH"] == "/p" and clean["LD_LIBRARY_PATH"] == "/nuke" and clean["OCIO"] == "/c.ocio"
    assert clean["PYTHONNOUSERSITE"] == clean["PYTHONUNBUFFERED"] == "1"
    assert clean["PYTHONSAFEPATH"] == "1", "modules of the current folder are not the engine's"
    assert {name for name in clean if name in base} == {"PATH", "LD_LIBRARY_PATH", "OCIO"}
    hatch = worker_environment({**base, "REAGE_WORKER_DROP": "LD_LIBRARY_PATH", "REAGE_WORKER_KEEP": "LD_PRELOAD"})
    assert "LD_LIBRARY_PATH" not in hatch and hatch["LD_PRELOAD"] == "x"


def test_the_python_is_found_by_variable_or_settings_file_or_it_is_said_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["-s", "-m", "reage", "worker"]
    settings = tmp_path / "conf" / "s.json"
    monkeypatch.delenv("REAGE_PYTHON", raising=False)
    monkeypatch.setenv("REAGE_CONFIG", str(settings))
    assert settings_path() == str(settings)
    with pytest.raises(ClientError, match=r"install\.py"):
        worker_argv()
    settings.parent.mkdir()
    for text in ("", "[]", "{}", '{"python": 3}', '{"python": ""}', '{"python": "/no/such/python"}', "\x00"):
        settings.write_text(text)
        with pytest.raises(ClientError, match=r"install\.py"):
            worker_argv()
    settings.write_text(json.dumps({"python": sys.executable, "root": "/x"}))
    assert worker_argv() == [sys.executable, *words] == worker_argv(str(settings))
    settings.unlink()
    monkeypatch.setenv("REAGE_PYTHON", sys.executable)
    assert worker_argv() == [sys.executable, *words]
    monkeypatch.setenv("REAGE_PYTHON", "/no/such/python")
    with pytest.raises(ClientError, match="REAGE_PYTHON"):
        worker_argv()
    monkeypatch.delenv("REAGE_CONFIG")
    assert settings_path() == str(Path.home() / ".reage" / "settings.json")


def test_the_client_is_python_3_9_and_the_standard_library_alone() -> None:
    tree = ast.parse(Path(client.__file__).read_text(encoding="utf-8"), feature_version=(3, 9))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {str(name).partition(".")[0] for name in names} <= sys.stdlib_module_names


# ---- the real worker -------------------------------------------------------------------------------------------------

FRAMES = range(FIRST, FIRST + 6)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shot")
    plate = write_plate(folder / "plate", FRAMES)
    return {
        "plate": plate,
        "tracks": str(write_tracks(folder / "t.json", FRAMES)),
        "model": "tiny",
        "store": str(talk.tiny_store(folder)),
    }


@pytest.fixture(scope="module")
def real(shot: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    """A client of `python -s -m reage worker`, in a host whose own modules would break any other Python."""
    folder = tmp_path_factory.mktemp("real")
    poison = folder / "poison"
    poison.mkdir()
    for name in ("json", "numpy", "click", "reage", "sitecustomize"):
        (poison / f"{name}.py").write_text("raise ImportError('of the host')")
    base = {**os.environ, "PYTHONPATH": str(poison), "PYTHONHOME": "/no/such", "REAGE_MODELS": shot["store"]}
    environment = worker_environment({**base, "OMP_NUM_THREADS": "1"})
    # Where the package is not installed into the tests' Python, it is found where it lies.
    start = f"import sys; sys.path.insert(0, {str(CORE)!r}); sys.argv = ['reage', 'worker']; "
    argv = [sys.executable, "-s", "-c", start + "from reage.__main__ import main; main()"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(poison)  # where Nuke was started
        one = Scripted(argv, folder, env=environment)
        yield one
        one.close()


def job_of(shot: dict[str, str], folder: Path, **more: Any) -> Event:
    fields = {name: value for name, value in shot.items() if name != "store"}
    return {**fields, "output": str(folder / "a.%04d.exr"), "age": 70, **more}


def test_hello_comes_within_a_second_or_so(real: Scripted) -> None:
    began = time.monotonic()
    real.start()
    assert time.monotonic() - began < 0.2
    real.until(lambda: real.said)
    assert real.said[0]["event"] == "hello" and time.monotonic() - began < 10.0  # 0.5 s on a machine that is idle


def test_what_the_worker_says_the_client_understands(real: Scripted, shot: dict[str, str], tmp_path: Path) -> None:
    number = real.send("render", job_of(shot, tmp_path))
    assert real.last(number)["event"] == "done"
    told = [event for event in real.said if event.get("id") == number]
    assert [event["frame"] for event in told if event["event"] == "frame"] == list(FRAMES)
    assert {"tracks", "stage", "frame", "progress", "done"} <= {event["event"] for event in told}
    shown = real.last(real.send("preview", {**job_of(shot, tmp_path), "frame": FIRST + 2}))
    assert shown["locked"] is True and Path(shown["path"]).is_file() and Path(shown["before"]).is_file()
    told = real.last(real.send("render", job_of(shot, tmp_path, strength=7)))
    assert (told["event"], told["code"]) == ("error", 2) and "strength" in told["message"]
    told = real.last(real.send("fly", {}))
    assert (told["event"], told["code"]) == ("error", 2)


def test_the_real_worker_cancels_mid_shot_and_stays_warm(real: Scripted, shot: dict[str, str], tmp_path: Path) -> None:
    real.start()
    number = real.send(
        "render",
        job_of(shot, tmp_path, ages=[10, 20, 30, 40, 50, 60, 70], age=None)
        | {"output": str(tmp_path / "a{age}.%04d.exr")},
    )
    waiting = real.send("render", job_of(shot, tmp_path / "never"))
    real.until(lambda: any(e["event"] == "frame" and e["id"] == number for e in real.said))
    real.cancel(number)
    real.cancel(waiting)
    assert {real.last(number)["event"], real.last(waiting)["event"]} == {"cancelled"}
    assert real.alive and strays(tmp_path) == [] and not (tmp_path / "never").exists()
    assert real.last(real.send("faces", job_of(shot, tmp_path)))["event"] == "done"


@POSIX
def test_a_real_worker_that_was_killed_is_told_and_the_next_request_has_another(
    real: Scripted, shot: dict[str, str], tmp_path: Path
) -> None:
    real.start()
    hellos = [event for event in real.said if event["event"] == "hello"]
    if not hellos:
        real.until(lambda: real.said)
    pid = [event for event in real.said if event["event"] == "hello"][-1]["pid"]
    number = real.send("render", job_of(shot, tmp_path))
    os.kill(pid, signal.SIGKILL)
    told = real.last(number)
    assert told["event"] == "error" and "killed" in told["message"] and not real.alive
    done = real.last(real.send("render", job_of(shot, tmp_path)))
    assert done["event"] == "done" and sum(done["states"].values()) == len(FRAMES)


def test_closing_ends_the_real_worker_soon(real: Scripted) -> None:
    real.start()
    real.until(lambda: [event for event in real.said if event["event"] == "hello"])
    pid = [event for event in real.said if event["event"] == "hello"][-1]["pid"]
    began = time.monotonic()
    real.close()
    assert time.monotonic() - began < 2.5 and not real.alive
    if os.name != "nt":
        assert gone(pid)
