"""A drawing as DOT text, and DOT text as SVG by graphviz. What the nodes mean is decided elsewhere."""
import functools
import html
import re
import shutil
import subprocess

_LONGEST = 72                       # characters of a line
_FONT = "Helvetica,Arial,sans-serif"
# Kinds differ in shape and in lightness, so that they are told apart in grey too.
_LOOKS = {
    "input": 'shape=box, style="rounded,filled", fillcolor="#cfe2f3", color="#3d6b96"',
    "known": 'shape=note, fillcolor="#eeeeee", color="#777777"',
    "carry": 'shape=box, style="rounded,filled", fillcolor="#cfe2f3", color="#3d6b96"',
    "load": 'shape=box, style="rounded,filled", fillcolor="#eaf3fb", color="#3d6b96"',
    "elementwise": 'fillcolor="#ffffff", color="#666666"',
    "reduction": 'fillcolor="#f8d9a8", color="#8a5a10", penwidth=1.5',
    "structural": 'fillcolor="#f2f2f2", color="#999999", style="filled,dashed"',
    "loop": 'peripheries=2, fillcolor="#d9ead3", color="#4d7d3a"',
    "call": 'peripheries=2, fillcolor="#d9ead3", color="#4d7d3a"',
    "run": 'shape=box3d, margin="0.15,0.11", fillcolor="#f6f1fa", color="#735d8c"',
    "stretch": 'shape=box3d, margin="0.15,0.11", fillcolor="#e7ddf0", color="#735d8c"',
    "result": 'shape=box, style="rounded,filled,bold", fillcolor="#f9e9a8", color="#7a6410"',
    "guard": 'shape=octagon, margin="0.03,0.03", fillcolor="#f4cccc", color="#993333"',
    "store": 'shape=cylinder, fillcolor="#e0e0e0", color="#666666"',
}
_AROUND = {
    "run": 'style="rounded,dashed", color="#b9a9cc", fontcolor="#735d8c"',
    "loop": 'style="rounded,filled", fillcolor="#f4f9f2", color="#93b585", fontcolor="#4d7d3a"',
    "call": 'style="rounded,filled", fillcolor="#f4f9f2", color="#93b585", fontcolor="#4d7d3a"',
}
_LINES = {"guard": 'style=dashed, color="#993333"', "store": "style=dotted", "earlier": "style=dotted"}


def plain(text):
    """The text with nothing in it that XML, UTF-8 or a line cannot hold."""
    return re.sub(r"[^\x20-\x7e\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U0001fffd]", "\N{REPLACEMENT CHARACTER}",
                  re.sub(r"[\r\n\t]+", " ", text))


def marked_up(text, most=_LONGEST):
    """A line of a label in graphviz's HTML, shortened if it is long."""
    text = plain(text)
    if len(text) > most:
        text = text[:most * 2 // 3].rstrip() + " \N{HORIZONTAL ELLIPSIS} " + text[len(text) - most // 3 + 3:].lstrip()
    return html.escape(text)


def quoted(text):
    """A string of DOT, in which graphviz sees neither escapes nor entities."""
    text = plain(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _small(text):
    return f'<font point-size="9" color="#555555">{marked_up(text)}</font>'


def _label(node):
    head = f"<b>{marked_up(node.label)}</b>" if node.label else ""
    text = marked_up(node.text)
    if node.kind == "result":
        first = f"{text} = {head}" if head else text
    elif node.kind in ("run", "stretch"):
        first = f"{text}<br/>{head}" if head else text
    else:
        text = f"<b>{text}</b>" if node.kind == "input" else text
        first = f"{head} = {text}" if head else text
    return "<br/>".join([first, *(_small(line) for line in node.lines)])


def _attributes(node):
    tooltip = " ".join(part for part in (f"{node.label} = {node.text}" if node.label else node.text, *node.lines) if part)
    return f"class={node.kind}, label=<{_label(node)}>, tooltip={quoted(tooltip)}, {_LOOKS[node.kind]}"


def _within(drawing, group, indent):
    """Lines for the nodes and groups that are in a group."""
    pad = "  " * indent
    for node in drawing.inside.get(group, ()):
        yield f"{pad}{node.name} [{_attributes(node)}];"
    for k in drawing.around.get(group, ()):
        yield f"{pad}subgraph cluster_{k} {{"
        yield f"{pad}  graph [label=<{marked_up(drawing.groups[k].text, 110)}>, labeljust=l, {_AROUND[drawing.groups[k].kind]}];"
        yield from _within(drawing, k, indent + 1)
        yield f"{pad}}}"


def _edge(edge, count):
    attributes = []
    if len(edge.label) == 1:        # a, b: where the arrow ends
        attributes.append(f"headlabel=<{edge.label}>, labeldistance=1.6")
    elif edge.label:
        attributes.append(f"label=<{marked_up(edge.label)}>")
    elif count > 1:
        attributes.append(f"headlabel=<{count:,}>, labeldistance=2, penwidth={min(1.0 + len(str(count)) * 0.35, 3.0):.3g}")
    if edge.kind in _LINES:
        attributes.append(_LINES[edge.kind])
    return f"  {edge.tail} -> {edge.head}{' [' + ', '.join(attributes) + ']' if attributes else ''};"


def text_of(drawing, name, title):
    """The whole drawing."""
    lines = [
        f"digraph {quoted(name)} {{",
        f"  graph [label=<{marked_up(title, 110)}>, labelloc=t, fontname={quoted(_FONT)}, fontsize=12, rankdir=TB, ranksep=0.35,"
        f' nodesep=0.25, nslimit=16, bgcolor="white", tooltip={quoted(title)}];',     # nslimit: seconds, not minutes, for long edges
        f'  node [shape=box, style=filled, fontname={quoted(_FONT)}, fontsize=11, margin="0.12,0.06", height=0.3];',
        f'  edge [fontname={quoted(_FONT)}, fontsize=9, fontcolor="#555555", color="#555555", arrowsize=0.6];',
        *_within(drawing, -1, 1),
    ]
    lines += [_edge(edge, count) for edge, count in drawing.edges.items()]
    return "\n".join([*lines, "}", ""])


def engine():
    """Where graphviz's `dot` is; None where it is not installed."""
    return shutil.which("dot")


@functools.lru_cache(maxsize=4)     # a notebook asks several times for one picture
def svg_of(text, path, timeout):
    """What `dot` makes of DOT text: SVG. Raises RuntimeError if it fails or takes too long."""
    try:
        ran = subprocess.run([path, "-Tsvg"], input=text.encode(), capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"graphviz took longer than {timeout:g} s to lay out the graph; draw fewer nodes (`most`, `fold=True`), "
                           f"or give it time: svg(timeout=...)") from None
    except OSError as error:
        raise RuntimeError(f"graphviz could not be started: {error}") from None
    if ran.returncode or b"<svg" not in ran.stdout:
        said = ran.stderr.decode(errors="replace").strip() or "nothing"
        raise RuntimeError(f"graphviz failed with exit status {ran.returncode}; it said: {said[-500:]}")
    return ran.stdout.decode()
