# rm: of every address that ls prints, with who uses it. Regions and objects are in regions.bats.
load lib.bash

# Make a System V segment of key $1 and attach it in a process that stays. Sets id and pid.
attached()
{
	need python3
	python3 - "$1" >id 3>&- <<'PY' &
import ctypes, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
id = libc.shmget(int(sys.argv[1], 0), 8192, 0o1600)
libc.shmat(id, None, 0)
print(id, flush=True)
time.sleep(60)
PY
	pid=$!
	until_true test -s id
	id=$(cat id)
}

@test "a POSIX object: with its users, only with --foreign, only with --yes" {
	need_own_shm
	head -c 8192 /dev/zero >"/dev/shm/$P"
	sleep 60 <"/dev/shm/$P" 3>&- &
	run tarn rm "shm:$P" --yes
	is_error 6 rm
	says "--foreign"
	run tarn rm "$P" --foreign -J
	is 0
	json '.items[0] | .kind == "segment" and .users == 1 and .size_bytes == 8192 and .action == "would remove"'
	json '.items[0].proof | startswith("in use by pid '$!' (sleep)")'
	[ -e "/dev/shm/$P" ]
	kill $!
	wait $! || true
	run tarn rm "/dev/shm/$P" --foreign
	is 0
	says "no process has it"
	run tarn rm "shm:$P" --foreign --yes
	is 0
	run tarn rm "shm:$P" --foreign --yes
	is_error 3 rm
	shm_unchanged
}

@test "System V by identifier and by key; who has it attached is told" {
	need_own_shm
	key=0x7d$(printf %06x $(($$ & 0xffffff)))
	attached "$key"
	run tarn rm "sysv:$key" --yes
	is_error 6 rm
	run tarn rm "sysv:$key" --foreign
	is 0
	says "pid $pid (python3)"
	run tarn rm "sysv:#$id" --foreign --yes
	is 0
	says "removed"
	run tarn rm "sysv:#$id" --foreign --yes
	[ "$status" -eq 3 ] || [ "$status" -eq 1 ] # marked, until the other lets go
	kill "$pid"
	wait "$pid" || true
	run tarn rm "sysv:#$id" --foreign --yes
	is_error 3 rm
	run tarn rm sysv:0x7dffffff --foreign
	is_error 3 rm
	run tarn rm sysv:nonsense --foreign
	is_error 2 rm
}

@test "of a file with two names the one that is given goes" {
	need_own_shm
	: >"/dev/shm/$P"
	ln "/dev/shm/$P" "/dev/shm/$P-a"
	ln "/dev/shm/$P" "/dev/shm/$P-b"
	for name in "shm:$P-a" "shm:$P"; do
		run tarn rm "$name" --foreign --yes
		is 0
		says "$name"
		[ ! -e "/dev/shm/${name#shm:}" ]
	done
	[ -e "/dev/shm/$P-b" ]
	run tarn rm "/dev/shm/$P-b" --foreign --yes
	is 0
	shm_unchanged
}

@test "of odd names that look the same none is taken for another" {
	need_own_shm
	: >"/dev/shm/$P-$(printf '\001')"
	: >"/dev/shm/$P-$(printf '\002')"
	run tarn rm "shm:$P-?" --foreign --yes
	is_error 3 rm
	run tarn gc "shm:$P-?" --foreign --older 0s --yes
	[ "$status" -ne 0 ]
	: >"/dev/shm/$P-?"
	run tarn rm "shm:$P-?" --foreign --yes
	is 0
	[ ! -e "/dev/shm/$P-?" ]
	[ "$(find /dev/shm -name "$P-*" | wc -l)" -eq 2 ]
	rm "/dev/shm/$P-$(printf '\001')" "/dev/shm/$P-$(printf '\002')"
	shm_unchanged
}

@test "what has no name is told, with who keeps it; what is not there is not there" {
	need python3
	python3 - 3>&- <<'PY' &
import os, time
os.dup2(os.memfd_create("frames"), 77)
open("ready", "w").close()
time.sleep(60)
PY
	pid=$!
	until_true test -e ready
	run tarn rm "memfd:$pid:77" --foreign --yes
	is_error 1 rm
	says "it has no name to remove"
	says "pid $pid (python3)"
	run tarn rm "memfd:$pid:78" --foreign --yes
	is_error 3 rm
	run tarn rm "map:$pid:0x1000"
	is_error 3 rm
	run tarn rm "map:nonsense"
	is_error 2 rm
	kill "$pid"
	wait "$pid" || true
	run tarn rm "memfd:$pid:77" --foreign --yes
	is_error 3 rm
}

@test "file: a region, or shared memory; a file on disk is neither" {
	need python3
	head -c 8192 /dev/zero >plain
	run tarn rm "file:$PWD/plain" --yes
	is_error 6 rm
	run tarn rm "file:$PWD/plain" --foreign --yes
	is_error 1 rm
	says "a file on disk"
	[ -e plain ]
	python3 - 3>&- <<'PY' &
import mmap, time
f = open("plain", "r+b")
m = mmap.mmap(f.fileno(), 8192)
open("ready", "w").close()
time.sleep(60)
PY
	pid=$!
	until_true test -e ready
	run tarn rm "file:$PWD/plain" --foreign
	is 0
	says "pid $pid (python3)"
	run tarn rm "file:$PWD/plain" --foreign --yes
	is 0
	[ ! -e plain ]
	kill "$pid"
	wait "$pid" || true
}

@test "a file in a folder of /dev/shm goes by the address that ls shows" {
	need_own_shm
	mkdir "/dev/shm/$P.d"
	echo x >"/dev/shm/$P.d/f"
	addr=$(tarn ls -J | jq -r '.items[] | select(.name | test("/f$")).name')
	run tarn rm "$addr" --foreign --yes
	is 0
	rmdir "/dev/shm/$P.d"
	shm_unchanged
}

@test "what belongs to something else is not removed by itself" {
	need_own_shm
	key=sysv:0x7e$(printf %06x $(($$ & 0xffffff)))
	tarn create "$key" --size 64K -q
	control=$(ls -A /dev/shm)
	run tarn rm "$control" --foreign --yes
	is_error 1 rm
	says "belongs to a System V region"
	[ -e "/dev/shm/$control" ]
	tarn rm "$key" -y
	echo x >/dev/shm/.tarn-tmp.0123456789abcdef
	run tarn rm .tarn-tmp.0123456789abcdef --foreign --yes
	is_error 1 rm
	says "tarn gc"
	rm /dev/shm/.tarn-tmp.0123456789abcdef
	shm_unchanged
}

@test "a huge page object goes by its address" {
	need_own_shm
	mkdir huge
	mount -t hugetlbfs none huge 2>/dev/null || skip "hugetlbfs cannot be mounted here"
	: >huge/x
	addr=$(tarn ls -J | jq -r '.items[] | select(.type == "huge").name')
	run tarn gc "$addr" --foreign --older 0
	says "would reclaim"
	run tarn rm "$addr" --foreign --yes
	is 0
	[ ! -e huge/x ]
	: >huge/y
	run tarn gc --foreign --older 0 --yes
	is 0
	[ ! -e huge/y ]
	umount huge
}

@test "another user's goes only by naming that user, and only with the right to it" {
	need_own_shm
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
	as_nobody sh -c "echo x >/dev/shm/${P}n"
	run tarn rm "${P}n" --foreign --yes
	is_error 4 rm
	run tarn rm "${P}n" --foreign --owner nobody --yes
	is 0
	echo x >"/dev/shm/${P}r"
	run as_nobody tarn rm "${P}r" --foreign --owner root --yes
	is_error 4 rm
	rm "/dev/shm/${P}r"
	shm_unchanged
}
