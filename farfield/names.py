"""Names are data: the one grammar in which tasks, models and methods are written.

``path``, ``kind:path`` and ``kind:path?option=value&option=value``: a trial made of such names is plain JSON.
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote

from farfield.errors import InputError, unknown_name

KINDS = ("csv", "parquet", "images", "hf", "timm", "module")


@dataclass(frozen=True)
class Name:
    """A parsed name: ``kind`` is "builtin", "csv", "parquet", "images", "hf", "timm" or "module".

    >>> parse("csv:shops.csv?target=y&domain=site")
    Name(kind='csv', path='shops.csv', options={'target': 'y', 'domain': 'site'})
    >>> parse("digits/rotation").kind
    'builtin'
    >>> parse("my_module:make_task").kind
    'module'
    """

    kind: str
    path: str
    options: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        head = self.path if self.kind in ("builtin", "module") else f"{self.kind}:{self.path}"
        return head + (
            "?" + "&".join(f"{k}={quote(v, safe=', /:')}" for k, v in self.options.items()) if self.options else ""
        )

    def with_options(self, **options: str) -> "Name":
        """Return the name with these options added or replaced.

        >>> str(parse("csv:a.csv?target=y").with_options(test="s1"))
        'csv:a.csv?target=y&test=s1'
        """
        return Name(self.kind, self.path, {**self.options, **options})

    def check_options(self, allowed: list[str]) -> None:
        """Raise InputError on an option that is not among those allowed, with the nearest."""
        for option in self.options:
            if option not in allowed:
                raise unknown_name(f"option of {self.kind}:{self.path}", option, allowed or ["(it takes none)"])


def parse(name: str) -> Name:
    """Parse a task, model or method name.

    Raises InputError where the name is empty, or an option lacks its value or comes twice.
    """
    head, _, query = name.partition("?")
    if not head:
        raise InputError(f"the name {name!r} is empty before its options")
    options: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, equals, _ = item.partition("=")
        if not equals:
            raise InputError(f"the option {item!r} of {name!r} has no value; write {item}=...")
        if key in options:
            raise InputError(f"the option {key!r} of {name!r} comes twice")
        # A + is a plus, not a space: column names and domains are written as they are.
        options.update(parse_qsl(item.replace("+", "%2B"), keep_blank_values=True))
    kind, colon, path = head.partition(":")
    if not colon:
        return Name("builtin", head, options)
    if kind in KINDS and kind != "module":
        return Name(kind, path, options)
    return Name("module", head, options)
