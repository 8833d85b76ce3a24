// probe.hpp: where observers see user bytes begin and end, locks be taken, and time pass. NoProbe
// ships and costs nothing.
#pragma once

#include <cstddef>

#include "base/attrs.hpp"

namespace hak {

// What can be timed: calls, the ways of a refill, lists that overflow, what comes back from other
// threads, the runs of the pool and their return, the learner, and each system call.
enum class Activity : unsigned char {
    allocate,
    free,
    resize,
    refill,
    refill_own,
    refill_others,
    refill_open,
    spill,
    drain,
    pool,
    reclaim,
    learner,
    tick,
    reserve,
    unreserve,
    expose,
    commit,
    trial,
    decommit,
    purge,
    advise,
    usage,
    wait,
    wake,
};
// How each request for a block, and each block that comes back, is served.
enum class Event : unsigned char {
    request,
    popped,
    untouched,
    refilled,
    above_small,
    refused,
    free,
    pushed,
    to_slab,
    kept,
    posted,
    above_small_freed,
    null_freed,
};

struct NoProbe {
    // Lives as long as the activity.
    template <Activity>
    struct Timed {
        HAK_INLINE Timed() {}
    };
    static HAK_INLINE void on_event(Event) {}
    // The block [p, p + usable) is about to be the client's, who asked for `requested` bytes of it.
    static HAK_INLINE void on_hand_out(void* /*p*/, std::size_t /*requested*/,
                                       std::size_t /*usable*/) {}
    // A live block, at whose place nothing moves: the client may use `requested` bytes of it from
    // here on.
    static HAK_INLINE void on_resize(void* /*p*/, std::size_t /*requested*/,
                                     std::size_t /*usable*/) {}
    // The first `bytes` bytes of a block that was handed out are zero, though nobody wrote them.
    static HAK_INLINE void on_zero(void* /*p*/, std::size_t /*bytes*/) {}
    // The allocator is about to copy a live block, with what the client did not ask for; it retires
    // it next.
    static HAK_INLINE void on_move(void* /*p*/, std::size_t /*usable*/) {}
    // A block begins its first life since its slab was opened. Comes before its on_hand_out.
    static HAK_INLINE void on_carve(void* /*p*/) {}
    // The client gave the block back; nothing of it may be read as user data any more. Called
    // before any other thread can have it.
    static HAK_INLINE void on_retire(void* /*p*/, std::size_t /*usable*/) {}
    // Memory leaves or enters the allocator's own hands as a whole (commit, decommit): no history
    // of its bytes holds.
    static HAK_INLINE void on_map(void* /*p*/, std::size_t /*bytes*/) {}
    static HAK_INLINE void on_unmap(void* /*p*/, std::size_t /*bytes*/) {}
    // The calling thread is about to wait for a lock, or got it without waiting; it gives the lock
    // back. A forking thread that passes through a lock (lock.hpp) is seen to ask for it and never
    // to give it back.
    static HAK_INLINE void on_lock(const void* /*lock*/) {}
    static HAK_INLINE void on_unlock(const void* /*lock*/) {}

    // How the allocator keeps a Plain word inside a free block.
    template <class T>
    using Word = T;
};

template <class P>
concept ProbePolicy = requires(void* p, std::size_t n) {
    P::on_hand_out(p, n, n);
    P::on_resize(p, n, n);
    P::on_zero(p, n);
    P::on_move(p, n);
    P::on_carve(p);
    P::on_retire(p, n);
    P::on_map(p, n);
    P::on_unmap(p, n);
    P::on_lock(p);
    P::on_unlock(p);
    P::on_event(Event{});
    typename P::template Timed<Activity{}>;
};

}  // namespace hak
