"""What is asked of a model, in the form that every model class of pydantic-ai takes."""

import hashlib

from pydantic_ai.messages import InstructionPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings, ThinkingLevel
from pydantic_ai.tools import ToolDefinition

from backend.domain.asker import Asker
from backend.domain.assistants import FunctionTool
from backend.domain.options import Effort, Named
from backend.ports.models import ModelRequest

ANY_OBJECT = "Answer with one JSON object and nothing else."
"""Where any object will do, the providers demand that somebody says so."""
_LEVELS: dict[Effort, ThinkingLevel] = {
    "none": False,
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
}


def settings_of(request: ModelRequest) -> ModelSettings:
    """Return what the caller cares about; the rest is left to the provider."""
    options = request.options
    choice = options.tool_choice
    # The clients know that nothing is tried twice; said here, each call would copy its client.
    settings = ModelSettings(tool_choice=[choice.name] if isinstance(choice, Named) else choice)
    # Some models take none of these.
    if not options.parallel_tool_calls:
        settings["parallel_tool_calls"] = False
    if options.max_output_tokens is not None:
        settings["max_tokens"] = options.max_output_tokens
    if options.temperature is not None:
        settings["temperature"] = options.temperature
    if options.top_p is not None:
        settings["top_p"] = options.top_p
    if options.reasoning_effort is not None:
        settings["thinking"] = _LEVELS[options.reasoning_effort]
    return settings


def cache_key_of(asker: Asker | None) -> str | None:
    """Return what requests that begin alike have in common; it says nothing of who asks."""
    if asker is None:
        return None
    who = repr((asker.assistant_id, asker.org_id, asker.user_id))
    return hashlib.blake2b(who.encode(), digest_size=16).hexdigest()


def parameters_of(
    request: ModelRequest, *, is_always_strict: bool = False
) -> ModelRequestParameters:
    """Return the tools, the instructions and the form of the answer.

    Args:
        request: Of a model that has such a form.
        is_always_strict: The vendor guarantees every schema of an answer.
    """
    answer = request.options.answer
    tools = [_tool(tool) for tool in request.tools]
    if answer is None:
        return ModelRequestParameters(
            function_tools=tools, instruction_parts=_told(request.instructions)
        )
    if answer.schema is None:
        return ModelRequestParameters(
            function_tools=tools,
            output_mode="prompted",
            prompted_output_template=False,
            instruction_parts=_told(request.instructions, ANY_OBJECT),
        )
    return ModelRequestParameters(
        function_tools=tools,
        output_mode="native",
        output_object=OutputObjectDefinition(
            json_schema=dict(answer.schema),
            name=answer.name,
            description=answer.description,
            strict=answer.is_strict or is_always_strict,
        ),
        instruction_parts=_told(request.instructions),
    )


def _told(*texts: str) -> list[InstructionPart] | None:
    # As one: some servers refuse a second one.
    said = "\n\n".join(text for text in texts if text.strip())
    return [InstructionPart(content=said)] if said else None


def _tool(tool: FunctionTool) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=dict(tool.parameters),
        strict=tool.is_strict or None,
    )
