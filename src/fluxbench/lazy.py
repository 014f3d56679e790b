"""Libraries that load when they are first used.

Settings name formulations and integrators on nodes that have no torch: to compute with them needs it, to name them does
not.
"""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module and imports it when an attribute is asked for.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
