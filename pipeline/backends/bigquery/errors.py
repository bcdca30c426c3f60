"""Turns Google's errors into ours: BigQuery's reason, and the remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import requests.exceptions
from google.api_core.exceptions import Conflict, GoogleAPICallError, NotFound, RetryError
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError

from pipeline.errors import EngineError, PipelineError, UsageError

_LOG_IN = "Log in with `gcloud auth application-default login`"
_REMEDIES = {
    "accessDenied": "Ask for the roles BigQuery Job User on the project and BigQuery Data Editor "
    f"on the dataset, or use other credentials. {_LOG_IN}.",
    "authError": f"{_LOG_IN} again.",
    "notFound": "Check --project, --dataset, --source-dataset and --location.",
    "bytesBilledLimitExceeded": "Raise --max-bytes-billed, or select fewer models; "
    "`build --dry-run` says what each would bill.",
    "quotaExceeded": "Wait until the quota is renewed, or have it raised in the Google Cloud "
    "console, under IAM & Admin, Quotas.",
    "rateLimitExceeded": "Try again in a few minutes, with less else running in the project.",
    "billingNotEnabled": "Enable billing for the project in the Google Cloud console.",
    "accessNotConfigured": "Enable the BigQuery API of the project in the Google Cloud console.",
    "backendError": "BigQuery has trouble of its own: try again in a few minutes.",
}
_REMEDIES["required"] = _REMEDIES["authError"]
_REMEDIES["internalError"] = _REMEDIES["backendError"]
_PASSING = frozenset(
    [
        "backendError",
        "internalError",
        "rateLimitExceeded",
        "badGateway",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
    ]
)
"""BigQuery's reasons for which Google's documentation says to send a job again."""
_BY_STATUS = {401: "authError", 403: "accessDenied", 404: "notFound", 503: "backendError"}


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn Google's errors into expected failures.

    Raises:
        UsageError: the user can mend it: credentials, names, permission, limits.
        EngineError: BigQuery can't run a statement.
    """
    try:
        yield
    except DefaultCredentialsError as error:
        raise UsageError(
            f"There are no Google credentials here: {_first_line(error)}",
            f"{_LOG_IN}, point GOOGLE_APPLICATION_CREDENTIALS to a key file, or name an emulator "
            "with --api-endpoint.",
        ) from error
    except (RetryError, TransportError, requests.exceptions.RequestException) as error:
        raise _unreachable(error) from error
    except GoogleAuthError as error:
        raise UsageError(
            f"Google refuses the credentials: {_first_line(error)}", f"{_LOG_IN} again."
        ) from error
    except GoogleAPICallError as error:
        raise _told(error) from error


def is_missing(error: BaseException | None) -> bool:
    """Tell whether the cause of an error of ours is that something does not exist."""
    return isinstance(error, NotFound)


def is_there(error: BaseException | None) -> bool:
    """Tell whether the cause of an error of ours is that something exists already."""
    return isinstance(error, Conflict)


def is_passing(error: BaseException | None) -> bool:
    """Tell whether the cause of an error of ours is temporary."""
    return isinstance(error, GoogleAPICallError) and reason_of(error) in _PASSING


def _told(error: GoogleAPICallError) -> PipelineError:
    reason, message = reason_of(error), f"BigQuery: {_message(error)}"
    if reason in _REMEDIES:
        return UsageError(message, _REMEDIES[reason])
    return EngineError(message)


def reason_of(error: GoogleAPICallError) -> str:
    """Return BigQuery's word for what went wrong, such as `accessDenied`."""
    for detail in error.errors:
        if reason := detail.get("reason"):
            return str(reason)
    return _BY_STATUS.get(error.code or 0, "")


def _message(error: GoogleAPICallError) -> str:
    for detail in error.errors:
        if message := detail.get("message"):
            return _first_line(message)
    return _first_line(error)


def _unreachable(error: Exception) -> PipelineError:
    cause = error.cause if isinstance(error, RetryError) and error.cause else error
    if isinstance(cause, GoogleAPICallError):
        return _told(cause)
    return UsageError(
        f"BigQuery can't be reached: {_first_line(cause)}",
        "Check the network, and --api-endpoint or BIGQUERY_EMULATOR_HOST if one is given.",
    )


def _first_line(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
