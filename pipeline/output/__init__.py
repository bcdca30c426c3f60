"""Results as lines, tables, JSON, progress, and views in a notebook."""
