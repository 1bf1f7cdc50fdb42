"""Every folder with a problem.toml keeps the contract of SPEC.md."""

import pytest

from catalog import problems
from tests import contract

FOLDERS = problems.folders()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__)
def test_contract(folder, check):
    wrong = check(folder)
    assert not wrong, "\n" + "\n".join(wrong)
