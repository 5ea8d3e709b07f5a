"""Who is on the pitch of a drawn game: two kits, two squads and the officials, each person with traits of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

Colour = tuple[int, int, int]

WHITE, BLACK = (238, 238, 234), (26, 26, 30)
SHIRTS: tuple[Colour, ...] = (
    (196, 28, 38),  # red
    (28, 62, 168),  # blue
    (112, 182, 226),  # sky
    WHITE,
    (36, 36, 42),  # black
    (242, 206, 38),  # yellow
    (112, 24, 54),  # claret
    (236, 116, 30),  # orange
    (92, 52, 146),  # purple
    (22, 30, 78),  # navy
    (14, 92, 66),  # bottle green
)
KEEPER_SHIRTS: tuple[Colour, ...] = (
    (198, 240, 50),  # lime
    (246, 128, 186),  # pink
    (252, 150, 34),  # orange
    (70, 206, 206),  # turquoise
    (128, 128, 134),  # grey
    (148, 88, 200),  # violet
)
REFEREE_SHIRTS: tuple[Colour, ...] = (BLACK, (232, 232, 60), (92, 200, 236), (226, 70, 90))
KEEPER_GLOVES: tuple[Colour, ...] = (WHITE, (240, 120, 40), (60, 200, 90))
ARMBANDS: tuple[Colour, ...] = (WHITE, (250, 220, 40), (220, 40, 40))
PATTERNS = ("plain", "plain", "plain", "stripes", "hoops", "halves", "sash", "pinstripes")

SKINS: tuple[Colour, ...] = (
    (250, 218, 194),
    (232, 186, 152),
    (206, 152, 112),
    (160, 108, 72),
    (110, 70, 46),
    (70, 44, 32),
)
DARK_HAIR: tuple[Colour, ...] = ((20, 16, 16), (20, 16, 16), (44, 30, 22))
FAIR_HAIR: tuple[Colour, ...] = (
    (34, 24, 20),
    (78, 50, 32),
    (124, 82, 48),
    (214, 172, 92),
    (190, 88, 34),
    (158, 154, 150),
)
BLEACHED: Colour = (240, 230, 190)
HAIR_STYLES = ("short", "short", "buzz", "bald", "long", "tail", "afro", "quiff", "bun")
BOOTS: tuple[Colour, ...] = (
    (24, 24, 26),
    (244, 244, 240),
    (255, 72, 40),  # orange red
    (236, 250, 60),  # volt
    (40, 150, 255),  # blue
    (255, 84, 184),  # pink
    (40, 220, 150),  # mint
    (222, 182, 62),  # gold
    (140, 60, 200),  # violet
)
UNLIKE = 150.0  # two colours this `distance` apart are told apart in a small and blurred crop
MATES_DIFFER = 3  # traits, of those that can be seen from every side, in which any two team mates differ


@dataclass(frozen=True)
class Kit:
    """What a side wears. Colours are RGB, 0-255; `pattern` is one of `PATTERNS`."""

    pattern: str
    shirt: Colour
    second: Colour
    figures: Colour
    shorts: Colour
    socks: Colour
    trim: Colour


@dataclass(frozen=True)
class Person:
    """One person of a game: the kit of the side, and what tells the person from team mates in every view.

    `role` is SoccerNet's class (`Player_team_left`, `Main_referee`, ...); `number` is 0 for officials; `sock` is where
    on the shin the sock begins (0 knee, 1 ankle); `girth` multiplies widths and `legs` the length of the legs (1 is
    average); `None` stands for "does not wear it".
    """

    role: str
    number: int
    kit: Kit
    skin: Colour
    hair: str
    hair_colour: Colour
    beard: bool
    boots: Colour
    sock: float
    long_sleeves: bool
    under_sleeves: Colour | None
    tights: Colour | None
    tape: Colour | None
    gloves: Colour | None
    headband: Colour | None
    armband: Colour | None
    girth: float
    legs: float


def distance(first: Colour, second: Colour) -> float:
    """Return how different two RGB colours look: Euclidean, in grey levels, luminance counted twice."""
    light = sum(first) / 3 - sum(second) / 3
    return (sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) + 3 * light**2) ** 0.5


def pick_far(random: Random, palette: Sequence[Colour], others: Sequence[Colour]) -> Colour:
    """Return a colour of `palette` unlike all `others`; where all are like one, that which stands out most."""
    gaps = {colour: min(distance(colour, other) for other in others) for colour in palette}
    far = [colour for colour, gap in gaps.items() if gap >= UNLIKE]
    return random.choice(far) if far else max(gaps, key=gaps.__getitem__)


@cache
def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (factor < 1) or lighter (> 1)."""
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def legible(colour: Colour) -> Colour:
    """Return black or white, whichever can be read on `colour`."""
    return BLACK if sum(colour) > 400 else WHITE


def draw_kit(random: Random, others: Sequence[Colour] = ()) -> Kit:
    """Return the outfield kit of a side whose shirt stands out from the shirts of `others`."""
    shirt = pick_far(random, SHIRTS, others) if others else random.choice(SHIRTS)
    second = pick_far(random, SHIRTS, [shirt, *others[:1]])
    pattern = random.choice(PATTERNS)
    busy = pattern in ("stripes", "hoops", "halves")
    figures = legible(shirt)
    if busy and distance(figures, second) < 150:  # a number has to stand out from both colours of the shirt
        figures = (238, 206, 30)
    return Kit(
        pattern=pattern,
        shirt=shirt,
        second=second,
        figures=figures,
        shorts=random.choice((shirt, second, WHITE, BLACK)),
        socks=random.choice((shirt, shirt, second, WHITE)),
        trim=second,
    )


def plain_kit(shirt: Colour) -> Kit:
    """Return the one-colour kit of a goalkeeper."""
    dark = shade(shirt, 0.8)
    return Kit("plain", shirt, dark, legible(shirt), dark, shirt, dark)


def maybe(random: Random, chance: float, palette: Sequence[Colour]) -> Colour | None:
    """Return a colour of `palette` with probability `chance`, else None."""
    return random.choice(palette) if random.random() < chance else None


def draw_person(random: Random, role: str, kit: Kit, number: int) -> Person:
    """Return a person with the kit given and traits drawn at random; officials and keepers wear less of their own."""
    tone = random.randrange(len(SKINS))
    hair = random.choice(HAIR_STYLES)
    hair_colour = BLEACHED if random.random() < 0.1 else random.choice(DARK_HAIR if tone > 2 else FAIR_HAIR)
    if hair == "bald":
        hair_colour = DARK_HAIR[0]  # seen on a beard only, no trait to tell people apart by
    keeper, player = role.startswith("Goalkeeper"), role.startswith("Player")
    gloves = maybe(random, 1.0, KEEPER_GLOVES) if keeper else maybe(random, 0.1 * player, (BLACK,))
    long_sleeves = keeper or random.random() < 0.3
    return Person(
        role=role,
        number=number,
        kit=kit,
        skin=SKINS[tone],
        hair="short" if hair == "afro" and tone < 2 else hair,
        hair_colour=hair_colour,
        beard=random.random() < 0.3,
        boots=random.choice(BOOTS) if player or keeper else BLACK,
        sock=random.choice((0.06, 0.06, 0.3, 0.62)) if player else 0.08,
        long_sleeves=long_sleeves,
        under_sleeves=maybe(random, 0.25, (WHITE, BLACK, kit.shirt)) if player and not long_sleeves else None,
        tights=maybe(random, 0.25, (WHITE, BLACK, kit.shorts)) if player else None,
        tape=maybe(random, 0.3, (WHITE, BLACK, (220, 40, 40))) if player else None,
        gloves=gloves,
        headband=maybe(random, 0.1 * player, (WHITE, BLACK, kit.second)),
        armband=None,
        girth=min(1.3, max(0.8, random.gauss(1.0, 0.12))),
        legs=min(1.12, max(0.88, random.gauss(1.0, 0.05))),
    )


def count_differences(one: Person, other: Person) -> int:
    """Return in how many of the traits that can be seen from every side two people differ."""
    names = ("skin", "hair", "hair_colour", "boots", "sock", "long_sleeves", "under_sleeves", "tights", "tape")
    return sum(getattr(one, name) != getattr(other, name) for name in names)


def draw_side(random: Random, side: str, kit: Kit, keeper: Kit, players: int) -> list[Person]:
    """Return `players` outfield players who can be told apart, one of them captain, and two goalkeepers."""
    squad: list[Person] = []
    for number in random.sample(range(2, 40), players):
        person = draw_person(random, f"Player_team_{side}", kit, number)
        while any(count_differences(person, mate) < MATES_DIFFER for mate in squad):
            person = draw_person(random, f"Player_team_{side}", kit, number)
        squad.append(person)
    squad[0] = replace(squad[0], armband=pick_far(random, ARMBANDS, [kit.shirt]))
    squad += [draw_person(random, f"Goalkeeper_team_{side}", keeper, number) for number in (1, 40)]
    return squad


def draw_people(random: Random, players: int = 18) -> list[Person]:
    """Return the people of a game, a squad of `players` and two keepers a side, a referee and three side referees.

    Shirts of the five kinds (two sides, two keepers, officials) stand out from each other, as the laws of the game ask.

    Args:
        random: Source of every choice.
        players: Outfield players of a side (ours; a match-day squad), at most 38.
    """
    left = draw_kit(random)
    right = draw_kit(random, [left.shirt])
    shirts = [left.shirt, right.shirt]
    keepers = []
    for _ in range(2):
        keepers.append(plain_kit(pick_far(random, KEEPER_SHIRTS, shirts)))
        shirts.append(keepers[-1].shirt)
    official = plain_kit(pick_far(random, REFEREE_SHIRTS, shirts))
    official = replace(official, shorts=BLACK, socks=BLACK)
    people = draw_side(random, "left", left, keepers[0], players)
    people += draw_side(random, "right", right, keepers[1], players)
    people += [draw_person(random, "Main_referee" if i == 0 else "Side_referee", official, 0) for i in range(4)]
    return people
