// big_cache_fuzz.cpp: runs of slots alone: cached, extended, shrunk, purged and decommitted as time
// passes and calls fail.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

namespace {

using BigCache =
    std::variant<kit::AcquireSlots, kit::ExtendSlots, kit::ShrinkSlots, kit::Release, kit::Tick,
                 kit::Return, kit::Advance, kit::FailNext, kit::FailAll, kit::Heal, kit::Meanwhile>;

}  // namespace

FUZZ_PART("big_cache", BigCache, kit::PoolCommand, fuzz::run_pool)
