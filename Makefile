# prerank: `make run` trains, measures and reports on real data; `make test` runs all tests; `make help` lists the rest.

ifeq ($(origin CC),default)
CC       := gcc
endif
BUILD    ?= build
OPT      ?= -O3 -g
SAN      ?=
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes -Wvla -Wconversion -Werror
CPPFLAGS += -I. -D_GNU_SOURCE
CFLAGS   += -std=c11 $(OPT) $(SAN) $(WARN) -ffp-contract=fast -fno-math-errno -fno-trapping-math -pthread
LDFLAGS  += $(SAN) -pthread -Wl,--as-needed
LDLIBS   += $(FAISS_LIBS) -llmdb -lhiredis -lopenblas -lyaml -lcsv -ljansson -lxxhash -lzstd -lz -lm

# FAISS's C API: the library where there is one, else serve/faiss_c.cpp over the C++ library; and what that API lacks, in
# serve/faiss_few.cpp (the only C++ here)
ifeq ($(origin CXX),default)
CXX      := g++
endif
CXXFLAGS += -std=c++17 $(OPT) $(SAN) -Wall -Wextra -Wpedantic -Wshadow -Werror -pthread
FAISS_C  := $(filter /%,$(foreach suffix,so a,$(shell $(CC) -print-file-name=libfaiss_c.$(suffix))))
FAISS_LIBS := $(if $(FAISS_C),-lfaiss_c) -lfaiss -lgomp -lstdc++

MODULES  := base metrics data nn variants serve bench
SRC      := $(foreach m,$(MODULES),$(sort $(wildcard $(m)/*.c $(m)/*/*.c)))
LIB_OBJ  := $(patsubst %.c,$(BUILD)/obj/%.o,$(filter-out bench/main.c bench/perf/%,$(SRC)))
LIB_OBJ  += $(if $(FAISS_C),,$(BUILD)/obj/serve/faiss_c.o) $(BUILD)/obj/serve/faiss_few.o
LIB      := $(BUILD)/libprerank.a
PROGRAM  := $(BUILD)/prerank

# one test program a module: tests/<module>/*.c with tests/support/*.c
TESTS    := $(foreach m,$(MODULES),$(if $(wildcard tests/$(m)/*.c),$(BUILD)/tests/$(m)))

.PHONY: all run data test run-tests bench bench-train bench-variants bench-score bench-levels bench-scale bench-load bench-towers lint clean help
all: $(PROGRAM)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile tests/checks.mk bench/compare/gate.mk | sed -E 's/:.*## /\t/' | expand -t 14

$(PROGRAM): $(BUILD)/obj/bench/main.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(LIB): $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# bench/report/assets.c holds the files beside it (.incbin), which the compiler's list of dependencies does not know.
$(BUILD)/obj/bench/report/assets.o: $(wildcard bench/report/assets/*)

$(BUILD)/obj/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  CXX   $<"
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c $< -o $@

# Criterion's macros are not clean under the strict warnings, so tests are compiled with the plain ones.
TEST_CFLAGS := -std=c11 -O1 -g $(SAN) -Wall -Wextra -Werror -pthread
.SECONDEXPANSION:
.SECONDARY:
$(BUILD)/tests/%: $$(addprefix $(BUILD)/obj/,$$(addsuffix .o,$$(basename $$(wildcard tests/$$*/*.c tests/support/*.c)))) $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS) $^ -lcriterion $(LDLIBS) -o $@
$(BUILD)/obj/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(TEST_CFLAGS) -MMD -MP -c $< -o $@

RATINGS := $(BUILD)/data/movielens/ratings.csv

run: ## install what is missing, build, run configs/quickstart.yaml on real data, print the table and the report's place
	@./setup.sh run
	@$(MAKE) --no-print-directory $(PROGRAM) data
	@$(PROGRAM) run configs/quickstart.yaml

data: $(RATINGS) ## the default data set: MovieLens ratings of the Debian package r-cran-dslabs, as CSV
$(RATINGS):
	@Rscript configs/data/movielens.R $@

test: ## install what is missing, build and run all tests
	@./setup.sh test
	@$(MAKE) --no-print-directory run-tests

run-tests: $(PROGRAM) $(TESTS) $(RATINGS)
	@for t in $(TESTS); do echo "== $$t"; { $$t --short-filename 2>&1; echo "exit code $$?"; } | tee $$t.log; \
	    grep -q '^exit code 0$$' $$t.log && grep -q 'Tested: [1-9].* | Failing: 0 | Crashing: 0' $$t.log && \
	    ! grep -qE 'Sanitizer: |crashed during its (setup|teardown)' $$t.log || exit 1; done

$(BUILD)/perf_%: $(BUILD)/obj/bench/perf/%.o $(BUILD)/obj/bench/perf/perf.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

bench: ## install what is missing, measure training and scoring next to PyTorch and ONNX Runtime (docs/performance.md)
	@./setup.sh bench
	@$(MAKE) --no-print-directory bench-train bench-variants bench-score

bench-train: $(BUILD)/perf_train
	@bench/peers/setup.sh $(BUILD)
	@bench/peers/duel.py train --build $(BUILD) $(DUEL)

bench-variants: $(BUILD)/perf_train ## training speed of every variant against its floor
	@bench/perf/variants.sh $(BUILD)/perf_train $(BURSTS)

bench-score: $(BUILD)/perf_score
	@bench/peers/setup.sh $(BUILD)
	@bench/peers/duel.py score --build $(BUILD) $(DUEL)
	@bench/peers/duel.py score --build $(BUILD) --hidden 1024,512,256,128,64 --brief --rounds 6 $(DUEL)

bench-levels: $(BUILD)/perf_score ## scoring in each precision on each level of instructions (3 minutes)
	@bench/peers/duel.py levels --build $(BUILD) $(DUEL)

bench-load: $(BUILD)/perf_load ## the load generator against the theory of queues, on the real clock (4 minutes of a quiet machine)
	@$(BUILD)/perf_load

bench-towers: $(BUILD)/perf_towers ## two towers: scoring against random reads of memory, exact search against FAISS
	@$(BUILD)/perf_towers $(TOWERS)

bench-scale: $(PROGRAM) ## time per row and memory from 1 M to 100 M rows (some minutes, 15 GB of disk)
	@bench/perf/scale.sh

C_FILES = $(shell git ls-files '*.c' '*.cpp' '*.h')
lint: ## clang-format, cppcheck and clang-tidy, all without a finding
	@./setup.sh test
	@echo clang-format; clang-format --dry-run -Werror $(C_FILES)
	@echo cppcheck; cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem -I. -j 2 $(MODULES)
	@echo clang-tidy; printf '%s\n' $(SRC) | xargs -P 2 -n 6 sh -c 'clang-tidy --quiet "$$@" -- $(CPPFLAGS) -std=c11 2>/dev/null' _

include tests/checks.mk
include bench/compare/gate.mk

clean: ## remove what was built
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
