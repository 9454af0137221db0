#!/usr/bin/env python3
"""The static checks of dev/check-*: each holds on the tree, and each sees what it is there to see.

For the second half a copy of the tree gets one seeded fault at a time; the check must then fail
and name the file. TAP on stdout.

    tests/check/run.py BUILD
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(sys.argv[1])
LIBRARY = os.path.join(BUILD, "src", "libtarn.so")

HEAD = "/* SPDX-License-Identifier: BSD-2-Clause */\n"
LONG_FUNCTION = HEAD + "int f(void)\n{\n" + "\t(void)0;\n" * 69 + "\treturn 0;\n}\n"

# Check, further arguments on the real tree.
CHECKS = [
    ("layers", [ROOT, BUILD]), ("labels", [ROOT]), ("style", [ROOT]), ("words", [ROOT]),
    ("headers", [ROOT]), ("symbols", [ROOT, BUILD]), ("deps", [LIBRARY]), ("docs", [ROOT, BUILD]),
    ("format", [ROOT]), ("scripts", [ROOT]), ("results", [ROOT, BUILD]),
]

# What is seeded: the check, the fault in words, the file, its text (or what is appended to it),
# whether BUILD is an argument too.
SEEDS = [
    ("layers", "an include of a higher layer", "src/base/seed.c", '#include "region/region.h"\n'),
    ("layers", "a public header of a higher layer", "src/segment/seed.c",
     "#include <tarn/ring.h>\n"),
    ("layers", "a tool that looks inside the library", "tools/seed.c",
     '#include "base/bits.h"\n'),
    ("layers", "a tool other than bench that uses the engine", "tools/seed.c",
     '#include "engine.h"\n'),
    ("layers", "an engine that knows the command", "bench/seed.c", '#include "cli.h"\n'),
    ("layers", "a system call in assembly", "src/region/seed.c",
     'void f(void) { __asm__ volatile("syscall"); }\n'),
    ("layers", "a folder that is no layer", "src/misc/seed.c", "int x;\n"),
    ("labels", "a release without its acquire", "src/region/seed.c",
     HEAD + "/* W1 -> R1 a to b */\nint x;\n/* W1 -> R1 */\n"
     "void f(void) { atomic_store_explicit(&a, 1, memory_order_release); }\n"),
    ("labels", "an edge that the head does not list", "src/region/seed.c",
     HEAD + "/* seed */\nint x;\n/* W1 -> R1 */\n/* R1 <- W1 */\n"),
    ("labels", "one half of a pair of looks", "src/region/seed.c",
     HEAD + "/* W4 <> R4 a and b */\nint x;\n/* W4 <> R4 */\n"),
    ("labels", "an edge that is listed twice", "src/region/seed.c",
     HEAD + "/* L1 -> L2 a to b */\nint x;\n"),
    ("labels", "an acquire without a reason", "src/region/seed.c",
     HEAD + "/* seed */\nint f(void)\n{\n"
     "\treturn atomic_load_explicit(&a, memory_order_acquire);\n}\n"),
    ("style", "a function of 71 lines", "src/base/seed.c", LONG_FUNCTION),
    ("style", "a file of 801 lines", "src/base/seed.c", HEAD + "int x;\n" * 800),
    ("style", "a line of 101 columns", "src/base/seed.c", HEAD + "/* " + "x" * 95 + " */\n"),
    ("style", "a banned word", "src/base/seed.c", HEAD + "volatile int x;\n"),
    ("style", "a fence", "src/base/seed.c",
     HEAD + "void f(void) { atomic_thread_fence(memory_order_seq_cst); }\n"),
    ("style", "a file without its licence", "src/base/seed.c", "int x;\n"),
    ("words", "a reminder", "src/base/seed.c", HEAD + "/* TO" + "DO: later */\n"),
    ("words", "a path of one machine", "dev/seed", "cd /ho" + "me/someone/tarn\n"),
    ("headers", "a header that leans on another", "include/tarn/seed.h",
     HEAD + "static inline uint32_t tarn_seed(void) { return 0; }\n"),
    ("headers", "a header that is no C++", "include/tarn/seed.h",
     HEAD + "static inline int tarn_seed(int class) { return class; }\n"),
    ("symbols", "a function that is declared only", "include/tarn/seed.h",
     HEAD + "/** tarn_seed - seed. Since: 0.1 */\nTARN_API int tarn_seed(void);\n"),
    ("symbols", "a function without a comment", "include/tarn/seed.h",
     HEAD + "TARN_API const char *tarn_version(void);\n"),
    ("symbols", "a glob in the map", "src/libtarn.map",
     "LIBTARN_0.2 {\nglobal:\n\ttarn_x*;\n};\n"),
    ("docs", "a link to nowhere", "seed.md", "See [this](nowhere.md).\n"),
    ("docs", "a link to a heading that is not there", "seed.md", "See [this](README.md#nowhere).\n"),
    ("docs", "a file that is gone", "seed.md", "See `src/gone/gone.c`.\n"),
    ("docs", "a make target that is gone", "seed.md", "Say `make " + "coffee`.\n"),
    ("docs", "a function that is gone", "seed.md", "Call tarn_" + "gone().\n"),
    ("docs", "a program in README that is no file", "README.md",
     "\n```c\nint seed(void);\n```\n"),
    ("docs", "a program of examples that is not in README", "examples/readme/seed.c",
     HEAD + "int x;\n"),
    ("docs", "a program in README that has changed", "examples/readme/sorted.c",
     "int seed;\n"),
    ("format", "a line laid out by hand", "src/base/seed.c", HEAD + "int  f( void ) {return 0 ;}\n"),
    ("results", "a figure that no result says", "README.md",
     "\n<!-- table of bench/results/0.1.0.json -->\n| ring | 1 ns |\n<!-- end of table -->\n"),
    ("results", "a table of nothing", "seed.md",
     "<!-- table of bench/results/none.json -->\n<!-- end of table -->\n"),
    ("results", "a picture of another result", "bench/results/seed.svg", "<svg/>\n"),
    ("scripts", "an unquoted word", "dev/seed", "#!/bin/bash\nrm $1\n"),
]
NEEDS_BUILD = {"symbols", "results"}


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def __call__(self, good, name, output="", skip=None):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}"
              + (f" # SKIP {skip}" if skip else ""))
        if not good:
            for line in output.splitlines()[:20]:
                print(f"# {line}")


def run(check, args):
    """The exit status and the output of dev/check-CHECK."""
    done = subprocess.run([os.path.join(ROOT, "dev", "check-" + check), *args], check=False,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


def skip_reason(output):
    return output.split("skip:", 1)[-1].strip() or "no reason given"


def copy_tree(where):
    """The sources without builds, version control and what git ignores."""
    ignore = shutil.ignore_patterns("build", "build-*", ".git", "__pycache__", "*.o")
    shutil.copytree(ROOT, where, ignore=ignore)


def try_seed(tap, copy, seed):
    check, fault, path, text = seed
    full = os.path.join(copy, path)
    before = None
    if os.path.exists(full):
        with open(full, encoding="utf-8") as old:
            before = old.read()
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as out:
        out.write((before or "") + text)
    os.chmod(full, 0o755)
    code, output = run(check, [copy] + ([BUILD] if check in NEEDS_BUILD else []))
    if before is None:
        os.unlink(full)
    else:
        with open(full, "w", encoding="utf-8") as out:
            out.write(before)
    name = f"check-{check} sees {fault}"
    if code == 77:
        tap(True, name, skip=skip_reason(output))
    else:
        named = re.search(r"seed|tarn_x\*|" + re.escape(path), output)
        tap(code == 1 and named is not None, name, output)


def try_objects(tap, work):
    """check-layers on an archive with a call of open(), check-deps on a library that needs libm."""
    source = os.path.join(work, "region_seed.c")
    with open(source, "w", encoding="utf-8") as out:
        out.write("#include <fcntl.h>\n#include <math.h>\n"
                  "int f(void) { return open(\"x\", 0); }\ndouble g(double x) { return sin(x); }\n")
    library = os.path.join(work, "src")
    os.mkdir(library)
    flags = ["-fPIC", "-fno-builtin", source]
    subprocess.run(["cc", "-c", *flags, "-o", source + ".o"], check=True)
    subprocess.run(["ar", "rc", os.path.join(library, "libtarn.a"), source + ".o"], check=True)
    subprocess.run(["cc", "-shared", *flags, "-Wl,-soname,libtarn.so.0", "-lm", "-o",
                    os.path.join(library, "libtarn.so")], check=True)
    code, output = run("layers", [ROOT, work])
    tap(code == 1 and "calls open()" in output, "check-layers sees a system call outside plat",
        output)
    code, output = run("deps", [os.path.join(library, "libtarn.so")])
    tap(code == 1 and "needs libm" in output, "check-deps sees a library beside libc", output)


def main():
    tap = Tap()
    print(f"1..{len(CHECKS) + len(SEEDS) + 2}")
    for check, args in CHECKS:
        code, output = run(check, args)
        if code == 77:
            tap(True, f"check-{check} holds", skip=skip_reason(output))
        else:
            tap(code == 0, f"check-{check} holds", output)
    with tempfile.TemporaryDirectory(prefix="tarn-check-") as work:
        copy = os.path.join(work, "tree")
        copy_tree(copy)
        for seed in SEEDS:
            try_seed(tap, copy, seed)
        try_objects(tap, work)
    return 1 if tap.failed else 0


sys.exit(main())
