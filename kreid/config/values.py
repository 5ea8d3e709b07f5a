"""Kinds of values of configuration keys, with their ranges, and what every section of a configuration is."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _no_truth_value(value: Any) -> Any:
    # YAML reads yes, no, on and off as truth values, which would pass for 1 and 0.
    if isinstance(value, bool):
        raise ValueError("input should be no truth value (YAML reads yes, no, on and off as such)")
    return value


def _least_first(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError("input should be the least, then the most")
    return values


Integer = Annotated[int, BeforeValidator(_no_truth_value)]
Number = Annotated[float, BeforeValidator(_no_truth_value)]
# TensorFlow counts in 32 bits or 64, and memory ends long before: what is larger is a slip of the finger.
Positive = Annotated[Integer, Field(gt=0, lt=2**31)]
Count = Annotated[Integer, Field(ge=0, lt=2**31)]
Width = Annotated[Integer, Field(gt=0, le=2**20)]  # numbers of a vector: the largest is 4 MB an image
Pixels = Annotated[Integer, Field(gt=0, le=2**14)]
Share = Annotated[Number, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_least_first)]
Weight = Annotated[Number, Field(ge=0)]
Seed = Annotated[Integer, Field(ge=0, lt=2**32)]
Probability = Annotated[Number, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot be changed in place.

    The text below a key is its meaning: the only copy, which errors and the site's reference of keys repeat.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
