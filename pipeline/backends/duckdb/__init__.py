"""DuckDB: a build fills a new file beside the database, which replaces it if all goes well."""
