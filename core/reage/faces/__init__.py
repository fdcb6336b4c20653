"""Adapters to the face models: detector, landmarks, identity, apparent age.

All of them look at the plate through `reage.faces.look.Look` and answer in its flat space: un-squeezed plate pixels,
(x · pixel aspect, y), so that a face has the same shape whatever the plate's pixel aspect.
"""
