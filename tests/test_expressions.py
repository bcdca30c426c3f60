from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMPILE = "from pipeline.compiling import *; print(compile_models({engine!r}, Namespace()))"


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_a_models_sql_is_the_same_text_in_every_process(engine):
    def compiled(hash_seed: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", COMPILE.format(engine=engine)],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert compiled(hash_seed=1) == compiled(hash_seed=2)
