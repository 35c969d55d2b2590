"""Marks of the tests that are about one line of ERPNext."""

from __future__ import annotations

import pytest

from .lines import V15, V16

only_v15 = pytest.mark.line(V15)
only_v16 = pytest.mark.line(V16)
