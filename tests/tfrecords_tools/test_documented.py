"""docs/records.md: its lines read records, and its table is that of the schema."""

import re

from paths import ROOT
from sets import write_images

from tfrecords_tools.example import FIELDS
from tfrecords_tools.index import COLUMNS, NAMES
from tfrecords_tools.info import SplitInfo
from tfrecords_tools.sources.table import SOURCES
from tfrecords_tools.writer import convert

TEXT = (ROOT / "docs/records.md").read_text(encoding="utf-8")
NAMES_OF_FILES = ["query/0001_c1_1.png", "bounding_box_test/0001_c2_2.jpg", "bounding_box_test/0000_c2_3.png"]


def test_the_lines_read_records_without_this_project(tmp_path, monkeypatch, capsys):
    write_images(tmp_path / "set", NAMES_OF_FILES)
    convert(tmp_path / "set", tmp_path / "records")
    (lines,) = re.findall(r"^```python\n(.*?)^```", TEXT, flags=re.M | re.S)
    assert "kreid" not in lines
    assert "tfrecords_tools" not in lines
    assert len([line for line in lines.splitlines() if line]) <= 10
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    assert capsys.readouterr().out.splitlines() == ["1 1 (12, 6, 3)", "0 2 (12, 6, 3)", "1 2 (12, 6, 3)"]


def test_every_field_is_told():
    rows = re.findall(r"^\| (`.*?) \| (\w+) \|.*\| (\d) \|$", TEXT, flags=re.M)
    kinds = {int: "int64", str: "string", bytes: "bytes"}
    told = [(name, kind, int(since)) for names, kind, since in rows for name in re.findall(r"`(\w+)`", names)]
    assert told == [(one.name, kinds[one.kind], one.since) for one in FIELDS]


def test_every_part_of_index_and_info_is_told():
    for name in (*COLUMNS, *NAMES, *SplitInfo.__annotations__):
        assert f"`{name}`" in TEXT, name


def test_every_source_is_in_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in SOURCES if f"`{name}`" not in readme] == []
