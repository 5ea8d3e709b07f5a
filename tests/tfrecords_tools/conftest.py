import pytest
from tiny_tree import write_tree


@pytest.fixture
def tree(tmp_path):
    """A tree of all four splits, with label lists, below `<tmp>/soccernet/reid`."""
    return write_tree(tmp_path / "soccernet" / "reid", label_lists=True).parent
