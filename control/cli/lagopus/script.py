"""Reading a whole file in the old language, and what is wrong with its lines."""

import shlex
from collections.abc import Callable, Iterator

from .compiled import COMPILE
from .flows import flow
from .objects import OBJECTS, Attribute, NotUnderstood
from .things import Bad, Flow, Said, Script, Thing


def understand(text: str) -> Script:
    """Read a file; what is wrong with it is in `bad`, and then nothing else counts."""
    script = Script()
    for line, words in _commands(text, script):
        try:
            if words[0] == "flow":
                _take_flow(script, line, words)
            else:
                _take_object(script, line, words)
        except NotUnderstood as error:
            script.bad.append(Bad(line, str(error)))
    _check_references(script)
    if not script.bad:
        for kind, compile_ in COMPILE.items():
            for thing in script.of_kind(kind):
                compile_(script, thing)
        for thing in script.things.values():
            if not thing.used and thing.kind not in COMPILE:
                script.notes.append(Bad(thing.line, f"nothing uses {thing.kind} {thing.name}"))
    return script


def _commands(text: str, script: Script) -> Iterator[tuple[int, list[str]]]:
    """Yield the words of each line that has some."""
    for line, command in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(command, comments=True)
        except ValueError as error:
            script.bad.append(Bad(line, f"{error}: {command.strip()!r}"))
            continue
        if words:
            yield line, words


# Lines.


def _take_flow(script: Script, line: int, words: list[str]) -> None:
    if len(words) < 4 or words[2] != "add":
        raise NotUnderstood("of flows, `flow BRIDGE add MATCH... INSTRUCTION...` is understood")
    script.flows.append(Flow(words[1], flow(words[3:]), line))


def _take_object(script: Script, line: int, words: list[str]) -> None:
    if words[0] not in OBJECTS:
        raise NotUnderstood(f"{words[0]!r} is none of {', '.join(OBJECTS)}, flow")
    if len(words) < 3 or words[2] not in _VERBS:
        raise NotUnderstood(f"write {words[0]} NAME {'|'.join(_VERBS)} ...")
    kind, name, verb, *rest = words
    thing = _VERBS[verb](script, kind, name, line)
    while rest:
        rest = _take_attribute(script, thing, line, rest)


def _create(script: Script, kind: str, name: str, line: int) -> Thing:
    if known := script.things.get((kind, name)):
        raise NotUnderstood(f"{kind} {name} is there already, since line {known.line}")
    thing = script.things[kind, name] = Thing(kind, name, line)
    return thing


def _config(script: Script, kind: str, name: str, line: int) -> Thing:
    known = script.things.get((kind, name))
    if known is None:
        raise NotUnderstood(f"no {kind} {name}; `{kind} {name} create` makes one")
    return known


def _enable(script: Script, kind: str, name: str, line: int) -> Thing:
    thing = _config(script, kind, name, line)
    thing.enabled = True
    return thing


_VERBS: dict[str, Callable[[Script, str, str, int], Thing]] = {
    "create": _create,
    "config": _config,
    "enable": _enable,
}


def _take_attribute(script: Script, thing: Thing, line: int, words: list[str]) -> list[str]:
    """Take the first attribute of *words*; return the rest."""
    known = OBJECTS[thing.kind]
    name = words[0]
    if name not in known:
        raise NotUnderstood(f"{thing.kind} has no {name}; it has {', '.join(known)}")
    attribute = known[name]
    size = 2 + attribute.numbered
    if len(words) < size:
        follows = "a name and a number" if attribute.numbered else "a value"
        raise NotUnderstood(f"{name} is followed by {follows}")
    value = attribute.read(words[1])
    if attribute.leaf is None:
        if words[1] not in attribute.usual:
            reason = f"{name} {words[1]} has no counterpart and is left out"
            script.notes.append(Bad(line, reason))
    else:
        said = Said(value, words[2] if attribute.numbered else None, line)
        thing.said.setdefault(attribute.leaf, []).append(said)
    return words[size:]


def _check_references(script: Script) -> None:
    """Note what is referred to and not there."""
    for thing in script.things.values():
        for attribute in OBJECTS[thing.kind].values():
            for said in thing.all(attribute.leaf or "") if attribute.refers else []:
                _use(script, attribute, said)


def _use(script: Script, attribute: Attribute, said: Said) -> None:
    other = script.things.get((attribute.refers, said.value))
    if other is None:
        script.bad.append(Bad(said.line, f"there is no {attribute.refers} {said.value}"))
    else:
        other.used = True
