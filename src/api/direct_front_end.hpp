// direct_front_end.hpp: what ships between the exported functions and the heap: nothing. What a
// client claims is not looked at.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/attrs.hpp"
#include "base/claim.hpp"
#include "base/types.hpp"

#include "sys/probe.hpp"
#include "sys/world.hpp"

#include "heap/heap.hpp"
#include "heap/resize.hpp"

namespace hak {

// The front end that the api calls. Every function but allocate_hit() may be called in any state of
// the process; null says that there is no memory. allocate_hit() may return null for no reason, and
// allocate_missed() is called then. W::hit_heap() is where a hit looks for the thread's heap:
// current_heap(), or the empty heap where every call shall miss.
template <class W>
struct DirectFrontEnd {
    using World = W;
    template <Activity kActivity>
    using Timed = hak::Timed<W, kActivity>;

    static HAK_INLINE void* allocate_hit(std::size_t bytes) {
        return hak::allocate_hit<W>(hit_heap(), bytes);
    }
    static HAK_INLINE void* allocate_missed(std::size_t bytes, Origin) {
        return hak::allocate_missed<W>(hit_heap(), bytes).block;
    }
    static HAK_INLINE void* allocate_missed_at(std::size_t bytes, const void* site) {
        return hak::allocate_missed_at<W>(hit_heap(), bytes, address_of(site)).block;
    }
    static HAK_INLINE void* allocate_zeroed(std::size_t bytes) {
        const Timed<Activity::allocate> timed;
        return hak::allocate_zeroed<W>(hit_heap(), bytes);
    }
    // Precondition: alignment is a power of two.
    static HAK_INLINE void* allocate_aligned(std::size_t alignment, std::size_t bytes, Origin) {
        const Timed<Activity::allocate> timed;
        return hak::allocate_aligned<W>(hit_heap(), alignment, bytes);
    }
    static HAK_INLINE void* reallocate(void* p, std::size_t bytes) {
        const Timed<Activity::resize> timed;
        return hak::reallocate<W>(hit_heap(), p, bytes);
    }
    static HAK_INLINE void deallocate(void* p, const Claim&) {
        const Timed<Activity::free> timed;
        hak::deallocate<W>(hit_heap(), p);
    }
    static HAK_INLINE std::size_t usable_size(const void* p) { return hak::usable_size<W>(p); }
    // True if memory went back to the system meanwhile: on the way to what trim() gathers, what is
    // due goes by itself.
    static bool trim() {
        const std::uint64_t before = pool<W>.returns();
        hak::trim<W>(true);
        return pool<W>.returns() != before;
    }
    // Looks at all blocks, in the name of `function`; false where there is nothing to look at.
    static bool check_all(const char*) { return false; }
    // Around the heap's own fork handlers.
    static void before_fork() {}
    static void after_fork(bool /*is_child*/) {}

  private:
    static HAK_INLINE Heap<W>* hit_heap() { return static_cast<Heap<W>*>(W::hit_heap()); }
};

}  // namespace hak
