"""Decides what an action shows before anything is drawn: who, in which frames, with which labels."""

from dataclasses import dataclass
from random import Random
from statistics import NormalDist

from tfrecords_tools.synthetic.squads import Person, draw_people

ACTIONS_PER_GAME = 4  # ours; about 30 in the real set, but kits should vary in a small set too

# Query and gallery images of the real valid actions at these quantiles, and the rank correlation of the two.
QUANTILES = (0.0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
QUERIES = (1, 2, 2, 3, 5, 10, 13, 15, 17.5, 21)
GALLERY = (1, 7, 11, 14, 18, 23, 30, 38, 57.5, 81)
CORRELATION = 0.56

# Chosen so that the shares of people with one, two, ... images are the real ones.
REPLAYS = {1: 0.55, 2: 0.22, 3: 0.13, 4: 0.10}
SEEN_AGAIN = 0.45  # a query person, in each replay after the first match
SEEN_TWICE = 0.2  # a person outside the action frame, where there are two replays

REPLAY_CAMERAS = ("close", "close", "close", "goal", "goal", "reverse", "reverse", "main")
LEAGUES = ("northern_league", "harbour_league", "valley_cup")
CLUBS = (
    "Ashford Rovers", "Brackwater", "Calder City", "Dunmore Athletic", "Eastgate", "Fenwick Town", "Glenrock",
    "Holmbury United", "Ironbridge", "Kestrel Park", "Larkhill", "Marston Vale",
)  # fmt: skip
FIRST_SEASON = {"train": 2011, "valid": 2012, "test": 2013, "challenge": 2014}  # no two games share a folder


@dataclass(frozen=True)
class Sighting:
    """One box: who (index in the cast), in which frame of the action (0 = action frame), in which list it goes."""

    person: int
    frame: int
    subset: str


@dataclass(frozen=True)
class Action:
    """What an action shows.

    `cast` are indices into the people of its game, `jerseys` their IDs; `cameras` has one kind a frame; sightings are
    ordered by frame. Who is seen in the action frame and again in a replay is a query person.
    """

    split: str
    index: int
    cast: tuple[int, ...]
    jerseys: tuple[str | None, ...]
    cameras: tuple[str, ...]
    sightings: tuple[Sighting, ...]

    def count(self, subset: str) -> int:
        """Return the number of boxes that go in a list."""
        return sum(sighting.subset == subset for sighting in self.sightings)


def choices_of(seed: int, split: str, index: int, use: str) -> Random:
    """Return the source of choices for one use of one game or action, the same in every process."""
    return Random(f"{seed} {split} {index} {use}")


def people_of(seed: int, split: str, index: int) -> list[Person]:
    """Return everyone in the game an action belongs to."""
    return draw_people(choices_of(seed, split, index // ACTIONS_PER_GAME, "people"))


def plan_action(seed: int, split: str, index: int) -> Action:
    """Return what one action of a split shows."""
    random, people = choices_of(seed, split, index, "plan"), people_of(seed, split, index)
    queries, gallery = draw_sizes(random)
    replays = 4 if gallery > len(people) else random.choices(tuple(REPLAYS), tuple(REPLAYS.values()))[0]
    views = plan_views(random, queries, gallery, replays, len(people))
    sightings = []
    for person, frames in enumerate(views):
        for frame in frames:
            subset = "query" if frame == 0 and person < queries else "gallery"
            sightings.append(Sighting(person, frame, "train" if split == "train" else subset))
    random.shuffle(sightings)  # the order inside a frame must not tell who is who
    sightings.sort(key=lambda sighting: sighting.frame)
    cast = tuple(random.sample(range(len(people)), len(views)))
    return Action(
        split=split,
        index=index,
        cast=cast,
        jerseys=plan_jerseys(random, [people[i] for i in cast], [len(frames) for frames in views]),
        cameras=("main", *random.choices(REPLAY_CAMERAS, k=replays)),
        sightings=tuple(sightings),
    )


def draw_sizes(random: Random) -> tuple[int, int]:
    """Return (query images, gallery images) of an action, distributed and correlated as in the real valid set."""
    normal, first, second = NormalDist(), random.gauss(0, 1), random.gauss(0, 1)
    second = CORRELATION * first + (1 - CORRELATION**2) ** 0.5 * second
    sizes = []
    for value, table in ((normal.cdf(first), QUERIES), (normal.cdf(second), GALLERY)):
        above = next(i for i in range(1, len(QUANTILES)) if value <= QUANTILES[i])
        share = (value - QUANTILES[above - 1]) / (QUANTILES[above] - QUANTILES[above - 1])
        sizes.append(round(table[above - 1] + share * (table[above] - table[above - 1])))
    return sizes[0], max(sizes)


def plan_views(random: Random, queries: int, gallery: int, replays: int, people: int) -> list[list[int]]:
    """Return the frames each person is seen in: `queries` people of frame 0 with matches first, then the others.

    Args:
        random: Source of every choice.
        queries: Number of query images.
        gallery: Number of gallery images, at least `queries`.
        replays: Number of replay frames.
        people: Most people an action can show, at least `queries`.
    """
    everywhere, views = range(1, replays + 1), []
    for _ in range(queries):
        matches = 1 + sum(random.random() < SEEN_AGAIN for _ in range(replays - 1))
        views.append([0, *random.sample(everywhere, matches)])
    rest = gallery + queries - sum(map(len, views))
    while rest < 0:
        random.choice([frames for frames in views if len(frames) > 2]).pop()
        rest += 1
    while rest and len(views) < people:
        twice = rest > 1 and replays > 1 and random.random() < SEEN_TWICE
        views.append(random.sample(everywhere, 2) if twice else [random.randint(0, replays)])
        rest -= len(views[-1])
    for _ in range(rest):  # more boxes than people: some of these are seen again
        frames = random.choice([frames for frames in views if not set(everywhere) <= set(frames)])
        frames.append(random.choice([frame for frame in everywhere if frame not in frames]))
    return views


def plan_jerseys(random: Random, cast: list[Person], views: list[int]) -> tuple[str | None, ...]:
    """Return each person's ID: the shirt number where one could read it, else a letter to link views by, else None."""
    jerseys: list[str | None] = []
    letters: dict[str, int] = {}
    for person, seen in zip(cast, views, strict=True):
        if person.number and random.random() < (0.75 if seen > 1 else 0.4):
            jerseys.append(str(person.number))
        elif seen > 1 or random.random() < 0.3:
            letters[person.role] = letters.get(person.role, -1) + 1
            jerseys.append(chr(ord("a") + letters[person.role]))
        else:
            jerseys.append(None)
    return tuple(jerseys)


def name_folder(seed: int, split: str, index: int) -> str:
    """Return the folders championship/season/game/action of an action, in the real set's form."""
    game, number = divmod(index, ACTIONS_PER_GAME)
    random = choices_of(seed, split, game, "name")
    home, away = random.sample(CLUBS, 2)
    season = FIRST_SEASON[split] + 4 * (game // 336)
    date = f"{season + 1}-{game % 336 // 28 + 1:02d}-{game % 28 + 1:02d} - {random.choice((15, 18, 20))}-00"
    title = f"{date} {home} {random.randrange(5)} - {random.randrange(5)} {away}"
    return f"{random.choice(LEAGUES)}/{season}-{season + 1}/{title}/{number}"


def name_box(action: Action, sighting: Sighting, spot: int, stamp: int) -> str:
    """Return the UAI of a box: action in its game, frame and its stamp, and which box of the action it is."""
    number = action.index % ACTIONS_PER_GAME
    if action.index % 16 == 7:  # some real ones have another form, without the underscore
        return f"{number:02d}aa{sighting.frame:04d}{stamp:08x}{spot:04x}"
    return f"{number:03d}r{sighting.frame:03d}_{stamp:08x}{spot:04x}"
