"""One question to one model with one key: what is sent, and the events of the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import ModelContextWindowExceededError, ModelHTTPError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from backend.domain.options import Named
from backend.errors import ModelRefused
from backend.integrations.models.kept import Memory
from backend.integrations.models.requests import parameters_of, settings_of
from backend.integrations.models.stream import events_of
from backend.integrations.models.turns import model_messages
from backend.integrations.models.vendors import Vendor
from backend.integrations.models.wishes import fitted
from backend.ports.models import ModelEvent, ModelRequest

NOT_ASKED = "model.not_asked"
OPTIONS_LEFT_OUT = "model.options_left_out"
"""Of an assistant's that were written for another model."""
THOUGHTS_REFUSED = "model.thoughts_refused"
_BAD_REQUEST = 400
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Question:
    """A request as pydantic-ai's classes take it."""

    model: Model
    messages: list[ModelMessage]
    settings: ModelSettings
    parameters: ModelRequestParameters
    memory: Memory


def prepare(vendor: Vendor, prefix: str, key: str, request: ModelRequest) -> Question:
    """Return what is asked of the vendor's model with this key.

    Where it stands in for another one, it is asked without the options that it does not take.

    Raises:
        ModelRefused: The model has no such thing.
    """
    if request.stands_in:
        request = _fitted(vendor, prefix, key, request)
    model = vendor.model(key, request)
    if lacked := vendor.lacks(model, request) or _lacks_tools(request):
        said = f"{prefix}:{request.model} {lacked}."
        _log.warning(NOT_ASKED, provider=prefix, model=request.model, said=said)
        raise ModelRefused(said)
    memory = Memory(prefix, request.model, model.system, vendor.keeps_plain_thoughts)
    messages = model_messages(
        request.messages,
        vendor.call_id_length,
        memory,
        reads_pdf=vendor.reads_pdf,
        user_begins=vendor.user_begins,
    )
    return Question(
        model,
        list(messages),
        vendor.settings(settings_of(request), request, model),
        parameters_of(request, is_always_strict=vendor.is_always_strict),
        memory,
    )


def _lacks_tools(request: ModelRequest) -> str | None:
    choice, names = request.options.tool_choice, {tool.name for tool in request.tools}
    if isinstance(choice, Named) and choice.name not in names:
        there_are = ", ".join(sorted(names)) or "none"
        return f"is to call {choice.name!r}, which the assistant does not have; it has {there_are}"
    if choice == "required" and not names:
        return "is to call a function (tool_choice), and the assistant has none"
    return None


def _fitted(vendor: Vendor, prefix: str, key: str, request: ModelRequest) -> ModelRequest:
    less, left_out = fitted(request, lambda it: vendor.lacks(vendor.model(key, it), it))
    if left_out:
        told = {"run_id": request.asker and request.asker.run_id, "options": left_out}
        _log.info(OPTIONS_LEFT_OUT, provider=prefix, model=request.model, **told)
    return less


async def answer_of(
    vendor: Vendor, prefix: str, key: str, request: ModelRequest
) -> AsyncGenerator[ModelEvent, None]:
    """Yield the answer as it comes, Finished last.

    Where the request is refused and shows the model its own thoughts, it is made once more without
    them: another account cannot read what was encrypted for the one before.

    Args:
        vendor: Whose model it is.
        prefix: Of the vendor's model ids.
        key: Of an account with it.
        request: With the vendor's own name for the model.

    Raises:
        ModelRefused: The model has no such thing; nobody was asked.
    """
    question = prepare(vendor, prefix, key, request)
    is_silent = True
    try:
        async with aclosing(_ask(question)) as events:
            async for event in events:
                is_silent = False
                yield event
    except ModelHTTPError as error:
        is_shown = any(map(question.memory.owns, request.messages))
        if not (is_silent and is_shown and _may_be_of_thoughts(error)):
            raise
        _log.warning(THOUGHTS_REFUSED, provider=prefix, model=request.model)
    else:
        return
    plain = replace(request, messages=[replace(turn, kept=None) for turn in request.messages])
    async with aclosing(_ask(prepare(vendor, prefix, key, plain))) as events:
        async for event in events:
            yield event


async def _ask(question: Question) -> AsyncGenerator[ModelEvent, None]:
    call = model_request_stream(
        question.model,
        question.messages,
        model_settings=question.settings,
        model_request_parameters=question.parameters,
        instrument=False,
    )
    async with call as response, aclosing(events_of(response, question.memory)) as events:
        async for event in events:
            yield event


def _may_be_of_thoughts(error: ModelHTTPError) -> bool:
    is_too_long = isinstance(error, ModelContextWindowExceededError)
    return error.status_code == _BAD_REQUEST and not is_too_long
