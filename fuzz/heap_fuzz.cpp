// heap_fuzz.cpp: bytes are a history of the whole heap in TinyWorld. FUZZ_DEFECT builds the canary: the same harness on a world with a
// seeded defect, which the seed corpus alone must show.
#include "fuzz/history.hpp"
#include "props/kit/machine.hpp"

#ifndef FUZZ_DEFECT
#define FUZZ_DEFECT none
#endif

namespace {
std::string run(const kit::Commands& commands) {
    return kit::run_history<kit::WorldOf<kit::Defect::FUZZ_DEFECT>>(commands, {.audit_every = 2, .verify_every = 16, .zero_every = 16});
}
}  // namespace

FUZZ_HISTORIES(kit::Command, run)
