# The front door: each target is one command for one thing. meson and ninja do the work.
BUILD ?= build

.PHONY: all setup run test sweep bench install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja: | setup
	meson setup $(BUILD)

setup:
	@dev/setup

test: all
	@meson test -C $(BUILD) --print-errorlogs

clean:
	rm -rf $(BUILD)
