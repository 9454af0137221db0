#!/usr/bin/env python3
"""Does `tarn ls -J` say what /proc and stat say? Read here anew, sharing nothing with Tarn.

    hostcheck.py look FILE [--files]          what is to be seen now
    hostcheck.py compare BEFORE LS AFTER      LS: what `tarn ls -J` said in between

What differs between BEFORE and AFTER changed meanwhile and proves nothing; all else must be in
LS, and the same there. What LS says and neither of them does must have been too short-lived to be
seen, and so made after BEFORE, and nameless. Prints each difference; exits 1 if there is one. The
last line counts what was compared.

A thing is "sysv:ID", or "DEV:INODE" of anything else; "sysv:ID@PID" is one of another IPC
namespace, by the first process that has it attached.
"""
import collections
import json
import os
import re
import stat
import sys
import time

MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (....) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)")
NAMELESS = ("/memfd:", "/SYSV", "/dev/zero (deleted)", "/anon_hugepage", "/secretmem")
PAGE = os.sysconf("SC_PAGESIZE")


def lines_of(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read().split("\n")


def hugetlbfs():
    """Mount points and devices."""
    found = {}
    for line in lines_of("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        if right.startswith("hugetlbfs "):
            path = left.split()[4]
            try:
                found[os.stat(path).st_dev] = path
            except OSError:
                pass
    return found


class Look:
    """What there is, by key: facts of the thing, and what each process has of it."""

    def __init__(self, files):
        self.files = files
        self.things = collections.defaultdict(dict)
        self.uses = collections.defaultdict(dict)  # key -> pid -> use
        self.first = {}  # who has a segment of another IPC namespace
        self.pids = []
        self.denied = []
        self.huge = hugetlbfs()
        self.shm = os.stat("/dev/shm").st_dev
        self.ipc = os.readlink("/proc/self/ns/ipc")

    def take(self):
        began = time.time_ns()
        self.sysv()
        self.tree("/dev/shm", "posix")
        for path in self.huge.values():
            self.tree(path, "huge")
        for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
            self.process(pid)
        return {"things": self.things, "uses": self.uses, "pids": self.pids,
                "denied": self.denied, "hidden": self.hidden(), "time_ns": began}

    @staticmethod
    def hidden():
        """Is /proc mounted so that it hides the processes of others?"""
        options = [line.split(" - ")[1] for line in lines_of("/proc/self/mountinfo")
                   if " /proc " in line and " - proc " in line]
        return os.geteuid() != 0 and "hidepid=" in options[-1]

    # --- what has a name

    def sysv(self):
        for line in lines_of("/proc/sysvipc/shm")[1:]:
            row = [int(word) for word in line.split()]
            if not row:
                continue
            key, shmid, perms, size, cpid, lpid, nattch, uid, gid, cuid, _cgid = row[:11]
            # perms are printed in octal
            perms = int(str(perms), 8)
            self.things[f"sysv:{shmid}"] = {
                "type": "sysv", "id": shmid, "name": f"sysv:#{shmid}", "key": key & 0xffffffff,
                "mode": f"{perms & 0o777:04o}", "size_bytes": size, "creator_pid": cpid or None,
                "last_pid": lpid or None, "attach_count": nattch, "uid": uid, "gid": gid,
                "creator_uid": cuid, "attached_ns": row[11] * 10**9 or None,
                "detached_ns": row[12] * 10**9 or None, "created_ns": row[13] * 10**9,
                "removed": bool(perms & 0o1000), "elsewhere": False, "inode": shmid,
                "swap_bytes": row[15], "count": row[14] + row[15],
            }

    def tree(self, top, kind):
        for where, _, names in os.walk(top):
            for name in names:
                path = os.path.join(where, name)
                try:
                    st = os.lstat(path)
                except OSError:
                    continue
                if stat.S_ISREG(st.st_mode):
                    thing = self.things[f"{st.st_dev}:{st.st_ino}"]
                    thing.update(self.facts(st), type=kind, removed=False, elsewhere=False)
                    thing["path"] = path

    @staticmethod
    def facts(st):
        return {"size_bytes": st.st_size, "touched_bytes": st.st_blocks * 512, "uid": st.st_uid,
                "gid": st.st_gid, "mode": f"{st.st_mode & 0o7777:04o}", "inode": st.st_ino,
                "device": st.st_dev}

    # --- what processes have

    def kind(self, dev, path, rights):
        shared = rights.endswith("s")
        if path.startswith("/SYSV"):
            return "sysv"
        if path.startswith(("/memfd:", "/secretmem")):
            return "memfd"
        if path.startswith(("/dev/zero (deleted)", "/anon_hugepage")):
            return "anon" if shared else None
        if dev in self.huge:
            return "huge"
        if dev == self.shm or path.startswith("/dev/shm/"):
            return "posix"
        if self.files and shared and path.startswith("/") and not path.startswith("/dev/"):
            try:
                return "file" if path.endswith(" (deleted)") or os.path.isfile(path) else None
            except OSError:
                return None
        return None

    def key(self, pid, kind, dev, inode):
        if kind != "sysv":
            return f"{dev}:{inode}"
        ipc = os.readlink(f"/proc/{pid}/ns/ipc")
        if ipc == self.ipc:
            return f"sysv:{inode}"
        return f"sysv:{inode}@{self.first.setdefault((ipc, inode), pid)}"

    def use(self, pid, key, kind):
        self.things[key].setdefault("type", kind)
        return self.uses[key].setdefault(pid, {"maps": [], "fds": []})

    def process(self, pid):
        try:
            maps = lines_of(f"/proc/{pid}/maps")
            fds = os.listdir(f"/proc/{pid}/fd")
        except PermissionError:
            if not self.without_memory(pid):
                self.denied.append(pid)
            return
        except OSError:  # it ended
            return
        self.pids.append(pid)
        try:
            for line in maps:
                self.mapping(pid, MAP.fullmatch(line))
            for fd in fds:
                self.descriptor(pid, int(fd))
            for key in [key for key in self.uses if pid in self.uses[key]]:
                self.uses[key][pid].update(self.who(pid))
        except OSError:  # it ends: what is left of it says nothing
            for key in list(self.uses):
                if self.uses[key].pop(pid, None) and not self.uses[key]:
                    del self.uses[key]

    def mapping(self, pid, found):
        if not found or not found[8].startswith("/"):
            return
        start, end, off = (int(found[i], 16) for i in (1, 2, 4))
        dev, inode = os.makedev(int(found[5], 16), int(found[6], 16)), int(found[7])
        kind = self.kind(dev, found[8], found[3])
        if kind is None:
            return
        key = self.key(pid, kind, dev, inode)
        use = self.use(pid, key, kind)
        use["maps"].append([start, end - start, off, found[3]])
        thing = self.things[key]
        thing.setdefault("inode", inode)
        thing["extent"] = max(thing.get("extent", 0), off + end - start)
        if "size_bytes" not in thing or kind == "sysv":
            try:
                st = os.stat(f"/proc/{pid}/map_files/{found[1]}-{found[2]}")
                if kind == "sysv":
                    thing["touched_bytes"] = st.st_blocks * 512
                else:
                    thing.update(self.facts(st))
            except OSError:
                pass

    def descriptor(self, pid, fd):
        path = f"/proc/{pid}/fd/{fd}"
        try:
            text = os.readlink(path)
            if not text.startswith(NAMELESS + ("/dev/shm/",) + tuple(self.huge.values())):
                return
            st = os.stat(path)
        except FileNotFoundError:
            return
        kind = self.kind(st.st_dev, text, "---s")
        if kind is None or kind == "file" or not stat.S_ISREG(st.st_mode):
            return
        key = self.key(pid, kind, st.st_dev, st.st_ino)
        self.use(pid, key, kind)["fds"].append(fd)
        self.things[key].update(self.facts(st))

    @staticmethod
    def without_memory(pid):
        """A kernel thread, or one that ended and was not waited for: its fd belongs to root then."""
        try:
            words = lines_of(f"/proc/{pid}/stat")[0].rpartition(")")[2].split()
        except OSError:
            return True  # it ended
        return words[0] in "ZX" or int(words[6]) & 0x200000

    @staticmethod
    def who(pid):
        status = dict(line.split(":", 1) for line in lines_of(f"/proc/{pid}/status") if ":" in line)
        return {"uid": int(status["Uid"].split()[1]),
                "command": lines_of(f"/proc/{pid}/comm")[0]}


# --- comparing -----------------------------------------------------------------------------------

TEXTS = {"type", "name", "label", "owner", "mode", "state", "creator", "seals", "content", "proof",
         "command", "rights"}
FLAGS = {"removed", "elsewhere"}
LISTS = {"processes", "numa"}


class Comparison:
    def __init__(self, before, after, said):
        self.before, self.after, self.said = before, after, said
        self.problems = []
        self.facts = 0
        self.used = 0

    def wrong(self, what):
        self.problems.append(what)

    def same(self, what, expected, found):
        self.facts += 1
        if type(expected) is not type(found) or expected != found:
            self.wrong(f"{what}: {found!r}, and the kernel says {expected!r}")

    def types(self, what, record):
        """Numbers are numbers, words are words."""
        for key, value in record.items():
            good = value is None or type(value) is (
                str if key in TEXTS else bool if key in FLAGS else list if key in LISTS else int)
            if not good:
                self.wrong(f"{what}: {key} is {value!r}")

    @staticmethod
    def key_of(item):
        if item["type"] != "sysv":
            return f"{item['device']}:{item['inode']}"
        if not item["elsewhere"]:
            return f"sysv:{item['id']}"
        return f"sysv:{item['id']}@{min(use['pid'] for use in item['processes'])}"

    def steady(self, part, key):
        """What was the same before and after; None = it changed, or was not there."""
        value = self.before[part].get(key)
        return value if value == self.after[part].get(key) else None

    def compare(self):
        items = {}
        for item in self.said["items"]:
            key = self.key_of(item)
            self.types(item["name"], item)
            if key in items:
                self.wrong(f"{item['name']} is listed twice")
            items[key] = item
        for key in self.before["things"]:
            thing = self.steady("things", key)
            if key in items:
                self.one(items[key], thing or {}, self.steady("uses", key))
            elif key in self.after["things"]:
                self.wrong(f"not listed: {key}, {self.before['things'][key]}")
        for key, item in items.items():
            if key not in self.before["things"] and key not in self.after["things"]:
                self.fleeting(item)
        self.unreadable(set(self.before["denied"]), set(self.after["denied"]))
        self.same("complete", self.said["unreadable"] == 0 and not self.before["hidden"],
                  self.said["complete"])

    def unreadable(self, before, after):
        """How many processes could not be read: where there are some, more come and go."""
        least, most = len(before & after), len(before | after)
        self.facts += 1
        if not least <= self.said["unreadable"] <= most + (50 if most else 0):
            self.wrong(f"unreadable: {self.said['unreadable']}, of {least} to {most} denied")

    def fleeting(self, item):
        made = item["created_ns"]
        young = made is None or made > self.before["time_ns"] - 10**8
        nameless = item["name"].startswith(("memfd:", "map:")) or item["type"] == "file"
        if not young or not item["processes"] or not nameless:
            self.wrong(f"listed, but there is no such thing: {item['name']}")

    def one(self, item, thing, uses):
        name = item["name"]
        for field, value in thing.items():
            if field in item and field != "touched_bytes":
                self.same(f"{name}: {field}", value, item[field])
        touched = thing.get("touched_bytes", thing.get("count"))
        if touched is not None and item["touched_bytes"] is not None:
            self.same(f"{name}: touched_bytes", touched, item["touched_bytes"])
        if thing and "size_bytes" not in thing:
            self.same(f"{name}: size_bytes", thing["extent"], item["size_bytes"])
        if "path" in thing and not name.endswith(os.path.basename(thing["path"])):
            self.wrong(f"{name}: its file is {thing['path']}")
        if item["type"] != "sysv" and item["attach_count"] != sum(
                use["mapping_count"] for use in item["processes"]):
            self.wrong(f"{name}: attach_count {item['attach_count']}, not the sum of its mappings")
        if uses is not None or (thing and not self.before["uses"].get(item["inode"])):
            self.processes(item, uses or {})

    def processes(self, item, uses):
        if self.steady("uses", self.key_of(item)) is None and self.key_of(item) in (
                *self.before["uses"], *self.after["uses"]):
            return  # somebody came or went
        found = {str(use["pid"]): use for use in item["processes"]}
        stayed = set(map(str, self.before["pids"])) & set(map(str, self.after["pids"]))
        for pid in set(found) - set(uses) - stayed:
            del found[pid]  # it came and went in between: a child that has not called exec yet
        self.same(f"{item['name']}: pids", sorted(uses, key=int), sorted(found, key=int))
        for pid, use in uses.items():
            said = found.get(pid)
            if said is None:
                continue
            what = f"{item['name']}: process {pid}"
            self.used += 1
            self.types(what, said)
            self.same(f"{what}: uid", use["uid"], said["uid"])
            self.same(f"{what}: command", use["command"], said["command"])
            self.same(f"{what}: mappings", len(use["maps"]), said["mapping_count"])
            self.same(f"{what}: descriptors", len(use["fds"]), said["fd_count"])
            self.same(f"{what}: fd", min(use["fds"], default=None), said["fd"])
            self.same(f"{what}: rights", self.rights(use["maps"]), said["rights"])

    @staticmethod
    def rights(maps):
        """Of several mappings together."""
        if not maps:
            return None
        together = [map[3] for map in maps]
        return "".join(letter if any(letter in word for word in together) else "-"
                       for letter in "rwx") + ("p" if any("p" in w for w in together) else "s")


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    if sys.argv[1] == "look":
        with open(sys.argv[2], "w", encoding="utf-8") as file:
            json.dump(Look("--files" in sys.argv).take(), file)
        return 0
    comparison = Comparison(read(sys.argv[2]), read(sys.argv[4]), read(sys.argv[3]))
    comparison.compare()
    for problem in comparison.problems[:40]:
        print(problem)
    print(f"{len(comparison.said['items'])} listed, {comparison.facts} facts and "
          f"{comparison.used} uses compared, {len(comparison.problems)} differ")
    return 1 if comparison.problems else 0


sys.exit(main())
