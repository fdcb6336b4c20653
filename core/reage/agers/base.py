"""The one face that every re-ageing model shows to the rest of Reage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from reage.errors import RequestError
from reage.job import MatteShape

Age = float | Sequence[float] | Tensor
"""One age for all crops, or one for each; years."""

Look = Mapping[str, Any]
"""What a model settled once for one person (an exemplar, a calibration); plain JSON values, kept in the tracks."""


@dataclass(frozen=True)
class ModelFacts:
    """What a user, a lawyer and a settings hash need to know of a loaded model."""

    name: str
    family: str
    sha256: str
    licence: str  # of the weights, and what it excludes
    ages: tuple[float, float]  # trained range of target ages, years
    clamps: bool  # target ages outside the range are brought to its ends
    needs_source_age: bool
    reconstructs: bool  # answers a new picture rather than a change of the crop
    calibrates: bool  # its response to asked ages is measured on each person, and kept in the look
    matte: MatteShape = "face"  # where its change shows unless the artist says otherwise
    takes_age: bool = True  # False: it answers one change, older, whatever age is asked for


class Ager(Protocol):
    """A loaded model: crops and ages in, re-aged crops out."""

    facts: ModelFacts

    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """Re-age aligned crops.

        Args:
            crops: (N, 3, S, S) float32, sRGB-encoded, nominally 0..1, FFHQ-aligned.
            source_age: years; None where the family has no such input.
            target_age: years.
            landmarks: (N, 68, 2) in crop pixels, for families that use them; found on the crop where left out.
            look: of the person, for families that have one.

        Returns:
            (N, 3, T, T) float32, same encoding, not clamped.

        Raises:
            RequestError: a source age is needed and was not given.
        """
        ...

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """What the model settles for a person from one frontal crop; {} for families that settle nothing.

        Args:
            crop: (3, S, S), as for a call.
            landmarks: (68, 2) in crop pixels.
            source_age: years.
            exemplar: the artist's choice; None leaves it to the model.

        Raises:
            RequestError: there is no such exemplar, or the family has none.
        """
        ...


@dataclass(frozen=True)
class AgeCodes:
    """What a coded model knows of crops before it paints: all of it can be smoothed over the shot."""

    own: Tensor  # (N, L, D) the faces at their source age; without one, the bare inversion
    shift: Tensor  # (N, L, D) what is added to reach the target age


@runtime_checkable
class CodedAger(Ager, Protocol):
    """An ager that goes through a code, so that the way between two ages can be steadied apart from the performance."""

    def encode(self, crops: Tensor, source_age: Age | None, target_age: Age) -> AgeCodes:
        """Code crops at both ages.

        Args:
            crops: (N, 3, S, S), as for a call.
            source_age: years; None codes the target against the bare inversion.
            target_age: years.
        """
        ...

    def paint(self, codes: Tensor) -> Tensor:
        """Paint codes, for instance `own + shift`: (N, L, D) to (N, 3, T, T), encoded as for a call, not clamped."""
        ...


def no_look(name: str, exemplar: str | None) -> dict[str, Any]:
    """The look of a family that settles nothing for a person.

    Raises:
        RequestError: an exemplar was asked for.
    """
    if exemplar is not None:
        raise RequestError(f"--exemplar {exemplar}: {name} has no exemplars; leave the option out")
    return {}


def each_age(age: Age, crops: Tensor) -> Tensor:
    """One age a crop: (N,) float32 on the processor.

    Raises:
        RequestError: there are neither one nor N ages.
    """
    ages = torch.as_tensor(age, dtype=torch.float32).cpu().reshape(-1)
    if ages.numel() not in (1, crops.shape[0]):
        raise RequestError(f"{ages.numel()} ages for {crops.shape[0]} crops; give one, or one for each")
    return ages.expand(crops.shape[0])
