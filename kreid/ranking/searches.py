"""What kreid-search wrote about records, as a ranking of every query's gallery: a search that found everything.

A search looks beyond actions, a person of SoccerNet is one inside an action only. So of what was found for a query its
own action's gallery counts, in the order found, which is the ranking that kreid-rank writes.
"""

from typing import Any

from kreid.ranking.embeddings import Images, parse_description

_EXPECTED = "a search is scored where both sides are the folder of records, and --top the size of the gallery"


def is_search(content: Any) -> bool:
    """Return whether a JSON file's content has the form that kreid-search writes."""
    return isinstance(content, dict) and content.keys() == {"metric", "gallery", "queries"}


def answers_of(content: dict[str, Any], images: Images) -> dict[str, list[int]]:
    """Return the ranking that a search comes to, in the form of a ranking file.

    Args:
        content: of a file for which `is_search` holds.
        images: what was ranked.

    Raises:
        ValueError: the search is not of records, or did not look for everything; without the file's name.
    """
    gallery = int((~images.is_query).sum())
    answers: dict[str, list[int]] = {}
    queries = content["queries"]
    for query in queries if isinstance(queries, list) else [{}]:
        _, number, action = _image(query, "query", True)
        if str(number) in answers:
            raise ValueError(f"a search in which query {number} stands twice; take it out once")
        found = [_image(one, "image", False) for one in query["ranking"]]
        if len(found) < gallery:
            raise ValueError(
                f"a search that found {len(found):,} of {gallery:,} gallery images for query {number}, and cannot be "
                f"scored without the others; {_EXPECTED}"
            )
        answers[str(number)] = [bbox for _, bbox, place in found if place == action]
    return answers


def _image(entry: Any, key: str, query: bool) -> tuple[bool, int, int]:
    """Return what an entry's name says: whether it is a query, its bbox index and its action."""
    name = entry.get(key) if isinstance(entry, dict) else None
    said = parse_description(name) if isinstance(name, str) else None
    if said is None or said[0] != query or (query and not isinstance(entry.get("ranking"), list)):
        subset = "query" if query else "gallery image"
        raise ValueError(f"a search, whose {key} {name!r:.80} is no {subset} of records and has no label; {_EXPECTED}")
    return said
