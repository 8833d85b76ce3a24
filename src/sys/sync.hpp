// sync.hpp: every word that two threads may touch is an Atomic or a Plain of the world's Sync
// policy. StdSync, the policy that ships, compiles to bare std::atomic and bare words. A policy
// must keep sizeof(Atomic<T>) == sizeof(Plain<T>) == sizeof(T), so that links inside free blocks
// and the layout of records are the same in every world.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <sys/single_threaded.h>

#include "base/attrs.hpp"

namespace hak {

// Orders are spelled order::acquire at each call; there is no default, so a call without an order
// does not compile.
namespace order {
inline constexpr std::memory_order relaxed = std::memory_order_relaxed;
inline constexpr std::memory_order acquire = std::memory_order_acquire;
inline constexpr std::memory_order release = std::memory_order_release;
inline constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
inline constexpr std::memory_order seq_cst = std::memory_order_seq_cst;
}  // namespace order

// Decisions on which only speed and memory depend: either answer is right at any time. Each is made
// through Sync::choose(), which gives the usual answer back; a model checker gives the other one as
// well, so that what it proves holds for every policy, and not for the thresholds that its world
// happens to have. A condition that an invariant needs is none of these.
enum class Heuristic : std::uint8_t {
    // a freed block goes past its bin's list to the slab, although the list has room
    bin_full,
    // a block of another heap's slab goes to the list of the thread that frees it, if that has room
    keep_foreign,
    collect,         // a thread takes what was posted to its heap
    keep_run,        // a Large run stays with the heap of the thread that frees it
    keep_empty,      // an empty slab stays with its heap
    keep_warm,       // a heap without a thread keeps its empty slabs
    housekeep,       // a refill looks at the clock
    flush,           // its heap's lists go back to their slabs
    visit_orphans,   // and heaps without a thread are visited
    adopt,           // a new thread looks for a heap without one
    promising,       // a visitor hopes for something in a heap
    idle,            // a heap's living thread is away
    visited_enough,  // a visitor looks no further
    cache_full,      // what is free goes to the system whatever its age
    flush_batch,     // and so does the purge batch
    due,             // what is free has been so for long enough
    batch_full,      // reclaim returns what it took out so far
    decommit,        // a free run becomes address space again, where that is allowed
};

struct StdSync {
    template <class T>
    class Atomic {
      public:
        constexpr Atomic() = default;
        explicit constexpr Atomic(T value) : value_(value) {}

        HAK_INLINE T load(std::memory_order o) const { return value_.load(o); }
        HAK_INLINE void store(T value, std::memory_order o) { value_.store(value, o); }
        HAK_INLINE T exchange(T value, std::memory_order o) { return value_.exchange(value, o); }
        HAK_INLINE T fetch_add(T value, std::memory_order o) { return value_.fetch_add(value, o); }
        HAK_INLINE T fetch_sub(T value, std::memory_order o) { return value_.fetch_sub(value, o); }
        // May fail spuriously; on failure `expected` holds the value that was read.
        HAK_INLINE bool cas_weak(T& expected, T desired, std::memory_order success,
                                 std::memory_order failure) {
            return value_.compare_exchange_weak(expected, desired, success, failure);
        }
        HAK_INLINE bool cas_strong(T& expected, T desired, std::memory_order success,
                                   std::memory_order failure) {
            return value_.compare_exchange_strong(expected, desired, success, failure);
        }

      private:
        std::atomic<T> value_{};
    };

    // A non-atomic word that changes hands between threads: the protocol around it must order its
    // accesses.
    template <class T>
    class Plain {
      public:
        constexpr Plain() = default;
        explicit constexpr Plain(T value) : value_(value) {}

        HAK_INLINE T get() const { return value_; }
        HAK_INLINE void set(T value) { value_ = value; }

      private:
        T value_{};
    };

    static HAK_INLINE void pause() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    // Stands for one loop, from before its first read on. A loop that changed nothing in this round
    // says so before the next one, so that a model checker need not follow such rounds: retry()
    // where a compare-and-swap failed, wait() where another thread must act first.
    struct Loop {
        HAK_INLINE void retry() {}
        HAK_INLINE void wait() { pause(); }
    };

    // How often a lock looks again before it sleeps.
    static constexpr int kSpins = 64;

    static HAK_INLINE constexpr bool choose(Heuristic, bool usual) { return usual; }

    // Whether the process has one thread: then nobody comes between a load and a store, and a
    // locked operation, which waits until all that the program wrote before has reached the cache,
    // can be spared. A thread that is created later finds what was stored, by its creation.
    static HAK_INLINE bool is_alone() { return __libc_single_threaded != 0; }
};

template <class S>
concept SyncPolicy = requires(typename S::template Atomic<std::uintptr_t>& a,
                              typename S::template Plain<std::uintptr_t>& p, typename S::Loop& loop,
                              std::uintptr_t& x) {
    { a.load(order::relaxed) } -> std::same_as<std::uintptr_t>;
    a.store(x, order::release);
    { a.exchange(x, order::acq_rel) } -> std::same_as<std::uintptr_t>;
    { a.cas_weak(x, x, order::acq_rel, order::relaxed) } -> std::same_as<bool>;
    { p.get() } -> std::same_as<std::uintptr_t>;
    p.set(x);
    S::pause();
    loop.retry();
    loop.wait();
    { S::kSpins } -> std::convertible_to<int>;
    { S::choose(Heuristic::idle, true) } -> std::same_as<bool>;
    { S::is_alone() } -> std::same_as<bool>;
    requires sizeof(a) == sizeof(x) && sizeof(p) == sizeof(x);
};

static_assert(SyncPolicy<StdSync>);

}  // namespace hak
