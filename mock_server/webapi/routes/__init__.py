"""The endpoints, one short function each.

Importing this package registers them all. They import what `webapi` may import; start with `streams`.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
