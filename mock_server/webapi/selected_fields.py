"""`selectedFields`: dotted, case-insensitive paths that reduce a reply."""

from typing import Any

Tree = dict[str, Any] | None
"""What to keep of an object: None is all of it, a dict maps lower-case keys to what to keep of their values."""

_OMITTED = object()


def parse(text: str | None) -> Tree:
    """The tree of `Items.Timestamp;Items.Value`; None when nothing is selected explicitly."""
    paths = [path for part in (text or "").split(";") if (path := part.strip().lower())]
    if not paths:
        return None
    tree: dict[str, Any] = {}
    for path in sorted(paths, key=len, reverse=True):
        _add(tree, path.split("."))
    return tree


def _add(tree: dict[str, Any], path: list[str]) -> None:
    for name in path[:-1]:
        inner = tree.setdefault(name, {})
        if inner is None:
            return
        tree = inner
    tree[path[-1]] = None


def wanted(tree: Tree, name: str) -> bool:
    """Whether `tree` keeps the key `name`."""
    return tree is None or name.lower() in tree


def below(tree: Tree, name: str) -> Tree:
    """The tree for the value of a key that is `wanted`."""
    if tree is None:
        return None
    inner: Tree = tree[name.lower()]
    return inner


def prune(value: Any, tree: Tree) -> Any:
    """The reduced reply; a key without any kept content is omitted, an empty list is kept."""
    kept = _prune(value, tree)
    return {} if kept is _OMITTED else kept


def _prune(value: Any, tree: Tree) -> Any:
    if tree is None:
        return value
    if isinstance(value, list):
        if not value:
            return value
        items = [_prune(item, tree) for item in value]
        return (
            _OMITTED
            if all(item is _OMITTED for item in items)
            else [{} if i is _OMITTED else i for i in items]
        )
    if not isinstance(value, dict):
        return _OMITTED
    kept = {}
    for key, inner in value.items():
        below_it = tree.get(key.lower(), _OMITTED)
        if below_it is not None:  # a list of a million points is mostly leaves
            inner = _OMITTED if below_it is _OMITTED else _prune(inner, below_it)  # noqa: PLW2901
        if inner is not _OMITTED:
            kept[key] = inner
    return kept or _OMITTED
