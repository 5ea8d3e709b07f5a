"""The table of a search's trials, as `trials.md` holds it."""

from kreid.tuning.table import Row, markdown

ROWS = [
    Row(0, "failed", {"loss.margin": 0.1, "model.heads.layers": ["conv4"]}, []),
    Row(1, "done", {"loss.margin": 0.312345, "model.heads.layers": []}, [0.5, 0.25]),
    Row(12, "done", {"loss.margin": 0.2, "model.heads.layers": ["conv4", "conv5"]}, [1.0, 0.5]),
    Row(3, "pruned", {"loss.margin": 0.2, "model.heads.layers": []}, [0.125]),
]


def test_trials_stand_best_first_and_line_up():
    assert markdown(ROWS, folds=2, objective="mAP") == (
        "| trial | mAP % |   sd | fold 1 | fold 2 | margin | layers         | state  |\n"
        "| ----: | ----: | ---: | -----: | -----: | ------ | -------------- | ------ |\n"
        "|    12 |  75.0 | 35.4 |  100.0 |   50.0 | 0.2    | [conv4, conv5] | done   |\n"
        "|     1 |  37.5 | 17.7 |   50.0 |   25.0 | 0.3123 | []             | done   |\n"
        "|     3 |  12.5 |      |   12.5 |        | 0.2    | []             | pruned |\n"
        "|     0 |       |      |        |        | 0.1    | [conv4]        | failed |\n"
    )
