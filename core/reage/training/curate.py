"""Which people of the synthetic series are clean enough to be exemplars: chosen by eye, on contact sheets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One chosen person."""

    identity: int
    flags: tuple[str, ...] = ()  # "beard"
    crown: float = 1.0  # how far up the forehead is bare, 1: to the upper forehead points


# fmt: off
CLEAN = (
    4, 10, 11, 13, 35, 38, 48, 49, 60, 63, 73, 75, 87, 102, 113, 133, 150, 180, 191, 195, 196, 212, 215, 236, 248, 270,
    286, 289, 294, 314, 315, 339,
)
# fmt: on
CHOICES = (*(Choice(identity) for identity in CLEAN), Choice(104, crown=0.6), Choice(300, flags=("beard",)))
"""Left out by eye: glasses (also thin ones that the series grow), hats, fringes, hair on the cheeks, jewellery, an open
mouth, hard highlights that move with age, and all whose change printed patches on the faces they were tried on, or
hardly aged them."""
