"""The files of a source: named by the user, recorded by the last build, or the sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, UsageError
from pipeline.files import absolute, find
from pipeline.results import Origin, Read, RunRecord
from pipeline.sources import SOURCES

SAMPLE = (Path(__file__).parents[2] / "sample").resolve()
"""The folder of the sample: `data` in a checkout, inside the package if it is installed."""

OPTIONS = {"raw_sync_events": "--events", "raw_users": "--users"}


@dataclass(frozen=True)
class Inputs:
    """The paths and globs of one source, and who named them."""

    source: str
    patterns: tuple[str, ...]
    origin: Origin

    def find(self) -> tuple[Path, ...]:
        """Return the files.

        Raises:
            InputError: a file is missing or can't be used; the message says so if the path is
                recorded from the last build.
        """
        try:
            return find(self.patterns)
        except InputError as error:
            if self.origin != "recorded":
                raise
            raise InputError(
                f"{error.what} The path is recorded from the last build.",
                f"Name the files where they are now with {OPTIONS[self.source]} PATH. "
                f"{error.next_step}",
            ) from error

    @property
    def to_record(self) -> tuple[str, ...]:
        """Return the patterns as absolute paths for the next build; none for the sample."""
        # not the files that match today: a glob finds tomorrow's files too
        return () if self.origin == "sample" else tuple(map(absolute, self.patterns))

    def read(self, files: int, rows: int) -> Read:
        """Describe the files that were read, for people."""
        patterns = tuple(map(absolute, self.patterns))
        return Read(self.source, patterns, rows, files, self.origin)


def inputs_of(
    source: str, given: Mapping[str, tuple[str, ...]], previous: RunRecord | None
) -> Inputs:
    """Return the inputs of a source: those given, else those last read, else the sample.

    The sample is the input only if no files of either source are given or recorded: your events
    are never joined with the sample's users.

    Raises:
        UsageError: no files were given for the source and none are recorded.
    """
    recorded = _recorded(previous)
    if source in given:
        return Inputs(source, given[source], "given")
    if source in recorded:
        return Inputs(source, recorded[source], "recorded")
    if given or recorded:
        raise UsageError(
            f"No files of {source} were given, and no build recorded any here.",
            f"Name them with {OPTIONS[source]} PATH. The sample's are not joined with yours.",
        )
    return Inputs(source, (str(_sample(source)),), "sample")


def _recorded(previous: RunRecord | None) -> dict[str, tuple[str, ...]]:
    if previous is None:
        return {}
    # older versions recorded the sample's files too
    samples = {name: (absolute(str(_sample(name))),) for name in SOURCES}
    return {
        name: read.inputs
        for name, read in previous.sources.items()
        if read.inputs and read.inputs != samples.get(name)
    }


def _sample(source: str) -> Path:
    return SAMPLE / f"{source}.parquet"
