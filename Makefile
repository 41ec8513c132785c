# dagpt. `make` builds build/dagpt with gcc and make alone; `make help` lists the targets.

ifeq ($(origin CC),default)
CC := gcc
endif
# Flavours: CC=clang; SAN=thread, SAN=address, SAN=undefined (or a list); DEBUG=1; SYNC=FOLDER, another
# sync.h. Each has a build folder of its own, so that no object is linked into another flavour's program.
SAN    :=
DEBUG  :=
SYNC   := src/runtime/sync
comma  := ,
space  := $() $()
BUILD  := build$(if $(filter-out gcc cc ccache,$(notdir $(CC))),-$(subst $(space),-,$(notdir $(CC))))$(if \
          $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(DEBUG),-debug)$(if \
          $(filter-out src/runtime/sync,$(SYNC)),-$(notdir $(SYNC)))

# Yours to set, here or in the environment: CPPFLAGS, CFLAGS, LDFLAGS and LDLIBS, beside what follows.
CFLAGS ?= $(if $(DEBUG),-O0,$(if $(SAN),-O1,-O2)) -g

# What is compiled for, as the compiler's own macros say (CC="gcc -m32" is another machine than gcc).
ARCH := $(shell echo 'x86_64=__x86_64__ aarch64=__aarch64__ ia32=__i386__ order=__BYTE_ORDER__ pie=__PIE__' | \
          $(CC) $(CPPFLAGS) $(CFLAGS) -E -P -x c - 2>/dev/null)
$(if $(filter order=4321,$(ARCH)),$(error dagpt: this machine is big-endian, and weights are read as they lie in files))
ARCH := $(patsubst %=1,%,$(filter %=1,$(ARCH)))

# Not these: with them, other compilers and machines compute other bits, and NaNs go unnoticed.
# src/base/platform.h refuses them, too, as far as a compiler tells what it was called with.
FAST := -Ofast -ffast-math -funsafe-math-optimizations -ffinite-math-only -fassociative-math \
        -freciprocal-math -fno-signed-zeros -fsingle-precision-constant -fno-honor-nans \
        -fno-honor-infinities -fapprox-func -ffp-model=fast -ffp-model=aggressive
FAST := $(filter $(FAST),$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS))
$(if $(FAST),$(error $(FAST) is refused: it changes results, and dagpt promises the same bits everywhere. -O3 is fine))

# What the program needs, whatever you set: it comes behind your flags, and so wins over them.
# -ffp-contract=off: a * b + c is rounded twice unless the source says fma (src/ops/kernels/kernels.h).
# Hidden: only what dagpt.h marks with DG_API is seen from outside.
# SSE2: the 387's registers have more bits than a float.
NEED_CPPFLAGS := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I$(SYNC) -MMD -MP
NEED_CFLAGS   := -std=c11 -pedantic -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wvla \
                 -fvisibility=hidden -ffp-contract=off $(if $(filter ia32,$(ARCH)),-msse2 -mfpmath=sse) \
                 $(if $(WERROR),-Werror)
NEED_LDFLAGS  :=
NEED_LDLIBS   := -lpthread -lm

# What makes a fault that is left harder to use, where compiler and linker have it; HARDEN=0 builds without, and so do
# sanitizers and DEBUG=1. It stands before your flags, which win. Kernels stay as they are: they have no arrays.
HARDEN := 1
try    = $(shell echo 'int main(void) { return 0; }' | $(CC) -Werror $(1) -x c - -o /dev/null 2>/dev/null && echo '$(1)')
try_all = $(or $(call try,$(1)),$(foreach f,$(1),$(call try,$(f))))
ifeq ($(HARDEN)$(SAN)$(DEBUG),1)
PIE             := $(if $(filter pie=__PIE__,$(ARCH)),-fPIE -pie)
HARDEN_CFLAGS   := $(call try_all,-fstack-protector-strong -fstack-clash-protection -fcf-protection) \
                   $(if $(and $(filter -O1 -O2 -O3,$(CFLAGS)),$(if $(findstring _FORTIFY_SOURCE,$(CC) $(CPPFLAGS) \
                   $(CFLAGS)),,1)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN_LDFLAGS  := $(call try_all,-Wl$(comma)-z$(comma)relro -Wl$(comma)-z$(comma)now -Wl$(comma)-z$(comma)noexecstack)
endif
ifneq ($(SAN),)
NEED_CFLAGS  += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
NEED_LDFLAGS += -fsanitize=$(SAN)
endif

# An instruction set's flags go to its own files alone: its kernels, and the loops that find its limits.
# The files of other architectures stay out.
OTHERS := $(if $(filter x86_64,$(ARCH)),,%avx2.c %avx512.c %vnni.c %/amx.c %/check_amx.c) $(if $(filter aarch64,$(ARCH)),,%neon.c %neon_dot.c)
AVX2   := -mavx2 -mfma
AVX512 := -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma
# AMX asks for a compiler of 2020; without, --isa amx is refused.
ifneq ($(filter x86_64,$(ARCH)),)
NO_AMX := $(shell echo | $(CC) -mamx-tile -mamx-int8 -S -x c - -o /dev/null 2>/dev/null || echo 1)
endif
ifeq ($(NO_AMX),1)
OTHERS += %/amx.c
NEED_CPPFLAGS += -DDG_NO_AMX
endif
SRC    := $(filter-out $(OTHERS),$(wildcard src/*/*.c src/*/*/*.c))
# A sanitizer of addresses sees one block of an arena as one piece of memory: each request is one of the heap's.
ifneq ($(filter address,$(subst $(comma), ,$(SAN))),)
SRC    := $(SRC:src/base/arena.c=tests/support/heap_arena.c)
endif
$(BUILD)/src/ops/kernels/%.o $(BUILD)/pic/src/ops/kernels/%.o: HARDEN_CFLAGS :=
$(BUILD)/src/ops/kernels/avx2.o $(BUILD)/pic/src/ops/kernels/avx2.o: ISA_CFLAGS := -O3 $(AVX2)
$(BUILD)/src/ops/kernels/avx512.o $(BUILD)/pic/src/ops/kernels/avx512.o: ISA_CFLAGS := -O3 $(AVX512)
$(BUILD)/src/ops/kernels/avx_vnni.o $(BUILD)/pic/src/ops/kernels/avx_vnni.o: ISA_CFLAGS := -O3 $(AVX2) -mavxvnni
$(BUILD)/src/ops/kernels/avx512_vnni.o $(BUILD)/pic/src/ops/kernels/avx512_vnni.o: ISA_CFLAGS := -O3 $(AVX512) -mavx512vnni
$(BUILD)/src/ops/kernels/amx.o $(BUILD)/pic/src/ops/kernels/amx.o: ISA_CFLAGS := -O3 $(AVX512) -mamx-tile -mamx-int8
$(BUILD)/src/ops/kernels/neon_dot.o $(BUILD)/pic/src/ops/kernels/neon_dot.o: ISA_CFLAGS := -O3 -march=armv8.2-a+dotprod
$(BUILD)/src/ops/kernels/neon.o $(BUILD)/pic/src/ops/kernels/neon.o: ISA_CFLAGS := -O3
$(BUILD)/src/text/sampler.o $(BUILD)/pic/src/text/sampler.o: ISA_CFLAGS := -O3 # loops over the vocabulary
$(BUILD)/tools/limits/limits_scalar.o:  ISA_CFLAGS := -O3
$(BUILD)/tools/limits/limits_avx2.o:    ISA_CFLAGS := -O3 $(AVX2)
$(BUILD)/tools/limits/limits_avx512.o:  ISA_CFLAGS := -O3 -mavx512f
$(BUILD)/tools/limits/limits_neon.o:    ISA_CFLAGS := -O3

LIB    := $(BUILD)/libdagpt.a
SPECS  := $(patsubst %,$(BUILD)/spec-%,gpt2 int8 bf16_cache int8_bf16_cache)
VERSION := $(shell sed -n 's/^\#define DG_VERSION "\(.*\)"/\1/p' src/dagpt.h)
# Before 1.0 the second number counts: with it the interface may change.
SONAME  := libdagpt.so.$(basename $(VERSION))
SO      := $(BUILD)/libdagpt.so.$(VERSION)
# Line editing for `dagpt complete -i`: libedit, where it is installed; EDIT=0 builds without it.
ifndef EDIT
EDIT   := $(shell echo 'int main(void) { return 0; }' | \
            $(CC) -include histedit.h -x c - -ledit -o /dev/null 2>/dev/null && echo 1)
endif
LINES  := tools/cli/lines_$(if $(filter 1,$(EDIT)),editline,plain).c
CLI    := $(filter-out $(OTHERS) tools/cli/lines_%,$(wildcard $(addprefix tools/,$(addsuffix \
            /*.c,command cli trace bench limits)))) $(LINES)
# The server, where its libraries are; SERVE=0 builds without it.
SERVE_LIBS := $(shell pkg-config --cflags --libs libmicrohttpd jansson 2>/dev/null)
ifndef SERVE
SERVE  := $(shell echo 'int main(void) { return !json_null() || !MHD_get_version(); }' | $(CC) $(CPPFLAGS) $(CFLAGS) \
            -include microhttpd.h -include jansson.h -x c - $(SERVE_LIBS) -o /dev/null 2>/dev/null && echo 1)
endif
SUITES := $(patsubst %.c,$(BUILD)/%,$(filter-out $(OTHERS),$(wildcard tests/unit/*/check_*.c)))
# The runtime's suites once more, on a sync.h that lets other threads go ahead at random places.
YIELD  := $(patsubst $(BUILD)/%,$(BUILD)-sync_yield/%,$(filter $(BUILD)/tests/unit/runtime/%,$(SUITES)))

# The runtime under an explorer of schedules: a program of a flavour of its own (tests/prove/explore.h).
PROVE  := $(BUILD)-sync_prove/tests/prove/prove

.PHONY: all mpi mpi-wire need-mpi install-mpi run lab serve install uninstall test test-tools suites prove prove-program mutants model-check test-tsan test-bits test-mpi test-mpi-kills \
        test-cross test-neon test-armhf test-i386 test-s390x test-all rooms soak fuzz coverage mutate check-docs check-format format pictures graph-pictures poly ulp accuracy clean \
        help bench-guard bench-guard-update bench-serve bench-what-if FORCE
.DELETE_ON_ERROR:

all: $(BUILD)/dagpt $(BUILD)/make-model $(SPECS) $(if $(filter 1,$(SERVE)),$(BUILD)/dagpt-serve)  ## build the command, the server, make-model and the specification (the default)

# What objects, and what programs, were made with: new flags make them anew.
COMPILE = $(CC) $(HARDEN_CFLAGS) $(filter -fPIE,$(PIE)) $(NEED_CPPFLAGS) $(CPPFLAGS) $(CFLAGS) $(NEED_CFLAGS)
LINK    = $(CC) $(HARDEN_LDFLAGS) $(PIE) $(CFLAGS) $(LDFLAGS) $(NEED_LDFLAGS)
QUOTED  = '$(subst ','\'',$(TEXT))'
$(BUILD)/compiled-with: TEXT = $(COMPILE)
$(BUILD)/linked-with:   TEXT = $(LINK) $(LINES) $(LDLIBS)
$(BUILD)/tested-with:   TEXT = $(CHECK)
$(BUILD)/compiled-with $(BUILD)/linked-with $(BUILD)/tested-with: FORCE
	@mkdir -p $(@D)
	@echo $(QUOTED) | cmp -s - $@ || echo $(QUOTED) >$@

$(BUILD)/%.o: %.c $(BUILD)/compiled-with
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(COMPILE) $(ISA_CFLAGS) $(LAST_CFLAGS) -c -o $@ $<

$(LIB): $(SRC:%.c=$(BUILD)/%.o)
	@rm -f $@
	@echo "AR   $@"
	@$(AR) rcs $@ $^

# link LIBRARY... - the target, from its objects and the library.
link = @echo "LINK $@"; $(LINK) -o $@ $(filter %.o,$^) $(LIB) $(1) $(LDLIBS) $(NEED_LDLIBS)

$(BUILD)/dagpt: $(CLI:%.c=$(BUILD)/%.o) $(LIB) $(BUILD)/linked-with
	$(call link,$(if $(filter 1,$(EDIT)),-ledit))
	$(if $(EDIT),,@echo "NOTE dagpt complete -i: lines without editing and history (they need libedit; Debian: libedit-dev)")
	$(if $(SERVE),,@echo "NOTE dagpt-serve: not built: 'make serve' says what it needs")

$(BUILD)/tools/cli/demo.o: models/demo/demo.bin models/demo/merges.txt

$(BUILD)/make-model: $(patsubst %,$(BUILD)/tools/%.o,dev/make_model cli/output cli/part cli/signals cli/writing) $(LIB) $(BUILD)/linked-with
	$(call link)

# The specification in one file, and what it is with other numbers. They need nothing of the library.
$(SPECS): $(BUILD)/spec-%: $(BUILD)/spec/%.o $(BUILD)/linked-with
	@echo "LINK $@"
	@$(LINK) -o $@ $< $(LDLIBS) -lm

$(BUILD)/spec/int8_bf16_cache.o: spec/bf16_cache.c $(BUILD)/compiled-with
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(COMPILE) -DINT8 -c -o $@ $<

# The server uses the shared library, as it is found beside it, or where both are installed. (A sanitizer's is not.)
SERVING := $(patsubst %.c,$(BUILD)/%.o,$(wildcard serve/*.c) tools/cli/stream.c tools/cli/candidates.c tools/cli/sandbox.c src/base/utf8.c)
$(filter $(BUILD)/serve/%,$(SERVING)): private NEED_CPPFLAGS += -Isrc $(filter-out -l% -L%,$(SERVE_LIBS))
$(BUILD)/dagpt-serve: $(SERVING) $(if $(SAN),$(LIB),$(BUILD)/$(SONAME)) $(BUILD)/linked-with
	@echo "LINK $@"; $(LINK) -o $@ $(filter %.o,$^) $(filter %.a $(BUILD)/$(SONAME),$^) '-Wl,-rpath,$$ORIGIN:$$ORIGIN/../lib' \
	    $(SERVE_LIBS) $(LDLIBS) $(NEED_LDLIBS)

serve:  ## build the server alone, or say what it needs
	@[ '$(SERVE)' = 1 ] || { echo "dagpt-serve needs libmicrohttpd and jansson, found by pkg-config; on Debian:" >&2; \
	    echo "    apt-get install pkgconf libmicrohttpd-dev libjansson-dev" >&2; exit 1; }
	@+$(MAKE) --no-print-directory $(BUILD)/dagpt-serve

# The trace viewer's page is a part of the program.
LIVE := $(patsubst %,tools/viewer/%.js,model facts draw panes)
$(BUILD)/tools/trace/trace_html.o: $(BUILD)/viewer_page.h
$(BUILD)/tools/trace/trace_html.o: private NEED_CPPFLAGS += -I$(BUILD)
$(BUILD)/viewer_page.h: tools/viewer/embed.sh tools/viewer/viewer.html tools/viewer/viewer.css $(LIVE) tools/viewer/main.js
	@mkdir -p $(@D)
	@echo "PAGE $@"
	@tools/viewer/embed.sh viewer $(filter-out %.sh,$^) > $@

# And so is the server's, which draws with the viewer's code.
$(BUILD)/serve/page.o: $(BUILD)/serve_page.h
$(BUILD)/serve/page.o: private NEED_CPPFLAGS += -I$(BUILD)
$(BUILD)/serve_page.h: tools/viewer/embed.sh serve/page/page.html tools/viewer/viewer.css serve/page/page.css $(LIVE) \
                       $(patsubst %,serve/page/%.js,lanes texts page)
	@mkdir -p $(@D)
	@echo "PAGE $@"
	@tools/viewer/embed.sh page $(filter-out %.sh,$^) > $@

# dagpt-mpi: MPI's compiler wraps ours. Only who makes it needs MPI. With MPICC=mpicc.mpich it is dagpt-mpi.mpich.
MPICC    ?= mpicc
MPI_KIND := $(suffix $(notdir $(firstword $(MPICC))))
MPI      := $(patsubst mpi/%.c,$(BUILD)/mpi$(MPI_KIND)/%.o,$(wildcard mpi/*.c))
WRAPPED  := OMPI_CC="$(CC)" MPICH_CC="$(CC)" $(MPICC)

mpi: need-mpi $(BUILD)/dagpt-mpi$(MPI_KIND)  ## build dagpt-mpi, the command on several processes, with MPI

need-mpi:
	@command -v $(MPICC) >/dev/null || { echo "make mpi: no $(MPICC): it is MPI's compiler (Debian: libopenmpi-dev \
	    and openmpi-bin, or libmpich-dev and mpich)" | tr -s ' ' >&2; exit 1; }

install-mpi: mpi  ## install dagpt-mpi and its manual page below PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/dagpt-mpi$(MPI_KIND) "$(DESTDIR)$(PREFIX)/bin/dagpt-mpi"
	install -D -m 644 docs/man/dagpt-mpi.1 "$(DESTDIR)$(PREFIX)/share/man/man1/dagpt-mpi.1"

$(MPI): $(BUILD)/mpi$(MPI_KIND)/%.o: mpi/%.c $(BUILD)/compiled-with
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(WRAPPED) $(NEED_CPPFLAGS) -DMPI_LAUNCH='"mpirun$(MPI_KIND)"' $(CPPFLAGS) $(CFLAGS) $(NEED_CFLAGS) -c -o $@ $<

$(BUILD)/dagpt-mpi$(MPI_KIND) $(BUILD)/tests/mpi/dagpt-mpi$(MPI_KIND): $(MPI) $(patsubst %.c,$(BUILD)/%.o,$(filter-out tools/command/dagpt.c,$(CLI))) $(LIB) $(BUILD)/linked-with
	@echo "LINK $@"
	@$(WRAPPED) $(CFLAGS) $(LDFLAGS) $(NEED_LDFLAGS) -o $@ $(filter %.o,$^) $(LIB) $(if $(filter 1,$(EDIT)),-ledit) $(LDLIBS) $(NEED_LDLIBS)

# The same behind tests/mpi/wire.c, which delays and loses messages, and ends ranks.
$(BUILD)/tests/mpi/wire$(MPI_KIND).o: tests/mpi/wire.c $(BUILD)/compiled-with
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(WRAPPED) $(NEED_CPPFLAGS) $(CPPFLAGS) $(CFLAGS) $(NEED_CFLAGS) -c -o $@ $<

$(BUILD)/tests/mpi/dagpt-mpi$(MPI_KIND): $(BUILD)/tests/mpi/wire$(MPI_KIND).o

mpi-wire: mpi $(BUILD)/tests/mpi/dagpt-mpi$(MPI_KIND)

run: all  ## let the model in the program tell a story
	$(BUILD)/dagpt complete --echo --seed 1 "Once upon a time"

$(BUILD)/synthetic_124M.bin: | $(BUILD)/make-model
	$(BUILD)/make-model --size 124M -o $@

lab: all $(BUILD)/synthetic_124M.bin  ## complete two ids with a synthetic model of GPT-2's size, made first (0.5 GB)
	$(BUILD)/dagpt tokens -m $(BUILD)/synthetic_124M.bin --stats 31373 612

# ---- installing ----

PREFIX  ?= /usr/local
MADE    := $(BUILD)/share

# The shared library's objects are its own: what they are linked into may lie anywhere.
$(BUILD)/pic/%.o: %.c $(BUILD)/compiled-with
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(COMPILE) -fPIC $(ISA_CFLAGS) -c -o $@ $<

$(SO): $(SRC:%.c=$(BUILD)/pic/%.o) $(BUILD)/linked-with
	@echo "LINK $@"
	@$(filter-out -pie,$(LINK)) -shared -Wl,-soname,$(SONAME) -Wl,--no-undefined -o $@ $(filter %.o,$^) $(LDLIBS) $(NEED_LDLIBS)

$(BUILD)/$(SONAME): $(SO)
	@ln -sf $(<F) $@

$(MADE)/dagpt.pc: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: dagpt' \
	    'Description: GPT-2 inference on an op graph' 'Version: $(VERSION)' 'Libs: -L$${libdir} -ldagpt' \
	    'Libs.private: $(NEED_LDLIBS)' 'Cflags: -I$${includedir}' >$@

$(MADE)/dagpt.3: tools/dev/man3.awk src/dagpt.h
	@mkdir -p $(@D)
	@awk -v version=$(VERSION) -f $^ >$@

$(MADE)/dagpt-formats.5: tools/dev/man5.awk $(wildcard docs/formats/*.md)
	@mkdir -p $(@D)
	@awk -v version=$(VERSION) -f $^ >$@

$(MADE)/dagpt.bash $(MADE)/dagpt.zsh $(MADE)/dagpt.fish: $(MADE)/dagpt.%: $(BUILD)/dagpt tools/dev/completions.sh
	@mkdir -p $(@D)
	@tools/dev/completions.sh $(BUILD)/dagpt $* >$@

# What is installed: a file, and where below PREFIX. A link: its name, and what it leads to.
INSTALLED := $(BUILD)/dagpt=bin/dagpt $(LIB)=lib/libdagpt.a $(SO)=lib/$(notdir $(SO)) src/dagpt.h=include/dagpt.h \
             $(MADE)/dagpt.pc=lib/pkgconfig/dagpt.pc docs/man/dagpt.1=share/man/man1/dagpt.1 \
             $(if $(filter 1,$(SERVE)),$(BUILD)/dagpt-serve=bin/dagpt-serve docs/man/dagpt-serve.1=share/man/man1/dagpt-serve.1) \
             $(MADE)/dagpt.3=share/man/man3/dagpt.3 $(MADE)/dagpt-formats.5=share/man/man5/dagpt-formats.5 \
             $(MADE)/dagpt.bash=share/bash-completion/completions/dagpt \
             $(MADE)/dagpt.zsh=share/zsh/site-functions/_dagpt \
             $(MADE)/dagpt.fish=share/fish/vendor_completions.d/dagpt.fish
LINKED    := lib/$(SONAME)=$(notdir $(SO)) lib/libdagpt.so=$(SONAME)

install: all $(foreach f,$(INSTALLED),$(firstword $(subst =, ,$f)))  ## install command, library, man pages and completions below PREFIX (/usr/local)
	@set -e; for f in $(INSTALLED); do \
	    case $$f in */bin/* | *=bin/* | *.so.*) mode=755 ;; *) mode=644 ;; esac; \
	    echo "INSTALL $(DESTDIR)$(PREFIX)/$${f#*=}"; \
	    install -D -m $$mode "$${f%%=*}" "$(DESTDIR)$(PREFIX)/$${f#*=}"; \
	done; \
	for f in $(LINKED); do ln -sf "$${f#*=}" "$(DESTDIR)$(PREFIX)/$${f%%=*}"; done

uninstall:  ## remove what install put there, with the same PREFIX and DESTDIR
	@for f in $(foreach f,$(INSTALLED),$(lastword $(subst =, ,$f))) $(foreach f,$(LINKED),$(firstword $(subst =, ,$f))); do \
	    rm -f "$(DESTDIR)$(PREFIX)/$$f"; \
	done

# ---- tests ----

# has HEADER - "yes" where the compiler finds it.
has = $(shell echo | $(CC) -DPCRE2_CODE_UNIT_WIDTH=8 -include $(1) -E -x c - >/dev/null 2>&1 && echo yes)

# What can be tested here; tests/run.sh says what cannot.
test: rooms check-docs all suites prove-program $(BUILD)/tests/prove/soak $(BUILD)/tests/guard/accuracy  ## build and run all tests that can run here (SAN=thread|address|undefined too)
	@BUILD=$(BUILD) SAN=$(SAN) CC="$(CC)" tests/run.sh $(SUITES) $(YIELD) $(PROVE) $(BUILD)/tests/prove/soak

test-tools:  ## install what the tests can use beside gcc and make (Debian's packages, listed first; npm's)
	@tests/support/need.sh install

suites: $(if $(call has,pcre2.h),$(SUITES),$(filter-out %/check_split,$(SUITES)))
	@+$(MAKE) --no-print-directory BUILD=$(BUILD)-sync_yield SYNC=tests/support/sync_yield $(YIELD)

prove-program:
	@+$(MAKE) --no-print-directory BUILD=$(BUILD)-sync_prove SYNC=tests/support/sync_prove SAN= $(PROVE)

prove: prove-program $(LIB)  ## all of the proof, and its tables in docs/reliability.md (python3, spin; an hour)
	@BUILD=$(BUILD) CC="$(CC)" tests/prove/figures.py explored model mutants plan tsan

test-mpi: all  ## dagpt-mpi beside dagpt, on each MPI that is here (Debian: libopenmpi-dev and openmpi-bin; libmpich-dev and mpich)
	@+BUILD=$(BUILD) MAKE="$(MAKE)" tests/mpi/all.sh

test-mpi-kills: all  ## the same with all golden models, many delays, and a rank killed at each of 100 moments (an hour; HOW=stop, leave)
	@+BUILD=$(BUILD) MAKE="$(MAKE)" MOMENTS=$${MOMENTS:-100} ALL=1 SUITES='mpi wire kills' tests/mpi/all.sh

# What threads share, on real threads, under ThreadSanitizer: the part of `test SAN=thread` that is about them.
RACY   := $(patsubst %,$(BUILD)-thread/tests/unit/%,runtime/check_queue runtime/check_team runtime/check_sched model/check_bits \
          model/check_sequence)

test-tsan:  ## queue, team, scheduler and sequences under ThreadSanitizer, without suppressions
	@+$(MAKE) --no-print-directory BUILD=$(BUILD)-thread SAN=thread $(RACY)
	@for suite in $(RACY); do TSAN_OPTIONS= CK_FORK=no DAGPT_SAN=thread timeout 900 $$suite || exit 1; done
	@echo "tsan: skipped: other suites ('make test SAN=thread' has them); loops that only grow with time are shorter"

mutants: $(LIB)  ## is each fault in tests/prove/mutants*.txt found? (python3, 20 minutes)
	@BUILD=$(BUILD) CC="$(CC)" tests/prove/mutants.py
	@BUILD=$(BUILD) CC="$(CC)" tests/prove/mutants.py --plan

model-check:  ## every state of a model of the scheduler (spin; a minute)
	@CC="$(CC)" tests/prove/model.sh || [ $$? -eq 77 ]

test-bits: $(BUILD)/tests/unit/model/check_bits  ## one SHA-256 over every worker count, schedule, ISA and chunk
	@DAGPT_BITS=full CK_DEFAULT_TIMEOUT=0 $(BUILD)/tests/unit/model/check_bits

HOURS ?= 1
SEED  ?= 1
soak: $(BUILD)/tests/prove/soak  ## run models for HOURS (1), stopped, halted and moved all the while: the same bits?
	@BUILD=$(BUILD) HOURS=$(HOURS) SEED=$(SEED) tests/prove/figures.py soak

# Not part of `test`: they need cross compilers and an emulator, and take up to an hour for a machine.
test-cross: test-s390x test-neon test-armhf test-i386  ## cross-build for AArch64, 32-bit Arm and x86, and test under qemu-user (Debian)

test-neon test-armhf test-i386 test-s390x:
	@+MAKE="$(MAKE)" tests/guard/cross.sh $(patsubst test-%,%,$(@:neon=aarch64))

test-all: test test-bits  ## test, test-bits, and test under each sanitizer
	@$(MAKE) --no-print-directory test SAN=thread
	@$(MAKE) --no-print-directory test SAN=address
	@$(MAKE) --no-print-directory test SAN=undefined

$(BUILD)/tests/unit/text/check_split: NEED_LDLIBS += -lpcre2-8
$(BUILD)/tests/unit/base/check_base:  private NEED_LDFLAGS += -Wl,--wrap=sched_getaffinity
$(BUILD)/tests/unit/model/check_closing: private NEED_LDFLAGS += $(addprefix -Wl$(comma)--wrap=,malloc calloc realloc close)
$(BUILD)/tests/unit/model/check_sequence: private NEED_LDFLAGS += -Wl,--wrap=posix_memalign
$(BUILD)/tests/unit/runtime/check_team: private NEED_LDFLAGS += -Wl,--wrap=pthread_create

# The unit tests are the Check library's. Where that is not for this compiler (musl, another machine), or with
# CHECK=0, a stand-in runs them, which is tested with either.
CHECK = $(eval CHECK := $(shell echo 'int main(void) { return 0; }' | \
            $(CC) -include check.h -x c - $(CHECK_LIBS) -o /dev/null 2>/dev/null && echo 1))$(CHECK)
CHECK_LIBS = $(eval CHECK_LIBS := $(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lrt -lm -lpthread))$(CHECK_LIBS)
STAND_IN := $(BUILD)/tests/unit/support/check_check

$(SUITES:%=%.o) $(BUILD)/tests/support/%.o: private NEED_CPPFLAGS += $(if $(filter 1,$(CHECK)),,-Itests/support/no_check)
$(SUITES:%=%.o) $(BUILD)/tests/support/support.o: $(BUILD)/tested-with

$(filter-out $(STAND_IN),$(SUITES)): %: %.o $(BUILD)/tests/support/support.o $(LIB) $(BUILD)/linked-with $(BUILD)/tested-with
	$(call link,$(if $(filter 1,$(CHECK)),$(CHECK_LIBS)))
$(filter-out $(STAND_IN),$(SUITES)): $(BUILD)/tests/support/$(if $(filter 1,$(CHECK)),suite,no_check/check).o

$(STAND_IN): %: %.o $(BUILD)/tests/support/no_check/check.o $(LIB) $(BUILD)/linked-with
	$(call link)

$(BUILD)/tests/unit/model/check_spec: | $(SPECS)

# AMX's product once more, its instructions being calls.
$(BUILD)/tests/unit/ops/check_amx: $(BUILD)/tests/support/amx_emulated.o
$(BUILD)/tests/support/amx_emulated.o: src/ops/kernels/amx.c $(BUILD)/compiled-with
	@mkdir -p $(@D)
	@echo "CC   $@"
	@$(COMPILE) $(AVX512) -include tests/support/amx_emulation.h -c -o $@ $<

$(BUILD)/tests/unit/trace/check_trace: $(patsubst %,$(BUILD)/tools/trace/trace_%.o,write file text read plans facts events path gaps analysis \
                                               replay)

$(BUILD)/tests/unit/cli/check_stream:  $(BUILD)/tools/cli/stream.o
$(BUILD)/tests/unit/cli/check_candidates: $(BUILD)/tools/cli/candidates.o
$(BUILD)/tests/unit/cli/check_sandbox: $(BUILD)/tools/cli/sandbox.o
$(BUILD)/tests/unit/cli/check_output:  $(patsubst %,$(BUILD)/tools/cli/%.o,output part signals writing)
$(BUILD)/tests/unit/cli/check_leaving: $(patsubst %,$(BUILD)/tools/cli/%.o,leaving signals writing)

# Plain accesses are checked for races: tests/prove/heap.c answers the calls that the flag puts before them.
ifeq ($(notdir $(SYNC)),sync_prove)
PROVED := $(patsubst %,$(BUILD)/%.o,src/runtime/trace $(addprefix tests/prove/,deque litmus runtime))
$(PROVED): NEED_CFLAGS += -fsanitize=thread

# Arenas and the number of CPUs are tests/prove/runtime.c's.
$(BUILD)/tests/prove/prove: $(PROVED) $(patsubst %,$(BUILD)/tests/prove/%.o,explorer heap memory prove) $(filter-out \
                            %/arena.o %/cpu.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard src/base/*.c))) $(BUILD)/linked-with
	@echo "LINK $@"; $(LINK) -o $@ $(filter %.o,$^) $(LDLIBS) $(NEED_LDLIBS)
endif

$(BUILD)/tests/guard/ulp $(BUILD)/tests/guard/accuracy $(BUILD)/tests/guard/bench_guard $(BUILD)/tests/prove/soak: %: %.o $(LIB) $(BUILD)/linked-with
	$(call link)

$(BUILD)/tests/guard/accuracy: $(BUILD)/tests/guard/q8_0.o
$(BUILD)/tests/guard/q8_0.o: ISA_CFLAGS := -O3

# Every reader under libFuzzer and sanitizers; clang brings it.
FUZZ_SECONDS ?= 20
FUZZ := $(BUILD)-fuzz/tests/fuzz/fuzz
FUZZ_REQUEST := $(if $(filter 1,$(SERVE)),$(BUILD)-fuzz/tests/fuzz/request)
# clang takes ten minutes to put its checks into the kernels of AVX-512; check_kernels looks after those.
ifneq ($(filter fuzzer-no-link,$(subst $(comma), ,$(SAN))),)
$(BUILD)/src/ops/kernels/%.o: LAST_CFLAGS := -fno-sanitize=all
endif
$(BUILD)/tests/fuzz/fuzz $(BUILD)/tests/fuzz/request: private NEED_LDFLAGS += -fsanitize=fuzzer
$(BUILD)/tests/fuzz/request.o: private NEED_CPPFLAGS += -Isrc
$(BUILD)/tests/fuzz/request: $(patsubst %,$(BUILD)/%.o,tests/fuzz/request serve/request serve/refusal serve/bytes) $(LIB) $(BUILD)/linked-with
	$(call link,$(SERVE_LIBS))
$(BUILD)/tests/fuzz/fuzz: $(patsubst %,$(BUILD)/%.o,tests/fuzz/fuzz tools/cli/escapes tools/cli/prompts) $(patsubst %,$(BUILD)/tools/trace/trace_%.o,file text \
                          read plans facts events path gaps analysis replay) $(LIB) $(BUILD)/linked-with
	$(call link)

fuzz: all  ## every reader under a fuzzer, each for FUZZ_SECONDS (20) on what tests/hostile has (clang, python3)
	@+if echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }' | \
	    clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null; then \
	    $(MAKE) --no-print-directory CC=clang SAN=address,undefined,fuzzer-no-link BUILD=$(BUILD)-fuzz $(FUZZ) $(FUZZ_REQUEST) && \
	    BUILD=$(BUILD) FUZZ=$(FUZZ) FUZZ_REQUEST=$(FUZZ_REQUEST) FUZZ_SECONDS=$(FUZZ_SECONDS) tests/fuzz/fuzz.sh; \
	else \
	    echo "fuzz: skipped: no clang with libFuzzer (Debian: clang, libclang-rt-14-dev)"; \
	fi

# Without optimization, kernels included: a branch is then one of the source. Counters are shared by threads.
COVERED := $(BUILD)-coverage
coverage:  ## which lines and branches of src/ do the tests reach? (gcov, python3; 20 minutes)
	@+$(MAKE) --no-print-directory BUILD=$(COVERED) HARDEN=0 SERVE=0 CFLAGS="-O0 -g --coverage -fprofile-update=atomic" \
	    LAST_CFLAGS=-O0 all $(SUITES:$(BUILD)/%=$(COVERED)/%)
	@find $(COVERED) -name '*.gcda' -delete
	@CC="$(CC)" tests/guard/coverage.py $(COVERED)

# The suites of a room, and what they are linked with.
MUTATED := $(filter $(addprefix $(BUILD)/tests/unit/,ops/% text/% model/%),$(SUITES))
mutate: all $(MUTATED:%=%.o) $(patsubst %,$(BUILD)/tests/support/%.o,support suite amx_emulated)  ## small faults in ops, model and text, made by rules: are they found? (Check, python3; an hour)
	@BUILD=$(BUILD) CC="$(CC)" tests/guard/mutate.py

bench-guard: all $(BUILD)/tests/guard/bench_guard  ## instructions of a prompt and a decoded token: as committed? (valgrind)
	@BUILD=$(BUILD) CC="$(CC)" tests/guard/bench_guard.sh

bench-guard-update: all $(BUILD)/tests/guard/bench_guard # the figures anew, into tests/guard/bench_guard.txt
	@BUILD=$(BUILD) CC="$(CC)" tests/guard/bench_guard.sh update

accuracy: all $(BUILD)/tests/guard/accuracy  ## what bf16 and int8 lose against f32: demo model, golden models, models with outliers (python3)
	@BUILD=$(BUILD) tests/guard/accuracy.sh all

ulp: $(BUILD)/tests/guard/ulp  ## error of exp, tanh and erf over every float (some minutes)
	$<

bench-serve: all $(BUILD)/synthetic_124M.bin  ## the server under Poisson arrivals: to the first token, and between two (node; 4 minutes)
	@for weights in f32 int8; do node tests/serve/load.mjs $(BUILD)/dagpt-serve $(BUILD)/synthetic_124M.bin $$weights || exit 1; done

bench-what-if: all  ## does a trace of one worker predict the time of two within 10 %? (python3, two free CPUs)
	tests/guard/what_if.py $(BUILD)/dagpt $(BUILD)/make-model

rooms:  ## do includes go one way, without a circle, in src, tools and tests?
	@tests/guard/rooms.sh

check-docs:  ## do the links and paths in the Markdown lead somewhere, and do its lines fit?
	@tests/guard/docs.sh

# ---- development ----

format:  ## lay the code out by .clang-format
	find src spec examples tools mpi serve tests -name '*.[ch]' | xargs clang-format -i

check-format:  ## is it?
	find src spec examples tools mpi serve tests -name '*.[ch]' | xargs clang-format --dry-run --Werror

pictures: docs/pictures/overview.svg graph-pictures all  ## draw the pictures of the docs again (graphviz; node and chromium)
	BUILD=$(BUILD) tests/viewer/picture.sh docs/pictures

docs/pictures/%.svg: docs/pictures/%.dot
	dot -Tsvg $< -o $@

# The graph of a model of GPT-2's size, and a prompt of 17 ids that it ran (not the first, which loads); drawn only when
# asked, since times differ.
graph-pictures: all
	@test -f $(BUILD)/synthetic_124M.bin || $(BUILD)/make-model --size 124M -o $(BUILD)/synthetic_124M.bin
	cd $(BUILD) && ./dagpt graph -m synthetic_124M.bin --rows 64 | dot -Tsvg -o ../docs/pictures/graph_folded.svg
	cd $(BUILD) && ./dagpt tokens -m synthetic_124M.bin --no-cache --total 18 --trace trace.json $$(seq 16) >/dev/null
	cd $(BUILD) && ./dagpt graph --trace trace.json --rows 17 | dot -Tsvg -o ../docs/pictures/graph_traced.svg

poly:  ## derive src/ops/kernels/poly.h again (python3)
	python3 tools/dev/derive_poly.py > src/ops/kernels/poly.h

clean:  ## remove the build folders
	rm -rf build build-*

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
