// lock_rank.hpp: the order of the locks. A thread takes locks in this order, none twice, and fork
// takes all of them in it. The checked build has one more, which comes before all (quarantine.hpp).
#pragma once

namespace hak::lock_rank {

enum : unsigned { start, registry, reclaim, pool, learner, profile, kCount };

inline constexpr const char* kNames[] = {"start", "registry", "reclaim",
                                         "pool",  "learner",  "profile"};
static_assert(sizeof kNames / sizeof *kNames == kCount);

}  // namespace hak::lock_rank
