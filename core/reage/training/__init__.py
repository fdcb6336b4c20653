"""How the embedded model was made, end to end. Needs the extra `training`; not needed to render."""
