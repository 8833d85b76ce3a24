// world.hpp: the one type parameter of the allocator. A world bundles geometry, atomics, operating
// system and observation, and says how a logical thread finds its heap; the allocator's source is
// the same in all of them.
#pragma once

#include <concepts>

#include "base/attrs.hpp"       // IWYU pragma: export
#include "base/bits.hpp"        // IWYU pragma: export
#include "base/check.hpp"       // IWYU pragma: export
#include "base/config.hpp"      // IWYU pragma: export
#include "base/size_class.hpp"  // IWYU pragma: export
#include "base/types.hpp"       // IWYU pragma: export

#include "sys/pal.hpp"    // IWYU pragma: export
#include "sys/probe.hpp"  // IWYU pragma: export
#include "sys/sync.hpp"   // IWYU pragma: export

namespace hak {

// current_heap()      the thread's heap word: a Heap<W>*, kept as void* because Heap is not
//                     complete here.
// arm_exit_hook(heap) asks that give_up() be called when this thread ends; false if that cannot be
// promised.
// fault(...)          reports a client's broken contract and does not return.
// read_tunables()     called once, before the window is reserved.
template <class W>
concept World = SyncPolicy<typename W::Sync> && PalPolicy<typename W::Pal> &&
                ProbePolicy<typename W::Probe> && is_valid(W::kConfig) && requires(void* p) {
                    { W::current_heap() } -> std::same_as<void*>;
                    W::set_current_heap(p);
                    { W::arm_exit_hook(p) } -> std::same_as<bool>;
                    { W::read_tunables() } -> std::same_as<Tunables>;
                    W::fault(Fault{}, Entry{}, p);
                };

// Whether nothing in this world throws. Functions that a noexcept entry point ends with say so, or
// its last call could not be a jump.
template <World W>
inline constexpr bool kNothrow = noexcept(W::fault(Fault{}, Entry{}, nullptr));

template <World W>
using Classes = SizeClasses<W::kConfig>;

// Times the activity as long as it lives, where the world's probe does.
template <World W, Activity kActivity>
using Timed = typename W::Probe::template Timed<kActivity>;

template <World W, class T>
using Atomic = typename W::Sync::template Atomic<T>;
template <World W, class T>
using Plain = typename W::Sync::template Plain<T>;

// What word.cas_strong() would do, without a locked operation, in a process of one thread. False,
// with nothing changed, in any other, and where the word has another value; the caller goes on with
// cas_strong() then.
template <World W, class T>
HAK_INLINE bool swap_alone(Atomic<W, T>& word, T from, T to) {
    // relaxed, both: nobody is there to order anything for, and a thread that comes later is
    // ordered by its creation
    if (!W::Sync::is_alone() || word.load(order::relaxed) != from) return false;
    word.store(to, order::relaxed);
    return true;
}

// Written once at start-up, before the window is open; read on cold paths.
template <World W>
inline constinit Plain<W, Tunables> tunables{};

}  // namespace hak
