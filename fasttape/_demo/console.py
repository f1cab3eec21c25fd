"""What the parts share for the terminal: headings, paragraphs and aligned tables, in ASCII."""
import textwrap

WIDTH = 88


def say(text=""):
    """Print `text` at once, also into a pipe."""
    print(text, flush=True)


def heading(text):
    """Print a heading with a rule under it."""
    say(f"\n{text}\n{'-' * len(text)}")


def paragraph(text):
    """Print `text`, its line breaks and indentation ignored, wrapped to the width."""
    say(textwrap.fill(" ".join(text.split()), WIDTH))
    say()


class Table:
    """A table printed row by row, so that it can also show progress.

    Parameters
    ----------
    columns : list of str
        Headings. A column is as wide as its heading, its cells set to the right.
    """

    def __init__(self, *columns):
        self.widths = [len(column) for column in columns]
        self.row(*columns)

    def row(self, *cells):
        """Print one row of text cells."""
        pairs = zip(cells, self.widths, strict=True)
        say("   ".join(["", *(cell.rjust(width) for cell, width in pairs)]))
