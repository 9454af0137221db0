#!/usr/bin/env python3
"""A host with shared memory of every kind, by real programs, for host.bats to look at.

    hostworld.py run FACTS PID      make it; FACTS is written once all is there
    hostworld.py piece NAME         one process of it; used by run

FACTS (JSON) has an entry a thing: what it is called, how large it is, which processes have it; or
{"skip": REASON}. Everything ends, and nothing stays behind, when process PID ends or this one gets
SIGTERM: pieces wait for the end of their standard input, which is held here.
"""
import ctypes
import fcntl
import glob
import json
import mmap
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HUGE = 2 << 20
HUGE_TAKEN = 4
POOL = "/proc/sys/vm/nr_hugepages"
HUGE_DIR = "/sys/kernel/mm/hugepages"
MAP_HUGETLB, SHM_HUGETLB, MFD_HUGETLB = 0x40000, 0o4000, 4
F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 2, 4
IPC_PRIVATE, IPC_RMID = 0, 0

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def number_in(path):
    with open(path, encoding="ascii") as file:
        return int(file.read())


def until(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


# --- pieces: processes that hold something until their standard input ends -----------------------

def wait_for_end():
    while os.read(0, 100):
        pass


def ready(**facts):
    print(json.dumps(facts), flush=True)


def twin():
    """A child that has all that this process has; it ends with it."""
    pid = os.fork()
    if pid == 0:
        wait_for_end()
        os._exit(0)
    return pid


def piece_python():
    """multiprocessing.shared_memory, shared with a forked child."""
    from multiprocessing import shared_memory
    block = shared_memory.SharedMemory(create=True, size=100000)
    block.buf[0:3] = b"abc"
    child = twin()
    ready(name=block.name, size=100000, pids=[os.getpid(), child], owner=os.geteuid())
    wait_for_end()
    os.waitpid(child, 0)
    block.close()
    block.unlink()


def piece_memfd():
    """Sealed, with a name; the child has it mapped alone, this process open too."""
    fd = os.memfd_create("tarn show", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 50000)
    fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
    view = mmap.mmap(fd, 50000)
    inode = os.fstat(fd).st_ino
    child = os.fork()
    if child == 0:
        os.closerange(3, 64)
        wait_for_end()
        os._exit(0)
    ready(label="tarn show", size=50000, pids=[os.getpid(), child], fd=fd, inode=inode)
    wait_for_end()
    os.waitpid(child, 0)
    view.close()


def piece_anon():
    view = mmap.mmap(-1, 300000)
    view[0] = 1
    child = twin()
    ready(pids=[os.getpid(), child], size=303104)
    wait_for_end()
    os.waitpid(child, 0)
    view.close()


def piece_sysv():
    """ipcmk -M makes it, as a shell script would; this process and a child attach it."""
    said = subprocess.run(["ipcmk", "-M", "12345", "-p", "0640"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    shmid = int(said.split()[-1])
    try:
        assert libc.shmat(shmid, None, 0) != ctypes.c_void_p(-1).value
        child = twin()
        ready(id=shmid, size=12345, mode="0640", pids=[os.getpid(), child])
        wait_for_end()
        os.waitpid(child, 0)
    finally:
        libc.shmctl(shmid, IPC_RMID, None)


def piece_huge():
    """One page of each: anonymous, memfd, System V, and a file where there is a hugetlbfs."""
    views = [mmap.mmap(-1, HUGE, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | MAP_HUGETLB)]
    fd = os.memfd_create("tarn huge", MFD_HUGETLB)
    os.ftruncate(fd, HUGE)
    views.append(mmap.mmap(fd, HUGE))
    shmid = libc.shmget(IPC_PRIVATE, ctypes.c_size_t(HUGE), SHM_HUGETLB | 0o600)
    file = None
    try:
        address = libc.shmat(shmid, None, 0)
        assert shmid >= 0 and address != ctypes.c_void_p(-1).value
        ctypes.memset(address, 1, 1)
        if len(sys.argv) > 3:
            file = os.path.join(sys.argv[3], f"tarn-show-{os.getpid()}")
            file_fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            os.ftruncate(file_fd, HUGE)
            views.append(mmap.mmap(file_fd, HUGE))
        for view in views:
            view[0] = 1
        ready(pids=[os.getpid()], size=HUGE, id=shmid, file=file, fd=fd, label="tarn huge")
        wait_for_end()
    finally:
        libc.shmctl(shmid, IPC_RMID, None)
        if file:
            os.unlink(file)


def piece_deleted():
    path = f"/dev/shm/tarn-show-{os.getpid()}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.ftruncate(fd, 8192)
    view = mmap.mmap(fd, 8192)
    os.unlink(path)
    os.close(fd)
    ready(path=path, size=8192, pids=[os.getpid()])
    wait_for_end()
    view.close()


def piece_file():
    with tempfile.NamedTemporaryFile(prefix="tarn-show-") as file:
        file.truncate(70000)
        view = mmap.mmap(file.fileno(), 70000)
        ready(path=file.name, size=70000, pids=[os.getpid()])
        wait_for_end()
        view.close()


PIECES = {name[6:]: fn for name, fn in list(globals().items()) if name.startswith("piece_")}


# --- the world -----------------------------------------------------------------------------------

class Lacking(Exception):
    """What a thing needs is not to be had here."""


class World:
    def __init__(self):
        self.processes = []  # in the order in which they were started
        self.undo = []
        self.facts = {}
        self.started = {}  # by name, for those that are stopped in a way of their own

    def start(self, argv, **options):
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL if "stdin" not in options
                                   else options.pop("stdin"), **options)
        self.processes.append(process)
        return process

    def piece(self, name, *args):
        process = self.start([sys.executable, os.path.abspath(__file__), "piece", name, *args],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"piece {name} ended with {process.wait()}")
        return json.loads(line)

    def end(self):
        for process in reversed(self.processes):
            if process.stdin is not None:
                process.stdin.close()
            elif process.poll() is None:
                process.send_signal(getattr(process, "farewell", signal.SIGTERM))
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for step in reversed(self.undo):
            try:
                step()
            except OSError as error:
                print(f"hostworld: {error}", file=sys.stderr)

    def directory(self, uid=None):
        path = tempfile.mkdtemp(prefix="tarn-show-", dir="/tmp")
        self.undo.append(lambda: shutil.rmtree(path, ignore_errors=True))
        if uid is not None:
            os.chown(path, *uid)
        return path


def needed(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Lacking(f"{program} is not installed")


def raise_pool(world):
    """Huge pages from the host, given back at the end. The lock is that of tests/unit."""
    if os.geteuid() != 0:
        raise Lacking("huge pages are reserved by root")
    if not os.path.isdir(f"{HUGE_DIR}/hugepages-2048kB"):
        raise Lacking("no huge pages of 2 MiB on this host")
    lock = os.open(HUGE_DIR, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    world.undo.append(lambda: os.close(lock))
    before = number_in(POOL)

    def put(count):
        with open(POOL, "w", encoding="ascii") as file:
            file.write(str(count))

    try:
        world.undo.append(lambda: put(before))
        put(before + HUGE_TAKEN)
    except OSError as error:
        raise Lacking(f"huge pages cannot be reserved: {error.strerror}") from None
    free = number_in(f"{HUGE_DIR}/hugepages-2048kB/free_hugepages")
    reserved = number_in(f"{HUGE_DIR}/hugepages-2048kB/resv_hugepages")
    if free - reserved < HUGE_TAKEN:
        raise Lacking(f"{HUGE_TAKEN} huge pages cannot be reserved on this host now")


def make_huge(world):
    raise_pool(world)
    directory = world.directory()
    args = []
    if os.environ.get("OWN_SHM") and subprocess.run(
            ["mount", "-t", "hugetlbfs", "none", directory], check=False).returncode == 0:
        world.undo.append(lambda: subprocess.run(["umount", directory], check=True))
        args = [directory]
    return world.piece("huge", *args)


def unprivileged():
    """Who servers run as: (uid, gid), or None for who we are."""
    import pwd
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def postgres_programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"),
                   key=lambda path: float(path.split("/")[4]))
    server = found[-1] if found else shutil.which("postgres")
    if server is None:
        raise Lacking("postgresql is not installed")
    where = os.path.dirname(os.path.realpath(server))
    for program in ("initdb", "psql"):
        if not os.access(os.path.join(where, program), os.X_OK):
            raise Lacking(f"{program} is not installed")
    return where


def make_clusters(world):
    where = postgres_programs()
    who = unprivileged()
    home = world.directory(who)
    options = {} if who is None else {"user": who[0], "group": who[1], "extra_groups": []}
    subprocess.run([f"{where}/initdb", "-D", f"{home}/posix", "-A", "trust", "-U", "tarn",
                    "--no-sync", "--locale=C", "-E", "UTF8"], check=True, cwd=home,
                   stdout=subprocess.DEVNULL, **options)
    subprocess.run(["cp", "-a", f"{home}/posix", f"{home}/sysv"], check=True)
    return where, home, options


def make_postgres(world, clusters, kind, port):
    """A server whose dynamic shared memory is of @kind; with sysv all of it is."""
    where, home, options = clusters
    settings = {
        "listen_addresses": "", "unix_socket_directories": home, "port": port,
        "shared_buffers": "128kB", "max_connections": "8", "max_wal_senders": "0",
        "wal_level": "minimal", "fsync": "off", "autovacuum": "off", "huge_pages": "off",
        "dynamic_shared_memory_type": kind,
        "shared_memory_type": "sysv" if kind == "sysv" else "mmap",
    }
    if kind == "sysv":
        # Nobody is attached then to the segment that the startup process made, for the next one
        settings["max_logical_replication_workers"] = "0"
    argv = [f"{where}/postgres", "-D", f"{home}/{kind}"]
    for key, value in settings.items():
        argv += ["-c", f"{key}={value}"]
    server = world.start(argv, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         **options)
    server.farewell = signal.SIGINT
    ask = [f"{where}/psql", "-h", home, "-p", str(port), "-U", "tarn", "-d", "postgres", "-AtXc"]

    def answers():
        if server.poll() is not None:
            raise RuntimeError(f"postgres ended with {server.returncode}")
        return subprocess.run([*ask, "select 1"], check=False, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 0

    until(answers, "postgres")
    with open(f"{home}/{kind}/postmaster.pid", encoding="utf-8") as file:
        words = file.read().split("\n")[6].split()  # "KEY ID" of its System V segment
    return {"pid": server.pid, "uid": os.stat(home).st_uid, "ask": ask,
            "id": int(words[1]) if len(words) == 2 else None}


def sysv_of(pid):
    """Segments that @pid made: [(id, attachments)]."""
    with open("/proc/sysvipc/shm", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return [(int(row[1]), int(row[6])) for row in rows if int(row[4]) == pid]


def make_xvfb(world):
    needed("Xvfb", "x11perf")
    read, write = os.pipe()
    server = world.start(["Xvfb", "-displayfd", str(write), "-screen", "0", "1024x768x24",
                          "-nolisten", "tcp", "-noreset", "-shmem"], pass_fds=[write],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    if not number:
        raise RuntimeError(f"Xvfb ended with {server.wait()}")
    until(lambda: sysv_of(server.pid), "the frame buffer of Xvfb")
    shmid = sysv_of(server.pid)[0][0]
    world.undo.append(lambda: libc.shmctl(shmid, IPC_RMID, None))  # Xvfb does not
    client = world.start(["x11perf", "-display", f":{number}", "-reps", "1000", "-repeat",
                          "1000000", "-time", "1", "-shmput100"], stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    world.undo.append(lambda: [libc.shmctl(left, IPC_RMID, None)
                               for left, _ in sysv_of(client.pid)])  # nor, told to end, x11perf
    return {"pid": server.pid, "display": f":{number}", "id": shmid, "client": client.pid}


def await_x11perf(xvfb):
    """It measures for a while before it begins."""
    if "skip" in xvfb:
        raise Lacking(xvfb["skip"])
    client = xvfb["client"]
    until(lambda: any(count == 2 for _, count in sysv_of(client)), "x11perf -shmput")
    return {"id": sysv_of(client)[0][0], "pids": sorted([client, xvfb["pid"]]), "creator": client}


def make_unattached():
    said = subprocess.run(["ipcmk", "-M", "4000"], check=True, text=True, stdout=subprocess.PIPE)
    return {"id": int(said.stdout.split()[-1]), "size": 4000}


def furnish(world):
    def fact(name, fn, *args):
        try:
            world.facts[name] = fn(*args)
        except Lacking as reason:
            world.facts[name] = {"skip": str(reason)}
        return world.facts[name]

    xvfb = fact("xvfb", make_xvfb, world)
    for name in ("python", "memfd", "anon", "sysv", "deleted", "file"):
        fact(name, world.piece, name)
    unattached = fact("unattached", make_unattached)
    world.undo.append(lambda: libc.shmctl(unattached["id"], IPC_RMID, None))
    fact("huge", make_huge, world)
    clusters = None
    try:
        clusters = make_clusters(world)
    except Lacking as reason:
        world.facts["postgres_posix"] = world.facts["postgres_sysv"] = {"skip": str(reason)}
    if clusters:
        fact("postgres_posix", make_postgres, world, clusters, "posix", 5432)
        fact("postgres_sysv", make_postgres, world, clusters, "sysv", 5433)
    fact("x11perf", await_x11perf, xvfb)


def run(path, owner):
    """Furnish the world, tell of it, and take it down when @owner ends or we are told to."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    watch = os.pidfd_open(owner)
    world = World()
    try:
        furnish(world)
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(world.facts, file)
        os.rename(path + ".new", path)
        while not select.select([told, watch], [], [])[0]:
            pass
    finally:
        world.end()


if sys.argv[1] == "piece":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    PIECES[sys.argv[2]]()
else:
    os.setsid()
    run(sys.argv[2], int(sys.argv[3]))
