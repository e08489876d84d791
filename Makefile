# Tidegate. `make help` lists what there is. Everything built goes below $(BUILD).
VERSION   := 0.1.0
BUILD     ?= build
PREFIX    ?= /usr/local
CC        ?= gcc
V         ?= 0
FOR       ?=
SUITE     ?=
PATTERN   ?=

# What can be left out: WITH_POSTGRES=0.
WITH_POSTGRES ?= 1

PACKAGES  := lua5.4 sqlite3 libcurl libmicrohttpd libzstd libxxhash $(if $(filter 1,$(WITH_POSTGRES)),libpq)
CPPFLAGS  += -D_GNU_SOURCE -DTIDEGATE_VERSION='"$(VERSION)"' -Icore -Ivendor -I$(BUILD)/gen -DWITH_POSTGRES=$(WITH_POSTGRES)
CFLAGS    ?= -O2 -g
CFLAGS    += -std=gnu11 -fno-strict-aliasing -fvisibility=hidden -pthread
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
LDLIBS     = $(shell pkg-config --libs $(PACKAGES)) -lm -pthread

# Developer mode: the long list of warnings, and each of them an error.
ifeq ($(DEVELOPER),1)
CFLAGS    += -Wall -Wextra -Wshadow -Werror
endif
# SANITIZE=address,undefined or thread builds beside the plain build, in a folder of its own.
ifneq ($(SANITIZE),)
comma     := ,
override BUILD := $(BUILD)-$(subst $(comma),-,$(SANITIZE))
CFLAGS    += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS   += -fsanitize=$(SANITIZE)
endif
ifeq ($(COVERAGE),1)
CFLAGS    += --coverage -O0
LDFLAGS   += --coverage
endif
# Tools of proof: fault injection, the memory channel, sabotage. Never in the installed binary.
PROOF_FLAGS := -DTIDEGATE_PROOF=1

Q := $(if $(filter 1,$(V)),,@)

LEFT_OUT  := $(if $(filter 1,$(WITH_POSTGRES)),,core/source/postgres/%)
SOURCES   := $(filter-out $(LEFT_OUT),$(sort $(wildcard core/*/*.c core/source/*/*.c)))
MAIN      := core/main.c
VENDOR    := vendor/yyjson/yyjson.c
GENERATED := $(BUILD)/gen/assets.c
OBJECTS   := $(SOURCES:%.c=$(BUILD)/o/%.o)
PROOF     := $(SOURCES:%.c=$(BUILD)/proof/%.o)
COMMON    := $(VENDOR:%.c=$(BUILD)/o/%.o) $(GENERATED:.c=.o)
LIBRARY   := $(BUILD)/libtidegate-proof.a
ASSETS    := $(sort $(wildcard lua/*.lua lua/*/*.lua scripts/demo/*.lua)) lua/init/gitignore

LEFT_OUT  += $(if $(filter 1,$(WITH_POSTGRES)),,tests/unit/source/test_pg_% tests/fuzz/fuzz_pg%)
UNIT      := $(filter-out $(LEFT_OUT),$(sort $(wildcard tests/unit/*/test_*.c)))
UNIT_BIN  := $(UNIT:tests/%.c=$(BUILD)/tests/%)
FUZZ      := $(filter-out $(LEFT_OUT),$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_BIN  := $(FUZZ:tests/%.c=$(BUILD)/tests/%)
BENCH     := $(sort $(wildcard tests/bench/bench_*.c))
BENCH_BIN := $(BENCH:tests/%.c=$(BUILD)/tests/%)
SUPPORT   := $(sort $(wildcard tests/support/*.c))
SUPPORT_O := $(SUPPORT:%.c=$(BUILD)/proof/%.o)
SUPPORT_A := $(BUILD)/libsupport.a
TOOLS     := $(sort $(wildcard tests/tools/*.c))
TOOL_BIN  := $(TOOLS:tests/%.c=$(BUILD)/tests/%)

.PHONY: all help run test check lint bench coverage fuzz install uninstall clean proof tests deps
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/tidegate ## Build build/tidegate

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 20
	@echo "Knobs: DEVELOPER=1  SANITIZE=address,undefined|thread  SUITE=unit|fuzz|flow|server|fault  PATTERN=text  FOR=20s  V=1  BUILD=dir"

deps:
	$(Q)tests/support/install.sh build

run: deps ## Install what building needs, build, and run the demo (FOR=20s ends it)
	$(Q)$(MAKE) --no-print-directory -j2 all
	$(Q)$(BUILD)/tidegate demo $(if $(FOR),--for $(FOR))

test: ## Install what the tests need and run them (SUITE= PATTERN= narrow it)
	$(Q)tests/support/install.sh test
	$(Q)$(MAKE) --no-print-directory -j2 all proof tests
	$(Q)BUILD=$(BUILD) SUITE="$(SUITE)" PATTERN="$(PATTERN)" tests/run.sh

check: lint test ## What must hold before a commit: lint, then every test

lint: ## Direction of includes, sizes of functions and files, headers that compile alone, static analysis
	$(Q)BUILD=$(BUILD) tests/support/lint.sh

bench: ## Measure the rows of the design's table of numbers and print them
	$(Q)$(MAKE) --no-print-directory -j2 all proof $(BENCH_BIN)
	$(Q)BUILD=$(BUILD) PATTERN="$(PATTERN)" tests/bench/run.sh

coverage: ## Line coverage of unit, fuzz and flow tests, as a summary and HTML
	$(Q)tests/support/install.sh coverage
	$(Q)$(MAKE) --no-print-directory COVERAGE=1 BUILD=$(BUILD)-coverage test
	$(Q)lcov -q -c -d $(BUILD)-coverage -o $(BUILD)-coverage/lcov.info --include '$(CURDIR)/core/*'
	$(Q)genhtml -q $(BUILD)-coverage/lcov.info -o $(BUILD)-coverage/html && lcov -q --summary $(BUILD)-coverage/lcov.info

fuzz: ## Fuzz each parser of foreign bytes with libFuzzer (FOR=60s each, PATTERN= narrows)
	$(Q)tests/support/install.sh test
	$(Q)BUILD=$(BUILD)-fuzz FOR="$(FOR)" PATTERN="$(PATTERN)" tests/fuzz/run.sh

install: all ## Install program, completion and manual below PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/tidegate $(DESTDIR)$(PREFIX)/bin/tidegate
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BUILD)/tidegate completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tidegate
	$(BUILD)/tidegate completion man > $(DESTDIR)$(PREFIX)/share/man/man1/tidegate.1

uninstall: ## Remove what install put there; never a workspace
	rm -f $(DESTDIR)$(PREFIX)/bin/tidegate $(DESTDIR)$(PREFIX)/share/man/man1/tidegate.1 \
	  $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tidegate

clean: ## Remove what was built
	rm -rf $(BUILD) $(BUILD)-*

proof: $(BUILD)/tidegate-proof

tests: $(UNIT_BIN) $(FUZZ_BIN) $(TOOL_BIN)

$(BUILD)/tidegate: $(OBJECTS) $(COMMON) $(BUILD)/o/core/main.o
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tidegate-proof: $(LIBRARY) $(BUILD)/proof/core/main.o
	@echo "  link $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(BUILD)/proof/core/main.o $(LIBRARY) $(LDLIBS)

$(LIBRARY): $(PROOF) $(COMMON)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# A library too: a test may put its own functions in the place of a module's, if nothing else needs it.
$(SUPPORT_A): $(SUPPORT_O)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# A change of flags rebuilds: the stamp changes only when they do.
$(BUILD)/flags: force
	@mkdir -p $(BUILD); echo '$(CC) $(CPPFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(CFLAGS)' > $@
force:

$(BUILD)/o/vendor/%.o: vendor/%.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  cc $<"
	$(Q)$(CC) $(CPPFLAGS) -O2 -g -std=gnu11 -w -c -o $@ $<

$(BUILD)/o/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  cc $<"
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/proof/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  cc $< (proof)"
	$(Q)$(CC) $(CPPFLAGS) $(PROOF_FLAGS) -Itests $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/gen/assets.c: $(ASSETS) core/tool/embed.lua
	@mkdir -p $(@D)
	$(Q)lua5.4 core/tool/embed.lua $(ASSETS) > $@

$(BUILD)/gen/assets.o: $(BUILD)/gen/assets.c
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(LIBRARY) $(SUPPORT_A) $(BUILD)/flags
	@mkdir -p $(@D); echo "  test $<"
	$(Q)$(CC) $(CPPFLAGS) $(PROOF_FLAGS) -Itests $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(SUPPORT_A) $(LIBRARY) -lcmocka $(LDLIBS)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c tests/fuzz/replay.c $(LIBRARY) $(BUILD)/flags
	@mkdir -p $(@D); echo "  fuzz $<"
	$(Q)$(CC) $(CPPFLAGS) $(PROOF_FLAGS) -Itests $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(if $(FUZZER),,tests/fuzz/replay.c) $(LIBRARY) $(LDLIBS)

$(BUILD)/tests/bench/%: tests/bench/%.c $(LIBRARY) $(SUPPORT_A) $(BUILD)/flags
	@mkdir -p $(@D); echo "  bench $<"
	$(Q)$(CC) $(CPPFLAGS) $(PROOF_FLAGS) -Itests $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(SUPPORT_A) $(LIBRARY) $(LDLIBS)

$(BUILD)/tests/tools/%: tests/tools/%.c $(LIBRARY) $(SUPPORT_A) $(BUILD)/flags
	@mkdir -p $(@D); echo "  tool $<"
	$(Q)$(CC) $(CPPFLAGS) $(PROOF_FLAGS) -Itests $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d $(LDFLAGS) -o $@ $< $(SUPPORT_A) $(LIBRARY) $(LDLIBS)

-include $(shell find $(BUILD) -path $(BUILD)/servers -prune -o -name '*.d' -print 2>/dev/null)
