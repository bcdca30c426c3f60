"""A client of BigQuery, or of an emulator at an endpoint, and Ibis on top of it."""

from __future__ import annotations

import os

import google.auth
import ibis
from google.api_core.client_info import ClientInfo
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryReadClient
from ibis.backends.bigquery import Backend as IbisBigQuery

from pipeline.backends.bigquery.errors import told

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
EMULATOR = "BIGQUERY_EMULATOR_HOST"


def connect(project: str, dataset: str, location: str | None, endpoint: str | None) -> IbisBigQuery:
    """Return Ibis on a client with Google's Application Default Credentials; sends nothing yet.

    With an `endpoint`, or one in BIGQUERY_EMULATOR_HOST, it uses no credentials.

    Raises:
        UsageError: there are no credentials.
    """
    endpoint = _with_scheme(endpoint or os.environ.get(EMULATOR))
    with told():
        credentials = _credentials(endpoint)
        client = bigquery.Client(
            project,
            credentials=credentials,
            location=location,
            client_options=ClientOptions(api_endpoint=endpoint) if endpoint else None,
            client_info=ClientInfo(  # type: ignore[no-untyped-call]
                user_agent="hub-events-pipeline"
            ),
        )
        return ibis.bigquery.connect(
            client=client,
            # given, so Ibis does not look for credentials; it connects when it is used
            storage_client=BigQueryReadClient(  # type: ignore[no-untyped-call]
                credentials=credentials
            ),
            project_id=project,
            dataset_id=dataset,
        )


def _credentials(endpoint: str | None) -> Credentials:
    if endpoint:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    credentials, _ = google.auth.default(scopes=SCOPES)
    return credentials


def _with_scheme(endpoint: str | None) -> str | None:
    return f"http://{endpoint}" if endpoint and "://" not in endpoint else endpoint
