"""What the checks in dev/check-* share: the files of a tree, C without its comments, reporting."""
import os
import re
import sys

SKIPPED = {".git", "build", "__pycache__"}


def root():
    """The tree to look at: the first argument, else the one that this file lies in."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else here


def files(top, *suffixes, under=("",)):
    """Paths below top/under, relative to top, that end in one of the suffixes; sorted."""
    found = []
    for part in under:
        for where, folders, names in os.walk(os.path.join(top, part)):
            folders[:] = [f for f in folders if f not in SKIPPED and not f.startswith("build-")]
            found += [os.path.relpath(os.path.join(where, n), top) for n in names
                      if n not in SKIPPED and (not suffixes or n.endswith(suffixes))]
    return sorted(set(found))


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as text:
        return text.read()


def bare_c(text):
    """C with comments, strings and character constants blanked; lines stay where they are."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''
    blank = lambda found: re.sub(r"[^\n]", " ", found.group(0))
    return re.sub(pattern, blank, text, flags=re.DOTALL)


class Report:
    """Findings, one a line; done() ends the program: 0 for none, 1 for any."""

    def __init__(self):
        self.count = 0

    def __call__(self, path, line, what):
        self.count += 1
        print(f"{path}:{line}: {what}" if line else f"{path}: {what}")

    def done(self):
        sys.exit(1 if self.count else 0)
