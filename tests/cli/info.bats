# info of what is none of Tarn's: facts, users, mappings, extents, frames, JSON, rights.
load lib.bash

as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }

# Two processes that have one object at two addresses, with two pages touched.
share()
{
	need python3
	python3 -c '
import mmap, os, time
fd = os.open("/dev/shm/'"$P"'a", os.O_RDWR | os.O_CREAT, 0o644); os.ftruncate(fd, 1 << 20)
one = mmap.mmap(fd, 1 << 20); one[0] = 1; one[5000] = 2
child = os.fork()
if child == 0:
    two = mmap.mmap(fd, 1 << 16); one.close(); two[0] = 3; two[5000] = 4
    open("ready", "w").close()
    time.sleep(60)
open("pids", "w").write("%d %d\n" % (os.getpid(), child))
time.sleep(60)' 3>&- &
	until_true test -s pids
	until_true test -e ready
	read -r parent child <pids
}
unshare_memory() { kill -9 "$parent" "$child" 2>/dev/null || true; }

@test "info says what a POSIX object is, who has it, and what of it is in memory" {
	share
	run tarn info "shm:${P}a"
	unshare_memory
	is 0
	says "type       posix"
	says "size       1 MiB, 8 KiB touched"
	says "8 KiB resident, 1016 KiB hole"
	says "mode 0644"
	says "live: 2 processes, 2 mappings"
	says "$parent "
	says "$child "
}

@test "info -J has the same facts as numbers, and null for what does not apply" {
	share
	run tarn info "shm:${P}a" -J --maps --extents
	unshare_memory
	is 0
	json '.schema == "tarn.info/1"'
	json '.items[0] | .type == "posix" and .total_bytes == 1048576 and .size_bytes == 1048576 and .touched_bytes == 8192'
	json '.items[0] | .resident_bytes == 8192 and .hole_bytes == 1040384 and .uuid == null and .key == null and .members == []'
	json '.items[0] | .inode == '"$(stat -c %i "/dev/shm/${P}a")"' and .device == '"$(stat -c %d "/dev/shm/${P}a")"
	json ".items[0].processes | map(.pid) | sort == ([$parent, $child] | sort)"
	json '.items[0].mappings | length == 2 and all(.rights == "rw-s" and .rss_bytes == 8192 and .pss_bytes == 4096)'
	json '[.items[0].mappings[] | .end_address - .address - .size_bytes] == [0, 0]'
	json '[.items[0].extents[] | [.offset_bytes, .size_bytes, .extent]] == [[0, 8192, "resident"], [8192, 1040384, "hole"]]'
	json '.items[0].locks == [] and (.items[0] | has("frames") | not)'
}

@test "frames: two addresses, one frame a page" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to see frames"
	share
	run tarn info "shm:${P}a" --frames -J
	[ "$status" -ne 4 ] || { unshare_memory; skip "frame numbers are not to be seen here"; }
	is 0
	json '.items[0].frames | length == 4'
	json '.items[0].frames | group_by(.offset_bytes) | all(length == 2 and .[0].frame == .[1].frame and .[0].address != .[1].address and .[0].pid != .[1].pid)'
	json '[.items[0].frames[].frame] | unique | length == 2'
	run tarn info "shm:${P}a" --frames
	is 0
	says "one memory at several addresses"
	run tarn info "shm:${P}a" --frames --offset 4096 -J
	json '[.items[0].frames[].offset_bytes] | unique == [4096]'
	unshare_memory
}

@test "frames without rights: what is missing is said, exit 4" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to become another user"
	need setpriv
	need python3
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
	[ -x /usr/bin/python3 ] || skip "needs /usr/bin/python3"
	as_nobody /usr/bin/python3 -c '
import mmap, os, time
fd = os.open("/dev/shm/'"$P"'n", os.O_RDWR | os.O_CREAT, 0o600); os.ftruncate(fd, 8192)
one = mmap.mmap(fd, 8192); one[0] = 1
print("ready", flush=True); time.sleep(60)' >ready 3>&- &
	until_true test -s ready
	run as_nobody tarn info "shm:${P}n" --frames
	is 4
	says "frame numbers need CAP_SYS_ADMIN"
	run as_nobody tarn info "shm:${P}n" --frames -J
	is 4
	json '.complete == false and (.items[0].frames | length == 1) and .items[0].frames[0].frame == null'
	kill -9 $!
}

@test "only the first 256 touched pages are shown, and --all shows the others" {
	[ "$(id -u)" -eq 0 ] || skip "needs root, to see frames"
	need python3
	python3 -c '
import mmap, os, time
fd = os.open("/dev/shm/'"$P"'a", os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 300 * 4096)
one = mmap.mmap(fd, 300 * 4096)
for i in range(300): one[i * 4096] = 1
print("ready", flush=True); time.sleep(60)' >ready 3>&- &
	until_true test -s ready
	run tarn info "shm:${P}a" --frames
	says "the first 256 touched pages"
	run tarn info "shm:${P}a" --frames -J
	json '.items[0].frames | length == 256'
	run tarn info "shm:${P}a" --frames --all -J
	json '.items[0].frames | length == 300'
	kill -9 $!
}

@test "System V, memfd and anonymous memory have what is theirs" {
	need ipcmk
	need python3
	id=$(ipcmk -M 10000 -p 0640 | grep -o '[0-9]*$')
	run tarn info "sysv:#$id" --extents -J
	json '.items[0].hole_bytes > 0'
	run tarn info "sysv:#$id" -J
	json '.items[0].attached_ns > 0'
	ipcrm -m "$id"
	id=$(ipcmk -M 10000 -p 0640 | grep -o '[0-9]*$')
	tarn info "sysv:#$id" >/dev/null || true
	run tarn info "sysv:#$id" -J # no trace of having looked
	ipcrm -m "$id"
	json ".items[0] | .type == \"sysv\" and .id == $id and .key > 0 and .mode == \"0640\" and .total_bytes == 10000 and .attach_count == 0 and .creator_pid > 0 and .attached_ns == null"
	python3 -c '
import fcntl, mmap, os, time
fd = os.memfd_create("sealed", os.MFD_ALLOW_SEALING); os.write(fd, b"x"); fcntl.fcntl(fd, 1033, 6)
m = mmap.mmap(-1, 40960); m[4096] = 1
at = next(l for l in open("/proc/self/maps") if "/dev/zero" in l).split("-")[0]
print(fd, "0x" + at.lstrip("0"), flush=True); time.sleep(60)' >ready 3>&- &
	until_true sh -c '[ "$(wc -l <ready)" -ge 1 ]' # the whole line
	read -r fd at <ready
	run tarn info "memfd:$!:$fd"
	is 0 && says "label      sealed" && says "seals      shrink,grow"
	run tarn info "map:$!:$at" -J
	is 0
	json ".items[0] | .type == \"anon\" and (.processes | map(.pid) == [$!])"
	[ "$(id -u)" -ne 0 ] || json '.items[0] | .resident_bytes == 4096 and .hole_bytes == 36864'
	kill -9 $!
}

@test "locks on the file are listed" {
	need flock
	: >"/dev/shm/${P}a"
	flock -o -x "/dev/shm/${P}a" sleep 60 3>&- &
	until_true sh -c "tarn info shm:${P}a -J | jq -e '.items[0].locks | length == 1'"
	run tarn info "shm:${P}a" -J
	json '.items[0].locks[0] | .lock == "FLOCK" and .access == "WRITE" and .waiting == false and .end_bytes == null'
	kill $!
}

@test "an object of a region has its part of the extents" {
	tarn send "$P" --ring 64K </dev/zero 2>/dev/null 3>&- &
	until_true sh -c "tarn info $P -J | jq -e '.items[0].objects | length == 2'"
	run tarn info "$P/stream" --extents -J
	is 0
	json '.items[0] as $i | $i.objects | length == 1 and .[0].object == "stream" and .[0].offset_bytes == $i.range_offset_bytes and .[0].size_bytes == $i.range_bytes'
	json '.items[0] | ([.extents[].size_bytes] | add) == .range_bytes and .extents[0].offset_bytes == .range_offset_bytes'
	run tarn info "$P/nosuch"
	is_error 3 info && says "there is no such object"
	kill -9 $!
}

@test "info leaves no trace: no page is touched, no time changes" {
	truncate -s 1M "/dev/shm/${P}a"
	before=$(stat -c '%b %x %y %z' "/dev/shm/${P}a")
	tarn info "shm:${P}a" --maps --extents --frames >/dev/null
	[ "$(stat -c '%b %x %y %z' "/dev/shm/${P}a")" = "$before" ]
}

@test "missing things exit 3, bad usage 2" {
	run tarn info "shm:${P}nosuch"
	is_error 3 info
	run tarn info "memfd:$$:999"
	is_error 3 info
	run tarn info "map:999999999:0x1000"
	is_error 3 info
	run tarn info "map:1:zz"
	is_error 2 info
	run tarn info "sysv:#99999999"
	is_error 3 info
	run tarn info x --offset nonsense
	is_error 2 info
	truncate -s 4K "/dev/shm/${P}a"
	run tarn info "shm:${P}a" --offset 1M
	is_error 1 info
}
