"""What a job is made of, once: its parameters, and the commands of its steps with any words for their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FRAMES_TOKEN = "@FRAMES@"
"""The word in a chunked step's command that stands for the frames of a chunk, `A-B`."""

NOTICE = 60
"""Seconds between the polite word and the kill: a worker drops the frame in hand and cleans up."""


@dataclass(frozen=True)
class PathOf:
    """A path that a job may name."""

    parameter: str
    option: str  # of the step's command
    flow: str  # IN, OUT or INOUT, for farms that carry files about
    text: str
    last: bool = False  # of interest to the last step alone


PATHS = (
    PathOf("Plate", "plate", "IN", "The plate: a pattern, a folder or a movie."),
    PathOf("Output", "output", "OUT", "Pattern of the frames that are written."),
    PathOf("Tracks", "tracks", "OUT", "Where the analysis of the plate is kept."),
    PathOf("Holdout", "holdout", "IN", "Mattes of what passes in front of the face."),
    PathOf("Landmarks", "landmarks", "IN", "Another 68-point predictor."),
    PathOf("Ocio", "ocio", "IN", "The OpenColorIO config."),
    PathOf("Model", "model", "IN", "The checkpoint of the re-ageing model."),
    PathOf("Log", "log", "OUT", "Logs; each task puts its own name before the extension."),
    PathOf("Movie", "movie", "OUT", "A movie of the finished frames.", last=True),
    PathOf("Sheet", "sheet", "OUT", "A contact sheet of the finished frames.", last=True),
)


@dataclass(frozen=True)
class Step:
    """One step of a job: a command, and what has to be done before."""

    name: str
    argv: tuple[str, ...]  # in that of a chunked step the word FRAMES_TOKEN stands for "A-B"
    depends: tuple[str, ...]
    chunked: bool


def steps(words: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps of a job.

    Args:
        words: for the parameters `Python`, `Job` and each path that the job names: its value, or what stands for it.
    """

    def command(name: str, *more: str) -> tuple[str, ...]:
        given = [p for p in PATHS if p.parameter in words and (name == "finish" or not p.last)]
        paths = [word for p in given for word in (f"--{p.option}", words[p.parameter])]
        return (words["Python"], "-m", "reage", "farm", name, "--job", words["Job"], *paths, *more)

    return (
        Step("analyse", command("analyse"), (), False),
        Step("render", command("render", "--frames", FRAMES_TOKEN), ("analyse",), True),
        Step("finish", command("finish"), ("render",), False),
    )


def job_template(values: Mapping[str, str | int], flows: Mapping[str, tuple[str, str]], gpu: bool) -> dict[str, Any]:
    """The template of Open Job Description.

    Args:
        values: of the parameters `Name`, `Python`, `Frames`, `Chunk`, and of the paths that the job names. Only the
            first four become defaults: a path's default is empty, which means what the job file says.
        flows: object type (FILE or DIRECTORY) and data flow of each of these paths.
        gpu: whether a GPU is required.
    """
    stand_ins = {"Python": "{{Param.Python}}", "Job": "{{Param.Job}}"}
    stand_ins |= {name: f"{{{{Param.{name}}}}}" for name in flows}
    return {
        "specificationVersion": "jobtemplate-2023-09",
        "extensions": ["TASK_CHUNKING"],
        "name": "{{Param.Name}}",
        "description": "Re-ages the faces of a plate: analyses it once, renders chunks, verifies and sums up.",
        "parameterDefinitions": [*_definitions(values), *_path_definitions(flows)],
        "steps": [_step(step, gpu and step.name != "finish") for step in steps(stand_ins)],
    }


def _definitions(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    def line_edit(name: str, text: str, **more: Any) -> dict[str, Any]:
        shown = {"control": "LINE_EDIT", "label": name}
        value = {"default": values[name], "description": text}
        return {"name": name, "type": "STRING", "userInterface": shown, **value, **more}

    return [
        line_edit("Name", "The job's name.", minLength=1, maxLength=128),
        line_edit("Frames", "Frames that are re-aged; what the job file does not name is left out.", minLength=1),
        {
            "name": "Chunk",
            "type": "INT",
            "default": values["Chunk"],
            "minValue": 1,
            "description": "Frames a task renders with one load of the model.",
            "userInterface": {"control": "SPIN_BOX", "label": "Frames a task"},
        },
        line_edit("Python", "Python that has reage; a bare name is looked for on the worker's PATH.", minLength=1),
    ]


def _path_definitions(flows: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    texts = {path.parameter: path.text for path in PATHS}
    extras = {path.parameter for path in PATHS if path.last}
    job = {"name": "Job", "type": "PATH", "objectType": "FILE", "dataFlow": "IN", "default": "job.yaml"}
    paths = [
        {
            "name": name,
            "type": "PATH",
            "objectType": kind,
            "dataFlow": flow,
            "default": "",
            "description": f"{texts[name]} Empty: {'none' if name in extras else 'as in the job file'}.",
        }
        for name, (kind, flow) in flows.items()
    ]
    return [{**job, "description": "All settings."}, *paths]


def _step(step: Step, gpu: bool) -> dict[str, Any]:
    chunk = "{{Task.Param.Frames}}"
    command, *words = [chunk if word == FRAMES_TOKEN else word for word in step.argv]
    cancel = {"mode": "NOTIFY_THEN_TERMINATE", "notifyPeriodInSeconds": NOTICE}
    action = {"command": command, "args": [*words, "--progress", "openjd"], "cancelation": cancel}
    described: dict[str, Any] = {"name": step.name}
    if step.depends:
        described["dependencies"] = [{"dependsOn": name} for name in step.depends]
    if gpu:
        described["hostRequirements"] = {"amounts": [{"name": "amount.worker.gpu", "min": 1}]}
    if step.chunked:
        chunks = {"defaultTaskCount": "{{Param.Chunk}}", "rangeConstraint": "CONTIGUOUS"}
        frames = {"name": "Frames", "type": "CHUNK[INT]", "range": "{{Param.Frames}}", "chunks": chunks}
        described["parameterSpace"] = {"taskParameterDefinitions": [frames]}
    return {**described, "script": {"actions": {"onRun": action}}}
