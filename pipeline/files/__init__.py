"""Local files as raw tables: finds them, reads them, and explains their faults."""

from pipeline.files.export import Export as Export
from pipeline.files.export import export as export
from pipeline.files.faults import diagnose as diagnose
from pipeline.files.faults import mended as mended
from pipeline.files.finding import find as find
from pipeline.files.globs import absolute as absolute
from pipeline.files.reading import Raw as Raw
from pipeline.files.reading import read as read
from pipeline.files.reading import require_unchanged as require_unchanged
