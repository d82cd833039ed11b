"""A template's arguments: positional ones and named ones."""


def split(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Positional arguments (`1=` is the first), and named ones by their lower-case names."""
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.strip()
        # A "=" in running text, as in a formula or an address, does not end a name.
        if equals and len(key) < 25 and (key.isalnum() or key.replace("-", "").replace("_", "").isalnum()):
            named[key.lower()] = value.strip()
        else:
            positional.append(argument.strip())
    for place in range(1, 9):
        if str(place) in named:
            positional += [""] * (place - len(positional))
            positional[place - 1] = named.pop(str(place))
    return positional, named
