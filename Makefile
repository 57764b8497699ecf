# The commands of README. Each sets itself up (Debian 12 packages, by scripts/setup.sh) and asks nothing.
#
#   make demo    three nodes, three pods, a client: watch virtual IPs survive a node (KEEP=1 leaves it up)
#   make test    every ring: unit, simulation, cli, house, lab, nftables, cluster, e2e (RINGS="unit house" for some)
#   make build   the release program: build/vipkeeper
#   make lint    format, clang-tidy, the house's rules
#   make bench   the figures of README
#   make sanitize, make fuzz   the tests under ASan+UBSan and TSan; 20 s of each fuzzer
#   make clean

AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -n)
# What the lab, the demo and the benchmarks listen to; sudo passes on only what is named.
SETTINGS = $(foreach name,KEEP LAB ADVERT VIPKEEPER,$(if $($(name)),$(name)=$($(name))))
RINGS ?= unit cli house lab nftables cluster e2e

.PHONY: build demo test lint bench sanitize fuzz clean

build:
	@scripts/setup.sh build
	@scripts/build.sh release vipkeeper

demo: build
	@scripts/setup.sh lab
	@$(AS_ROOT) env $(SETTINGS) deploy/examples/demo/run

test:
	@scripts/test.sh $(RINGS)

lint:
	@scripts/test.sh lint house

bench: build
	@scripts/setup.sh lab kubernetes
	@tests/kubernetes/build
	@$(AS_ROOT) env $(SETTINGS) $$(tests/kubernetes/build --print) bench/run

sanitize:
	@scripts/test.sh asan-ubsan tsan

fuzz:
	@scripts/test.sh fuzz

clean:
	rm -rf build
