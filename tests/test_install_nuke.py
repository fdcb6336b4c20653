from __future__ import annotations

import ast
import errno
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from installer import FILE, Commands, interpreter, loaded, recorded

Folder = dict[str, bytes]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is nobody's."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    for name in ("REAGE_CONFIG", "SUDO_UID", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def install(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return loaded(tmp_path / "checkout", monkeypatch)


@pytest.fixture
def steps(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Commands:
    return recorded(install, monkeypatch)


def everything(folder: Path) -> Folder:
    """Every file and folder below a folder, with its content."""
    return {
        str(path.relative_to(folder)): b"(folder)" if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.exists()
    }


def prepared(home: Path, content: bytes) -> Path:
    """An init.py that somebody has written already, and something beside it."""
    (home / ".nuke").mkdir()
    (home / ".nuke" / "menu.py").write_bytes(b"# mine\n")
    (home / ".nuke" / "init.py").write_bytes(content)
    return home / ".nuke" / "init.py"


# ---- install and uninstall -------------------------------------------------------------------------------------------

CONTENTS = [
    b"",
    b"import os\n",
    b"import os",
    b"\n\n\n",
    b"import os\r\nprint(1)\r\n",
    b"import os\r\nprint(1)",
    "\ufeff# grüße\n".encode(),
    b"a = 1\n\x0c\nb = 2\n# no mark: >>> reage >>>\n",
]


@pytest.mark.parametrize("content", CONTENTS)
def test_install_and_uninstall_leave_a_prepared_nuke_folder_byte_for_byte(
    install: ModuleType, steps: Commands, home: Path, content: bytes
) -> None:
    prepared(home, content)
    before = everything(home)
    assert install.main([]) == 0
    assert everything(home) != before
    assert install.main(["--uninstall"]) == 0
    assert everything(home) == before


def test_where_there_was_no_init_py_none_is_left(install: ModuleType, steps: Commands, home: Path) -> None:
    (home / ".nuke").mkdir()
    install.main([])
    install.main(["--uninstall"])
    assert everything(home) == {".nuke": b"(folder)"}


def test_where_there_was_no_nuke_folder_none_is_left(install: ModuleType, steps: Commands, home: Path) -> None:
    install.main([])
    install.main(["--uninstall"])
    assert everything(home) == {}


def _functions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_functions", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUNCTIONS = _functions()
"""For what needs no checkout."""


@given(
    lines=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8), max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_any_init_py_comes_back_byte_for_byte(lines: list[str], end: str, last: bool) -> None:
    content = (end.join(lines) + (end if last else "")).encode()
    with_block = FUNCTIONS.with_block(content, "/x/nuke_plugin", Path("init.py"))
    assert FUNCTIONS.without_block(with_block, Path("init.py")) == content
    assert FUNCTIONS.with_block(with_block, "/x/nuke_plugin", Path("init.py")) == with_block


def test_the_block_has_the_line_ends_of_its_file(install: ModuleType, steps: Commands, home: Path) -> None:
    init = prepared(home, b"import os\r\n")
    install.main([])
    assert init.read_bytes().count(b"\n") == init.read_bytes().count(b"\r\n")


def test_a_second_install_changes_nothing_and_says_so(
    install: ModuleType, steps: Commands, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init = prepared(home, b"import os")
    install.main([])
    first, times = everything(home), init.stat().st_mtime_ns
    steps.clear()
    capsys.readouterr()
    assert install.main([]) == 0
    assert everything(home) == first
    assert init.stat().st_mtime_ns == times
    assert steps == []
    assert capsys.readouterr().out.count("nothing to do") == 2


def test_the_init_py_is_kept_as_it_was_beside_it(install: ModuleType, steps: Commands, home: Path) -> None:
    init = prepared(home, b"import os")
    install.main([])
    assert init.with_name("init.py.before-reage").read_bytes() == b"import os"


def test_what_was_written_after_the_install_stays(install: ModuleType, steps: Commands, home: Path) -> None:
    init = prepared(home, b"import os")
    install.main([])
    init.write_bytes(init.read_bytes() + b"import sys\n")
    install.main([])
    install.main(["--uninstall"])
    assert init.read_bytes() == b"import os\nimport sys\n"
    assert init.with_name("init.py.before-reage").read_bytes() == b"import os"  # differs, so it is kept


def test_an_init_py_that_got_other_lines_since_is_not_removed_with_the_block(
    install: ModuleType, steps: Commands, home: Path
) -> None:
    install.main([])
    init = home / ".nuke" / "init.py"
    init.write_bytes(b"import os\n" + init.read_bytes())
    install.main(["--uninstall"])
    assert init.read_bytes() == b"import os\n"


def test_another_checkout_takes_the_place_of_the_first(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = prepared(home, b"import os")
    before = everything(home)
    install.main([])
    other = loaded(tmp_path / "other", monkeypatch)
    recorded(other, monkeypatch)
    other.main([])
    assert init.read_text().count("pluginAddPath") == 1
    assert (tmp_path / "other" / "nuke_plugin").as_posix() in init.read_text()
    assert settings(home)["root"] == str(tmp_path / "other")
    other.main(["--uninstall"])
    assert everything(home) == before


def test_uninstall_without_an_install_does_nothing_and_says_so(
    install: ModuleType, steps: Commands, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(home, b"import os")
    before = everything(home)
    assert install.main(["--uninstall"]) == 0
    assert everything(home) == before
    assert "nothing to do" in capsys.readouterr().out


def test_the_rights_of_init_py_stay(install: ModuleType, steps: Commands, home: Path) -> None:
    init = prepared(home, b"import os")
    init.chmod(0o640)
    install.main([])
    assert init.stat().st_mode & 0o777 == 0o640


def test_a_linked_init_py_stays_a_link_and_its_file_gets_the_block(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path
) -> None:
    (home / ".nuke").mkdir()
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "init.py"
    real.write_bytes(b"import os\n")
    (home / ".nuke" / "init.py").symlink_to(real)
    install.main([])
    assert (home / ".nuke" / "init.py").is_symlink()
    assert b"pluginAddPath" in real.read_bytes()
    install.main(["--uninstall"])
    assert (home / ".nuke" / "init.py").is_symlink()
    assert everything(tmp_path / "dotfiles") == {"init.py": b"import os\n"}


def test_another_nuke_folder_is_used_and_the_usual_one_left_alone(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path
) -> None:
    prepared(home, b"import os")
    install.main(["--nuke-dir", str(tmp_path / "show")])
    assert (home / ".nuke" / "init.py").read_bytes() == b"import os"
    assert b"pluginAddPath" in (tmp_path / "show" / "init.py").read_bytes()
    install.main(["--uninstall", "--nuke-dir", str(tmp_path / "show")])
    assert not (tmp_path / "show").exists()


# ---- what the block does in Nuke -------------------------------------------------------------------------------------


def start_nuke(init: Path, major: int = 16, broken: BaseException | None = None) -> list[str]:
    """Run an init.py as Nuke does, with a `nuke` that notes the paths it is given."""
    paths: list[str] = []

    def add(path: str) -> None:
        if broken is not None:
            raise broken
        paths.append(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "nuke", SimpleNamespace(pluginAddPath=add, NUKE_VERSION_MAJOR=major))
        exec(compile(init.read_bytes(), str(init), "exec"), {})
    return paths


def test_nuke_gets_the_plugins_folder_with_forward_slashes(install: ModuleType, steps: Commands, home: Path) -> None:
    install.main([])
    assert start_nuke(home / ".nuke" / "init.py") == [f"{install.ROOT.as_posix()}/nuke_plugin"]


@pytest.mark.parametrize("broken", [RuntimeError("gone"), SystemExit(1), KeyboardInterrupt(), SyntaxError("old")])
def test_nothing_that_breaks_in_the_plugin_stops_nuke(
    install: ModuleType, steps: Commands, home: Path, broken: BaseException, capsys: pytest.CaptureFixture[str]
) -> None:
    install.main([])
    assert start_nuke(home / ".nuke" / "init.py", broken=broken) == []
    assert type(broken).__name__ in capsys.readouterr().err


def test_a_nuke_that_is_too_old_for_the_plugin_is_left_in_peace(
    install: ModuleType, steps: Commands, home: Path
) -> None:
    install.main([])
    assert start_nuke(home / ".nuke" / "init.py", major=13) == []
    assert start_nuke(home / ".nuke" / "init.py", major=14) != []


def test_the_block_is_ascii_whatever_the_path(install: ModuleType) -> None:
    text = install.block("C:/Käse/it's/nuke_plugin", install.PLAIN, "\n")
    assert text.isascii()
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    assert "C:/Käse/it's/nuke_plugin" in constants


def test_the_block_is_python_2_as_well() -> None:
    """Nuke 12 reads the same init.py with Python 2.7: an error of syntax would take the user's lines with it."""
    text = FUNCTIONS.block("/x", FUNCTIONS.PLAIN, "\n")
    done = subprocess.run([interpreter("2.7"), "-"], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "No module named nuke" in done.stderr


# ---- what the plug-in reads ------------------------------------------------------------------------------------------


def settings(home: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((home / ".reage" / "settings.json").read_text(encoding="utf-8"))
    return found


def test_the_settings_tell_the_environments_python_the_checkout_and_the_version(
    install: ModuleType, steps: Commands, home: Path
) -> None:
    install.main([])
    python = str(install.environment_python(install.ENVIRONMENT))
    assert settings(home) == {"python": python, "root": str(install.ROOT), "version": "1.2.3"}


def test_what_else_is_in_the_settings_stays(install: ModuleType, steps: Commands, home: Path) -> None:
    (home / ".reage").mkdir()
    (home / ".reage" / "settings.json").write_text('{"device": "cuda:1", "version": "0.0.1"}')
    install.main([])
    assert settings(home)["device"] == "cuda:1"
    assert settings(home)["version"] == "1.2.3"


def test_the_settings_go_where_reage_config_says(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REAGE_CONFIG", str(tmp_path / "conf" / "reage.json"))
    install.main([])
    assert json.loads((tmp_path / "conf" / "reage.json").read_text())["root"] == str(install.ROOT)
    assert not (home / ".reage").exists()
    install.main(["--uninstall"])
    assert everything(tmp_path / "conf") == {}


def test_an_environment_that_was_chosen_stays_until_another_is(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path
) -> None:
    install.main(["--venv", str(tmp_path / "local")])
    assert settings(home)["python"] == str(install.environment_python(tmp_path / "local"))
    steps.clear()
    install.main([])
    assert steps == []
    assert settings(home)["python"] == str(install.environment_python(tmp_path / "local"))
    assert not install.ENVIRONMENT.exists()


def test_a_python_that_somebody_wrote_into_the_settings_is_not_taken_for_ours(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path
) -> None:
    theirs = install.environment_python(tmp_path / "theirs")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("")
    (home / ".reage").mkdir()
    (home / ".reage" / "settings.json").write_text(json.dumps({"python": str(theirs), "root": str(install.ROOT)}))
    install.main([])
    assert settings(home)["python"] == str(install.environment_python(install.ENVIRONMENT))


# ---- --print-env, --dry-run, doctor ----------------------------------------------------------------------------------


def test_print_env_prints_two_variables_and_touches_nothing(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = everything(tmp_path)
    assert install.main(["--print-env"]) == 0
    told = capsys.readouterr()
    python = install.environment_python(install.ENVIRONMENT)
    assert told.out.splitlines() == [f"NUKE_PATH={install.ROOT.as_posix()}/nuke_plugin", f"REAGE_PYTHON={python}"]
    assert "install.py env" in told.err  # nothing is there yet
    assert everything(tmp_path) == before
    assert steps == []


def test_a_dry_run_says_each_step_and_changes_nothing(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init = prepared(home, b"import os")
    before = everything(tmp_path)
    assert install.main(["--dry-run"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert everything(tmp_path) == before
    assert steps == []
    assert all(line.startswith("would ") for line in told)
    for thing in (install.ENVIRONMENT, home / ".reage" / "settings.json", init, f"{init}.before-reage"):
        assert any(str(thing) in line for line in told), thing


def test_a_dry_uninstall_says_each_step_and_changes_nothing(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(home, b"import os")
    install.main([])
    before = everything(tmp_path)
    capsys.readouterr()
    install.main(["--uninstall", "--dry-run"])
    assert everything(tmp_path) == before
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_a_dry_run_refuses_what_the_install_would_refuse(install: ModuleType, steps: Commands, home: Path) -> None:
    (home / ".nuke").write_text("a file")
    with pytest.raises(install.InstallError, match="is a file and not a folder"):
        install.main(["--dry-run"])


def test_the_environment_stays_unless_it_is_asked_for(install: ModuleType, steps: Commands, home: Path) -> None:
    install.main([])
    install.main(["--uninstall"])
    assert install.ENVIRONMENT.is_dir()
    install.main(["--uninstall", "--venv-too"])
    assert not install.ENVIRONMENT.exists()


def test_an_environment_of_another_checkout_is_not_removed(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    install.main([])
    before = everything(home)
    with pytest.raises(install.InstallError, match="not made from this checkout"):
        install.main(["--uninstall", "--venv-too", "--venv", str(tmp_path / "theirs")])
    assert everything(home) == before
    with pytest.raises(install.InstallError, match="goes with --uninstall"):
        install.main(["--venv-too"])


def test_doctor_runs_in_the_environment_that_was_installed_with(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: Commands = []

    def call(command: list[str], **_: object) -> int:
        ran.append(command)
        return 0

    monkeypatch.setattr(install.subprocess, "call", call)
    install.main(["--venv", str(tmp_path / "local")])
    assert install.main(["doctor", "--json"]) == 0
    assert ran == [[str(install.environment_python(tmp_path / "local")), "-m", "reage", "doctor", "--json"]]


def test_doctor_without_an_environment_says_how_to_make_one(install: ModuleType, steps: Commands, home: Path) -> None:
    with pytest.raises(install.InstallError, match=r"install\.py env"):
        install.main(["doctor"])
    assert steps == []


# ---- refusals --------------------------------------------------------------------------------------------------------


def _file_in_the_way(home: Path) -> None:
    (home / ".nuke").write_text("a file")


def _not_utf_8(home: Path) -> None:
    prepared(home, "# grüße\n".encode("latin-1"))


def _dangling_link(home: Path) -> None:
    (home / ".nuke").mkdir()
    (home / ".nuke" / "init.py").symlink_to(home / "gone.py")


def _dangling_folder(home: Path) -> None:
    (home / ".nuke").symlink_to(home / "unmounted")


def _folder_for_a_file(home: Path) -> None:
    (home / ".nuke" / "init.py").mkdir(parents=True)


def _no_end(home: Path) -> None:
    prepared(home, b"import os\n# >>> reage >>>\nx = 1\n")


def _no_start(home: Path) -> None:
    prepared(home, b"import os\n# <<< reage <<<\n")


def _twice(home: Path) -> None:
    prepared(home, 2 * b"# >>> reage >>>\n# <<< reage <<<\n")


def _turned_round(home: Path) -> None:
    prepared(home, b"# <<< reage <<<\n# >>> reage >>>\n")


def _settings_of_another_kind(home: Path) -> None:
    (home / ".reage").mkdir()
    (home / ".reage" / "settings.json").write_text("[general]\n")


def _settings_that_are_a_list(home: Path) -> None:
    (home / ".reage").mkdir()
    (home / ".reage" / "settings.json").write_text("[1]\n")


REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (_file_in_the_way, r"\.nuke is a file and not a folder.*--nuke-dir"),
    (_not_utf_8, r"not UTF-8 \(byte 4\)"),
    (_dangling_link, r"is a link to .*gone\.py"),
    (_dangling_folder, r"\.nuke is a link to nothing"),
    (_folder_for_a_file, "is not a file"),
    (_no_end, r"damaged \(lines 2\)"),
    (_no_start, r"damaged \(lines 2\)"),
    (_twice, r"damaged \(lines 1, 2, 3, 4\)"),
    (_turned_round, r"damaged \(lines 1, 2\)"),
    (_settings_of_another_kind, r"settings\.json is no settings file"),
    (_settings_that_are_a_list, r"settings\.json is no settings file"),
]


@pytest.mark.parametrize(("cause", "words"), REFUSED)
@pytest.mark.parametrize("command", [[], ["--uninstall"]], ids=["install", "uninstall"])
def test_what_is_in_the_way_is_told_before_anything_is_changed(
    install: ModuleType, steps: Commands, home: Path, cause: Callable[[Path], None], words: str, command: list[str]
) -> None:
    cause(home)
    before = everything(home)
    with pytest.raises(install.InstallError, match=words) as caught:
        install.main(command)
    assert len(str(caught.value).splitlines()) == 1
    assert everything(home) == before
    assert steps == []


def test_what_the_system_refuses_is_one_line_as_well(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(home / ".nuke"))

    monkeypatch.setattr(install, "read_init", closed)
    assert install.answer([]) == (
        f"install.py: {home / '.nuke'}: this user has no right to; have the rights changed, then run this again"
    )
    assert install.answer(["env", "-x"]) == "install.py: 'env' takes no such argument: -x"
    assert install.answer(["env"]) == 0


def test_a_file_where_the_settings_folder_should_be_is_told(install: ModuleType, steps: Commands, home: Path) -> None:
    (home / ".reage").write_text("")
    with pytest.raises(install.InstallError, match=r"\.reage is a file .*REAGE_CONFIG"):
        install.main([])
    assert steps == []


@pytest.mark.parametrize("place", [".nuke", ".reage", ".nuke/init.py"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_made(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    prepared(home, b"import os")
    (home / ".reage").mkdir()
    if place == ".nuke":
        (home / ".nuke" / "init.py").unlink()
    monkeypatch.setattr(install.os, "access", lambda path, _: Path(path) != home / place)
    with pytest.raises(install.InstallError, match="cannot be written by this user"):
        install.main([])
    assert steps == []


def test_a_folder_that_cannot_be_written_is_no_place_for_a_file_that_can(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(home, b"import os")
    monkeypatch.setattr(install.os, "access", lambda path, _: Path(path) != home / ".nuke")
    with pytest.raises(install.InstallError, match=r"\.nuke cannot be written by this user"):
        install.main([])
    assert steps == []


def test_a_checkout_without_its_plugin_is_refused(install: ModuleType, steps: Commands, home: Path) -> None:
    (install.ROOT / "nuke_plugin" / "init.py").unlink()
    with pytest.raises(install.InstallError, match="get the whole checkout again"):
        install.main([])
    assert steps == []


def _owned(folder: Path, user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def stat(path: Path, **options: bool) -> os.stat_result:
        found = real(path, **options)
        return os.stat_result((*found[:4], user, *found[5:10])) if path == folder else found

    monkeypatch.setattr(Path, "stat", stat)


def test_root_does_not_write_into_another_users_home(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "effective_user", lambda: 0)
    _owned(home, 1234, monkeypatch)
    with pytest.raises(install.InstallError, match=r"runs as root and .*home is another user's \(number 1234\)"):
        install.main([])
    assert everything(home) == {}


def test_a_user_may_write_into_a_shared_folder_that_is_not_theirs(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "effective_user", lambda: 1000)
    _owned(home, 1234, monkeypatch)
    assert install.main([]) == 0


def test_sudo_is_refused_where_it_would_install_for_root(
    install: ModuleType, steps: Commands, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "effective_user", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("SUDO_USER", "anna")
    with pytest.raises(install.InstallError, match="without sudo as anna"):
        install.main([])
    assert everything(home) == {}
    monkeypatch.setattr(install, "check_owner", lambda path: None)  # all is root's here
    assert install.main(["--nuke-dir", str(tmp_path / "share")]) == 0


# ---- nothing half-done -----------------------------------------------------------------------------------------------


def test_a_failing_environment_leaves_nuke_as_it_was(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(home, b"import os")
    before = everything(home)

    def failing(command: list[str], failure: str) -> None:
        raise install.InstallError(failure)

    monkeypatch.setattr(install, "step", failing)
    with pytest.raises(install.InstallError):
        install.main([])
    assert everything(home) == before


@pytest.mark.parametrize(("there", "at"), [(True, 0), (True, 1), (True, 2), (False, 0), (False, 1)])
@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full.*nothing was changed"),
        (PermissionError(errno.EACCES, "Permission denied"), "no right.*nothing was changed"),
        (KeyboardInterrupt(), ""),
    ],
)
def test_a_failure_in_the_middle_takes_everything_back(
    install: ModuleType,
    steps: Commands,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
    at: int,
    failure: BaseException,
    words: str,
) -> None:
    if there:
        prepared(home, b"import os")
    before = everything(home)
    install.ensure_environment(None)
    real, written = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        written.append(target)
        if len(written) == at + 1:
            raise failure
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(install.InstallError if words else type(failure), match=words or None):
            install.main([])
    assert everything(home) == before
    assert install.main([]) == 0


def test_a_failing_uninstall_leaves_the_install_whole(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(home, b"import os")
    install.main([])
    before = everything(home)
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "settings.json":
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(install.InstallError, match="nothing was changed"):
            install.main(["--uninstall"])
    assert everything(home) == before


def test_what_cannot_be_taken_back_is_named(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(home, b"import os")
    real, calls = install.write, []

    def write(path: Path, content: bytes | None) -> None:
        calls.append(path)
        if len(calls) > 1:
            raise OSError(errno.EROFS, "Read-only file system")
        real(path, content)

    monkeypatch.setattr(install, "write", write)
    with pytest.raises(install.InstallError, match=r"could not be put back: .*settings\.json"):
        install.main([])


def test_a_change_made_while_the_environment_was_installed_is_kept(
    install: ModuleType, steps: Commands, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = prepared(home, b"import os\n")
    whole = install.step

    def slow(command: list[str], failure: str) -> None:
        whole(command, failure)
        init.write_bytes(b"import os, sys\n")

    monkeypatch.setattr(install, "step", slow)
    install.main([])
    assert init.read_bytes().startswith(b"import os, sys\n# >>> reage >>>\n")


# ---- Windows, macOS, Linux -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "environ", "home", "expected"),
    [
        ("posix", {"HOME": "/elsewhere"}, PurePosixPath("/home/anna"), "/home/anna/.nuke"),
        ("posix", {}, PurePosixPath("/Users/anna"), "/Users/anna/.nuke"),
        ("nt", {}, PureWindowsPath(r"C:\Users\anna"), "C:/Users/anna/.nuke"),
        ("nt", {"HOME": r"H:\anna"}, PureWindowsPath(r"C:\Users\anna"), "H:/anna/.nuke"),
    ],
)
def test_the_nuke_folder_on_every_system(
    system: str, environ: dict[str, str], home: PurePosixPath | PureWindowsPath, expected: str
) -> None:
    assert FUNCTIONS.nuke_folder(system, environ, home).as_posix() == expected


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (PurePosixPath("/opt/reage"), "/opt/reage/nuke_plugin"),
        (PurePosixPath("/Applications/Reage 1"), "/Applications/Reage 1/nuke_plugin"),
        (PureWindowsPath(r"D:\tools\reage"), "D:/tools/reage/nuke_plugin"),
        (PureWindowsPath(r"\\server\share\reage"), "//server/share/reage/nuke_plugin"),
    ],
)
def test_the_plugins_folder_has_forward_slashes_on_every_system(
    root: PurePosixPath | PureWindowsPath, expected: str
) -> None:
    assert FUNCTIONS.plugin_path(root) == expected


def test_an_environments_python_on_every_system() -> None:
    assert FUNCTIONS.python_within("posix").as_posix() == "bin/python"
    assert FUNCTIONS.python_within("nt").as_posix() == "Scripts/python.exe"
