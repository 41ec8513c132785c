# dagpt. `make` builds build/dagpt with gcc and make alone; `make help` lists the targets.

ifeq ($(origin CC),default)
CC := gcc
endif
# Flavours: CC=clang; SAN=thread, SAN=address, SAN=undefined (or a list); DEBUG=1. Each has a build
# folder of its own, so that no object is linked into another flavour's program.
SAN    :=
DEBUG  :=
comma  := ,
BUILD  := build$(if $(filter-out gcc cc,$(CC)),-$(notdir $(CC)))$(if \
          $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(DEBUG),-debug)

CPPFLAGS := -D_GNU_SOURCE -MMD -MP
# -ffp-contract=off: a * b + c is rounded twice unless the source says fma (src/ops/kernels.h).
CFLAGS   := -std=c11 -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wvla -g \
            -ffp-contract=off $(if $(DEBUG),-O0,$(if $(SAN),-O1,-O2)) $(if $(WERROR),-Werror)
LDFLAGS  :=
LDLIBS   := -lpthread -lm
ifneq ($(SAN),)
CFLAGS  += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
endif

# An instruction set's flags go to its own files alone: its kernels, and the loops that find its limits.
# The files of other architectures stay out.
ARCH   := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
OTHERS := $(if $(filter x86_64,$(ARCH)),,%_avx2.c %_avx512.c) $(if $(filter aarch64,$(ARCH)),,%_neon.c)
SRC    := $(filter-out $(OTHERS),$(wildcard src/*/*.c))
LIMITS := $(filter-out $(OTHERS),$(wildcard tools/limits*.c))
$(BUILD)/src/ops/kernels_avx2.o:   CFLAGS += -O3 -mavx2 -mfma
$(BUILD)/src/ops/kernels_avx512.o: CFLAGS += -O3 -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma
$(BUILD)/src/ops/kernels_neon.o:   CFLAGS += -O3
$(BUILD)/tools/limits_scalar.o:    CFLAGS += -O3
$(BUILD)/tools/limits_avx2.o:      CFLAGS += -O3 -mavx2 -mfma
$(BUILD)/tools/limits_avx512.o:    CFLAGS += -O3 -mavx512f
$(BUILD)/tools/limits_neon.o:      CFLAGS += -O3

LIB    := $(BUILD)/libdagpt.a
# Line editing for `dagpt complete -i`: libedit, where it is installed; EDIT=0 builds without it.
EDIT   := $(shell echo 'int main(void) { return 0; }' | \
            $(CC) -include histedit.h -x c - -ledit -o /dev/null 2>/dev/null && echo 1)
LINES  := tools/lines_$(if $(filter 1,$(EDIT)),editline,plain).c
CLI    := $(filter-out tools/make_model.c tools/limits% tools/lines_%,$(wildcard tools/*.c)) $(LIMITS) $(LINES)
SUITES := $(patsubst tests/check_%.c,$(BUILD)/tests/check_%,$(wildcard tests/check_*.c))

.PHONY: all run lab install test test-bits test-neon test-all check-rooms check-format format pictures poly ulp \
        need-check need-pcre2 clean help bench-guard bench-guard-update bench-what-if
.DELETE_ON_ERROR:

all: $(BUILD)/dagpt $(BUILD)/make-model  ## build the command and make-model (the default)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(LIB): $(SRC:%.c=$(BUILD)/%.o)
	@rm -f $@
	@echo "AR   $@"
	@$(AR) rcs $@ $^

LINK = @echo "LINK $@"; $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(1) $(LDLIBS)

$(BUILD)/dagpt: $(CLI:%.c=$(BUILD)/%.o) $(LIB)
	$(call LINK,$(if $(filter 1,$(EDIT)),-ledit))

$(BUILD)/tools/demo.o: models/demo/demo.bin models/demo/merges.txt

$(BUILD)/make-model: $(BUILD)/tools/make_model.o $(LIB)
	$(call LINK)

# The trace viewer's page is a part of the program.
$(BUILD)/tools/trace_html.o: $(BUILD)/viewer_page.h
$(BUILD)/tools/trace_html.o: CPPFLAGS += -I$(BUILD)
$(BUILD)/viewer_page.h: $(wildcard tools/viewer/*)
	@mkdir -p $(@D)
	@echo "PAGE $@"
	@tools/viewer/embed.sh tools/viewer > $@

run: all  ## let the model in the program tell a story
	$(BUILD)/dagpt complete --echo --seed 1 "Once upon a time"

$(BUILD)/synthetic_124M.bin: | $(BUILD)/make-model
	$(BUILD)/make-model --size 124M -o $@

lab: all $(BUILD)/synthetic_124M.bin  ## complete two ids with a synthetic model of GPT-2's size, made first (0.5 GB)
	$(BUILD)/dagpt tokens -m $(BUILD)/synthetic_124M.bin --stats 31373 612

PREFIX := /usr/local

install: all  ## install the command and its man page below PREFIX (/usr/local)
	install -D $(BUILD)/dagpt $(DESTDIR)$(PREFIX)/bin/dagpt
	install -D -m 644 docs/dagpt.1 $(DESTDIR)$(PREFIX)/share/man/man1/dagpt.1

# ---- tests: the only part that needs more than gcc and make ----

test: need-check need-pcre2 check-rooms all $(SUITES)  ## build and run all tests (SAN=thread|address|undefined too)
	@BUILD=$(BUILD) SAN=$(SAN) tests/run.sh $(SUITES)

test-bits: need-check $(BUILD)/tests/check_bits  ## one SHA-256 over every worker count, schedule, ISA and chunk
	@DAGPT_BITS=full CK_DEFAULT_TIMEOUT=0 $(BUILD)/tests/check_bits

# Not part of `test`: it needs a cross compiler and an emulator, and takes minutes.
test-neon:  ## cross-build for AArch64 and test that under qemu-user (Debian; installs what it needs)
	@+MAKE="$(MAKE)" tests/neon.sh

test-all: test test-bits  ## test, test-bits, and test under each sanitizer
	@$(MAKE) --no-print-directory test SAN=thread
	@$(MAKE) --no-print-directory test SAN=address
	@$(MAKE) --no-print-directory test SAN=undefined

need-check:
	@CC="$(CC)" tests/need.sh check.h check
	@tests/need.sh dot graphviz || echo "without it no picture is compared with its graph"

need-pcre2:
	@CC="$(CC) -DPCRE2_CODE_UNIT_WIDTH=8" tests/need.sh pcre2.h libpcre2-dev

$(BUILD)/tests/check_split: LDLIBS += -lpcre2-8

$(BUILD)/tests/check_%: $(BUILD)/tests/check_%.o $(BUILD)/tests/support.o $(LIB)
	$(call LINK,$(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lrt))

$(BUILD)/tests/check_trace: $(patsubst %,$(BUILD)/tools/trace_%.o,write file analysis replay)

$(BUILD)/tests/check_stream: $(BUILD)/tools/stream.o

$(BUILD)/tests/ulp: $(BUILD)/tests/ulp.o $(LIB)
	$(call LINK)

$(BUILD)/tests/bench_guard: $(BUILD)/tests/bench_guard.o $(LIB)
	$(call LINK)

bench-guard: all $(BUILD)/tests/bench_guard  ## instructions of a prompt and a decoded token: as committed? (valgrind)
	@BUILD=$(BUILD) CC="$(CC)" tests/bench_guard.sh

bench-guard-update: all $(BUILD)/tests/bench_guard # the figures anew, into tests/bench_guard.txt
	@BUILD=$(BUILD) CC="$(CC)" tests/bench_guard.sh update

ulp: $(BUILD)/tests/ulp  ## error of exp and tanh over every float (some minutes)
	$<

bench-what-if: all  ## does a trace of one worker predict the time of two within 10 %? (python3, two free CPUs)
	tests/what_if.py $(BUILD)/dagpt $(BUILD)/make-model

check-rooms:  ## do includes go one way? base <- graph <- ops, runtime <- model <- tools, tests
	@tests/rooms.sh

# ---- development ----

format:  ## lay the code out by .clang-format
	clang-format -i src/*.h src/*/*.[ch] tools/*.[ch] tests/*.[ch]

check-format:  ## is it?
	clang-format --dry-run --Werror src/*.h src/*/*.[ch] tools/*.[ch] tests/*.[ch]

pictures: docs/overview.svg graph-pictures all  ## draw the pictures of the docs again (graphviz; node and chromium)
	BUILD=$(BUILD) tests/viewer/picture.sh docs/viewer.png

docs/%.svg: docs/%.dot
	dot -Tsvg $< -o $@

# The graph of a model of GPT-2's size, and a prompt of 17 ids that it ran (not the first, which loads); drawn only when
# asked, since times differ.
.PHONY: graph-pictures
graph-pictures: all
	@test -f $(BUILD)/synthetic_124M.bin || $(BUILD)/make-model --size 124M -o $(BUILD)/synthetic_124M.bin
	cd $(BUILD) && ./dagpt graph -m synthetic_124M.bin --rows 64 | dot -Tsvg -o ../docs/graph_folded.svg
	cd $(BUILD) && ./dagpt tokens -m synthetic_124M.bin --no-cache --total 18 --trace trace.json $$(seq 16) >/dev/null
	cd $(BUILD) && ./dagpt graph --trace trace.json --rows 17 | dot -Tsvg -o ../docs/graph_traced.svg

poly:  ## derive src/ops/poly.h again (python3)
	python3 tools/derive_poly.py > src/ops/poly.h

clean:  ## remove the build folders
	rm -rf build build-*

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
