"""Re-ageing where the Qt panel fails: a dialog of Nuke's own knobs, then a progress bar.

The dialog is asked on the main thread; the worker is followed by a thread, which goes back there to touch nodes.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from reage_nuke import client, host, knobs, places
from reage_nuke.knobs import KnobError, Plan, PlateFacts, Settings
from reage_nuke.session import Session, Task

_TICK = 0.1  # seconds between two looks at what the worker said


def reage(connect: Callable[[], Any] | None = None) -> threading.Thread | None:
    """Ask, and re-age the selected plates; the thread that follows the worker, None where nothing was started.

    Args:
        connect: makes the client; for tests.
    """
    try:
        plates = host.selected_plates()
        if not plates:
            raise KnobError("select a Read node first")
        before = Settings.from_json(host.load_state())
        answers = host.ask_values("Reage", _fields(before))
        if answers is None:
            return None
        settings = _answered(before, answers)
        tasks = [task for plate in plates for task in _tasks(plate, settings)]
    except KnobError as error:
        host.message(str(error))
        return None
    host.save_state({**host.load_state(), **settings.to_json()})
    thread = threading.Thread(target=_follow, args=(Session(connect or _client), tasks), name="reage", daemon=True)
    thread.start()
    return thread


def _fields(usual: Settings) -> list[host.Field]:
    return [
        host.Field("age", "target age", usual.age, "70, or 20,40,60, or 1001:30,1050:70, or Node.knob"),
        host.Field("source_age", "source age", usual.source_age, "auto, or the actor's age in years"),
        host.Field("frames", "frames", usual.frames, "such as 1001-1100; empty for all of the Read"),
        host.Field("output", "output", usual.output, "a pattern such as /out/a.%04d.exr; empty: beside the script"),
        host.Field("model", "model", usual.model),
        host.Field("device", "device", usual.device, "auto, cpu, cuda, mps"),
        host.Field("layers", "layers", usual.layers, "write the change, the matte and the regions as well"),
        host.Field("comp", "make a comp", usual.comp, "put ReageApply between the plate and the result"),
    ]


def _answered(before: Settings, answers: Mapping[str, Any]) -> Settings:
    texts = {name: value.strip() if isinstance(value, str) else value for name, value in answers.items()}
    return Settings.from_json({**before.to_json(), **texts, "frames_mode": "custom" if texts["frames"] else "input"})


def _tasks(plate: PlateFacts, settings: Settings) -> list[Task]:
    now, curve = host.current_frame(), None
    name = knobs.animated_knob(settings.age)
    if name is not None:
        curve = host.sample_knob(name, knobs.frames_to_sample(plate, settings, now))
    plan = knobs.plan(plate, settings, curve=curve, current_frame=now, ocio=host.project_ocio())
    about = (plate, plan)
    return [Task(places.run_params(job), plate.node, about) for job in plan.jobs]


def _client() -> Any:
    log = os.path.join(tempfile.gettempdir(), f"reage_nuke_{os.getpid()}.log")  # noqa: PTH118
    return client.Client(client.worker_argv(), log, client.worker_environment(os.environ))


def _follow(session: Session, tasks: list[Task]) -> None:
    """In a thread: show the worker's progress and make the results."""
    bar = host.Progress("Reage")
    last = {id(task.about): task.params for task in tasks}  # of each plate's views
    try:
        session.run(tasks)
        while True:
            for told in session.poll():
                if told.kind == "finished" and told.task and last[id(told.task.about)] is told.task.params:
                    _make_result(*told.task.about)
                elif told.kind == "failed":
                    host.in_main_thread(host.message, told.text)
            if not session.busy:
                return
            bar.show(session.line, session.share)
            if bar.cancelled():
                session.cancel()
            time.sleep(_TICK)
    finally:
        session.close()


def _make_result(plate: PlateFacts, plan: Plan) -> None:
    try:
        host.in_main_thread(host.create_result, plate, plan.results)
    except (KnobError, ValueError, RuntimeError, NameError) as error:
        host.in_main_thread(host.message, f"The frames are done, but their Read could not be made: {error}")
