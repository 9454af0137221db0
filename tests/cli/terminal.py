#!/usr/bin/env python3
"""Run a program on a terminal, press keys, and look at what it shows, as text.

    terminal.py ROWSxCOLUMNS STEPS -- PROGRAM ARGUMENT...

The terminal is one of 80 lines of Python that knows what xterm's terminfo says, and no more: what
it does not know is an error. Each line of the file STEPS is one of

    wait TEXT       until the screen has TEXT, a regular expression, in a line; 20 s at most
    gone TEXT       until it has not
    keys TEXT       press keys; as in Python, \\e is Escape
    resize RxC      the terminal has another size
    signal NAME     send SIGNAME to the program
    run COMMAND     of the shell; it must not fail
    show FILE       write the screen to FILE
    end CODE        until the program has ended, by exit code CODE, or by signal -NUMBER; then the
                    terminal must be as it was: modes, cursor, screen

Exits 1 and says which step failed, with the screen, where one did.
"""
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata

PATIENCE = 20


class Screen:
    """What a terminal shows, after the bytes that were written to it."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.row = self.column = 0
        self.alternate = self.hidden = self.keypad = False
        self.styles = ""
        self.left = b""
        self.cells = self.blank()
        self.margins = 0, rows - 1

    def blank(self):
        return [[" "] * self.columns for _ in range(self.rows)]

    def resize(self, rows, columns):
        old, self.rows, self.columns = self.cells, rows, columns
        self.cells = self.blank()
        for i, line in enumerate(old[:rows]):
            self.cells[i][:min(len(line), columns)] = line[:columns]
        self.row, self.column = min(self.row, rows - 1), min(self.column, columns - 1)
        self.margins = 0, rows - 1

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def feed(self, data):
        data = self.left + data
        try:
            text, self.left = data.decode(), b""
        except UnicodeDecodeError as error:
            text, self.left = data[:error.start].decode(), data[error.start:]
        while text:
            text, rest = self.one(text)
            if rest:
                self.left = text.encode() + self.left
                return

    def one(self, text):
        """Take one character or sequence off @text; True where it is not whole yet."""
        if text[0] != "\x1b":
            self.character(text[0])
            return text[1:], False
        match = re.match(r"\x1b(\[[0-9;?>]*[@A-Za-z`]|[()][0A-B]|[=>78MDEc]|\][^\x07]*\x07)", text)
        if not match:
            if len(text) > 40:
                raise ValueError(f"what is {text[:40]!r}?")
            return text, True
        self.sequence(match[1])
        return text[match.end():], False

    def scroll(self, by):
        first, last = self.margins
        for _ in range(abs(by)):
            del self.cells[first if by > 0 else last]
            self.cells.insert(last if by > 0 else first, [" "] * self.columns)

    def character(self, c):
        if c == "\r":
            self.column = 0
        elif c == "\n":
            if self.row == self.margins[1]:
                self.scroll(1)
                return
            self.row = min(self.row + 1, self.rows - 1)
        elif c == "\b":
            self.column = max(self.column - 1, 0)
        elif c == "\t":
            self.column = min(self.column // 8 * 8 + 8, self.columns - 1)
        elif c not in "\x07\x0e\x0f\0":
            width = 2 if unicodedata.east_asian_width(c) in "WF" else 1
            if self.column + width > self.columns:
                self.character("\r")
                self.character("\n")
            self.last = c
            self.cells[self.row][self.column] = c
            if width == 2:
                self.cells[self.row][self.column + 1] = ""
            self.column += width

    def sequence(self, text):
        if text[0] != "[":
            if text == "M":
                if self.row == self.margins[0]:
                    self.scroll(-1)
                else:
                    self.row = max(self.row - 1, 0)
            self.keypad = {"=": True, ">": False}.get(text, self.keypad)
            return
        words = [int(word) if word.isdigit() else 0 for word in text[1:-1].strip("?>").split(";")]
        first = words[0] or 1
        line = self.cells[self.row]
        at = min(self.column, self.columns - 1)
        match text[-1]:
            case "H" | "f":
                self.row = min(first, self.rows) - 1
                self.column = min(words[1] if len(words) > 1 else 1, self.columns) - 1
            case "A":
                self.row = max(self.row - first, 0)
            case "B":
                self.row = min(self.row + first, self.rows - 1)
            case "C":
                self.column = min(self.column + first, self.columns - 1)
            case "D":
                self.column = max(self.column - first, 0)
            case "G" | "`":
                self.column = first - 1
            case "d":
                self.row = first - 1
            case "J":
                if words[0] == 2:
                    self.cells = self.blank()
                else:
                    line[at:] = [" "] * (self.columns - at)
                    for i in range(self.row + 1, self.rows):
                        self.cells[i] = [" "] * self.columns
            case "K":
                if words[0] == 1:
                    line[:at + 1] = [" "] * (at + 1)
                else:
                    line[at:] = [" "] * (self.columns - at)
            case "X":
                line[at:at + first] = [" "] * min(first, self.columns - at)
            case "P":
                del line[at:at + first]
                line += [" "] * (self.columns - len(line))
            case "@":
                line[at:at] = [" "] * first
                del line[self.columns:]
            case "L" | "M":
                margins, self.margins = self.margins, (self.row, self.margins[1])
                self.scroll(first if text[-1] == "M" else -first)
                self.margins = margins
            case "S" | "T":
                self.scroll(first if text[-1] == "S" else -first)
            case "b":
                for _ in range(first):
                    self.character(self.last)
            case "r":
                last = words[1] if len(words) > 1 else self.rows
                self.margins = first - 1, last - 1
                self.row = self.column = 0
            case "m":
                self.styles = text[1:-1].strip("0;")
            case "h" | "l":
                on = text[-1] == "h"
                self.alternate = on if 1049 in words else self.alternate
                self.hidden = not on if 25 in words else self.hidden
            case "t" | "c" | "n" | "q":
                pass
            case _:
                raise ValueError(f"what is ESC {text!r}?")


def key(match):
    """The character of an escape."""
    return {"n": "\n", "t": "\t", "e": "\x1b"}.get(match[1]) or chr(int(match[1][1:], 16))


class Run:
    def __init__(self, size, program):
        rows, columns = map(int, size.split("x"))
        self.screen = Screen(rows, columns)
        self.master, self.slave = os.openpty()
        self.size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        env = dict(os.environ, TERM=os.environ.get("TERM_TOP", "xterm"))
        env.pop("LINES", None)
        env.pop("COLUMNS", None)
        self.child = subprocess.Popen(program, stdin=self.slave, stdout=self.slave,
                                      stderr=self.slave, env=env, start_new_session=True,
                                      preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.screen.feed(os.read(self.master, 65536))
            return True
        return False

    def until(self, true):
        end = time.monotonic() + PATIENCE
        while not true():
            if time.monotonic() > end:
                raise TimeoutError
            self.read(0.05)

    def has(self, pattern):
        return any(re.search(pattern, line) for line in self.screen.text().split("\n"))

    def end(self, wanted):
        self.until(lambda: self.child.poll() is not None)
        while self.read(0):
            pass
        if self.screen.left:
            raise ValueError(f"what is {self.screen.left!r}?")
        if self.child.returncode != int(wanted):
            raise ValueError(f"it ended with {self.child.returncode}")
        if termios.tcgetattr(self.slave) != self.before:
            raise ValueError("the modes of the terminal are not as they were")
        if self.screen.alternate or self.screen.hidden or self.screen.keypad or self.screen.styles:
            raise ValueError("the terminal shows another screen, no cursor, or a style")

    def step(self, word, rest):
        if word == "wait":
            self.until(lambda: self.has(rest))
        elif word == "gone":
            self.until(lambda: not self.has(rest))
        elif word == "keys":
            os.write(self.master, re.sub(r"\\([nte]|x[0-9a-f]{2})", key, rest).encode())
        elif word == "resize":
            rows, columns = map(int, rest.split("x"))
            self.screen.resize(rows, columns)
            self.size(rows, columns)
        elif word == "signal":
            self.child.send_signal(getattr(signal, "SIG" + rest))
        elif word == "run":
            subprocess.run(rest, shell=True, check=True)
        elif word == "show":
            while self.read(0.1):  # until all of it is drawn
                pass
            with open(rest, "w", encoding="utf-8") as file:
                file.write(self.screen.text() + "\n")
        elif word == "end":
            self.end(rest)
        else:
            raise ValueError("no such step")


def main():
    size, steps, _, *program = sys.argv[1:]
    run = Run(size, program)
    try:
        with open(steps, encoding="utf-8") as file:
            for line in file:
                word, _, rest = line.strip("\n").partition(" ")
                try:
                    if word:
                        run.step(word, rest)
                except (TimeoutError, ValueError, subprocess.CalledProcessError, OSError) as error:
                    print(f"{line.strip()}: {error or 'not in time'}; the screen:")
                    print(run.screen.text())
                    return 1
    finally:
        if run.child.poll() is None:
            run.child.kill()
            run.child.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
