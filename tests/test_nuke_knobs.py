"""From a plate and the panel's settings to jobs that the engine takes."""

from __future__ import annotations

import ast
import json
import sys
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage.colour import Colour
from reage.curve import parse_curve
from reage.job import REGIONS, Job
from reage_nuke import facts, knobs
from reage_nuke.knobs import KnobError, PlateFacts, Settings

PLUGIN = Path(knobs.__file__).parent
PLATE = PlateFacts(
    "Read1", "/p/sh010_bg.%04d.exr", 1001, 1010, colorspace="linear", folder="/shots/sh010", working_space="linear"
)
AGED: dict[str, Any] = {"existing": lambda path: False, "current_frame": 1001}
ages = st.floats(0, 120).map(lambda age: round(age, 3))
age_lists = st.lists(ages, min_size=1, max_size=4, unique_by="{:g}".format)
several_ages = age_lists.map(lambda each: ",".join(map(str, each)))


def job(plate: PlateFacts = PLATE, settings: Settings | None = None, **given: Any) -> dict[str, Any]:
    """The only job of a plan, after the engine has taken it."""
    (made,) = knobs.plan(plate, settings or Settings(), **{**AGED, **given}).jobs
    Job.make(**json.loads(json.dumps(made)))
    return made


def refusal(plate: PlateFacts = PLATE, settings: Settings | None = None, **given: Any) -> str:
    with pytest.raises(KnobError) as caught:
        knobs.plan(plate, settings or Settings(), **{**AGED, **given})
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the job as a whole ----------------------------------------------------------------------------------------------


def test_a_plain_plate_becomes_a_job_that_the_engine_takes() -> None:
    assert job() == {
        "plate": "/p/sh010_bg.%04d.exr",
        "output": "/shots/sh010/reage/sh010_bg/v001/sh010_bg_reage_v001.%04d.exr",
        "frames": "1001-1010",
        "age": "70",
        "model": "reage-1",
        "layers": True,
        "colorspace": "Linear Rec.709 (sRGB)",
        "ocio": knobs.NATIVE_CONFIG,
    }


def test_every_setting_reaches_the_engine_under_its_name() -> None:
    settings = Settings(
        age="30", source_age="62.5", model="sam", mode="replace", strength=0.5, tone=0.8, detail=1.2,
        regions={"eyes": 0.3, "jaw": 1.0}, face="1,3", smooth=4, layers=False, device="cuda:1", precision="fp16",
        batch=2, holdout="/h/a.%04d.exr:alpha", landmarks="/l.dat", exemplar="e1", matte="face", view="left",
        tracks="/t.json", compression="zip", on_missing="skip", on_error="copy", overwrite=True,
    )  # fmt: skip
    taken = Job.make(**job(settings=settings))
    assert (taken.source_age, taken.model, taken.mode, taken.strength) == (62.5, "sam", "replace", 0.5)
    assert (taken.tone, taken.detail, taken.region, taken.face, taken.smooth) == (0.8, 1.2, {"eyes": 0.3}, "1,3", 4)
    assert (taken.layers, taken.device, taken.precision, taken.batch) == (False, "cuda:1", "fp16", 2)
    assert (taken.holdout, taken.landmarks, taken.exemplar) == ("/h/a.%04d.exr:alpha", "/l.dat", "e1")
    assert taken.matte == "face"
    assert (taken.view, taken.tracks, taken.compression) == ("left", "/t.json", "zip")
    assert (taken.on_missing, taken.on_error, taken.overwrite) == ("skip", "copy", True)


def test_settings_left_alone_are_the_engines_own_defaults() -> None:
    taken, usual = Job.make(**job()), Settings()
    for name in ("mode", "strength", "tone", "detail", "face", "smooth", "device", "precision", "batch", "on_missing",
                 "on_error", "overwrite", "model", "source_age"):  # fmt: skip
        assert getattr(taken, name) == Job.model_fields[name].default == getattr(usual, name), name
    assert facts.REGIONS == REGIONS


@effort(deadline=None)
@given(
    st.builds(
        Settings,
        age=st.one_of(ages.map(str), several_ages),
        strength=st.floats(0, 2), tone=st.floats(0, 4), detail=st.floats(0, 4),
        regions=st.dictionaries(st.sampled_from(REGIONS), st.floats(0, 4)),
        smooth=st.integers(0, 8), frames_mode=st.sampled_from(["input", "current", "custom"]),
        frames=st.just("1002-1008x2"), handles=st.integers(0, 20), layers=st.booleans(), comp=st.booleans(),
        version_up=st.booleans(), output=st.sampled_from(["", "out.exr", "/o/{plate}/a_v003.####.exr", "/o/a"]),
    )
)  # fmt: skip
def test_whatever_the_panel_says_the_engine_takes_or_a_line_tells_why(settings: Settings) -> None:
    made = job(settings=settings)
    frames = knobs.parse_range(made["frames"])
    assert set(frames) <= set(range(1001, 1011))
    assert settings.frames_mode != "current" or frames[0] <= 1001 <= frames[-1]


def mostly(*usual: Any, rarely: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """One of the usual values, four times as often as one of the others."""
    return st.sampled_from([*(each for each in usual for _ in range(4 * max(1, len(rarely)))), *rarely * len(usual)])


beyond = st.sampled_from(["hold", "loop", "bounce", "black"])
plates = st.builds(
    PlateFacts,
    node=st.just("Group1.Read1"),
    file=mostly("/p/a.%04d.exr", "/p/%04d.exr", "/p/a.####.dpx", "C:/p/a.mov", rarely=("/p/a.png", "p/a.exr", "")),
    first=st.integers(-5, 5), last=st.integers(5, 30),
    before=beyond, after=beyond,
    frame_mode=st.sampled_from(["expression", "start at", "offset"]),
    frame=mostly("", "1", "-7", "+3", rarely=("frame", "frame-2", "frame*2", "3*frame+1", "[x]", "²", "1.5")),
    colorspace=mostly("", "linear", "sRGB", rarely=("Cineon", "scene_linear", "ACES - ACEScg")),
    raw=mostly(False, rarely=(True,)), premultiplied=st.booleans(), managed=st.booleans(),
    views=st.sampled_from([{}, {"left": "/p/l.%04d.exr", "right": "/p/r.%04d.exr"}]),
    missing=mostly([], rarely=([7], [6, 8])), lowest=st.none() | st.integers(-9, 9),
    highest=st.none() | st.integers(0, 40), shown=st.none() | st.integers(-5, 30),
    folder=mostly("/shots", "D:/shots", rarely=("",)), working_space=st.sampled_from(["", "linear", "ACEScg"]),
)  # fmt: skip
typed = st.text(alphabet="0123456789:,;=.-x fN²{}[]%#/\\", max_size=12)
said = st.builds(
    Settings, age=mostly("70", "20,40", "1:30,9:50", "1=70;2=1:30", "1,2,", "NoOp1.age") | typed,
    source_age=mostly("auto", "33", rarely=("x",)),
    frames=mostly("6-9x2", "7", "-3--1") | typed, output=mostly("", "/o/a.exr", "b_v003") | typed.map("/o/".__add__),
    frames_mode=st.sampled_from(["input", "current", "custom"]), handles=st.integers(-3, 9), layers=st.booleans(),
    comp=st.booleans(), version_up=st.booleans(), on_missing=st.sampled_from(["stop", "skip"]),
)  # fmt: skip


@effort(max_examples=200, deadline=None)
@given(plates, said, st.integers(-10, 40), st.none() | st.dictionaries(st.integers(-20, 40), st.floats()))
def test_nothing_that_can_be_typed_or_read_does_more_than_refuse(
    plate: PlateFacts, typed: Settings, now: int, curve: dict[int, float] | None
) -> None:
    try:
        made = knobs.plan(plate, typed, curve=curve, current_frame=now, existing=lambda path: False)
    except KnobError as error:
        assert "\n" not in str(error)
        return
    for each in made.jobs:
        Job.make(**json.loads(json.dumps(each)))
    assert len(made.results) == len(made.jobs[0].get("ages", [1]))


# ---- ages ------------------------------------------------------------------------------------------------------------


def test_several_ages_come_from_one_pass_into_names_with_the_age() -> None:
    made = knobs.plan(PLATE, Settings(age="20, 40,60.5"), **AGED)
    assert made.jobs[0]["ages"] == [20.0, 40.0, 60.5]
    assert made.jobs[0]["output"].endswith("_v001_{age}.%04d.exr")
    names = [result["path"].rpartition("_")[2] for result in made.results]
    assert names == ["20.%04d.exr", "40.%04d.exr", "60.5.%04d.exr"]


def test_keys_are_typed_in_timeline_frames_and_rendered_in_file_frames() -> None:
    plate = replace(PLATE, frame_mode="start at", frame="1")
    assert job(plate, Settings(age="1:30, 10:45.5"))["age"] == "1001:30,1010:45.5"
    assert job(plate, Settings(age="1=70;2=1:30,10:45"))["age"] == {"1": "70", "2": "1001:30,1010:45"}


def test_an_animated_knob_becomes_a_curve_in_file_frames() -> None:
    plate = replace(PLATE, frame_mode="start at", frame="1")
    curve = {frame: 30 + 5 * frame for frame in range(1, 11)}
    assert job(plate, Settings(age="NoOp1.age"), curve=curve)["age"] == "1001:35,1010:80"
    assert "could not be read" in refusal(plate, Settings(age="NoOp1.age"))
    assert job(replace(PLATE, frame="1005"), Settings(age="N.a"), curve={7: 33.0}, current_frame=7)["age"] == "33"


@pytest.mark.parametrize("text", ["NoOp1.age", "Group1.NoOp2.age", "a_1.b_2"])
def test_a_knobs_name_is_told_from_numbers(text: str) -> None:
    assert knobs.animated_knob(f" {text} ") == text
    assert knobs.animated_knob("45.5") is knobs.animated_knob("1001:30.5,1002:4") is knobs.animated_knob("age") is None


@pytest.mark.parametrize(
    "age",
    ["", "x", "-1", "121", "nan", "inf", "20,200", "1001:30,x:40", "1001:30,1001:40", "1001:", ":4", "1=7;1=8", "a=7",
     "1001.5:30,1002:40", "1=", "20;30", "20,40,20.0"],
)  # fmt: skip
def test_an_age_that_is_none_is_refused_in_words(age: str) -> None:
    assert "age" in refusal(settings=Settings(age=age))


def test_a_source_age_that_is_none_is_refused() -> None:
    assert "-3" in refusal(settings=Settings(source_age="-3"))
    assert "source_age" not in job(settings=Settings(source_age=" "))


@effort(deadline=None)
@given(st.dictionaries(st.integers(-50, 50), ages, min_size=1))
def test_a_curve_gives_its_samples_back(samples: dict[int, float]) -> None:
    curve = parse_curve(knobs.curve_text(samples))
    for frame, age in samples.items():
        assert curve(frame) == pytest.approx(age, abs=4 * knobs.TOLERANCE)


@effort(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 120)), min_size=1, max_size=6))
def test_a_curve_has_the_fewest_keys(steps: list[tuple[int, int]]) -> None:
    """Drawn from keys that are none too many: corners, where the slope changes, and ends that are not held."""
    keys, frame = {}, 0
    for width, age in steps:
        frame += width
        keys[frame] = float(age)
    frames = sorted(keys)
    drawn = parse_curve(",".join(f"{each}:{keys[each]}" for each in frames))
    samples = {each: drawn(each) for each in range(frames[0] - 2, frames[-1] + 3)}
    slopes = [samples[each + 1] - samples[each] for each in sorted(samples)[:-1]]
    corners = sum(abs(after - before) > 1e-9 for before, after in pairwise(slopes))
    assert len(parse_curve(knobs.curve_text(samples)).keys) == max(1, corners)


def test_a_curve_of_ten_thousand_frames_is_reduced_at_once() -> None:
    assert knobs.curve_text({frame: frame / 100 for frame in range(10_001)}) == "0:0,10000:100"


def test_a_curve_that_holds_still_is_a_number() -> None:
    assert knobs.curve_text({1: 45.5, 2: 45.5, 3: 45.5}) == "45.5"
    assert knobs.curve_text({1: 30, 2: 30, 3: 70, 4: 70}) == "2:30,3:70"
    with pytest.raises(KnobError, match="no frames"):
        knobs.curve_text({})
    with pytest.raises(KnobError, match="130"):
        knobs.curve_text({1: 130})


# ---- outputs ---------------------------------------------------------------------------------------------------------


def output(text: str = "", plate: PlateFacts = PLATE, **given: Any) -> str:
    return knobs.output_for(plate, Settings(output=text, version_up=False, **given), lambda path: False)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/o/a.%04d.exr", "/o/a.%04d.exr"),
        ("/o/a.exr", "/o/a.%04d.exr"),
        ("/o/a", "/o/a.%04d.exr"),
        ("/o/", "/o/sh010_bg.%04d.exr"),
        ("sub/{plate}.####.exr", "/shots/sh010/sub/sh010_bg.####.exr"),
        ("C:\\o\\a.%04d.exr", "C:/o/a.%04d.exr"),
    ],
)
def test_an_output_that_leaves_something_out_is_completed(text: str, path: str) -> None:
    assert output(text) == path


def test_the_plates_own_numbering_is_kept() -> None:
    assert output(plate=replace(PLATE, file="/p/a.######.dpx"), layers=False).endswith(".%06d.exr")


def test_an_output_that_cannot_be_is_refused_in_words() -> None:
    unsaved = replace(PLATE, folder="")
    assert "not saved" in refusal(unsaved)
    assert "no .psd" in refusal(settings=Settings(output="/o/a.psd"))
    assert "brackets" in refusal(settings=Settings(output="/o/[exec rm]/a.%04d.exr"))
    assert "layers need EXR" in refusal(settings=Settings(output="/o/a.%04d.tif", layers=True))
    assert "layers need EXR" in refusal(settings=Settings(output="/o/a.mov", layers=False, comp=True))
    assert job(settings=Settings(output="/o/a_v001.mov", layers=False))["output"] == "/o/a_v001.mov"
    same = Settings(output="/p/sh010_bg.%04d.exr", version_up=False)
    assert "is the plate itself" in refusal(settings=same)


def test_a_run_never_lands_on_an_earlier_version() -> None:
    seen: list[str] = []

    def existing(path: str) -> bool:
        seen.append(path)
        return "v001" in path or "v002" in path

    made = job(existing=existing)
    assert made["output"].endswith("/v003/sh010_bg_reage_v003.%04d.exr")
    assert len(seen) == 3


def test_results_and_jobs_of_one_plan_name_the_same_files(tmp_path: Path) -> None:
    plate = replace(PLATE, folder=tmp_path.as_posix())
    made = knobs.plan(plate, Settings(), current_frame=1001)
    first = Path(str(made.jobs[0]["output"]) % 1001)
    first.parent.mkdir(parents=True)
    first.touch()
    assert made.results[0]["path"] == made.jobs[0]["output"]
    assert "v002" in knobs.jobs_for(plate, Settings(), current_frame=1001)[0]["output"]


# ---- views -----------------------------------------------------------------------------------------------------------


STEREO = replace(PLATE, file="/p/l.%04d.exr", views={"left": "/p/l.%04d.exr", "right": "/p/r.%04d.exr"})


def test_each_view_is_a_job_and_one_read_shows_them_all() -> None:
    made = knobs.plan(STEREO, Settings(output="/o/a_v001.%04d.exr"), **AGED)
    assert [each["plate"] for each in made.jobs] == ["/p/l.%04d.exr", "/p/r.%04d.exr"]
    assert [each["output"] for each in made.jobs] == ["/o/a_v001_left.%04d.exr", "/o/a_v001_right.%04d.exr"]
    assert [each["path"] for each in made.results] == ["/o/a_v001_%V.%04d.exr"]


def test_a_view_token_of_the_output_is_used_as_it_is() -> None:
    made = knobs.plan(STEREO, Settings(output="/o/%V/a_v001.%04d.exr"), **AGED)
    assert [each["output"] for each in made.jobs] == ["/o/left/a_v001.%04d.exr", "/o/right/a_v001.%04d.exr"]


# ---- what a plate may be ---------------------------------------------------------------------------------------------


def test_missing_frames_are_told_before_anything_starts() -> None:
    gappy = replace(PLATE, missing=[1003, 1004, 1009])
    assert "3 of 10 frames are missing (1003-1004,1009)" in refusal(gappy)
    assert job(gappy, Settings(on_missing="skip"))["on_missing"] == "skip"
    job(gappy, Settings(frames_mode="custom", frames="1005-1008"))


def test_what_the_engine_cannot_read_is_refused_in_words() -> None:
    assert "no .psd" in refusal(replace(PLATE, file="/p/a.psd"))
    assert "no file" in refusal(replace(PLATE, file=""))
    assert "without extension" in refusal(replace(PLATE, file="/p/a"))
    assert "not saved" in refusal(replace(PLATE, file="p/a.%04d.exr"))


def test_a_movie_keeps_its_frame_numbers_and_becomes_frames() -> None:
    movie = replace(PLATE, file="/p/clip.mov", first=1, last=48, movie=True, colorspace="sRGB")
    made = job(movie, Settings(), current_frame=1)
    assert made["frames"] == "1-48"
    assert made["output"].endswith("/clip_reage_v001.%04d.exr")


def test_what_an_artist_should_know_is_told() -> None:
    assert knobs.plan(PLATE, Settings(), **AGED).warnings == []
    assert "proxy" in knobs.plan(replace(PLATE, proxy="/p/small.%04d.exr"), Settings(), **AGED).warnings[0]
    png = replace(PLATE, file="/p/a.%04d.png", premultiplied=True, colorspace="sRGB")
    assert "premultiplied" in knobs.plan(png, Settings(), **AGED).warnings[0]
    slog = replace(PLATE, colorspace="SLog3")
    assert "S-Gamut3.Cine" in knobs.plan(slog, Settings(), **AGED).warnings[0]


# ---- colour ----------------------------------------------------------------------------------------------------------


def colour(ocio: str | None = None, override: str = "", **given: Any) -> tuple[str | None, str | None]:
    return knobs.colour_for(replace(PLATE, **given), Settings(colorspace=override), ocio)


def test_every_curve_of_nukes_own_has_a_space_that_the_engine_knows() -> None:
    for name in knobs.NATIVE:
        space, config = colour(colorspace=name)
        assert Colour(str(space), config).space == space


def test_nukes_own_curves_without_a_space_are_refused() -> None:
    assert "Cineon" in refusal(replace(PLATE, colorspace="Cineon"))
    assert "Cineon" in refusal(replace(PLATE, file="/p/a.%04d.dpx", colorspace=""))
    assert colour(override="ACEScct", colorspace="Cineon") == ("ACEScct", knobs.NATIVE_CONFIG)
    assert colour(override="AlexaV3LogC") == ("ARRI LogC3 (EI800)", knobs.NATIVE_CONFIG)


def test_an_ocio_script_hands_on_its_space_and_config() -> None:
    managed: dict[str, Any] = {"managed": True, "colorspace": "ACES - ACEScct", "working_space": "ACES - ACEScg"}
    assert colour("/c/config.ocio", **managed) == ("ACES - ACEScct", "/c/config.ocio")
    assert colour(None, **managed) == ("ACES - ACEScct", None)
    assert colour("/c.ocio", override="sRGB", **managed) == ("sRGB", "/c.ocio")


def test_raw_pixels_of_an_exr_are_in_the_working_space() -> None:
    assert colour("/c.ocio", managed=True, raw=True, working_space="ACES - ACEScg")[0] == "ACES - ACEScg"
    assert colour("/c.ocio", managed=True, raw=True, working_space="")[0] == "scene_linear"
    assert colour(raw=True, colorspace="sRGB")[0] == "Linear Rec.709 (sRGB)"


def test_raw_pixels_of_anything_else_have_to_be_named() -> None:
    raw = replace(PLATE, file="/p/a.%04d.dpx", raw=True)
    assert "name its colour space" in refusal(raw)
    assert job(raw, Settings(colorspace="ACEScct"))["colorspace"] == "ACEScct"


def test_a_dpx_that_says_nothing_has_to_be_named() -> None:
    assert "DPX" in refusal(replace(PLATE, file="/p/a.%04d.dpx", managed=True, colorspace=""))
    assert colour(managed=True, colorspace="") == (None, None)


@pytest.mark.parametrize(
    ("value", "path", "space"),
    [
        ("default (sRGB)", "/a.exr", "sRGB"),
        ("default (ACES - ACEScg)", "/a.exr", "ACES - ACEScg"),
        ("default", "/a.exr", "linear"),
        ("default", "/a.dpx", "Cineon"),
        ("default", "/a.tif", "sRGB16"),
        ("default", "/a.mov", "sRGB"),
        ("rec709", "/a.exr", "rec709"),
    ],
)
def test_a_default_is_resolved_through_the_script(value: str, path: str, space: str) -> None:
    script = {"floatLut": "linear", "logLut": "Cineon", "int16Lut": "sRGB16", "int8Lut": "sRGB"}
    assert knobs.resolved_space(value, path, script) == space
    assert knobs.resolved_space("default", path, {}) == ""


def test_a_family_is_no_part_of_a_space() -> None:
    assert knobs.without_family("ACES/ACEScg") == "ACEScg"
    assert knobs.without_family("Input/ARRI/ARRI LogC3 (EI800)") == "ARRI LogC3 (EI800)"
    assert knobs.without_family("Gamma 2.4 / Rec.709") == "Gamma 2.4 / Rec.709"


def test_a_result_is_read_as_its_plate_is() -> None:
    values = ["default", "ACES/ACEScg", "sRGB"]
    assert knobs.result_space(replace(PLATE, colorspace="sRGB"), values) == ("sRGB", False)
    assert knobs.result_space(replace(PLATE, colorspace="ACEScg"), values) == ("ACES/ACEScg", False)
    assert knobs.result_space(replace(PLATE, raw=True), values) == ("", True)
    gone = replace(PLATE, colorspace="Linear P3", working_space="Linear P3")
    assert knobs.result_space(gone, values) == ("", True)
    assert knobs.result_space(replace(PLATE, colorspace="nowhere"), values) == ("", False)
    assert knobs.result_space(replace(PLATE, colorspace="", working_space=""), values) == ("", False)


# ---- saving ----------------------------------------------------------------------------------------------------------


@effort(deadline=None)
@given(st.builds(Settings, regions=st.dictionaries(st.sampled_from(REGIONS), st.floats(0, 4))))
def test_settings_come_back_from_a_script(settings: Settings) -> None:
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@effort(deadline=None)
@given(st.dictionaries(st.sampled_from([each.name for each in fields(Settings)] + ["new"]), json_values) | json_values)
def test_settings_of_any_other_version_are_read_as_far_as_they_go(saved: Any) -> None:
    read = Settings.from_json(saved)
    usual = Settings()
    for each in fields(Settings):
        assert type(getattr(read, each.name)) is type(getattr(usual, each.name)), each.name
    assert Settings.from_json({"age": "33", "gone": 1, "strength": 2}) == Settings(age="33", strength=2.0)


def test_a_comp_starts_at_the_gains_that_were_rendered() -> None:
    settings = Settings(strength=0.5, detail=2.0, regions={"eyes": 0.2}, comp=True, layers=False)
    made = knobs.plan(PLATE, settings, **AGED)
    assert made.jobs[0]["layers"] is True
    assert made.results[0]["gains"] == {
        "strength": 0.5, "tone": 1.0, "detail": 2.0, "forehead": 1.0, "eyes": 0.2, "nose": 1.0, "cheeks": 1.0,
        "mouth": 1.0, "jaw": 1.0,
    }  # fmt: skip


def test_what_is_pure_imports_neither_nuke_nor_qt_nor_anything_installed() -> None:
    for name in ("facts", "frames", "paths", "knobs"):
        tree = ast.parse((PLUGIN / f"{name}.py").read_text())
        used = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        ours = {each for each in used if each.startswith("reage_nuke")}
        assert {each.split(".")[0] for each in used - ours} <= sys.stdlib_module_names, name
        assert ours <= {"reage_nuke.facts", "reage_nuke.frames", "reage_nuke.paths"}, name
