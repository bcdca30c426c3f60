"""Raw hub events to tables people can trust: the interface for scripts and notebooks.

    import pipeline
    p = pipeline.connect("duckdb", database="build/pipeline.duckdb")
    p.build()
    p.fct_command_readings.group_by("outcome").count()

Importing this connects to nothing and loads no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.errors import ContractError as ContractError
from pipeline.errors import EngineError as EngineError
from pipeline.errors import InputError as InputError
from pipeline.errors import PipelineError as PipelineError
from pipeline.errors import ResourceError as ResourceError
from pipeline.errors import UsageError as UsageError

if TYPE_CHECKING:
    from pipeline.project import Project


def connect(backend: str | None = None, **options: Any) -> Project:
    """Return the pipeline on a backend; it takes the command line's options as keywords.

    For `duckdb`: `database`, `threads`, `memory_limit`, `events`, `users` (a path or glob, or a
    list of them). For `bigquery`: `project`, `dataset`, `source_dataset`, `location`,
    `api_endpoint`, `max_bytes_billed`, `policy_tag` for sensitive columns, `threads` (jobs at
    once), and `labels` for its jobs. As on the command line, an option that is not given here comes
    from PIPELINE_<OPTION> in the environment (PIPELINE_BACKEND, PIPELINE_DATASET), other than
    `events`, `users` and `labels`. The backend is `duckdb` by default. It opens nothing before you
    need it.

    Raises:
        UsageError: there is no such backend or option.
    """
    import pipeline.output.notebook  # noqa: F401 - draws all that a project gives
    from pipeline.project import Project

    return Project.connect(backend, **options)
