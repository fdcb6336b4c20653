"""The toolset ReageComp.nk: Reads, the gizmos as whole groups, a Write. `python -m nk.toolset` writes it anew.

The groups are copied in, not named, so that the comp opens where Reage is not installed.
"""

from __future__ import annotations

from pathlib import Path

GIZMOS = Path(__file__).resolve().parents[2] / "gizmos"
TOOLSET = GIZMOS / "ToolSets" / "ReageComp.nk"

HEAD = r"""StickyNote {
 inputs 0
 name ReageNote
 label "@NOTE@"
 note_font_size 14
 xpos -420
 ypos 0
}
Read {
 inputs 0
 file ""
 name ReageRender
 label "the render, with layers"
 xpos 220
 ypos 0
}
set Nrender [stack 0]
@MATTE@
push 0
push 0
push $Nrender
Read {
 inputs 0
 file ""
 name ReagePlate
 label "the plate"
 xpos 0
 ypos 0
}
set Nplate [stack 0]
@APPLY@
set Napply [stack 0]
Write {
 channels all
 file ""
 file_type exr
 create_directories true
 name ReageWrite
 xpos 0
 ypos 300
}
push $Napply
push $Nplate
@QC@
"""
NOTE = (
    "Reage",
    "",
    "1. ReagePlate: your plate. ReageRender: what reage rendered with --layers.",
    "2. Dial ReageApply. Hair, hands or glasses before the face: a Roto into its holdout.",
    "3. ReageMatte: the face or one region as alpha, to paint on, for the mask of ReageApply or of a grade.",
    "4. Look at ReageQC, then render ReageWrite.",
)
PLACES = {"APPLY": ("ReageApply", 0, 180), "MATTE": ("ReageMatte", 220, 180), "QC": ("ReageQC", -220, 300)}


def gizmo_text(name: str) -> str:
    """The text of a gizmo's file."""
    return (GIZMOS / f"{name}.gizmo").read_text(encoding="utf-8")


def compose() -> str:
    """The toolset's text, from the gizmos as they are."""
    text = HEAD.replace("@NOTE@", r"\n".join(NOTE))
    for mark, (name, x, y) in PLACES.items():
        group = gizmo_text(name).rstrip().replace(f" name {name}\n", f" name {name}\n xpos {x}\n ypos {y}\n", 1)
        if name == "ReageMatte":
            group = f"push 0\npush $Nrender\n{group}"
        text = text.replace(f"@{mark}@", group)
    return text


if __name__ == "__main__":
    TOOLSET.write_text(compose(), encoding="utf-8")
