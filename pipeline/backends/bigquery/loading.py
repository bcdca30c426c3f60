"""Where files are loaded to before they take the place of the raw tables."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.cloud import bigquery
from ibis.backends.sql.datatypes import BigQueryType

from pipeline.backends.bigquery.errors import told
from pipeline.backends.bigquery.tables import Dataset
from pipeline.backends.bigquery.workspace import LIFETIME, name_of_run
from pipeline.errors import PipelineError
from pipeline.sources import SOURCES, Source

if TYPE_CHECKING:
    from pipeline.files import Export

PREFIX = "_loading_"


@dataclass(frozen=True)
class BigQueryLoading:
    """Tables of this load alone, which expire by themselves."""

    dataset: Dataset
    run: str = field(default_factory=name_of_run)
    loaded: dict[str, str] = field(default_factory=dict)

    def add(self, exported: Export) -> None:
        """Load the files of one source into a table of its own.

        Raises:
            UsageError: no permission, or a quota is used up.
            EngineError: BigQuery can't load a file.
        """
        source = exported.source
        name = f"{PREFIX}{self.run}_{source.name}"
        fields = fields_of(source, exported)
        table = bigquery.Table(self.dataset.full_name(name), fields)
        table.description = source.description
        table.expires = datetime.now(UTC) + LIFETIME
        self.loaded[source.name] = name
        with told():
            self.dataset.con.client.create_table(table)
        for part in exported.parts:
            with part.open("rb") as content:
                self.dataset.jobs.load(content, self.dataset.full_name(name), fields, run=self.run)

    def publish(self, *, append: bool) -> None:
        """Put each table in the place of the raw one, or add it, in one step a table."""
        kinds = self.dataset.kinds()
        for source, name in self.loaded.items():
            if source in kinds and not append and kinds[source] != "TABLE":
                self.dataset.drop(source, kinds[source])
            self.dataset.jobs.copy(
                *map(self.dataset.full_name, (name, source)), append=append, run=self.run
            )
            self.dataset.keep(source, SOURCES[source].description)

    def clear(self) -> None:
        """Remove what is under names of this load."""
        for name in self.loaded.values():
            # what can't be removed now expires; why the load ended is the better thing to tell
            with contextlib.suppress(PipelineError):
                self.dataset.drop(name, "TABLE")


def fields_of(source: Source, exported: Export) -> list[bigquery.SchemaField]:
    """Return the columns of a raw table as BigQuery's."""
    descriptions = {column.name: column.description for column in source.columns}
    return [
        bigquery.SchemaField(name, BigQueryType.to_string(kind), description=descriptions[name])
        for name, kind in exported.schema.items()
    ]
