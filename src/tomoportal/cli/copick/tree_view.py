"""A tree and a panel of details in a terminal: arrow keys, a filter, nothing to install."""

from __future__ import annotations

import curses
import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tomoportal.copick.overviews.browsing import Node

__all__ = ["TreeView", "show"]

_HELP: Final = "↑↓ move  → open  ← close  / filter  q quit"
_NARROWEST: Final = 60
_ESCAPE: Final = 27
_BACKSPACES: Final = (curses.KEY_BACKSPACE, 8, 127)


class TreeView:
    """What is open, where the cursor is and what is filtered; the keys that change it. Draws nothing itself."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._open: set[int] = {id(root)}
        self.cursor = 0
        self.filter = ""
        self.is_typing = False

    def rows(self) -> list[tuple[int, Node]]:
        """The visible nodes with their depth; a filter keeps those whose label holds its text, and what leads there."""
        found: list[tuple[int, Node]] = []
        self._collect(self._root, 0, found)
        return found

    def _collect(self, node: Node, depth: int, found: list[tuple[int, Node]]) -> bool:
        place = len(found)
        found.append((depth, node))
        kept = not self.filter or self.filter.lower() in node.label.lower()
        if id(node) in self._open:
            for each in node.opened():
                kept = self._collect(each, depth + 1, found) or kept
        if not kept and depth:
            del found[place:]
        return kept

    @property
    def chosen(self) -> Node:
        rows = self.rows()
        self.cursor = max(0, min(self.cursor, len(rows) - 1))
        return rows[self.cursor][1]

    def is_open(self, node: Node) -> bool:
        return id(node) in self._open

    def press(self, key: int) -> bool:
        """Act on a key; false if it ends the view."""
        if self.is_typing:
            self._type(key)
            return True
        rows = self.rows()
        if key in (ord("q"), _ESCAPE):
            return False
        if key in (curses.KEY_DOWN, ord("j")):
            self.cursor = min(self.cursor + 1, len(rows) - 1)
        elif key in (curses.KEY_UP, ord("k")):
            self.cursor = max(self.cursor - 1, 0)
        elif key in (curses.KEY_NPAGE, curses.KEY_PPAGE):
            self.cursor = max(0, min(self.cursor + (10 if key == curses.KEY_NPAGE else -10), len(rows) - 1))
        elif key in (curses.KEY_HOME, curses.KEY_END):
            self.cursor = 0 if key == curses.KEY_HOME else len(rows) - 1
        elif key in (curses.KEY_RIGHT, ord("l"), ord("\n"), ord(" ")):
            self._open.add(id(self.chosen))
        elif key in (curses.KEY_LEFT, ord("h")):
            self._close(rows)
        elif key == ord("/"):
            self.is_typing, self.filter = True, ""
        return True

    def _close(self, rows: list[tuple[int, Node]]) -> None:
        depth, node = rows[self.cursor]
        if self.is_open(node) and depth:
            self._open.discard(id(node))
            return
        above = [number for number, (other, _) in enumerate(rows[: self.cursor]) if other < depth]
        self.cursor = above[-1] if above else 0

    def _type(self, key: int) -> None:
        if key in (ord("\n"), _ESCAPE):
            self.is_typing = False
            self.filter = "" if key == _ESCAPE else self.filter
        elif key in _BACKSPACES:
            self.filter = self.filter[:-1]
        elif 32 <= key < 0x110000 and not 256 <= key < 512:  # those are curses' own keys
            self.filter += chr(key)
        self.cursor = 0


def show(root: Node) -> None:
    """Browse a tree until somebody presses q."""
    curses.wrapper(lambda screen: _loop(screen, TreeView(root)))


def _loop(screen: curses.window, view: TreeView) -> None:
    curses.curs_set(0)
    while True:
        _draw(screen, view)
        if not view.press(screen.getch()):
            return


def _draw(screen: curses.window, view: TreeView) -> None:
    height, width = screen.getmaxyx()
    screen.erase()
    split = width // 2 if width >= _NARROWEST else width
    rows, chosen = view.rows(), view.chosen
    room = height - 1
    first = max(0, min(view.cursor - room // 2, len(rows) - room))
    for line, (depth, node) in enumerate(rows[first : first + room]):
        mark = " " if node.children is None else "▾" if view.is_open(node) else "▸"
        text = f"{'  ' * depth}{mark} {node.label}"
        style = curses.A_REVERSE if first + line == view.cursor else curses.A_NORMAL
        screen.addnstr(line, 0, text.ljust(split - 1), split - 1, style)
    if split < width:
        _draw_details(screen, chosen, split + 1, width, room)
    footer = f"/{view.filter}" if view.is_typing or view.filter else _HELP
    screen.addnstr(height - 1, 0, footer.ljust(width - 1), width - 1, curses.A_DIM)
    screen.refresh()


def _draw_details(screen: curses.window, node: Node, left: int, width: int, room: int) -> None:
    lines: list[str] = []
    for name, value in node.described():
        lines += textwrap.wrap(f"{name}: {value}", max(10, width - left - 1), subsequent_indent="  ") or [""]
    for line, text in enumerate([node.label, "", *lines][:room]):
        screen.addnstr(line, left, text, width - left - 1, curses.A_BOLD if line == 0 else curses.A_NORMAL)
