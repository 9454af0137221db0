# gc: it reclaims what the dead left, with a proof, and nothing else.
load lib.bash

# A region with a dead sender and receiver in it.
make_dead()
{
	tarn send "$1" </dev/zero 2>/dev/null 3>&- &
	local sender=$!
	tarn recv "$1" >/dev/null 2>&1 3>&- &
	local receiver=$!
	until_true sh -c "tarn info $1 -J | jq -e '.items[0].objects | length == 2'"
	kill -STOP $sender $receiver # so that neither sees the other's death
	kill -9 $sender $receiver
	wait $sender $receiver 2>/dev/null || true
}

@test "an ephemeral region of dead members: shown with its proof, removed with --yes" {
	make_dead "$P"
	run tarn gc "$P"
	is 0
	says "would reclaim"
	says "no live member: the kernel holds no lock on slots 0-255"
	says "dry run"
	[ -e "/dev/shm/$P" ]
	run tarn gc "$P" -J
	json '.schema == "tarn.gc/1" and .items[0].action == "would reclaim" and .items[0].what == "region"'
	run tarn gc "$P" --yes
	is 0
	says "reclaimed"
	shm_unchanged
}

@test "without names it finds them all; then there is nothing left to do" {
	need_own_shm
	make_dead "${P}a"
	make_dead "${P}b"
	run tarn gc --yes
	is 0
	says "${P}a"
	says "${P}b"
	shm_unchanged
	run tarn gc
	is 0
	[ -z "$output" ]
}

@test "a lasting region keeps its data and loses its dead members" {
	tarn create "$P" --size 8M -q
	make_dead "$P"
	run tarn info "$P" -J
	json '[.items[0].members[] | select(.state == "dead")] | length == 2'
	run tarn gc "$P"
	says "2 taken slots"
	run tarn gc "$P" --yes
	is 0
	run tarn info "$P" -J
	json '.items[0].members == [] and (.items[0].objects | length == 2)'
	run tarn gc "$P" --yes
	is 0
	[ -z "$output" ]
	tarn rm "$P" -y
}

@test "the living are left alone, stopped ones too" {
	mkfifo input
	exec 8<>input
	tarn send "$P" <input >/dev/null 2>&1 3>&- 8>&- &
	until_true sh -c "tarn info $P -J | jq -e '.items[0].member_count == 1'"
	pid=$(tarn info "$P" -J | jq '.items[0].members[0].pid')
	kill -STOP "$pid"
	run tarn gc "$P" --yes
	is 0
	[ -z "$output" ]
	[ -e "/dev/shm/$P" ]
	kill -9 "$pid"
	exec 8>&-
	until_true sh -c "tarn gc $P --yes | grep -q reclaimed || test ! -e /dev/shm/$P"
	shm_unchanged
}

@test "strangers' files and lasting regions stay" {
	need_own_shm
	echo stranger >"/dev/shm/${P}s"
	echo stranger >"/dev/shm/.tarn-other"
	head -c 8192 /dev/urandom >"/dev/shm/${P}t"
	tarn create "${P}l" -q
	run tarn gc --yes
	is 0
	[ -z "$output" ]
	[ -e "/dev/shm/${P}s" ] && [ -e "/dev/shm/${P}t" ] && [ -e "/dev/shm/${P}l" ]
	rm "/dev/shm/${P}s" "/dev/shm/${P}t" "/dev/shm/.tarn-other"
	tarn rm "${P}l" -y
}

@test "a passing name of a dead creator goes; one that is still open stays" {
	need_own_shm
	head -c 4096 /dev/zero >/dev/shm/.tarn-tmp.0123456789abcdef
	exec 9<>/dev/shm/.tarn-tmp.0123456789abcdef
	run tarn gc --yes 9>&-
	is 0
	[ -e /dev/shm/.tarn-tmp.0123456789abcdef ]
	exec 9>&-
	run tarn gc
	is 0
	says ".tarn-tmp.0123456789abcdef"
	says "would reclaim"
	run tarn gc --yes
	is 0
	shm_unchanged
}

@test "a damaged region is told, and left" {
	tarn create "$P" --ephemeral -q
	poke "$P" 80 '\001'
	run tarn gc "$P" --yes
	is_error 6 gc
	says "member_max"
	[ -e "/dev/shm/$P" ]
	tarn rm "$P" -y
}

@test "an ephemeral region that nobody ever used is garbage" {
	tarn create "$P" --ephemeral -q
	run tarn gc "$P" --yes
	is 0
	says "reclaimed"
	shm_unchanged
}

@test "another user's regions are passed over, and reclaimed with --owner" {
	need_own_shm
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
	as_nobody tarn create "$P" --ephemeral -q
	run tarn gc --yes
	is 0
	[ -z "$output" ]
	run tarn gc --owner nobody --yes
	is 0
	says "$P"
	shm_unchanged
}

@test "a System V region of dead members is reclaimed with its control file" {
	need_own_shm
	key=sysv:0x7b$(printf %06x $(($$ & 0xffffff)))
	tarn create "$key" --ephemeral --size 64K -q
	run tarn gc
	is 0
	says "sysv:#"
	run tarn gc --yes
	is 0
	run tarn info "$key"
	is 3
	shm_unchanged
}

# --- what is not Tarn's ----------------------------------------------------------------------

sysv_ids() { awk 'NR > 1 { print $2 }' /proc/sysvipc/shm; }
there() { sysv_ids | grep -qx "$1"; }

# Segments as ipcmk makes them, by a process that is dead; $1: attach it too. Sets id.
make_orphan()
{
	need python3
	id=$(python3 - "$1" <<'PY'
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
id = libc.shmget(0, 8192, 0o1600)
if sys.argv[1] == "used":
    at = libc.shmat(id, None, 0)
    ctypes.memset(at, 120, 8192)
print(id)
PY
	)
}

@test "an orphan of System V: shown with its proof, removed with --foreign --yes, and nothing else" {
	need_own_shm
	make_orphan used
	orphan=$id
	make_orphan unused
	unused=$id
	ipcmk -M 4096 >/dev/null
	echo stranger >"/dev/shm/${P}s"
	tarn create "${P}l" -q
	run tarn gc
	is 0
	[ -z "$output" ]
	run tarn gc --foreign
	is 0
	says "sysv:#$orphan"
	says "would reclaim"
	says "which made it, is dead, and nobody has it attached"
	says "last used"
	there "$orphan"
	run tarn gc --foreign -J
	json '.items | length == 1 and .[0].name == "sysv:#'"$orphan"'" and .[0].what == "segment"'
	run tarn gc --foreign --yes
	is 0
	says "reclaimed"
	run ! there "$orphan"
	there "$unused"
	[ "$(sysv_ids | wc -l)" -eq 2 ]
	[ -e "/dev/shm/${P}s" ] && [ -e "/dev/shm/${P}l" ]
	for id in $(sysv_ids); do ipcrm -m "$id"; done
	rm "/dev/shm/${P}s"
	tarn rm "${P}l" -y
}

@test "files go only with --older, when nobody has them open" {
	need_own_shm
	head -c 8192 /dev/zero >"/dev/shm/${P}old"
	head -c 8192 /dev/zero >"/dev/shm/${P}open"
	head -c 32 /dev/zero >"/dev/shm/sem.${P}"
	exec 9<"/dev/shm/${P}open"
	run tarn gc --foreign --yes 9<&-
	is 0
	[ -z "$output" ]
	run tarn gc --foreign --older 1h --yes 9<&-
	is 0
	[ -z "$output" ]
	run tarn gc --foreign --older 0 9<&-
	is 0
	says "shm:${P}old"
	says "shm:sem.${P}"
	says "nobody has it open: the kernel grants a write lease"
	[[ $output != *"${P}open"* ]]
	[ -e "/dev/shm/${P}old" ]
	run tarn gc --foreign --older 0s --yes 9<&-
	is 0
	says "nobody had it open"
	[ ! -e "/dev/shm/${P}old" ] && [ ! -e "/dev/shm/sem.${P}" ] && [ -e "/dev/shm/${P}open" ]
	exec 9<&-
	run tarn gc --foreign --older 0 --yes
	is 0
	shm_unchanged
}

@test "what is named and not Tarn's: refused without --foreign, and never if it is of use" {
	need_own_shm
	head -c 8192 /dev/zero >"/dev/shm/$P"
	run tarn gc "shm:$P" --yes
	is_error 6 gc
	says "hint: --foreign reclaims it if it is of use to nobody"
	run tarn gc "$P" --foreign --yes
	is_error 1 gc
	says "nothing proves that nobody will come back for it"
	says "--older"
	sleep 60 <"/dev/shm/$P" 3>&- &
	run tarn gc "$P" --foreign --older 0 --yes
	is_error 1 gc
	says "in use by pid $! (sleep)"
	[ -e "/dev/shm/$P" ]
	kill $!
	wait $! || true
	run tarn gc "$P" --foreign --older 0
	is 0
	says "would reclaim"
	run tarn gc "$P" --foreign --older 0 --yes
	is 0
	run tarn gc "$P" --foreign --older 0 --yes
	is_error 3 gc
	shm_unchanged
}

@test "bad uses of --older are told" {
	run tarn gc --older 1h
	is_error 2 gc
	says "--foreign"
	run tarn gc --foreign --older soon
	is_error 2 gc
	says "a time, such as"
}

@test "a file that was being removed when its remover died is finished, or has its name back" {
	need_own_shm
	for name in a b c; do
		head -c 4096 /dev/zero >"/dev/shm/$name"
		touch -d yesterday "/dev/shm/$name"
		mv "/dev/shm/$name" "/dev/shm/.tarn-gc.00112233.$name"
	done
	mkdir /dev/shm/dir
	mv /dev/shm/.tarn-gc.00112233.c /dev/shm/dir
	exec 9<"/dev/shm/.tarn-gc.00112233.b"
	run tarn gc 9<&-
	is 0
	says ".tarn-gc.00112233.a"
	says "who was removing it is dead"
	says "dir/.tarn-gc.00112233.c"
	[[ $output != *"00112233.b"* ]]
	run tarn gc --yes 9<&-
	is 0
	exec 9<&-
	[ "$(ls -A /dev/shm)" = "$(printf 'b\ndir')" ]
	rm /dev/shm/b
	rmdir /dev/shm/dir
}

@test "root reclaims what another user left; without rights nobody can say, and that is told" {
	need_own_shm
	as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	as_nobody test -x "$TARN" || skip "another user cannot reach the build directory"
	as_nobody sh -c "echo x >/dev/shm/${P}n && echo x >/dev/shm/.tarn-tmp.0123456789abcdef"
	run tarn gc --foreign --older 0 --yes
	is 0
	[ -z "$output" ]
	run tarn gc --owner nobody --foreign --older 0 --yes
	is 0
	says "shm:${P}n"
	says ".tarn-tmp.0123456789abcdef"
	shm_unchanged
	echo x >"/dev/shm/${P}r"
	run as_nobody tarn gc --owner root --foreign --older 0 --yes -J
	is 4
	json '.complete == false and .unreadable > 0 and .items == []'
	run as_nobody tarn gc "${P}r" --owner root --foreign --older 0 --yes
	is_error 4 gc
	says "cannot be proven"
	[ -e "/dev/shm/${P}r" ]
	rm "/dev/shm/${P}r"
}
