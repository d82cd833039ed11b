"""`relama completion bash|zsh`: what a shell evaluates so that Tab completes verbs, keys, choices and runs.

The shell asks `relama completion words LINE` for what may follow; nothing heavy is imported for that.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from configs import describe

SHELLS = {
    # Bash replaces only what follows the last `=`, which is one of its word breaks.
    "bash": r"""_relama() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT}
    COMPREPLY=($(relama completion words "$line" 2>/dev/null))
    [[ ${line##* } == *=* && $COMP_WORDBREAKS == *=* ]] && COMPREPLY=("${COMPREPLY[@]#*=}")
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace
}
complete -o default -F _relama relama
""",
    "zsh": r"""(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_relama() {
    local -a found=(${(f)"$(relama completion words "$LBUFFER" 2>/dev/null)"})
    local -a keys=(${(M)found:#*=}) others=(${found:#*=})
    (( $#found )) || { compset -P '*='; _files; return }
    (( $#keys )) && compadd -S '' -- $keys
    (( $#others )) && compadd -- $others
}
compdef _relama relama
""",
}
ALSO_TRAINS = ("launch", "branch", "ladder")  # verbs that take the keys of `train` too
RUNS = ("run", "weights", "init")  # keys that take the name of a run
CHOICES = re.compile(r"(?:^|: )([\w.-]+(?: \([^)]*\))?(?: \| [\w.-]+(?: \([^)]*\))?)+)")


def main(arguments: list[str], verbs: Mapping[str, tuple[str, str, str]]) -> int:
    """Print a shell's script, or the `words` that may end a line."""
    if arguments[:1] == ["words"] and len(arguments) == 2:
        print("\n".join(words(arguments[1], verbs)))
        return 0
    if len(arguments) == 1 and arguments[0] in SHELLS:
        print(SHELLS[arguments[0]], end="")
        return 0
    print(
        "relama: error: completion: expected a shell, bash or zsh: "
        'eval "$(relama completion bash)" in ~/.bashrc, or eval "$(relama completion zsh)" in ~/.zshrc',
        file=sys.stderr,
    )
    return 2


def words(line: str, verbs: Mapping[str, tuple[str, str, str]]) -> list[str]:
    """What the last word of `line` may become; empty if that is a file, or unknown."""
    _, *typed = line.split(" ")
    last = typed.pop() if typed else ""
    typed = [word for word in typed if word]
    if not typed:
        return [verb for verb in verbs if verb.startswith(last)]
    if typed[0] not in verbs:
        return []
    keys = []
    for verb in (typed[0], "train") if typed[0] in ALSO_TRAINS else (typed[0],):
        module, schema, _ = verbs[verb]
        keys += [*describe.groups(verb), *describe.keys(verb, module, schema)]
    name, equals, value = last.partition("=")
    if not equals:
        given = {word.partition("=")[0] for word in typed}
        names = dict.fromkeys(key.name for key in keys)
        return [f"{key}=" for key in names if key.startswith(last) and key not in given]
    found = next((key for key in keys if key.name == name), None)
    return [f"{name}={choice}" for choice in _choices(name, found) if choice.startswith(value)]


def _choices(name: str, key: describe.Key | None) -> list[str]:
    if name in RUNS:
        return sorted(config.parent.name for config in Path("runs").glob("*/config.yaml"))
    if key is None:
        return []
    if key.default in ("true", "false"):
        return ["true", "false"]
    listed = CHOICES.search(key.meaning)
    return re.sub(r" \([^()]*\)", "", listed[1]).split(" | ") if listed else []
