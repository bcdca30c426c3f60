from __future__ import annotations

import re
import shlex
from pathlib import Path

from command_line import built, type_

__all__ = ["built", "type_"]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_first_show_prints_what_stands_below_it(type_, built):
    command, shown = re.search(
        r"```sh\npython cli\.py (show [^\n]+)\n```\n\n```\n(.+?)```", README, re.DOTALL
    ).groups()

    typed = type_(*shlex.split(command), COLUMNS="80")

    assert [line.rstrip() for line in typed.stdout.splitlines()] == shown.splitlines()
    assert max(map(len, shown.splitlines())) <= 80
