"""Node classes that Reage touches: input counts, and the knobs with their types, defaults and allowed values.

Facts of Nuke 17.0v3 (a scan of a running Nuke), cut down to what is used; `tests/test_fake_nuke.py` compares them with
the whole scan where that is at hand. Root is not in the scan; its knobs are those seen in saved scripts.
A line is `knob:Type`, `knob:Type=default` or `knob:Type=default{value|value}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SPACES = (
    "default|linear|sRGB|rec709|Cineon|Gamma1.8|Gamma2.2|Gamma2.4|Gamma2.6|Panalog|REDLog|ViperLog|AlexaV3LogC|PLogLin|"
    "SLog|SLog1|SLog2|SLog3|CLog|Log3G10|Log3G12|HybridLogGamma|Protune|BT1886|st2084|Blackmagic Film Generation 5|"
    "ARRILogC4|REDSpace"
)

EVERY_NODE = """
help:EvalString
icon:File
label:Multiline_Eval_String
name:String
selected:Boolean
tile_color:ColorChip=0
note_font_size:Array=11
hide_input:Boolean
xpos:Array
ypos:Array
"""

IMAGE_NODE = "disable:Disable"

READ = f"""
after:Enumeration=hold{{hold|loop|bounce|black}}
auto_alpha:Boolean
before:Enumeration=hold{{hold|loop|bounce|black}}
colorspace:Enumeration=default{{{SPACES}}}
file:File
first:Int=1
format:Format
frame:String
frame_mode:Enumeration=expression{{expression|start at|offset}}
last:Int=1
localizationPolicy:Enumeration=fromAutoLocalizePath{{on|fromAutoLocalizePath|onDemand|off}}
on_error:Enumeration=error{{error|black|checkerboard|nearest frame}}
origfirst:Int=1
origlast:Int=1
premultiplied:Boolean
proxy:File
proxy_format:Format
raw:Boolean
reload:Script
"""

WRITE = f"""
channels:ChannelMask=rgb
colorspace:Enumeration=default{{{SPACES}}}
create_directories:Boolean
file:File
file_type:Enumeration= {{ |cin|dpx|exr|gif|hdr|jpeg|mov|mxf|null|pic|png|sgi|targa|tiff|xpm|yuv}}
first:Array=1
last:Array=1
premultiplied:Boolean
proxy:File
raw:Boolean
use_limit:Boolean
"""

ROOT = """
project_directory:File
first_frame:Int=1
last_frame:Int=100
fps:Array=24
proxy:Boolean
colorManagement:Enumeration=Nuke{Nuke|OCIO}
OCIO_config:Enumeration=nuke-default{aces_1.2|fn-nuke_cg-config-v1.0.0_aces-v1.3_ocio-v2.1|nuke-default|custom}
customOCIOConfigPath:File
workingSpaceLUT:String=linear
int8Lut:String=sRGB
int16Lut:String=sRGB
logLut:String=Cineon
floatLut:String=linear
"""


@dataclass(frozen=True)
class KnobFact:
    """One knob of a class."""

    name: str
    type: str
    default: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ClassFact:
    """One node class."""

    least: int  # inputs
    most: int
    knobs: tuple[KnobFact, ...]


_LINE = re.compile(r"(\w+):(\w+)(?:=([^{]*))?(?:\{(.*)\})?")


def _facts(text: str) -> tuple[KnobFact, ...]:
    facts = []
    for line in filter(None, text.splitlines()):
        found = _LINE.fullmatch(line)
        assert found, line
        facts.append(KnobFact(found[1], found[2], found[3] or "", tuple(found[4].split("|")) if found[4] else ()))
    return tuple(facts)


def _node(least: int, most: int, text: str = "") -> ClassFact:
    return ClassFact(least, most, _facts(EVERY_NODE) + _facts(text))


CLASSES = {
    "Read": _node(0, 0, READ + IMAGE_NODE),
    "Write": _node(1, 1, WRITE + IMAGE_NODE),
    "Constant": _node(0, 0, "color:AColor=0\nformat:Format\n" + IMAGE_NODE),
    "Grade": _node(2, 2, "black_clamp:Boolean=1\nwhite_clamp:Boolean\nmultiply:AColor=1\n" + IMAGE_NODE),
    "NoOp": _node(1, 1, IMAGE_NODE),
    "Dot": _node(1, 1),
    "Viewer": _node(1, 10000),
    "StickyNote": _node(0, 0),
    "Group": _node(0, 0, IMAGE_NODE),
    "Input": _node(0, 0, "number:Array"),
    "Output": _node(1, 1),
    "Root": _node(0, 0, ROOT),
}
