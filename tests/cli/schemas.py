#!/usr/bin/env python3
"""Is the JSON of a verb what tarn-json(5) says?

    tarn help --man tarn-json | schemas.py list
    tarn help --man tarn-json | schemas.py check VERB FILE...      FILE: what `tarn VERB -J` printed

Every record has exactly the keys of its list, each of the type that stands there or null; the
wrapper is whole. `list` prints the verbs that have a schema. Prints what is wrong; exits 1 then.
"""
import json
import re
import sys

TYPES = {"value": (int, float, str), "text": str, "boolean": bool, "array": list,
         "real": (int, float), "number": int, "bytes": int, "time": int, "nanoseconds": int}
WRAPPER = {"schema": str, "host": str, "boot_id": str, "time_ns": int, "complete": bool,
           "unreadable": int, "items": list}


def documented(page):
    """verb -> list -> key -> type"""
    verbs, verb, where, key = {}, None, None, None
    for line in page.split("\n"):
        section = re.fullmatch(r"\.Ss tarn\.([a-z]+)/\d+", line)
        place = re.fullmatch(r"\.Li (.+) :", line)
        if section:
            verb = verbs.setdefault(section[1], {})
        elif verb is None:
            continue
        elif place:
            where = verb.setdefault(place[1], {})
        elif line.startswith(".It Li "):
            key = line[len(".It Li "):]
        elif key and line.startswith("("):
            where[key] = TYPES[re.match(r"\((\w+)", line)[1]]
            key = None
    return verbs


class Check:
    def __init__(self, lists):
        self.lists = lists
        self.problems = []
        self.count = 0

    def record(self, where, record, keys, more=()):
        if not isinstance(record, dict):
            self.problems.append(f"{where}: {record!r} is no object")
            return
        self.count += 1
        for key in sorted(set(keys) - set(record)):
            self.problems.append(f"{where}: no key {key}")
        for key, value in record.items():
            wanted = keys.get(key, list if key in more else None)
            if wanted is None:
                self.problems.append(f"{where}: the key {key} is not documented")
            elif value is not None and type(value) not in (
                    wanted if isinstance(wanted, tuple) else (wanted,)):
                self.problems.append(f"{where}: {key} is {value!r}, not {wanted}")
            elif isinstance(value, list):
                self.rows(f"{where}.{key}", key, value)

    def rows(self, where, name, rows):
        if name not in self.lists:
            self.problems.append(f"{where}: the list {name} is not documented")
            return
        inner = set(self.lists) - {"items"} if name == "items" else ()
        for row in rows:
            self.record(where, row, self.lists[name], inner)

    def document(self, verb, text):
        try:
            whole = json.loads(text)
        except ValueError as error:
            self.problems.append(f"no JSON: {error}: {text[:200]!r}")
            return
        items = whole.pop("items", None)
        self.record("wrapper", whole, {key: WRAPPER[key] for key in WRAPPER if key != "items"})
        if None in whole.values():
            self.problems.append("a null in the wrapper")
        if not str(whole.get("schema")).startswith(f"tarn.{verb}/"):
            self.problems.append(f"schema is {whole.get('schema')!r}")
        if whole.get("unreadable") and whole.get("complete"):
            self.problems.append("complete, and yet something was unreadable")
        if isinstance(items, list):
            self.rows("items", "items", items)
        else:
            self.problems.append("no items")

    def stream(self, text):
        for line in text.splitlines():
            try:
                self.record("line", json.loads(line), self.lists["each line"])
            except ValueError as error:
                self.problems.append(f"no JSON: {error}: {line[:200]!r}")


def main():
    verbs = documented(sys.stdin.read())
    if sys.argv[1] == "list":
        print("\n".join(verbs))
        return 0
    verb = sys.argv[2]
    check = Check(verbs[verb])
    for path in sys.argv[3:]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if "each line" in verbs[verb]:
            check.stream(text)
        else:
            check.document(verb, text)
    for problem in dict.fromkeys(check.problems):
        print(f"{verb}: {problem}")
    if not check.count:
        print(f"{verb}: nothing to look at")
    return 1 if check.problems or not check.count else 0


sys.exit(main())
