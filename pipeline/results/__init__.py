"""The results of all commands as plain data.

Each kind writes itself as JSON field by field, so renaming a field changes no public output. A
record reads itself back; a field that an older version did not write has a default.
"""

from pipeline.results.answers import Estimate as Estimate
from pipeline.results.answers import Finding as Finding
from pipeline.results.answers import Level as Level
from pipeline.results.answers import Loaded as Loaded
from pipeline.results.answers import Price as Price
from pipeline.results.contents import Diff as Diff
from pipeline.results.contents import Difference as Difference
from pipeline.results.contents import Digest as Digest
from pipeline.results.contents import Digests as Digests
from pipeline.results.contents import ModelDiff as ModelDiff
from pipeline.results.contents import Verification as Verification
from pipeline.results.records import FileRead as FileRead
from pipeline.results.records import Freshness as Freshness
from pipeline.results.records import LastTest as LastTest
from pipeline.results.records import Overview as Overview
from pipeline.results.records import RunRecord as RunRecord
from pipeline.results.records import SourceRead as SourceRead
from pipeline.results.steps import CheckResult as CheckResult
from pipeline.results.steps import CheckStatus as CheckStatus
from pipeline.results.steps import Dropped as Dropped
from pipeline.results.steps import Json as Json
from pipeline.results.steps import ModelMode as ModelMode
from pipeline.results.steps import ModelResult as ModelResult
from pipeline.results.steps import ModelStatus as ModelStatus
from pipeline.results.steps import Note as Note
from pipeline.results.steps import Origin as Origin
from pipeline.results.steps import Read as Read
from pipeline.results.steps import Result as Result
from pipeline.results.steps import RunMode as RunMode
from pipeline.results.steps import Severity as Severity
from pipeline.results.steps import Started as Started
