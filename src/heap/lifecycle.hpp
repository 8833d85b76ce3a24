// lifecycle.hpp: the process's first call, a thread's first and last call, and calls after the
// last.
#pragma once

#include "sys/lock.hpp"

#include "mem/reclaim.hpp"

#include "heap/heaps.hpp"
#include "heap/slabs.hpp"
#include "heap/thread_cache.hpp"
#include "heap/visit.hpp"

namespace hak {

// Guards the reservation of the window, the only lock under which the system is called: it happens
// once.
template <World W>
inline constinit Lock<W> start_lock{};

// Opens the window if it is not open yet. False if there is no address space for it; the next call
// tries again.
template <World W>
HAK_COLD bool start_slow() {
    LockGuard<W> guard(start_lock<W>);
    if (window<W>.is_open()) return true;
    tunables<W>.set(W::read_tunables());
    return window<W>.open(tunables<W>.get());
}
template <World W>
HAK_INLINE bool start() {
    return window<W>.is_open() || start_slow<W>();
}

// Everything that is free goes from this heap, which the caller holds, and from those that can be
// visited to the pool, and from there to the system.
template <World W>
HAK_COLD void return_all_free(Heap<W>& heap, bool decommit) {
    if (has_pending(heap)) collect_pending(heap);
    flush_all(heap);
    release_empty_slabs(heap);
    visit_all<W>(true);
    reclaim<W>.everything(decommit);
}

// Returns what can be returned to the system now.
template <World W>
HAK_COLD void trim(bool decommit) {
    if (!window<W>.is_open()) return;
    auto* const heap = static_cast<Heap<W>*>(W::current_heap());
    if (has_heap(heap)) {
        const Held<W> held(*heap);
        return return_all_free(*heap, decommit);
    }
    visit_all<W>(true);
    reclaim<W>.everything(decommit);
}

// A heap for one call. `borrowed`: it goes back when the call ends, because this thread cannot
// promise to give it up later.
template <World W>
struct Borrowed {
    Heap<W>* heap = nullptr;
    bool borrowed = false;
};

template <World W>
HAK_COLD Borrowed<W> heap_for_this_call() {
    if (!start<W>()) return {};
    Heap<W>* heap = heaps<W>.take();
    while (heap == nullptr) {
        if (!heaps<W>.make_room()) {
            // what is committed and free counts against the process's limits
            reclaim<W>.everything(true);
            if (!heaps<W>.make_room()) return {};
        }
        heap = heaps<W>.take();
    }
    if (W::current_heap() == &exited_heap<W>) return {heap, true};
    // The heap is set before the hook is armed: arming may allocate.
    W::set_current_heap(heap);
    if (W::arm_exit_hook(heap)) return {heap, false};
    W::set_current_heap(&exited_heap<W>);
    return {heap, true};
}

template <World W>
HAK_COLD void finish_call(const Borrowed<W>& call) {
    if (call.borrowed) abandon(*call.heap);
}

// The heap of a thread that may need one later: it gets one, if it has none and can keep one.
template <World W>
HAK_COLD Heap<W>* heap_for_this_thread() {
    finish_call(heap_for_this_call<W>());
    return static_cast<Heap<W>*>(W::current_heap());
}
template <World W>
HAK_INLINE Heap<W>* heap_of_thread(Heap<W>* heap) {
    return heap != &empty_heap<W> ? heap : heap_for_this_thread<W>();
}

// The exit hook: the calling thread will not promise anything any more. Idempotent.
template <World W>
HAK_COLD void give_up() {
    auto* const heap = static_cast<Heap<W>*>(W::current_heap());
    W::set_current_heap(&exited_heap<W>);
    if (has_heap(heap)) abandon(*heap);
}

}  // namespace hak
