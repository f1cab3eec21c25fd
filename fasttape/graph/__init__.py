"""The graph of a program: DOT text, SVG by graphviz where it is installed, and what notebooks show.

It asks for graphviz's `dot`, a program, and for no Python package: the package `graphviz` needs that program too, and
would spare one call of `subprocess`.
"""
import html
import inspect
import os

from fasttape._core import graph as _core
from fasttape._core import listing as _listing
from fasttape.graph import dot as _dot
from fasttape.graph.drawing import Drawing as _Drawing

_SHOWN = 100_000                    # entries of a program up to which a notebook shows its graph without being asked
_PATIENCE = 10.0                    # seconds that a notebook waits for it
_HELP = ("no program `dot` was found: install graphviz (apt install graphviz, brew install graphviz, conda install graphviz, "
         "or graphviz.org/download); str(graph) is DOT text, which needs nothing")


def graph(program, fold="auto", most=80):
    """See `Program.graph`."""
    if fold not in ("auto", True, False) or isinstance(fold, (int, float)) and not isinstance(fold, bool):
        raise ValueError(f"{program.__name__}.graph: fold must be 'auto', True or False, got {fold!r}")
    if isinstance(most, bool) or not hasattr(most, "__index__"):
        raise TypeError(f"{program.__name__}.graph: most must be a whole number of nodes, got {most!r}")
    if most < 8:
        raise ValueError(f"{program.__name__}.graph: most must be at least 8 nodes, got {most}")
    return Graph(program, fold, int(most))


def _parameters(program):
    """What the positional arguments are called, up to where the function has no names for them."""
    try:
        found = inspect.signature(program.function).parameters.values()
    except (TypeError, ValueError):
        return []
    names = []
    for parameter in found:
        if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            break
        names.append(parameter.name)
    return names


class Graph:
    """What `Program.graph` returns: nodes and edges, which are written as DOT text and drawn as SVG.

    In a notebook it shows itself: drawn, where graphviz is installed, and else as a table of the program's entries.

    Attributes
    ----------
    dot : str
        The graph in graphviz's language, and what `str` makes of it.
    nodes, edges : int
        How many are drawn.
    """

    def __init__(self, program, fold, most):
        positions = _parameters(program)
        drawing = _Drawing(_core.sheet(program, positions), None if fold == "auto" else fold, most)
        self.dot = _dot.text_of(drawing, program.__name__, _listing.heading(program))
        self.nodes, self.edges = len(drawing.nodes), len(drawing.edges)
        self._program, self._positions = program, positions

    def __str__(self):
        return self.dot

    def __repr__(self):
        return f"<graph of {_dot.plain(_listing.heading(self._program))}: {self.nodes} nodes, {self.edges} edges>"

    def svg(self, *, timeout=60.0):
        """The graph as SVG, a text.

        Parameters
        ----------
        timeout : float
            Seconds that graphviz may take.

        Raises
        ------
        RuntimeError
            If graphviz is not installed, fails, or takes longer.
        """
        path = _dot.engine()
        if path is None:
            raise RuntimeError(f"svg: {_HELP}")
        return _dot.svg_of(self.dot, path, float(timeout))

    def save(self, path, *, timeout=60.0):
        """Write the graph to a file; the ending says how: .dot or .gv as DOT text, .svg as SVG.

        Raises
        ------
        ValueError
            If the ending is another one.
        RuntimeError
            As `svg` does; no file is written then.
        """
        ending = os.path.splitext(os.fspath(path))[1].lower()
        if ending not in (".dot", ".gv", ".svg"):
            raise ValueError(f"save: the file's ending must be .dot, .gv or .svg, got {os.fspath(path)!r}")
        text = self.svg(timeout=timeout) if ending == ".svg" else self.dot
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    # A notebook is sent all that there is, and most of them prefer HTML to SVG: the table is there only where no picture is.

    def _repr_svg_(self):
        try:
            return self.svg(timeout=_PATIENCE)
        except RuntimeError:
            return None

    def _repr_html_(self):
        return table(self._program, self._positions) if self._repr_svg_() is None else None


# ---- programs in notebooks

def svg_of_program(program):
    """The graph of a program that is not too large to be drawn without being asked; None where it cannot be drawn."""
    if _dot.engine() is None or _core.entries(program) > _SHOWN:
        return None
    return graph(program)._repr_svg_()


def html_of_program(program):
    """The table of its entries, where no graph is shown."""
    return table(program, _parameters(program)) if svg_of_program(program) is None else None


def table(program, positions):
    """The entries of a program as an HTML table; of many the first and the last."""
    rows = []
    for entry in _listing.entries(program, positions):
        if isinstance(entry, str):
            rows.append(f'<tr><td colspan="4" style="text-align:center">{_cell(entry)}</td></tr>')
            continue
        run, label, what, type, body = entry
        text = "<br>".join([_cell(what), *(_cell(line.strip()) for line in body)])
        cells = ["" if run is None else str(run), _cell(label), text, _cell(type)]
        rows.append("<tr>" + "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells) + "</tr>")
    head = "".join(f'<th style="text-align:left">{name}</th>' for name in ("run", "node", "operation", "type"))
    return f"<table><caption>{_cell(_listing.heading(program))}</caption><thead><tr>{head}</tr></thead>" \
           f"<tbody>{''.join(rows)}</tbody></table>"


def _cell(text):
    return html.escape(_dot.plain(text))
