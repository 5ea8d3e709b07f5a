"""The paper's table against what the configurations' head comments say, and which configurations it has no row for."""

import re

import paths
import pytest
from configurations import changed

from kreid.config.loading import load_config
from kreid.evaluation.paper import paper_row
from kreid.report.figures import check_paper_row

CONFIGS = {path.stem: path for path in sorted(paths.CONFIGS.glob("*.yaml"))}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("percent", [10, 2])
def test_rows_are_those_of_the_head_comments(name, percent):
    head = CONFIGS[name].read_text(encoding="utf-8").split("model:")[0].replace("\n# ", " ")
    stated = re.search(r"Paper \(test split.*?\.\s", head)
    figures = re.search(rf"([\d.]+) / ([\d.]+) (?:trained )?on {percent} %", stated[0]) if stated else None
    row = paper_row(load_config(CONFIGS[name], [f"data.fraction={percent / 100}"]))
    check_paper_row(row)
    if name == "two_stream_released" and percent == 2:  # its head comment names the 10 % row alone
        figures = re.search(r"([\d.]+) / ([\d.]+) on 2 %", CONFIGS["two_stream"].read_text(encoding="utf-8"))
    if figures is None:
        assert row is None
    else:
        assert [row["mAP"], row["rank1"]] == pytest.approx([float(figure) / 100 for figure in figures.groups()])
        assert f"{percent} %" in row["system"]


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("data", {"fraction": 1.0}),
        ("data", {"fraction": 0.05}),
        ("model", {"image_size": [128, 64]}),
        ("model", {"heads": {"layers": ["conv3"]}}),
        ("model", {"appearance": {"width_divisor": 2}}),
        ("model", {"appearance": {"layer": "conv4"}}),
        ("model", {"appearance": {"backbone": "osnet_x1_0"}}),
        ("model", {"part": {"width_divisor": 2}}),
    ],
)
def test_other_networks_and_parts_of_the_data_have_no_row(section, values):
    config = load_config(CONFIGS["two_stream"])
    assert paper_row(config)
    assert paper_row(changed(config, **{section: values})) is None


def test_the_rows_are_of_the_test_split():
    assert paper_row(load_config(CONFIGS["osnet"]), "valid") is None
