"""Which people of the synthetic series are clean enough to be exemplars: chosen by eye, on contact sheets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One chosen person."""

    identity: int
    flags: tuple[str, ...] = ()  # "beard"
    crown: float = 1.0  # how far up the forehead is bare, 1: to the upper forehead points


CHOICES: tuple[Choice, ...] = (
    *(
        Choice(identity)
        for identity in (
            4, 10, 11, 13, 35, 38, 48, 49, 60, 63, 73, 75, 87, 102, 113, 133, 140, 150, 173, 180, 191, 195, 196, 197, 203, 208,
            212, 215, 219, 236, 244, 248, 261, 270, 277, 285, 286, 289, 291, 294, 298, 314, 315, 339, 341, 362,
        )
    ),
    Choice(104, crown=0.6),
    Choice(300, flags=("beard",)),
)
