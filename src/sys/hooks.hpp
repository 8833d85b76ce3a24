// hooks.hpp: where the slow paths of Large and Big blocks meet a learner, and where misses meet
// a profiler. NoHooks is a world without either: it costs nothing.
#pragma once

#include <cstddef>

#include "base/attrs.hpp"

namespace hak {

struct NoHooks {
    // Whether a call that this heap's kept runs can serve shall be a Call: else it may go without
    // one. `keeps`: how many runs it kept so far.
    static HAK_INLINE bool is_watching(const auto& /*keeps*/) { return false; }
    // Lives as long as one call that allocates or frees a Large or Big block.
    class Call {
      public:
        HAK_INLINE Call() {}
        HAK_INLINE void set_bytes(std::size_t) {}
    };
    // What is freed and at least as large goes into the purge batch; `by_option` is what the
    // tunables say.
    static HAK_INLINE std::size_t batch_threshold(std::size_t by_option) { return by_option; }
    // What batch_threshold() never goes below.
    static std::size_t lowest_threshold(std::size_t by_option) { return by_option; }
    // Now and then, from refills.
    static HAK_INLINE void tick() {}
    // Around fork, in the thread that forks: a lock of the hooks' comes behind all others.
    static HAK_INLINE void before_fork() {}
    static HAK_INLINE void after_fork_in_parent() {}
    static HAK_INLINE void after_fork_in_child() {}
};

// A world that has a learner names it `Hooks`.
template <class W>
struct HooksOf {
    using Type = NoHooks;
};
template <class W>
    requires requires { typename W::Hooks; }
struct HooksOf<W> {
    using Type = typename W::Hooks;
};
template <class W>
using Hooks = typename HooksOf<W>::Type;

// Whether this world has a profiler. One that is on keeps its threads' heap words at the empty
// heap, so that every allocation misses; what missed and takes_call() is the profiler's:
// allocate_small(), allocate_above_small(), deallocate_above_small(), resize(), stays(),
// usable_of(); draw_anew() is for the child of a fork. A small block that it samples is a Large one
// in truth, whose free is not a hit either.
template <class W>
inline constexpr bool kProfiled = requires { Hooks<W>::takes_call(); };

}  // namespace hak
