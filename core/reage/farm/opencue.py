"""OpenCue: a job as the XML that Cuebot takes (cjsl 1.15), one layer a step.

Cuebot puts a chunk's frames for #FRAMESPEC# and hands a layer's command to the shell of the user that it runs as, which
may be a Bourne or a C shell: words are quoted so that both read the same.
"""

from __future__ import annotations

import getpass
import importlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from reage.atomic import write_text
from reage.errors import RequestError
from reage.farm.bundle import FRAMES_TOKEN, Bundle, Step
from reage.farm.options import Options
from reage.progress import Event, one_line
from reage.sequence import format_range

FILE = "opencue.xml"  # inside the bundle
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE spec PUBLIC "SPI Cue  Specification Language" "http://localhost:8080/spcue/dtd/cjsl-1.15.dtd">
"""  # Cuebot answers this address itself
_LAUNCH = "import opencue, sys; print(opencue.api.launchSpec(open(sys.argv[1], encoding='utf-8').read()))"
_NO_XML = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_SHOW, _SHOT = "testing", "default"  # those of OpenCue's own submitters
_GPU_MEMORY = "4g"


def submit(bundle: Bundle, options: Options) -> Iterator[Event]:
    """Write the job's spec into the bundle and launch it through OpenCue's Python package.

    Args:
        bundle: its folder has to lie where the hosts see it under the same path.
        options: priority; pool is the show ($SHOW else), group a tag that hosts must have; with `write_only` nothing
            is launched. The shot is $SHOT.

    Yields:
        A `note` with `files`; once launched, one with `job` (OpenCue's name); then `done`.

    Raises:
        RequestError: a name cannot be written; the package is not here, or Cuebot refuses the job.
    """
    text, path = spec(bundle, options), bundle.folder / FILE
    write_text(path, text)
    yield {"event": "note", "message": f"OpenCue's job: {path}", "files": [str(path)]}
    if not options.write_only:
        for job in _launch(text, path):
            yield {"event": "note", "message": f"launched as {job}", "job": job, "files": [str(path)]}
    yield {"event": "done"}


def spec(bundle: Bundle, options: Options) -> str:
    """The job as XML with the document type that Cuebot knows.

    Raises:
        RequestError: a path or an option holds what XML, Cuebot or a shell cannot take.
    """
    root = ElementTree.Element("spec")
    name = _conform(bundle.name)
    _add(root, "show", options.pool or os.environ.get("SHOW", _SHOW))
    _add(root, "shot", _conform(os.environ.get("SHOT", _SHOT)))
    _add(root, "user", getpass.getuser())
    if hasattr(os, "getuid"):
        _add(root, "uid", str(os.getuid()))
    job = ElementTree.SubElement(root, "job", name=name)
    _add(job, "paused", "False")
    if options.priority is not None:
        _add(job, "priority", str(options.priority))
    layers = ElementTree.SubElement(job, "layers")
    depends = ElementTree.SubElement(root, "depends")
    for step in bundle.steps:
        _add_layer(layers, bundle, step, options)
        for needed in step.depends:
            _add_depend(depends, name, _conform(step.name), _conform(needed))
    ElementTree.indent(root)
    return f"{_HEAD}{ElementTree.tostring(root, 'unicode')}\n"


def command(argv: tuple[str, ...]) -> str:
    """A layer's command: words that sh, bash, csh and tcsh read alike, the frames as Cuebot's token.

    Raises:
        RequestError: a word holds a control character, which not every shell can quote.
    """
    return " ".join("#FRAMESPEC#" if word == FRAMES_TOKEN else _quoted(word) for word in argv)


def _quoted(word: str) -> str:
    quoted = shlex.quote(_sound(word))
    if quoted == word:
        return word
    # A C shell looks for its history behind ! even between quotes. Cuebot looks for #TOKEN# everywhere: an empty pair
    # of quotes inside keeps a name from being one.
    return re.sub("#(?=[A-Z])", "#''", quoted).replace("!", "'\\!'")


def _add_layer(layers: ElementTree.Element, bundle: Bundle, step: Step, options: Options) -> None:
    kind = "Render" if step.chunked else "Util"
    layer = ElementTree.SubElement(layers, "layer", name=_conform(step.name), type=kind)
    _add(layer, "cmd", command((*step.argv, "--progress", "plain")))
    _add(layer, "range", format_range(bundle.frames) if step.chunked else "1")
    _add(layer, "chunk", str(bundle.chunk) if step.chunked else "1")
    if bundle.gpu and step.name != "finish":
        _add(layer, "gpus", "1")
        _add(layer, "gpu_memory", _GPU_MEMORY)
    if options.group:
        _add(layer, "tags", options.group)
    _add(ElementTree.SubElement(layer, "services"), "service", "default")
    if step.chunked:
        outputs = ElementTree.SubElement(layer, "outputs")
        for number, path in enumerate(bundle.outputs):
            _add(outputs, "output", path, name=f"output{number}")


def _add_depend(depends: ElementTree.Element, job: str, layer: str, needed: str) -> None:
    depend = ElementTree.SubElement(depends, "depend", type="LAYER_ON_LAYER", anyframe="False")
    for tag, text in (("depjob", job), ("deplayer", layer), ("onjob", job), ("onlayer", needed)):
        _add(depend, tag, text)


def _add(parent: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, tag, attributes).text = _sound(text)


def _sound(text: str) -> str:
    if _NO_XML.search(text):
        raise RequestError(f"{text!r}: holds a character that OpenCue's job cannot; use another name")
    return text


def _conform(name: str) -> str:
    """A name as Cuebot takes it for shots, jobs and layers: a-z, 0-9, dot, underscore; three characters or more."""
    return re.sub(r"[^a-z0-9_.]+", "_", name.lower()).ljust(3, "_")


def _launch(text: str, path: Path) -> list[str]:
    """Hand the job to Cuebot; returns the names that it gave."""
    try:
        opencue = importlib.import_module("opencue")
    except ImportError as error:
        raise RequestError(
            "the Python package opencue (pip install opencue-pycue) is not here, so nothing was launched; "
            f'where it is: python -c "{_LAUNCH}" {shlex.quote(str(path))}'
        ) from error
    try:
        return [str(name) for name in opencue.api.launchSpec(text)]
    except Exception as error:  # gRPC's, and OpenCue's own, which have no common base
        hosts = os.environ.get("CUEBOT_HOSTS", "localhost")
        raise RequestError(f"Cuebot ($CUEBOT_HOSTS: {hosts}) refused {path}: {one_line(error)}") from error
