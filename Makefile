# dagpt. `make` builds build/dagpt with a C compiler and nothing else; `make help` lists the targets.

CC     ?= gcc
SAN    ?=
DEBUG  ?=

# One build folder per flavour, so that no object is ever linked into another's program.
ifeq ($(SAN),)
FLAVOUR := $(if $(DEBUG),-debug,)
else
FLAVOUR := -$(subst $(comma),-,$(SAN))
endif
BUILD := build$(FLAVOUR)

CPPFLAGS := -D_GNU_SOURCE -MMD -MP
# -ffp-contract=off: a * b + c is two roundings unless the source says fma (src/ops/kernels.h).
CFLAGS   := -std=c11 -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wvla \
            -ffp-contract=off -g $(if $(DEBUG),-O0,$(if $(SAN),-O1,-O2))
LDLIBS   := -lpthread -lm
ifneq ($(SAN),)
CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SAN)
endif
ifneq ($(WERROR),)
CFLAGS  += -Werror
endif

SRC   := $(wildcard src/*/*.c)
ifeq ($(shell $(CC) -dumpmachine | cut -d- -f1),x86_64)
$(BUILD)/src/ops/kernels_avx2.o:   CFLAGS += -O3 -mavx2 -mfma
$(BUILD)/src/ops/kernels_avx512.o: CFLAGS += -O3 -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma
else
SRC := $(filter-out src/ops/kernels_avx%,$(SRC))
endif
LIB   := $(BUILD)/libdagpt.a
OBJ   := $(SRC:%.c=$(BUILD)/%.o)

CLI_SRC   := $(wildcard tools/dagpt.c tools/cmd_*.c tools/cli*.c)
PROGRAMS  := $(BUILD)/dagpt $(BUILD)/make-model

all: $(PROGRAMS)  ## build the command and make-model (the default)

$(LIB): $(OBJ)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/dagpt: $(CLI_SRC:%.c=$(BUILD)/%.o) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/make-model: $(BUILD)/tools/make_model.o $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
