"""FFHQ alignment: which part of the plate becomes the crop that the agers see."""

from __future__ import annotations

from reage.faces.shape import ffhq_quad

__all__ = ["ffhq_quad"]
