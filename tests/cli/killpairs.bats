# Pairs of send and recv, killed at random: dev/killpairs in its short form, and proof that it sees.
load lib.bash

@test "200 pairs: every partner ends with the right code, and nothing stays" {
	run "$SOURCE_DIR/dev/killpairs" 200
	echo "# $output" >&3
	is 0
	says "0 wrong"
	says "0 left in /dev/shm"
}

mutant()
{
	LD_PRELOAD=$BUILD_DIR/tests/cli/libmutants.so TARN_MUTANT=$1 run "$SOURCE_DIR/dev/killpairs" 60 --seed 7
	is 1
}

@test "it sees a receiver that drops a byte" {
	mutant drop
	says "the output is not the input"
}

@test "it sees a receiver that takes a death for the end" {
	mutant lie
	says "the output is not the input"
}

@test "it sees what gc leaves" {
	mutant blind
	says "left in /dev/shm"
	rm -f /dev/shm/killpairs-*
}
