"""The arrows of the house: who may import whom. A new module is given its row here."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "core" / "reage"
PLUGIN = ROOT / "nuke_plugin"

# A module imports from rows above its own in this list, never from its own row or from below; a package's modules may
# import each other. Row by row: words, means, networks, adapters, stages, order, doors.
ROWS = (
    {"errors", "version", "records", "progress", "thin_plate"},
    {"atomic", "curve", "naming", "sequence"},
    {"job", "tracks"},
    {"geometry", "colour", "device", "models", "exr", "ledger"},
    {"images", "movies", "exemplars", "store", "download"},
    {"plate"},
    {"nets"},
    {"faces"},
    {"agers"},
    {"detect", "track", "smooth", "vouch", "cuts", "align", "ageing", "matte", "steady", "composite"},
    {"pipeline"},
    {"options", "report", "desk"},
    {"demo_plate", "doctor", "crop", "sheet", "nodes", "export", "preview"},
    {"demo", "models_command", "farm", "worker"},
    {"__init__", "__main__"},
)
WITHOUT_TORCH = ("errors", "version", "records", "progress", "atomic", "curve", "sequence", "job", "tracks")
QT = {"PySide2", "PySide6"}


def engine_files() -> list[Path]:
    return sorted(ENGINE.rglob("*.py"))


def place(file: Path) -> str:
    """The module or package right under reage/ that a file belongs to."""
    return file.relative_to(ENGINE).parts[0].removesuffix(".py")


def row(name: str) -> int:
    return next(index for index, names in enumerate(ROWS) if name in names)


def imports(file: Path, feature_version: tuple[int, int] | None = None) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it, `from a import b` as `a.b`."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file), feature_version=feature_version)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def ours(name: str) -> str | None:
    """The module or package right under reage that an imported name leads to; None where it leads elsewhere."""
    top, _, rest = name.partition(".")
    if top != "reage":
        return None
    first = rest.split(".")[0]
    return first if any(first in names for names in ROWS) or first == "training" else "__init__"


def loaded_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "core", capture_output=True, text=True, timeout=120, check=True
    )
    return set(done.stdout.split())


def test_every_module_has_its_row_and_only_one() -> None:
    places = {place(file) for file in engine_files()} - {"training"}
    placed = [name for names in ROWS for name in names]
    assert not places - set(placed), "give the new module a row in tests/test_architecture.py"
    assert len(placed) == len(set(placed))


def test_a_module_imports_from_the_rows_above_it_alone() -> None:
    wrong = []
    for file in engine_files():
        source = place(file)
        if source == "training":
            continue
        for name in imports(file):
            target = ours(name)
            if target in (None, source) or source.startswith("__"):
                continue
            if target == "training" or row(str(target)) >= row(source):
                wrong.append(f"{file.relative_to(ENGINE)} imports {name}")
    assert not wrong


def test_the_product_never_imports_how_its_model_was_made() -> None:
    users = [file for file in engine_files() if place(file) != "training"]
    assert not [file for file in users if any(ours(name) == "training" for name in imports(file))]


def test_imports_are_written_out_in_full() -> None:
    assert not [f"{file}: {name}" for file in engine_files() for name in imports(file) if name.startswith(".")]


def test_networks_import_torch_and_nothing_else() -> None:
    allowed = sys.stdlib_module_names | {"torch"}
    for file in (ENGINE / "nets").glob("*.py"):
        assert {name.split(".")[0] for name in imports(file) if ours(name) != "nets"} <= allowed, file


def test_importing_reage_loads_neither_torch_nor_numpy() -> None:
    assert not {"torch", "numpy", "cv2"} & loaded_after("import reage")


def test_words_need_no_torch() -> None:
    assert "torch" not in loaded_after("import " + ", ".join(f"reage.{name}" for name in WITHOUT_TORCH))


def test_the_command_line_is_the_only_place_that_exits() -> None:
    exits = []
    for file in engine_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if place(file) in ("__main__", "training"):
                continue
            named = isinstance(node, ast.Name) and node.id in ("SystemExit", "exit", "quit")
            called = isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.exit", "os._exit")
            if named or called:
                exits.append(f"{file.relative_to(ENGINE)}:{node.lineno}")
    assert not exits


def test_the_engine_knows_nothing_of_nuke() -> None:
    tops = {name.split(".")[0] for file in engine_files() for name in imports(file)}
    assert not tops & {"nuke", "nukescripts", "reage_nuke", *QT}


def plugin_files() -> list[Path]:
    return sorted(PLUGIN.rglob("*.py"))


def test_the_plugin_is_python_3_9_of_the_standard_library_with_nuke_in_host_and_qt_in_one_module() -> None:
    assert {"init.py", "menu.py", "host.py", "knobs.py"} <= {file.name for file in plugin_files()}
    nuke = {"nuke", "nukescripts"}
    allowed = {"host.py": nuke, "init.py": nuke, "menu.py": nuke, "qt.py": QT}
    for file in plugin_files():
        tops = {name.split(".")[0] for name in imports(file, (3, 9))}
        assert tops <= sys.stdlib_module_names | {"reage_nuke"} | allowed.get(file.name, set()), file


def test_what_the_plugin_imports_by_name_is_its_own() -> None:
    for file in plugin_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
                assert ast.unparse(node.args[0]).strip("'").startswith("reage_nuke."), file


def test_annotations_of_the_plugin_are_not_evaluated() -> None:
    """`str | None` is fine as a text, and an error in Nuke 14's Python where it is computed."""
    for file in plugin_files():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        annotated = any(isinstance(node, (ast.AnnAssign, ast.arg)) and node.annotation for node in ast.walk(tree))
        assert not annotated or "__future__.annotations" in imports(file), file


def test_only_the_panels_own_modules_need_qt() -> None:
    """The rest serves the dialog as well, and is tested without Qt; the host opens the panel by its name."""
    without_qt = {"host", "facts", "frames", "paths", "knobs", "session", "client", "farm", "places", "fallback"}
    folder = PLUGIN / "reage_nuke"
    assert {f"{name}.py" for name in without_qt} <= {file.name for file in folder.glob("*.py")}
    needs = {file.stem: {name.split(".")[1] for name in imports(file) if name.startswith("reage_nuke.")}
             for file in folder.glob("*.py")}  # fmt: skip
    for name in without_qt:
        seen, ahead = set(), {name}
        while ahead:
            seen |= ahead
            ahead = set().union(*(needs.get(each, set()) for each in ahead)) - seen
        assert seen <= without_qt, name


def test_the_plugin_does_not_reach_into_the_engine() -> None:
    assert not [file for file in plugin_files() if {"reage", "core"} & {name.split(".")[0] for name in imports(file)}]
