"""DuckDB: builds into a new file beside the database, which takes its place when all is well."""
