# Checks beyond `make test`: sanitizers, fuzzing, kills, mutants, coverage (docs/testing.md says what each proves and how long
# they take). Those with flags of their own have a build directory of its own below build/.

.PHONY: nomem coverage mutate robust sanitize tsan fuzz fuzz-build family-truth
family-truth: $(PROGRAM) ## the model family where the truth is planted: who must win, and the best possible AUC (some minutes)
	@tests/bench/family_truth.py $(PROGRAM) $(BUILD)/family-truth
SANITIZED := BUILD=$(BUILD)/sanitize OPT="-O1 -g -fno-omit-frame-pointer" \
             SAN="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
# Criterion leaks some bytes of its own now and then. Stacks of two calls, the allocator and who called it, keep its name out of the
# leaks of tests, which it calls, too (ASAN_OPTIONS=malloc_context_size=30 for whole ones).
sanitize: ## all tests under AddressSanitizer, LeakSanitizer and UBSan
	@./setup.sh test
	@ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:malloc_context_size=2 UBSAN_OPTIONS=print_stacktrace=1 \
	    LSAN_OPTIONS=suppressions=tests/leaks.supp:print_suppressions=0 \
	    $(MAKE) --no-print-directory $(SANITIZED) run-tests

# PRERANK_PORTABLE: the kernels' choice by processor runs before ThreadSanitizer is loaded, and crashes with it
tsan: ## the thread pool, training and serving under ThreadSanitizer
	@./setup.sh run
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan OPT="-O1 -g" SAN="-fsanitize=thread -DPRERANK_PORTABLE" \
	    $(BUILD)/tsan/prerank $(BUILD)/tsan/tsan_pool
	@tests/tsan/run.sh $(BUILD)/tsan
$(BUILD)/tsan_pool: $(BUILD)/obj/tests/tsan/pool.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS) $^ $(LDLIBS) -o $@

ROBUST_KILLS ?= 50
robust: $(PROGRAM) ## kill -9 at 50 random moments of a sweep and resume; full disks and read-only folders; any threads, the same bits
	@tests/robust/kill.py --prerank $(PROGRAM) --kills $(ROBUST_KILLS)
	@tests/robust/kill.py tests/robust/everything.yaml --prerank $(PROGRAM) --kills 10 --set select.fscd.cost=equal
	@tests/robust/kill.py tests/robust/measured.yaml --prerank $(PROGRAM) --kills 20
	@tests/robust/disk.py --prerank $(PROGRAM)
	@tests/robust/disk.py tests/robust/measured.yaml --prerank $(PROGRAM) --points 8
	@tests/robust/same.py --prerank $(PROGRAM)
	@tests/robust/same.py tests/robust/measured.yaml --prerank $(PROGRAM)

# libFuzzer is clang's, so the whole library is compiled by it here (its own warnings are not ours)
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= experiment schema csv npy safetensors dataset
FUZZ_SAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined
fuzz: ## libFuzzer on every reader of files, FUZZ_SECONDS=600 each (FUZZ_TARGETS="csv npy" for some)
	@./setup.sh fuzz
	@$(MAKE) --no-print-directory fuzz-build
	@tests/fuzz/run.sh $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)
fuzz-build:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang-14 CXX=clang++-14 OPT="-O1 -g -fno-omit-frame-pointer" WARN= \
	    SAN="$(FUZZ_SAN) -fsanitize=fuzzer-no-link" $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)
$(BUILD)/fuzz_%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/fuzz.o $(LIB)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS) -fsanitize=fuzzer $^ $(LDLIBS) -o $@

MUTANTS ?= 0
mutate: $(PROGRAM) $(BUILD)/tests/metrics $(BUILD)/tests/nn ## break metrics and operations in many ways: the tests must notice each (MUTANTS=4 for a sample)
	@tests/mutate.py --build $(BUILD) --sample $(MUTANTS)

nomem: $(BUILD)/nomem ## fail every allocation, also those of libraries, over configs, data and checkpoints
	@$(BUILD)/nomem
$(BUILD)/nomem: $(BUILD)/obj/tests/nomem/nomem.o $(LIB)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS) -Wl,--wrap=regcomp $^ $(LDLIBS) -o $@

COVERED := base metrics data nn
coverage: ## lines of base/, metrics/, data/ and nn/ that no test runs (all modules' tests; build/coverage/index.html)
	@./setup.sh coverage
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage OPT="-O0 -g --coverage" WARN= SAN=--coverage run-tests
	@gcovr -r . --object-directory $(BUILD)/coverage/obj $(COVERED:%=--filter '^%/') --html-details $(BUILD)/coverage/index.html -s
