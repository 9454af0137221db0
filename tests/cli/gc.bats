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
	says "$key"
	run tarn gc --yes
	is 0
	run tarn info "$key"
	is 3
	shm_unchanged
}
