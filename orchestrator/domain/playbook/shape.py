"""What every shape of the playbook's format is."""

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """What all parts of a playbook share: unknown keys are mistakes, and nothing changes after reading.

    A validator takes milliseconds to build: it is built for what is validated, when it first is. So a shape that is
    read in pieces has its pieces for bases, and itself is only there for its keys and its schema.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        defer_build=True,
        model_title_generator=lambda model: model.__name__.removesuffix("Shape"),
    )
