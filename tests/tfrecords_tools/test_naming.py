import pytest
from examples import few
from hypothesis import given
from hypothesis import strategies as st

from tfrecords_tools.naming import Thumbnail, format_name, parse_name, parse_places

LABELLED = Thumbnail(54404, 1940, 33397, 5089, "Player_team_right", "9", "014r002_00858c3b0003", 775, 449)
CHALLENGE = Thumbnail(17, 3, None, None, None, None, None, 128, 64)

NAMES = {
    "number": ("54404-1940-33397-5089-Player_team_right-9-014r002_00858c3b0003-775x449.png", LABELLED),
    "letter": (
        "0-0-0-0-Goalkeeper_team_left-b-000r000_004597cb000d-74x32.png",
        Thumbnail(0, 0, 0, 0, "Goalkeeper_team_left", "b", "000r000_004597cb000d", 74, 32),
    ),
    "no_jersey": (
        "1-2-3-4-Main_referee-None-07aa00020045669b0007-250x110.png",
        Thumbnail(1, 2, 3, 4, "Main_referee", None, "07aa00020045669b0007", 250, 110),
    ),
    "leading_zero_of_a_jersey": (
        "1-2-3-4-Player_team_left-09-a-5x6.png",
        Thumbnail(1, 2, 3, 4, "Player_team_left", "09", "a", 5, 6),
    ),
    "role_with_a_space": (
        "1-2-3-4-Staff members-7-a-5x6.png",
        Thumbnail(1, 2, 3, 4, "Staff members", "7", "a", 5, 6),
    ),
    "challenge": ("17-3-128x64.png", CHALLENGE),
}


@pytest.mark.parametrize("name, thumbnail", NAMES.values(), ids=NAMES)
def test_name_says_every_field_and_back(name, thumbnail):
    assert parse_name(name) == thumbnail
    assert format_name(thumbnail) == name


@pytest.mark.parametrize(
    "name, expected",
    [
        ("train/a-1/b - 2/17-3-128x64.png", CHALLENGE),
        ("17-3-128x64.PNG", CHALLENGE),
        ("017-0003-128x064.png", CHALLENGE),
    ],
    ids=["folders_before_it", "capital_suffix", "leading_zeros"],
)
def test_variants_mean_the_same(name, expected):
    assert parse_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".png",
        "photo.png",
        "17-3-128x64.jpg",
        "17-3-128x64.png.part",
        "17-3-128x64 (1).png",
        "17_3_128x64.png",
        "17-3-128.png",
        "17-3-x64.png",
        "-1-3-128x64.png",
        "17-3-9-128x64.png",
        "1-2-3-4-Player_team_left-9-uai.png",
        "1-2-3-4-Player-team-left-9-uai-5x6.png",
        "1-2-None-4-Player_team_left-9-uai-5x6.png",
        "1-2-3-4--9-uai-5x6.png",
        "1-2-3-4-Player_team_left--uai-5x6.png",
        "1-2-3-4-Player_team_left-9--5x6.png",
        "1_2_3_4_Player_team_left_9_uai_5x6.png",
        "¹7-3-128x64.png",
        "٣-3-128x64.png",
        "1234567890123456789-3-128x64.png",
        "17-3-128x64.png\n",
    ],
)
def test_other_names_are_refused_by_name(name):
    with pytest.raises(ValueError, match="fits neither form") as refused:
        parse_name(name)
    assert name in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"role": "Player-team"},
        {"role": "a/b"},
        {"role": ""},
        {"role": None},
        {"uai": None},
        {"uai": "a-b"},
        {"jersey": ""},
        {"bbox": -1},
        {"frame": None},
        {"person": None},
        {"height": 1.5},
        {"action": 10**18},
    ],
)
def test_what_no_name_can_say_is_refused(change):
    # A role of None would be written as the text "None", and be read back as a role.
    with pytest.raises(ValueError, match="no SoccerNet-v3 ReID file name can say"):
        format_name(LABELLED._replace(**change))


NONE = Thumbnail(1, 2, 3, 4, "a\nb", None, "u_", 5, 6)


@pytest.mark.parametrize("labelled", [True, False])
def test_places_of_many_names_are_those_of_each(labelled):
    thumbnails = [*(one for _, one in NAMES.values()), NONE]
    names = [format_name(one) for one in thumbnails if (one.person is not None) == labelled] * 2
    bbox, action = parse_places(names, labelled)
    assert list(zip(bbox, action, strict=True)) == [parse_name(name)[:2] for name in names]
    assert parse_places([], labelled) == ([], [])


@pytest.mark.parametrize(
    "wrong", ["photo.png", "x17-3-128x64.png", "17-3-128x64.png.part", "1234567890123456789-3-5x6.png"]
)
@pytest.mark.parametrize("labelled", [True, False])
def test_places_are_not_told_where_one_name_is_wrong(labelled, wrong):
    mine, others = (["1-2-3-4-a-9-u-5x6.png"], ["17-3-128x64.PNG"])[:: 1 if labelled else -1]
    assert parse_places(mine, labelled) is not None
    for strange in (wrong, *others):
        assert parse_places([*mine, strange, *mine], labelled) is None


NUMBERS = st.integers(0, 10**18 - 1)
LABELS = st.builds(
    Thumbnail,
    NUMBERS, NUMBERS, NUMBERS, NUMBERS,
    st.text(st.characters(exclude_characters="-/", codec="utf-8"), min_size=1),
    st.from_regex(r"[0-9A-Za-z]{1,3}", fullmatch=True).map(lambda jersey: None if jersey == "None" else jersey),
    st.from_regex(r"[0-9A-Za-z_]{1,20}", fullmatch=True),
    st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1),
)  # fmt: skip


@few
@given(st.lists(LABELS, max_size=4))
def test_any_labels_make_a_name_that_says_them(thumbnails):
    names = [format_name(one) for one in thumbnails]
    assert [parse_name(name) for name in names] == thumbnails
    assert parse_places(names, labelled=True) == ([one.bbox for one in thumbnails], [one.action for one in thumbnails])


PARTS = st.sampled_from([*"0123-_x.\n²é٣", "-9-", "128x64", ".png", ".PNG", "None", "Player", "9" * 19])


@few
@given(st.lists(PARTS, max_size=16).map("".join))
def test_one_name_and_many_are_read_by_one_rule(name):
    try:
        thumbnail = parse_name(name)
    except ValueError:
        assert parse_places([name], labelled=True) is parse_places([name], labelled=False) is None
    else:
        labelled = thumbnail.person is not None
        assert parse_places([name], labelled) == ([thumbnail.bbox], [thumbnail.action])
        assert parse_places([name], not labelled) is None
