"""One question to one model with one key: what is sent, and the events of the answer."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from pydantic_ai.direct import model_request_stream

from backend.errors import ModelRefused
from backend.integrations.models.kept import Memory
from backend.integrations.models.requests import parameters_of, settings_of
from backend.integrations.models.stream import events_of
from backend.integrations.models.turns import model_messages
from backend.integrations.models.vendors import Vendor
from backend.ports.models import ModelEvent, ModelRequest

NOT_ASKED = "model.not_asked"
_log = structlog.get_logger()


async def answer_of(
    vendor: Vendor, prefix: str, key: str, request: ModelRequest
) -> AsyncGenerator[ModelEvent, None]:
    """Yield the answer as it comes, Finished last.

    Args:
        vendor: Whose model it is.
        prefix: Of the vendor's model ids.
        key: Of an account with it.
        request: With the vendor's own name for the model.

    Raises:
        ModelRefused: The model has no such thing; nobody was asked.
    """
    model = vendor.model(key, request)
    if lacked := vendor.lacks(model, request):
        said = f"{prefix}:{request.model} {lacked}."
        _log.warning(NOT_ASKED, provider=prefix, model=request.model, said=said)
        raise ModelRefused(said)
    memory = Memory(prefix, request.model, model.system, vendor.keeps_plain_thoughts)
    call = model_request_stream(
        model,
        model_messages(
            request.messages,
            vendor.call_id_length,
            memory,
            reads_pdf=vendor.reads_pdf,
            user_begins=vendor.user_begins,
        ),
        model_settings=vendor.settings(settings_of(request), request, model),
        model_request_parameters=parameters_of(request, is_always_strict=vendor.is_always_strict),
        instrument=False,
    )
    async with call as response, aclosing(events_of(response, memory)) as events:
        async for event in events:
            yield event
