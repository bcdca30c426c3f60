from __future__ import annotations

import errno
import os

import duckdb
import pytest

from pipeline.disk import is_full, writing
from pipeline.errors import ResourceError, UsageError

FULL = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


@pytest.mark.parametrize("number", FULL, ids=os.strerror)
def test_a_full_disk_or_quota_is_told_as_such(number, tmp_path):
    with pytest.raises(ResourceError, match=os.strerror(number)), writing(tmp_path):
        raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", FULL, ids=os.strerror)
def test_an_engines_words_for_a_full_disk_are_known(number):
    words = f'IO Error: Could not write file "/build/x.duckdb": {os.strerror(number)}'

    assert is_full(duckdb.IOException(words))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EEXIST, errno.ENOTDIR], ids=os.strerror)
def test_other_faults_of_a_path_are_not_taken_for_a_full_disk(number, tmp_path):
    with pytest.raises(UsageError, match="can't be written"), writing(tmp_path):
        raise OSError(number, os.strerror(number))
