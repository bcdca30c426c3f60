"""BigQuery: a build fills expiring tables beside the published ones, then copies them over."""
