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
SRC    := $(wildcard src/*/*.c)
LIMITS := $(wildcard tools/limits*.c)
$(BUILD)/tools/limits_scalar.o: CFLAGS += -O3
ifeq ($(firstword $(subst -, ,$(shell $(CC) -dumpmachine))),x86_64)
$(BUILD)/src/ops/kernels_avx2.o:   CFLAGS += -O3 -mavx2 -mfma
$(BUILD)/src/ops/kernels_avx512.o: CFLAGS += -O3 -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma
$(BUILD)/tools/limits_avx2.o:      CFLAGS += -O3 -mavx2 -mfma
$(BUILD)/tools/limits_avx512.o:    CFLAGS += -O3 -mavx512f
else
SRC    := $(filter-out src/ops/kernels_avx%,$(SRC))
LIMITS := $(filter-out tools/limits_avx%,$(LIMITS))
endif

LIB    := $(BUILD)/libdagpt.a
CLI    := tools/dagpt.c $(wildcard tools/cli*.c tools/cmd_*.c tools/trace_*.c tools/bench*.c) $(LIMITS)
SUITES := $(patsubst tests/check_%.c,$(BUILD)/tests/check_%,$(wildcard tests/check_*.c))

.PHONY: all run install test test-bits test-all check-rooms check-format format pictures poly ulp \
        need-check clean help
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
	$(call LINK)

$(BUILD)/make-model: $(BUILD)/tools/make_model.o $(LIB)
	$(call LINK)

# The trace viewer's page is a part of the program.
$(BUILD)/tools/trace_html.o: $(BUILD)/viewer_page.h
$(BUILD)/tools/trace_html.o: CPPFLAGS += -I$(BUILD)
$(BUILD)/viewer_page.h: $(wildcard tools/viewer/*)
	@mkdir -p $(@D)
	@echo "PAGE $@"
	@tools/viewer/embed.sh tools/viewer > $@

run: all  ## complete two ids on a synthetic model of GPT-2's size, made first (0.5 GB)
	@test -f $(BUILD)/synthetic_124M.bin || $(BUILD)/make-model --size 124M -o $(BUILD)/synthetic_124M.bin
	$(BUILD)/dagpt tokens -m $(BUILD)/synthetic_124M.bin --stats 31373 612

PREFIX := /usr/local

install: all  ## install the command and its man page below PREFIX (/usr/local)
	install -D $(BUILD)/dagpt $(DESTDIR)$(PREFIX)/bin/dagpt
	install -D -m 644 docs/dagpt.1 $(DESTDIR)$(PREFIX)/share/man/man1/dagpt.1

# ---- tests: the only part that needs more than gcc and make ----

test: need-check check-rooms all $(SUITES) $(BUILD)/tests/page  ## build and run all tests (SAN=thread|address|undefined too)
	@BUILD=$(BUILD) SAN=$(SAN) tests/run.sh $(SUITES)

test-bits: need-check $(BUILD)/tests/check_bits  ## one SHA-256 over every worker count, schedule, ISA and chunk
	@DAGPT_BITS=full CK_DEFAULT_TIMEOUT=0 $(BUILD)/tests/check_bits

test-all: test test-bits  ## test, test-bits, and test under each sanitizer
	@$(MAKE) --no-print-directory test SAN=thread
	@$(MAKE) --no-print-directory test SAN=address
	@$(MAKE) --no-print-directory test SAN=undefined

need-check:
	@CC="$(CC)" tests/need.sh check.h check
	@tests/need.sh dot graphviz || echo "without it no picture is compared with its graph"

$(BUILD)/tests/check_%: $(BUILD)/tests/check_%.o $(BUILD)/tests/support.o $(LIB)
	$(call LINK,$(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lrt))

$(BUILD)/tests/page: $(BUILD)/tests/page.o $(BUILD)/tools/trace_html.o $(LIB)
	$(call LINK)

$(BUILD)/tests/ulp: $(BUILD)/tests/ulp.o $(LIB)
	$(call LINK)

ulp: $(BUILD)/tests/ulp  ## error of exp and tanh over every float (some minutes)
	$<

check-rooms:  ## do includes go one way? base <- graph <- ops, runtime <- model <- tools, tests
	@tests/rooms.sh

# ---- development ----

format:  ## lay the code out by .clang-format
	clang-format -i src/*.h src/*/*.[ch] tools/*.[ch] tests/*.[ch]

check-format:  ## is it?
	clang-format --dry-run --Werror src/*.h src/*/*.[ch] tools/*.[ch] tests/*.[ch]

pictures: docs/overview.svg graph-pictures  ## draw the pictures of the docs again (graphviz)

docs/%.svg: docs/%.dot
	dot -Tsvg $< -o $@

# The graph of a model of GPT-2's size, and a prompt of 16 ids that it ran; drawn only when asked, since times differ.
.PHONY: graph-pictures
graph-pictures: all
	@test -f $(BUILD)/synthetic_124M.bin || $(BUILD)/make-model --size 124M -o $(BUILD)/synthetic_124M.bin
	cd $(BUILD) && ./dagpt graph -m synthetic_124M.bin --rows 64 | dot -Tsvg -o ../docs/graph_folded.svg
	cd $(BUILD) && ./dagpt tokens -m synthetic_124M.bin --total 20 --trace trace.json $$(seq 16) >/dev/null
	cd $(BUILD) && ./dagpt graph --trace trace.json --rows 16 | dot -Tsvg -o ../docs/graph_traced.svg

poly:  ## derive src/ops/poly.h again (python3)
	python3 tools/derive_poly.py > src/ops/poly.h

clean:  ## remove the build folders
	rm -rf build build-*

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
