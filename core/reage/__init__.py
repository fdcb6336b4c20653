"""Reage re-ages faces in film plates.

```python
import reage

for event in reage.run(reage.Job.load("job.yaml")):
    print(event)
```

Importing this package loads no torch; `run`, `render` and `analyse` do, when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reage.version import __version__

if TYPE_CHECKING:
    from reage.job import Job
    from reage.pipeline import analyse, render, run

__all__ = ["Job", "__version__", "analyse", "render", "run"]


def __getattr__(name: str) -> Any:
    if name == "Job":
        from reage.job import Job

        return Job
    if name in ("analyse", "render", "run"):
        from reage import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'reage' has no attribute '{name}'")
