# SPDX-License-Identifier: GPL-2.0-only
"""Maximum flow between groups of vCPUs and groups of pCPUs, and the bottleneck when not all can pass.

Dinic's algorithm on the network source -> left -> right -> sink, in floating point: amounts are shares of a
pCPU, and anything below `EPSILON` counts as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

EPSILON = 1e-12

_SOURCE, _SINK = 0, 1


class _Network:
    """Residual network; edge `e` and its reverse `e ^ 1` are neighbours in the flat lists."""

    def __init__(self, vertices: int) -> None:
        self.edges: list[list[int]] = [[] for _ in range(vertices)]
        self.target: list[int] = []
        self.residual: list[float] = []

    def connect(self, tail: int, head: int, capacity: float) -> None:
        for vertex, target, residual in ((tail, head, capacity), (head, tail, 0.0)):
            self.edges[vertex].append(len(self.target))
            self.target.append(target)
            self.residual.append(residual)

    def levels(self) -> list[int]:
        """Distance of each vertex from the source along edges that still carry; -1 where there is none."""
        level = [-1] * len(self.edges)
        level[_SOURCE] = 0
        queue = [_SOURCE]
        for vertex in queue:
            for edge in self.edges[vertex]:
                head = self.target[edge]
                if level[head] < 0 and self.residual[edge] > EPSILON:
                    level[head] = level[vertex] + 1
                    queue.append(head)
        return level

    def augment(self, level: list[int], cursor: list[int]) -> float:
        """Push along one shortest path; 0.0 when none is left. Iterative: paths may be long."""
        path: list[int] = []
        vertex = _SOURCE
        while vertex != _SINK:
            edge = self._next_edge(vertex, level, cursor)
            if edge is not None:
                path.append(edge)
                vertex = self.target[edge]
            elif path:
                vertex = self.target[path.pop() ^ 1]
                cursor[vertex] += 1
            else:
                return 0.0
        return self._push(path)

    def _next_edge(self, vertex: int, level: list[int], cursor: list[int]) -> int | None:
        edges = self.edges[vertex]
        while cursor[vertex] < len(edges):
            edge = edges[cursor[vertex]]
            if self.residual[edge] > EPSILON and level[self.target[edge]] == level[vertex] + 1:
                return edge
            cursor[vertex] += 1
        return None

    def _push(self, path: list[int]) -> float:
        amount = min(self.residual[edge] for edge in path)
        for edge in path:
            self.residual[edge] -= amount
            self.residual[edge ^ 1] += amount
        return amount


def maximum_flow(
    supply: Sequence[float], reach: Sequence[Sequence[int]], capacity: Sequence[float]
) -> tuple[float, frozenset[int]]:
    """The largest total that passes, and the bottleneck.

    Left vertex `i` offers `supply[i]` and may use the right vertices `reach[i]`, right vertex `j` takes at
    most `capacity[j]`. The bottleneck is the smallest set of left vertices whose supply exceeds what they can
    reach by the largest amount (a minimum cut); empty when everything passes.
    """
    first_right = 2 + len(supply)
    network = _Network(first_right + len(capacity))
    for left, amount in enumerate(supply):
        network.connect(_SOURCE, 2 + left, amount)
        for right in reach[left]:
            network.connect(2 + left, first_right + right, amount)
    for right, amount in enumerate(capacity):
        network.connect(first_right + right, _SINK, amount)
    total, level = _saturate(network)
    return total, frozenset(left for left in range(len(supply)) if level[2 + left] >= 0)


def _saturate(network: _Network) -> tuple[float, list[int]]:
    total = 0.0
    while True:
        level = network.levels()
        if level[_SINK] < 0:
            return total, level
        cursor = [0] * len(level)
        while amount := network.augment(level, cursor):
            total += amount
