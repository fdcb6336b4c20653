from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from installer import FILE, ROOT, Commands, interpreter, loaded, recorded


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded(tmp_path / "checkout", monkeypatch)


@pytest.fixture
def steps(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return recorded(install, monkeypatch)


# ---- what it is written in -----------------------------------------------------------------------------------------


def test_it_is_python_3_9_and_imports_the_standard_library_alone() -> None:
    tree = ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, 9))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]


def test_annotations_are_not_evaluated_so_that_3_9_can_read_their_unions() -> None:
    assert "from __future__ import annotations" in FILE.read_text(encoding="utf-8")


def _pins(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_pins_every_line(name: str) -> None:
    lines = _pins(name)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", line) for line in lines)
    assert lines == sorted(lines, key=str.lower)


def test_torch_is_pinned_without_a_local_tag() -> None:
    assert "torch==2.13.0" in _pins("requirements.lock")


def test_no_package_is_in_both_locks() -> None:
    names = [line.split("==")[0].lower() for line in _pins("requirements.lock") + _pins("requirements-test.lock")]
    assert len(names) == len(set(names))


def test_the_lock_holds_every_package_that_the_project_asks_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]

    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    asked = {
        "requirements.lock": project["dependencies"] + extras["dev"],
        "requirements-test.lock": extras["test"],
    }
    for lock, wanted in asked.items():
        locked = {normal(line.split("==")[0]) for line in _pins(lock)}
        assert {normal(re.split(r"[<>=]", entry)[0]) for entry in wanted} <= locked


# ---- the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "command", "torch", "rest"),
    [
        ("env", "env", None, []),
        ("env --torch cpu", "env", "cpu", []),
        ("--torch=cuda test -k colour", "test", "cuda", ["-k", "colour"]),
        ("test tests/test_job.py -x --torch cpu -q", "test", "cpu", ["tests/test_job.py", "-x", "-q"]),
        ("demo -o somewhere", "demo", None, ["-o", "somewhere"]),
        ("test -- --torch cpu", "test", None, ["--torch", "cpu"]),
        ("test --tor", "test", None, ["--tor"]),
        ("demo --dry-run", "demo", None, ["--dry-run"]),
        ("doctor --json", "doctor", None, ["--json"]),
        ("", None, None, []),
        ("--torch cpu --dry-run", None, "cpu", []),
    ],
)
def test_what_is_not_ours_goes_on_in_its_order(
    install: ModuleType, line: str, command: str | None, torch: str | None, rest: list[str]
) -> None:
    options, others = install.parse(line.split())
    assert (options.command, options.torch, others) == (command, torch, rest)


def test_an_unknown_option_of_the_install_is_refused(install: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        install.main(["--unistall"])
    assert caught.value.code == 2
    assert "--unistall" in capsys.readouterr().err


def test_the_help_names_every_command_and_option(install: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        install.main(["test", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    options = ("--torch", "--venv", "--wheelhouse", "--nuke-dir", "--dry-run", "--uninstall", "--print-env")
    assert [word for word in (*install.COMMANDS, *options) if word not in text] == []


def test_env_refuses_what_it_does_not_know(install: ModuleType, steps: Commands) -> None:
    with pytest.raises(install.InstallError, match="--tourch cpu"):
        install.main(["env", "--tourch", "cpu"])


def test_the_last_line_of_env_is_its_python(
    install: ModuleType, steps: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install.main(["env"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(install.environment_python(install.ENVIRONMENT))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("demo", ["reage", "demo", "-o", "demo_output"]),
        ("demo --output=x", ["reage", "demo", "--output=x"]),
        ("test -x", ["pytest", "-x"]),
    ],
)
def test_demo_and_test_run_in_the_environment_and_answer_its_status(
    install: ModuleType, steps: Commands, monkeypatch: pytest.MonkeyPatch, line: str, expected: list[str]
) -> None:
    ran: Commands = []

    def call(command: list[str], cwd: str, env: dict[str, str]) -> int:
        ran.append(command)
        return -15

    monkeypatch.setattr(install.subprocess, "call", call)
    assert install.main(line.split()) == 143
    assert ran == [[str(install.environment_python(install.ENVIRONMENT)), "-m", *expected]]


def test_the_tests_get_packages_of_their_own_once(
    install: ModuleType, steps: Commands, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install.subprocess, "call", lambda *_, **__: 0)
    install.main(["env"])
    assert not [command for command in steps if str(install.TEST_LOCK) in command]
    install.main(["test"])
    assert steps[-1][-3:] == ["--no-deps", "-r", str(install.TEST_LOCK)]
    steps.clear()
    capsys.readouterr()
    install.main(["test"])
    assert steps == []
    assert "nothing to do" in capsys.readouterr().out


def test_test_packages_that_were_interrupted_are_installed_over(
    install: ModuleType, steps: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.main(["env"])

    def failing(command: list[str], failure: str) -> None:
        raise install.InstallError(failure)

    with monkeypatch.context() as patch:
        patch.setattr(install, "step", failing)
        with pytest.raises(install.InstallError, match="packages of the tests"):
            install.ensure_test_packages(install.ENVIRONMENT)
    install.ensure_test_packages(install.ENVIRONMENT)
    assert "--force-reinstall" in steps[-1]


def test_an_environment_that_is_made_anew_gets_its_test_packages_again(install: ModuleType, steps: Commands) -> None:
    install.ensure_environment("auto")
    install.ensure_test_packages(install.ENVIRONMENT)
    _lock_changed(install)
    install.ensure_environment("auto")
    steps.clear()
    install.ensure_test_packages(install.ENVIRONMENT)
    assert len(steps) == 1
    assert "--force-reinstall" not in steps[0]


# ---- the stamp -----------------------------------------------------------------------------------------------------


def test_a_second_run_does_nothing_and_says_so(
    install: ModuleType, steps: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    install.ensure_environment(None)
    assert [command[2] for command in steps] == ["venv", "pip", "pip"]
    capsys.readouterr()
    steps.clear()
    install.ensure_environment("auto")
    assert steps == []
    assert "nothing to do" in capsys.readouterr().out


def test_the_packages_come_from_the_lock_and_reage_comes_without_any(install: ModuleType, steps: Commands) -> None:
    install.ensure_environment("cpu")
    _, packages, reage = steps
    assert packages[-4:] == ["-r", str(install.LOCK), "--extra-index-url", "https://download.pytorch.org/whl/cpu"]
    assert "--no-deps" in reage
    assert reage[-2:] == ["-e", str(install.ROOT)]


def test_a_wheel_named_from_another_folder_is_the_same_wheel(
    install: ModuleType, steps: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.whl").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    install.ensure_environment("torch.whl")
    assert steps[1][-1] == str(tmp_path / "torch.whl")
    monkeypatch.chdir("/")
    steps.clear()
    install.ensure_environment(None)
    assert steps == []


def _lock_changed(install: ModuleType) -> None:
    install.LOCK.write_text("torch==2.14.0\n")


def _python_gone(install: ModuleType) -> None:
    install.environment_python(install.ENVIRONMENT).unlink()


def _stamp_torn(install: ModuleType) -> None:
    (install.ENVIRONMENT / install.STAMP).write_text('{"packages":')


def _checkout_moved(install: ModuleType) -> None:
    stamp = install.ENVIRONMENT / install.STAMP
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "root": "/elsewhere"}))


@pytest.mark.parametrize("change", [_lock_changed, _python_gone, _stamp_torn, _checkout_moved])
def test_an_environment_that_does_not_fit_any_more_is_made_anew(
    install: ModuleType, steps: Commands, change: Callable[[ModuleType], None]
) -> None:
    install.ensure_environment("auto")
    steps.clear()
    change(install)
    install.ensure_environment("auto")
    assert steps[0][1:] == ["-m", "venv", "--clear", str(install.ENVIRONMENT)]


def test_a_torch_that_was_chosen_stays_until_another_is(install: ModuleType, steps: Commands) -> None:
    install.ensure_environment("cuda")
    steps.clear()
    install.ensure_environment(None)
    assert steps == []
    _lock_changed(install)
    install.ensure_environment(None)
    assert steps[1][-1] == install.INDEXES["cuda"]
    steps.clear()
    install.ensure_environment("auto")
    assert steps[1][-1] == str(install.LOCK)


def test_an_interrupted_installation_leaves_no_stamp_and_is_repaired(
    install: ModuleType, steps: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.ensure_environment("auto")
    whole = install.step

    def interrupted(command: list[str], failure: str) -> None:
        whole(command, failure)
        if command[2] == "pip":
            raise KeyboardInterrupt

    _lock_changed(install)
    monkeypatch.setattr(install, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install.ensure_environment("auto")
    assert install.read_stamp(install.ENVIRONMENT) is None
    monkeypatch.setattr(install, "step", whole)
    steps.clear()
    install.ensure_environment("auto")
    assert len(steps) == 3


def test_a_folder_that_is_no_environment_is_not_cleared(install: ModuleType, steps: Commands) -> None:
    install.ENVIRONMENT.mkdir()
    (install.ENVIRONMENT / "precious").write_text("work")
    with pytest.raises(install.InstallError, match="in the way"):
        install.ensure_environment("auto")
    assert steps == []


def test_an_environment_elsewhere_that_is_not_ours_is_not_cleared(
    install: ModuleType, steps: Commands, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "pyvenv.cfg").write_text("")
    with pytest.raises(install.InstallError, match="not a Python environment of Reage"):
        install.main(["env", "--venv", str(tmp_path / "theirs")])
    assert steps == []


def test_an_environment_elsewhere_that_was_interrupted_is_made_anew(
    install: ModuleType, steps: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = install.step

    def interrupted(command: list[str], failure: str) -> None:
        whole(command, failure)
        if command[2] == "pip":
            raise KeyboardInterrupt

    monkeypatch.setattr(install, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install.main(["env", "--venv", str(tmp_path / "far")])
    monkeypatch.setattr(install, "step", whole)
    assert install.main(["env", "--venv", str(tmp_path / "far")]) == 0
    assert install.read_stamp(tmp_path / "far") is not None
    assert not install.ENVIRONMENT.exists()


def test_a_disk_without_room_is_told_before_anything_is_made(
    install: ModuleType, steps: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "ROOM", 10**30)
    with pytest.raises(install.InstallError, match=r"room .* --venv"):
        install.main(["env"])
    assert steps == []
    assert not install.ENVIRONMENT.exists()


def test_a_checkout_that_cannot_be_written_is_told_with_the_way_out(
    install: ModuleType, steps: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install.os, "access", lambda *_: False)
    with pytest.raises(install.InstallError, match=r"cannot be written by this user.* --venv"):
        install.main(["env"])
    assert steps == []


def test_a_wheelhouse_is_the_only_source(install: ModuleType, steps: Commands, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "torch.whl").write_bytes(b"")
    source = ["--no-index", "--find-links", str(tmp_path / "wheels")]
    install.ensure_environment(None, wheelhouse=str(tmp_path / "wheels"))
    assert steps[1][-5:] == ["-r", str(install.LOCK), *source]
    install.ensure_test_packages(install.ENVIRONMENT, str(tmp_path / "wheels"))
    assert steps[-1][-5:] == ["-r", str(install.TEST_LOCK), *source]


@pytest.mark.parametrize(("torch", "word"), [("cuda", "needs a network"), ("https://a.b/whl", "needs a network")])
def test_a_wheelhouse_and_an_index_contradict_each_other(
    install: ModuleType, steps: Commands, tmp_path: Path, torch: str, word: str
) -> None:
    (tmp_path / "torch.whl").write_bytes(b"")
    with pytest.raises(install.InstallError, match=word):
        install.main(["env", "--torch", torch, "--wheelhouse", str(tmp_path)])


def test_a_wheelhouse_without_wheels_is_refused(install: ModuleType, steps: Commands, tmp_path: Path) -> None:
    with pytest.raises(install.InstallError, match="no folder with wheels"):
        install.main(["env", "--wheelhouse", str(tmp_path / "nowhere")])


# ---- finding things ------------------------------------------------------------------------------------------------


def _machine(install: ModuleType, monkeypatch: pytest.MonkeyPatch, pythons: dict[str, Any]) -> None:
    """A machine on which just these commands start; each answers what PROBE prints, or None where it is broken."""
    monkeypatch.setattr(install.shutil, "which", lambda name: f"/bin/{name}" if name in pythons else None)
    monkeypatch.setattr(install, "probe", lambda command: pythons.get(Path(command[0]).name))
    monkeypatch.setattr(install, "executable", lambda command: command[0])
    monkeypatch.setattr(install.sys, "executable", "/bin/current")


@pytest.mark.parametrize(
    ("pythons", "expected"),
    [
        ({"python3.13": [3, 13, True, "3.13.1"], "python3.11": [3, 11, True, "3.11.7"]}, "/bin/python3.11"),
        ({"python3.11": None, "python3.12": [3, 12, True, "3.12.0"]}, "/bin/python3.12"),  # a shim of nothing
        ({"python3.11": [3, 11, False, "3.11.7"], "python3.13": [3, 13, True, "3.13.0"]}, "/bin/python3.13"),
        ({"current": [*sys.version_info[:2], True, "x"]}, "/bin/current"),
    ],
)
def test_the_first_python_that_works_is_taken(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, pythons: dict[str, Any], expected: str
) -> None:
    _machine(install, monkeypatch, pythons)
    monkeypatch.setattr(install.Path, "is_file", lambda path: False)  # none beside PATH
    assert install.find_python() == expected


def test_no_fit_python_is_an_error_that_says_which_to_install(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(install, monkeypatch, {"python3": [3, 10, True, "3.10.1"]})
    with pytest.raises(install.InstallError, match=r"3\.11 or 3\.12 or 3\.13"):
        install.find_python()


def test_a_real_python_is_probed(install: ModuleType) -> None:
    assert install.probe([sys.executable])[:2] == list(sys.version_info[:2])
    assert install.probe(["/nowhere/python3.11"]) is None
    assert install.works(Path(sys.executable))


def test_torch_comes_from_a_wheel_a_folder_or_an_index(install: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"")
    assert install.torch_source("auto") == []
    assert install.torch_source(str(wheel)) == [str(wheel)]
    assert install.torch_source(str(tmp_path)) == ["--find-links", str(tmp_path)]
    assert install.torch_source("https://mirror/whl") == ["--extra-index-url", "https://mirror/whl"]
    with pytest.raises(install.InstallError, match="cuda12"):
        install.torch_source("cuda12")


def test_a_gpu_that_torch_cannot_use_is_told_with_the_command_that_mends_it(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "ask", lambda command, seconds=0.0: '["2.13.0+cpu", null, null]')
    monkeypatch.setattr(install, "gpu_name", lambda: "NVIDIA A10")
    line = install.device_line(Path("python"))
    assert "NVIDIA A10" in line
    assert line.endswith("python3 install.py env --torch cuda")


# ---- steps that fail -----------------------------------------------------------------------------------------------


def test_a_network_that_is_not_there_is_one_clear_line(install: ModuleType) -> None:
    pip = "import sys; print('WARNING: Retrying: NewConnectionError'); print('ERROR: No matching'); sys.exit(1)"
    with pytest.raises(install.InstallError) as caught:
        install.step([sys.executable, "-c", pip], "the packages cannot be installed")
    assert "network" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_another_failure_hands_on_pips_last_error(install: ModuleType) -> None:
    pip = "import sys; print('ERROR: No matching distribution for dlib-bin'); print('bye'); sys.exit(1)"
    with pytest.raises(install.InstallError, match="No matching distribution for dlib-bin"):
        install.step([sys.executable, "-c", pip], "the packages cannot be installed")


def test_a_package_that_cannot_be_built_is_told_by_its_cause(install: ModuleType) -> None:
    lines = [
        "  error: subprocess-exited-with-error",
        "      ERROR: No matching distribution found for setuptools>=40.8.0",
        "  note: This error originates from a subprocess, and is likely not a problem with pip.",
    ]
    assert install.reason(lines).startswith("ERROR: No matching distribution found for setuptools>=40.8.0;")


def test_the_callers_python_settings_do_not_leak_into_the_environment(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/opt/nuke/site-packages")
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    kept = install.clean_environment()
    assert "PYTHONPATH" not in kept
    assert "PIP_TARGET" not in kept
    assert kept["PATH"] == os.environ["PATH"]


def test_an_error_ends_in_one_line_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, str(FILE), "env", "--torch", "no-such-thing"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("install.py: --torch no-such-thing")
    assert len(done.stderr.splitlines()) == 1


# ---- an old Python ---------------------------------------------------------------------------------------------------


def test_an_old_python_is_told_to_its_face(install: ModuleType) -> None:
    with pytest.raises(install.InstallError, match=r"Python 3\.8 is too old .* 3\.9 or later"):
        install.check_version((3, 8, 18))
    install.check_version((3, 9, 0))


@pytest.mark.parametrize("version", ["3.6", "3.8"])
def test_a_real_old_python_says_what_it_needs_and_does_nothing(version: str) -> None:
    done = subprocess.run([interpreter(version), str(FILE), "env"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Python 3.9 or later" in done.stderr
    assert done.stdout == ""


def test_it_runs_on_python_3_9() -> None:
    done = subprocess.run([interpreter("3.9"), str(FILE), "--print-env"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("NUKE_PATH=")
