"""What is asked of a model, in the form that every model class of pydantic-ai takes."""

from pydantic_ai.messages import InstructionPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from backend.domain.options import Named
from backend.ports.models import ModelRequest


def settings_of(request: ModelRequest) -> ModelSettings:
    """Return what the caller cares about; the rest is left to the provider."""
    choice = request.options.tool_choice
    # The clients know that nothing is tried twice; said here, each call would copy its client.
    settings = ModelSettings(tool_choice=[choice.name] if isinstance(choice, Named) else choice)
    # Some models take neither.
    if not request.options.parallel_tool_calls:
        settings["parallel_tool_calls"] = False
    if request.options.max_output_tokens is not None:
        settings["max_tokens"] = request.options.max_output_tokens
    return settings


def parameters_of(request: ModelRequest) -> ModelRequestParameters:
    """Return the tools and the instructions."""
    said = request.instructions
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=dict(tool.parameters),
            )
            for tool in request.tools
        ],
        instruction_parts=[InstructionPart(content=said)] if said.strip() else None,
    )
