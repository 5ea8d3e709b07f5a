"""Evaluation settings in words, and taken apart into what each of them does alone. No TensorFlow."""

from kreid.config.sections import PLAIN, Evaluation, Rerank


def describe(settings: Evaluation) -> dict[str, str]:
    """Return a few words for each setting that differs from the plain ranking, by its key."""
    words = {
        "flip": "flip",
        "crops": f"{settings.crops} crops",
        "embedding": "concat",
        "expand": f"expand {settings.expand}",
        "rerank": "re-rank" + _others(settings.rerank),
    }
    return {key: text for key, text in words.items() if getattr(settings, key) != getattr(PLAIN, key)}


def _others(options: Rerank | None) -> str:
    """The options of re-ranking that are not the default ones, as in " k1=5"."""
    changed = {} if options is None else {key: one for key, one in options if one != getattr(Rerank(), key)}
    return "".join(f" {key}={one}" for key, one in changed.items())


def variants(settings: Evaluation) -> dict[str, Evaluation]:
    """Take settings apart: nothing of them ("plain"), each alone, and all "together" where there are several.

    All of them score by the same protocol.
    """
    words = describe(settings)
    plain = PLAIN.model_copy(update={"protocol": settings.protocol})
    alone = {text: plain.model_copy(update={key: getattr(settings, key)}) for key, text in words.items()}
    return {"plain": plain, **alone} | ({"together": settings} if len(words) > 1 else {})
