"""Chance faults for a while; `python -m tests.chaos.faults` does it for longer, and more often."""

import pytest

from tests.chaos.faults import let_loose

pytestmark = [pytest.mark.htex, pytest.mark.slurm]


@pytest.mark.timeout(400)
def test_whatever_happens_each_evaluation_is_recorded_once(quiet_slurm, tmp_path):
    print(*let_loose(quiet_slurm, tmp_path, 0, 40, 150), sep="\n")
