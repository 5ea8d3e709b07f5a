"""Who is seen where: the mix of the real set, in numbers; kits and squads of a game."""

from collections import Counter
from random import Random

import numpy as np
import pytest

from tfrecords_tools.naming import Thumbnail, format_name, parse_name
from tfrecords_tools.synthetic import plan
from tfrecords_tools.synthetic.plan import draw_sizes, name_box, name_folder, plan_action, plan_jerseys, plan_views
from tfrecords_tools.synthetic.squads import PATTERNS, Person, distance, draw_people

PEOPLE = draw_people(Random(0))


@pytest.fixture(scope="module")
def actions():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "people_of", lambda *_: PEOPLE)  # drawing them takes most of the time
        return [plan_action(0, "valid", index) for index in range(1500)]


def test_action_sizes_are_those_of_the_real_set(actions):
    queries = np.array([action.count("query") for action in actions])
    gallery = np.array([action.count("gallery") for action in actions])
    # Quantiles of the 1,751 real valid actions.
    for share, real_queries, real_gallery in (
        (0.05, 2, 7),
        (0.25, 3, 14),
        (0.5, 5, 18),
        (0.75, 10, 23),
        (0.95, 15, 38),
    ):
        assert abs(np.quantile(queries, share) - real_queries) <= 1
        assert abs(np.quantile(gallery, share) - real_gallery) <= 2
    assert 15 < queries.max() <= 21
    assert 50 < gallery.max() <= 81
    assert (gallery >= queries).all()
    assert queries.min() >= 1
    assert abs(np.corrcoef(queries, gallery)[0, 1] - 0.55) < 0.08
    assert abs((queries + gallery).mean() - 26.3) < 1.5


def test_people_have_as_many_views_as_in_the_real_set(actions):
    views = Counter()
    for action in actions:
        views.update(Counter(sighting.person for sighting in action.sightings).values())
    total = views.total()
    assert abs(views[1] / total - 0.548) < 0.025
    assert abs(views[2] / total - 0.335) < 0.025
    assert abs(sum(count for seen, count in views.items() if seen >= 4) / total - 0.036) < 0.012


def test_training_has_the_same_mix_in_one_list():
    train, valid = plan_action(4, "train", 3), plan_action(4, "valid", 3)
    assert {sighting.subset for sighting in train.sightings} == {"train"}
    assert train.count("train") == len(train.sightings)
    assert {sighting.subset for sighting in valid.sightings} == {"query", "gallery"}
    assert train.cameras[0] == "main"


@pytest.mark.parametrize(
    "queries, gallery, replays, people",
    [(1, 1, 1, 44), (3, 3, 4, 44), (21, 21, 1, 44), (2, 40, 1, 44), (5, 81, 4, 44), (21, 81, 4, 44), (3, 9, 3, 3)],
)
def test_views_make_exactly_the_lists_asked_for(queries, gallery, replays, people):
    for seed in range(20):
        views = plan_views(Random(seed), queries, gallery, replays, people)
        assert sum(map(len, views)) == queries + gallery
        assert len(views) <= people
        for i, frames in enumerate(views):
            assert len(set(frames)) == len(frames)
            assert set(frames) <= set(range(replays + 1))
            if i < queries:
                assert frames[0] == 0
                assert len(frames) > 1
            else:  # in the action frame or in replays: a person in both would be a query
                assert frames == [0] or 0 not in frames or gallery > 2 * people - queries or len(views) == people


def test_sizes_stay_inside_the_table():
    class Extreme(Random):
        def gauss(self, mu, sigma):
            return self.edge

    for edge in (-6.0, 6.0):
        source = Extreme(0)
        source.edge = edge
        queries, gallery = draw_sizes(source)
        assert (queries, gallery) == ((1, 1) if edge < 0 else (21, 81))


def test_jerseys_are_numbers_letters_or_unknown():
    cast, views = PEOPLE, [1, 2] * (len(PEOPLE) // 2)
    jerseys = plan_jerseys(Random(1), cast, views)
    assert {kind(jersey) for jersey in jerseys} == {"number", "letter", "unknown"}
    for person, jersey, seen in zip(cast, jerseys, views, strict=True):
        if kind(jersey) == "number":
            assert jersey == str(person.number) != "0"
        assert kind(jersey) != "unknown" or seen == 1  # who has several views can be told apart
    letters = Counter((one.role, j) for one, j in zip(cast, jerseys, strict=True) if kind(j) == "letter")
    assert max(letters.values()) == 1


def kind(jersey):
    if jersey is None:
        return "unknown"
    return "letter" if len(jersey) == 1 and jersey.isalpha() else "number" if jersey.isdigit() else "wrong"


@pytest.mark.parametrize(
    "index, form", [(0, "000r002_000000ff000a"), (6, "002r002_000000ff000a"), (7, "03aa0002000000ff000a")]
)
def test_annotation_identifiers_fit_a_file_name(index, form):
    action = plan_action(0, "train", index)
    name = name_box(action, plan.Sighting(0, 2, "train"), spot=10, stamp=255)
    assert name == form
    thumbnail = Thumbnail(1, 2, 3, 4, "Main_referee", None, name, 50, 25)
    assert parse_name(format_name(thumbnail)) == thumbnail


def test_no_two_actions_share_a_folder():
    folders = {name_folder(0, split, index) for split in plan.FIRST_SEASON for index in range(0, 6000, 2)}
    assert len(folders) == 4 * 3000


def test_actions_of_a_game_show_the_same_people():
    first, second, next_game = (plan.people_of(2, "test", index) for index in (0, plan.ACTIONS_PER_GAME - 1, 4))
    assert first == second
    assert first != next_game
    assert first != plan.people_of(2, "valid", 0)


# === Squads ===


@pytest.fixture(scope="module")
def games():
    return [draw_people(Random(seed)) for seed in range(60)]


def test_squads_are_complete(games):
    for people in games:
        roles = Counter(person.role for person in people)
        assert roles == {
            "Player_team_left": 18,
            "Player_team_right": 18,
            "Goalkeeper_team_left": 2,
            "Goalkeeper_team_right": 2,
            "Main_referee": 1,
            "Side_referee": 3,
        }
        numbers = Counter((person.role.split("_")[-1], person.number) for person in people if person.number)
        assert max(numbers.values()) == 1
        assert sum(person.armband is not None for person in people) == 2
    assert {person.kit.pattern for people in games for person in people} == set(PATTERNS)


def test_sides_keepers_and_officials_stand_out_from_each_other(games):
    for people in games:
        kits = {person.role.replace("Side", "Main"): person.kit.shirt for person in people}
        shirts = list(kits.values())
        assert len(shirts) == 5
        for i, one in enumerate(shirts):
            assert all(distance(one, other) > 100 for other in shirts[:i]), kits


def test_team_mates_share_the_kit_and_differ_in_themselves(games):
    for people in games[:10]:
        squad = [person for person in people if person.role == "Player_team_left"]
        assert len({person.kit for person in squad}) == 1
        looks = [without_number(person) for person in squad]
        for i, one in enumerate(looks):
            for other in looks[:i]:
                assert sum(a != b for a, b in zip(one, other, strict=True)) >= 3


def without_number(person: Person) -> tuple:
    """What can be seen of a person besides the number: skin, hair, boots, socks, sleeves, extras."""
    hidden = ("role", "number", "kit", "girth", "legs")
    return tuple(value for name, value in vars(person).items() if name not in hidden)
