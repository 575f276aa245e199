"""The operator's own functions, by the names of their modules."""

import importlib
import re
from collections.abc import Iterable, Mapping
from types import ModuleType

from backend.errors import SettingsInvalid
from backend.tools.registry import PythonTool, ToolMalformed

_NAME = re.compile(r"[^\s./\\]+(\.[^\s./\\]+)*")


def load_modules(names: Iterable[str]) -> list[PythonTool]:
    """Return the tools of these modules, in their order there.

    Raises:
        SettingsInvalid: A module cannot be imported, or has none; or two tools have one name.
    """
    found: dict[str, tuple[str, PythonTool]] = {}
    for module in names:
        for place, tool in _tools_of(module).items():
            name = tool.definition.name
            first, known = found.setdefault(name, (place, tool))
            if known is not tool:
                raise SettingsInvalid(
                    f"TOOLS_MODULES: {first} and {place} are both called {name}: rename one of them."
                )
    return [tool for _, tool in found.values()]


def _tools_of(name: str) -> Mapping[str, PythonTool]:
    found = {
        f"{name}.{its}": value
        for its, value in vars(_imported(name)).items()
        if isinstance(value, PythonTool)
    }
    if not found:
        raise SettingsInvalid(f"TOOLS_MODULES: {name} has no function with @tool().")
    return found


def _imported(name: str) -> ModuleType:
    if not _NAME.fullmatch(name):
        raise SettingsInvalid(_no_name(name))
    try:
        return importlib.import_module(name)
    except ToolMalformed as error:
        raise SettingsInvalid(f"TOOLS_MODULES: {name}: {error}") from None
    except ModuleNotFoundError as error:
        if name.endswith(".py") and f"{name}.".startswith(f"{error.name}."):
            raise SettingsInvalid(_no_name(name)) from None
        if error.name != name.partition(".")[0]:
            raise SettingsInvalid(_broken(name, error)) from error
        advice = "install it, or set PYTHONPATH to the folder that it lies in"
        raise SettingsInvalid(f"TOOLS_MODULES: there is no module {name}: {advice}.") from None
    except Exception as error:
        # Whatever stands in it is run; where it fails is the operator's to see.
        raise SettingsInvalid(_broken(name, error)) from error


def _no_name(name: str) -> str:
    advice = "write it as Python imports it, such as my.tools"
    return f"TOOLS_MODULES: {name} is no name of a module: {advice}."


def _broken(name: str, error: Exception) -> str:
    return f"TOOLS_MODULES: {name} cannot be imported: {error!r}."
