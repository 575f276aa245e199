"""`GET /v1/models`: which models an assistant may name, as OpenAI's clients read it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, TypeAlias

from fastapi import APIRouter, Request
from pydantic import BaseModel

from backend.api.bearer import signed_in
from backend.domain.allowed import is_allowed, named
from backend.errors import NotFound
from backend.ports.identity import TokenVerifier

ListModels: TypeAlias = Callable[[], Awaitable[Sequence[str]]]


class Model(BaseModel):
    """A model that can be named in the row of an assistant."""

    id: str
    """`provider:name`."""
    object: Literal["model"] = "model"
    created: int = 0
    """Unknown: providers do not say when they made it."""
    owned_by: str
    """Who serves it: the prefix."""


class Models(BaseModel):
    """All of them."""

    object: Literal["list"] = "list"
    data: list[Model]


def model_routes(list_models: ListModels, verifier: TokenVerifier) -> APIRouter:
    """Return the routes of the models that users may name.

    Args:
        list_models: Returns their ids; one that ends with `*` stands for all that begin so.
        verifier: Of the callers' tokens.
    """
    routes = APIRouter(prefix="/v1", tags=["models"])

    @routes.get("/models")
    async def models(request: Request) -> Models:
        """List the models that an assistant of the caller's may name, as far as they have names."""
        await signed_in(request, verifier)
        return Models(data=[_model(it) for it in named(await list_models())])

    # A name may hold slashes.
    @routes.get("/models/{model_id:path}")
    async def model(model_id: str, request: Request) -> Model:
        """Return one of them."""
        await signed_in(request, verifier)
        if not is_allowed(model_id, await list_models()):
            raise NotFound("There is no such model, or an assistant of yours may not name it.")
        return _model(model_id)

    return routes


def _model(model_id: str) -> Model:
    return Model(id=model_id, owned_by=model_id.partition(":")[0])
