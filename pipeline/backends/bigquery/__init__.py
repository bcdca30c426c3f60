"""BigQuery: builds into expiring tables beside the published ones, then copies them over."""
