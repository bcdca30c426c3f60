"""BigQuery: builds into expiring tables beside the published ones, then copies them over."""

from pipeline.backends.bigquery.backend import BigQuery as BigQuery
