"""The sentence of an exception that says why, in the ways in which the libraries here raise.

Keras first names the layer that was called, TensorFlow the node of its graph with a traceback, Ray the actor or the
task with another traceback; the reason stands behind, and what follows it are arguments and configurations. JAX and
Pillow say it in the first line.
"""

import re

MOST = 300
"""Characters."""
REMOTE = re.compile(r"^(?:ray::|\(pid=|The (?:actor|task|object|worker)\b.*\bdied\b)")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PLACE = re.compile(r"^(\s*)File \".*\", line \d+.*$")
NOISE = re.compile(r"\{\{function_node [^}]*\}\}|\[\[\{\{.*?\}\}\]\]|\[Op:\w+\](?: name:)?|\(Triggered from [^)]*\)")
WRAPPED = re.compile(r"Exception encountered when calling [^\n]*\n\s*(?=\S)")
DETAILS = re.compile(r" (?:Full object config: \{|Target variable: <).*", re.DOTALL)
ARGUMENTS = re.compile(r"\n\s*Arguments received by .*", re.DOTALL)
DESERIALIZED = "\nException encountered: "
"""What Keras writes before the reason, after the whole configuration of a model."""
ACTOR = "The actor is dead because "
HEADS = (
    "Graph execution error", "Detected at node", "Traceback (most recent call last)", "The above exception was",
    "Failed to retrieve object", "Failed to set up runtime environment",
)  # fmt: skip


def cause(error: BaseException) -> str:
    """Return the sentence that says why, on one line of at most `MOST` characters; without any, the error's kind."""
    error = _origin(error)
    kind = type(error).__name__
    return cause_in(str(error)).removeprefix(f"{kind}: ") or kind


def told(error: BaseException) -> str:
    """Return the error's kind and its cause, as Python ends a traceback."""
    kind, why = type(_origin(error)).__name__, cause(error)
    return kind if why == kind else f"{kind}: {why}"


def cause_in(text: str) -> str:
    """Return the same of what an exception or a traceback says; empty where it says nothing."""
    return _short(_reason(COLOURS.sub("", text)))


def _origin(error: BaseException) -> BaseException:
    """Of Ray's errors what a remote task raised, where they have it."""
    within = getattr(error, "cause", None)
    return _origin(within) if isinstance(within, BaseException) and within is not error else error


def _reason(text: str) -> str:
    text = text.rpartition(DESERIALIZED)[2]
    while found := WRAPPED.search(text):
        text = ARGUMENTS.sub("", text[found.end() :])
    if ACTOR in text:
        return text[text.index(ACTOR) :].partition("\n")[0]
    lines = _after_traceback(text.splitlines())
    if text.startswith("\n"):  # a block of lines that are broken at a width
        return " ".join(_paragraph(lines))
    paragraph = _paragraph(lines)
    while paragraph and (paragraph[0].endswith(":") or paragraph[0].startswith(HEADS) or REMOTE.match(paragraph[0])):
        following = lines[lines.index(paragraph[0]) + 1 :]  # the reason follows
        if not _paragraph(following):
            break
        lines, paragraph = following, _paragraph(following)
    return paragraph[0] if paragraph else ""


def _after_traceback(lines: list[str]) -> list[str]:
    """What stands behind the last place in a file, and the code there."""
    places = [number for number, line in enumerate(lines) if PLACE.match(line)]
    if not places:
        return [line.strip() for line in lines]
    indent = len(lines[places[-1]]) - len(lines[places[-1]].lstrip())
    behind = lines[places[-1] + 1 :]
    while behind and behind[0].strip() and len(behind[0]) - len(behind[0].lstrip()) > indent:
        behind = behind[1:]
    found = [line.strip() for line in behind]
    return found if any(found) else [line.strip() for line in lines]


def _paragraph(lines: list[str]) -> list[str]:
    """The first lines up to an empty one."""
    found: list[str] = []
    for line in lines:
        if line:
            found.append(line)
        elif found:
            break
    return found


def _short(said: str) -> str:
    text = " ".join(DETAILS.sub("", NOISE.sub("", said)).split())
    return text if len(text) <= MOST else text[: MOST - 4].rpartition(" ")[0] + " ..."
