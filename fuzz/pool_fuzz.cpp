// pool_fuzz.cpp: bytes are a history of the pool and of reclaim.
#include "fuzz/history.hpp"
#include "props/kit/pool_machine.hpp"

namespace {
std::string run(const kit::PoolCommands& commands) { return kit::run_pool_history<kit::TinyWorld>(commands); }
}  // namespace

FUZZ_HISTORIES(kit::PoolCommand, run)
