"""The operator's own functions, by the names of their modules."""

import importlib
import re
from collections.abc import Iterable
from types import ModuleType

from backend.errors import SettingsInvalid
from backend.tools.registry import PythonTool, ToolMalformed

_NAME = re.compile(r"[^\s./\\]+(\.[^\s./\\]+)*")


def load_modules(names: Iterable[str]) -> list[PythonTool]:
    """Return the tools of these modules, in their order there.

    Raises:
        SettingsInvalid: A module cannot be imported, or has none.
    """
    return [tool for name in names for tool in _tools_of(name)]


def _tools_of(name: str) -> list[PythonTool]:
    module = _imported(name)
    found = [value for value in vars(module).values() if isinstance(value, PythonTool)]
    if not found:
        raise SettingsInvalid(f"TOOLS_MODULES: {name} has no function with @tool().")
    return list(dict.fromkeys(found))


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
