# The front door: each target is one command for one thing. meson and ninja do the work.
#
#   make                     build/tarn and the libraries
#   make run                 move a real file between two processes, and time it
#   make test                everything that proves the project, in short form
#   make sweep               kill every operation at every instruction, run every schedule
#   make bench               every means of communication beside the limits of this machine
#   make bench-peers         the same beside the message queues and locks of other projects
#   make killpairs           10,000 send and recv pairs, killed at random (PAIRS=n for fewer)
#   make soak                the random tests, for MINUTES (60) instead of seconds
#   make check               the static checks alone
#   make format              lay the C sources out by .clang-format
#   make install             into PREFIX (/usr/local), below DESTDIR if given
BUILD ?= build

# make's own default for CC is not a choice; one from the user is, and meson heeds it.
ifneq ($(origin CC),default)
export CC
endif

export BUILD

.PHONY: all configure setup run test sweep bench bench-peers killpairs soak check tidy format install clean

all: configure
	@ninja -C $(BUILD)

setup:
	@dev/setup

configure: setup
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
ifdef PREFIX
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
endif

run: all
	@dev/run

test: setup
	@dev/test

sweep: all
	@dev/sweep

bench: all
	@dev/setup bench || echo "bench: Boost is not measured" >&2
	@dev/bench

bench-peers: all
	@dev/setup peers
	@dev/bench-peers $(PEERS)

killpairs: all
	@dev/killpairs $(PAIRS)

soak: all
	@dev/soak $(MINUTES)

check: all
	@meson test -C $(BUILD) --suite check --print-errorlogs

tidy format:
	@dev/format

install: all
	@$(if $(DESTDIR),DESTDIR=$(abspath $(DESTDIR))) meson install -C $(BUILD) --no-rebuild --quiet

clean:
	rm -rf $(BUILD)
