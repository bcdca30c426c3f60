"""The static site of the declarations and the last run: pages that open without a server."""

from __future__ import annotations

from pathlib import Path

from pipeline.disk import writing
from pipeline.docs.artefacts import artefacts
from pipeline.docs.pages import GENERATOR, render
from pipeline.docs.site import Site
from pipeline.docs.site import describe as describe


def write(site: Site, output: Path) -> Path:
    """Write the site's files into a folder and return its first page.

    It removes the pages of models that no longer exist; other files stay.

    Raises:
        ResourceError: the disk is full.
        UsageError: the folder can't be written.
    """
    pages = render(site) | artefacts(site)
    with writing(output):
        for name, text in pages.items():
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        _remove_others(output, {output / name for name in pages})
    return output / "index.html"


def _remove_others(output: Path, written: set[Path]) -> None:
    for path in {*output.glob("models/*.html"), *output.glob("sources/*.html")} - written:
        if f'content="{GENERATOR}"' in path.read_text(encoding="utf-8", errors="replace"):
            path.unlink()
