# The regression gate on this repository itself, and its self-tests (docs/ci.md, docs/trust.md).
comma := ,
.PHONY: gate reference trust
gate: $(PROGRAM) $(RATINGS) ## the regression gate: configs/reference.yaml against results/reference
	@bench/compare/gate.sh $(BUILD)

reference: $(PROGRAM) $(RATINGS) ## record results/reference anew, after a change that is meant to change it
	@bench/compare/gate.sh $(BUILD) --record

# The same program with wrappers around the pair stage's entry points, which can take longer: for the self-tests only.
$(BUILD)/trust/prerank-slow: $(BUILD)/obj/bench/main.o $(BUILD)/obj/tests/trust/slow_pair.o $(LIB)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CC) $(LDFLAGS) $(addprefix -Wl$(comma)--wrap=,fused_observe exec_score dots_gather) $^ $(LDLIBS) -o $@

TRUST ?=
trust: $(PROGRAM) $(BUILD)/trust/prerank-slow $(RATINGS) ## does the gate keep its promises? (about 10 minutes; TRUST="--aa 10" for less)
	@/usr/bin/python3 tests/trust/trust.py --build $(BUILD) $(TRUST)
