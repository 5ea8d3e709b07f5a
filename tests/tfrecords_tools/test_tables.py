"""Columns that line up, on a terminal and in Markdown."""

import pytest

from tfrecords_tools.tables import aligned, markdown

ROWS = [["", "mAP", "rank-1"], ["trained", "63.7 [60.1 67.2]", "52.8"], ["a|b", "9.1", ""]]


def test_columns_stand_two_spaces_apart():
    assert aligned(ROWS).splitlines() == [
        "         mAP               rank-1",
        "trained  63.7 [60.1 67.2]  52.8",
        "a|b      9.1",
    ]


def test_numbers_end_alike():
    assert aligned([["mAP", "rank-1"], ["63.7", "100.0"]], right=range(2)) == " mAP  rank-1\n63.7   100.0"


def test_markdown_lines_up_and_escapes_its_bars():
    assert markdown(ROWS, right=[2]).splitlines() == [
        "|         | mAP              | rank-1 |",
        "| ------- | ---------------- | -----: |",
        "| trained | 63.7 [60.1 67.2] |   52.8 |",
        "| a\\|b    | 9.1              |        |",
    ]


def test_a_narrow_column_keeps_a_rule_that_markdown_knows():
    assert markdown([["n", "m"], ["1", "2"]], right=[0]) == "|  n | m  |\n| -: | -- |\n|  1 | 2  |\n"


@pytest.mark.parametrize("table", [aligned, markdown])
def test_a_row_that_lacks_a_cell_is_refused(table):
    with pytest.raises(ValueError, match="shorter"):
        table([["a", "b"], ["c"]])
