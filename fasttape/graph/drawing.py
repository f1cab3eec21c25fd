"""The nodes and edges that are drawn of a program: what is folded, what of the bodies of loops and calls is shown."""
from collections import Counter
from typing import NamedTuple

import numpy as np

from fasttape._core import graph as _core
from fasttape.graph import fold as _fold

_KINDS = _core.KINDS
_CALLS = (_KINDS.index("loop"), _KINDS.index("call"))
_INPUTS = [_KINDS.index(kind) for kind in ("input", "carry", "load")]
_NAMED = 3                          # kinds of operations that a folded node names


class Node(NamedTuple):
    """What is drawn as one: one operation, or many."""

    name: str
    kind: str
    label: str                      # s5, or a series of these
    text: str
    lines: tuple                    # type and the like
    group: int                      # -1, or the group that it is in


class Edge(NamedTuple):
    """From what computes a value to what reads it."""

    tail: str
    head: str
    label: str
    kind: str                       # that of the node it leads to, "store" where it is about one, or "earlier"


class Group(NamedTuple):
    """What is drawn around a run or a body."""

    parent: int
    text: str
    kind: str


class Drawing:
    """Nodes, edges and groups, and what is in each group; while they are collected, how many nodes there may still be."""

    def __init__(self, sheet, fold, most):
        self.nodes, self.edges, self.groups = [], Counter(), []
        self.fold, self.most, self.shown = fold, most, {}
        self.left = 0
        Layer(self, sheet, -1, fold is True or (fold is None and len(sheet) > most))
        self.inside, self.around = {}, {}           # by group: the nodes and the groups in it
        for node in self.nodes:
            self.inside.setdefault(node.group, []).append(node)
        for k, group in enumerate(self.groups):
            self.around.setdefault(group.parent, []).append(k)

    def node(self, kind, label, text, lines, group):
        name = f"n{len(self.nodes)}"
        self.nodes.append(Node(name, kind, label, text, tuple(line for line in lines if line), group))
        return name

    def group(self, parent, text, kind):
        self.groups.append(Group(parent, text, kind))
        return len(self.groups) - 1

    def shows(self, callee):
        """Whether a body is drawn: once at most, and if there is room."""
        if callee is None or self.fold is True or callee[0] in self.shown:
            return False
        if self.fold is None and callee[1] > self.left:
            return False
        self.shown[callee[0]] = True
        self.left -= callee[1]
        return True


def reached(name, *edges):
    """Where edges lead from a node."""
    todo, seen = [name], {name}
    while todo:
        tail = todo.pop()
        for head in (head for heads in edges for head in heads.get(tail, ())):
            if head not in seen:
                seen.add(head)
                todo.append(head)
    return seen


class Layer:
    """What is drawn of one sheet."""

    def __init__(self, drawing, sheet, group, by_run):
        self.drawing, self.sheet, self.within, self.stored = drawing, sheet, group, None
        self.again = None
        most = len(sheet) if drawing.fold is False else drawing.most
        order, run, starts = _fold.blocks_of(sheet, by_run, most)
        self.block = np.empty(len(sheet), np.int64)             # of each node
        self.members = np.split(order, starts[1:]) if len(order) else []
        self.size = np.array([len(part) for part in self.members], np.int64)
        self.block[order] = np.repeat(np.arange(len(starts)), self.size)
        self.run_size = np.bincount(run[run >= 0])
        self.name = [None] * len(self.members)                  # of each block
        self.inside = {}                                        # node -> (what is drawn of its body, inputs, results)
        self.clusters = {}
        if group < 0:
            drawing.left = drawing.most - len(self.members)
        for k, part in enumerate(self.members):
            self.name[k] = self.draw(part, run, group)
        self.connect()
        self.ends = self.draw_ends(group)
        if sheet.handed_on:
            self.connect_steps()

    # ---- nodes

    def draw(self, part, run, group):
        """Draw the nodes of a block; the name of what is drawn, None of a body."""
        if len(part) > 1:
            return self.draw_many(part, run, group)
        k = int(part[0])
        if run[k] >= 0 and self.run_size[run[k]] > 1:
            if run[k] not in self.clusters:
                self.clusters[run[k]] = self.drawing.group(group, f"run {run[k]}", "run")
            group = self.clusters[run[k]]
        label, text, kind, more = self.sheet.words(k)
        callee = self.sheet.callee(k) if self.sheet.kind[k] in _CALLS else None
        if not self.drawing.shows(callee):
            return self.drawing.node(_KINDS[self.sheet.kind[k]], label, text, (kind, *more), group)
        inner, into, results = self.sheet.inside(k)
        cluster = self.drawing.group(group, ", ".join([f"{label} = {text}", *more]), _KINDS[self.sheet.kind[k]])
        self.inside[k] = Layer(self.drawing, inner, cluster, False), into, results
        return None

    def draw_many(self, part, run, group):
        kinds = self.sheet.kind[part]
        if (kinds == 0).all():
            first, last = self.sheet.words(int(part[0])), self.sheet.words(int(part[-1]))
            return self.drawing.node("input", f"{first[0]} ... {last[0]}", f"{len(part):,} inputs", (f"{first[1]} ... {last[1]}",), group)
        found = Counter({self.sheet.names[op]: count for op, count in enumerate(np.bincount(self.sheet.op[part])) if count})
        named = [f"{count:,} {name}" for name, count in found.most_common(_NAMED)]
        if len(found) > _NAMED:
            named.append(f"{sum(found.values()) - sum(count for _, count in found.most_common(_NAMED)):,} others")
        is_run = run[part[0]] >= 0 and (run[part] == run[part[0]]).all()
        what = f"run {run[part[0]]}: {len(part):,} operations" if is_run else f"{len(part):,} operations"
        labels = f"{self.sheet.words(int(part[0]))[0].split(',')[0]} ... {self.sheet.words(int(part[-1]))[0].split(' ')[-1]}"
        return self.drawing.node("run" if is_run else "stretch", labels, what, (", ".join(named),), group)

    # ---- edges

    def tail(self, k, result):
        """What a result of a node comes from."""
        if k not in self.inside:
            return self.name[self.block[k]]
        layer, _, results = self.inside[k]
        at = results[result] if result < len(results) else None
        return layer.store() if at is None or at >= len(layer.ends) else layer.ends[at]

    def heads(self, k, operand):
        if k not in self.inside:
            return [self.name[self.block[k]]]
        layer, into, _ = self.inside[k]
        return [layer.known() if j < 0 else layer.name[layer.block[j]] for j in (into[operand] if operand < len(into) else ())]

    def connect(self):
        """Draw the edges between blocks: of single nodes one for each operand, of folded ones one for all."""
        edges, found = self.sheet.edges, {}
        tails, heads = self.block[edges[:, 0]], self.block[edges[:, 2]]
        across = tails != heads
        single = self.size == 1
        for k, result, reader, operand in edges[across & single[heads]].tolist():
            role = "" if reader in self.inside or self.size[self.block[k]] > 1 else self.sheet.role(reader, operand)
            tail = self.tail(k, result)
            for head in self.heads(reader, operand):
                found.setdefault((tail, head, role), set()).add((k, result))
        for (tail, head, role), values in found.items():
            self.edge(tail, head, role, len(values))
        self.connect_folded(edges, heads, across & ~single[heads])

    def connect_folded(self, edges, heads, which):
        """Edges to folded nodes, of which there may be millions: each value counts once."""
        if not which.any():
            return
        results, blocks = int(edges[:, 1].max()) + 1, len(self.members)
        value = np.unique((edges[which, 0].astype(np.int64) * results + edges[which, 1]) * blocks + heads[which])
        producer, result, head = value // blocks // results, value // blocks % results, value % blocks
        opened = np.isin(producer, list(self.inside))
        pairs, counts = np.unique(self.block[producer[~opened]] * blocks + head[~opened], return_counts=True)
        for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.edge(self.name[pair // blocks], self.name[pair % blocks], "", count)
        for k, r, b in zip(producer[opened].tolist(), result[opened].tolist(), head[opened].tolist(), strict=True):
            self.edge(self.tail(k, r), self.name[b], "", 1)

    def edge(self, tail, head, role, count):
        kinds = [self.drawing.nodes[int(name[1:])].kind for name in (tail, head)]
        self.drawing.edges[Edge(tail, head, role, "store" if "store" in kinds else kinds[1])] += count

    def connect_steps(self):
        """Draw an edge from what goes into a loop to what comes out that depends on it by way of earlier steps alone."""
        heads, seen = {}, {}
        for edge in self.drawing.edges:
            heads.setdefault(edge.tail, []).append(edge.head)
        inputs = [self.name[k] for k in dict.fromkeys(self.block[np.flatnonzero(np.isin(self.sheet.kind, _INPUTS))].tolist())]
        back = {}
        for end, k in self.sheet.handed_on:
            back.setdefault(self.ends[end], []).append(self.name[self.block[k]])
        for name in inputs:
            seen[name] = reached(name, heads)
        for name in inputs:
            far = reached(name, heads, back)
            for end in dict.fromkeys(self.ends):
                if end in far and end not in seen[name]:
                    self.drawing.edges[Edge(name, end, "by earlier steps", "earlier")] += 1

    # ---- what comes out

    def draw_ends(self, group):
        """Draw results and guards; what is drawn of each result."""
        ends = self.several(self.sheet.ends, "result", group)
        self.several(self.sheet.guards, "guard", group)
        return ends

    def several(self, items, kind, group):
        """One node for each, or one for all of many."""
        folds = self.drawing.fold is not False and len(items) > max(self.drawing.most // 4, 2)
        names = []
        if folds:
            first, last = items[0][0], items[-1][0]
            all_of_them = self.drawing.node(kind, "", f"{len(items):,} {kind}s", (f"{first} ... {last}",), group)
        for name, text, producer, result in items:
            if kind == "result" and name == "store":
                continue
            if not folds:
                label, text, lines = ("", name, (text,)) if kind == "guard" else (text, name, ())
                drawn = self.drawing.node(kind, label, text, lines, group)
            names.append(all_of_them if folds else drawn)
            if producer >= 0:
                self.edge(self.tail(producer, result), names[-1], "", 1)
        return names

    def store(self):
        """What a loop leaves for its reversal: drawn when something reads it."""
        if self.stored is None:
            self.stored = self.drawing.node("store", "", "left for the reversal", (), self.within)
            for name in dict.fromkeys(self.ends or [name for name in self.name if name]):
                self.edge(name, self.stored, "", 1)
        return self.stored

    def known(self):
        """What a reversal knows of each step: one node for what it is made from, and all that it is."""
        if self.again is None:
            self.again = self.drawing.node("store", "", "the loop's steps, in reverse", (), self.within)
            for k in self.sheet.kept:
                self.edge(self.again, self.name[self.block[k]], "", 1)
        return self.again
