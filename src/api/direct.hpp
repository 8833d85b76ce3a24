// direct.hpp: what ships between the exported functions and the heap: nothing. What a client claims is not looked at.
#pragma once

#include "api/real_world.hpp"
#include "base/claim.hpp"

namespace hak {

// The front that the api calls. Every function but allocate_hit() may be called in any state of the process; null says that there is no
// memory. allocate_hit() may return null for no reason, and allocate_missed() is called then.
struct Direct {
    static HAK_INLINE void* allocate_hit(std::size_t bytes) { return hak::allocate_hit<RealWorld>(tls_heap, bytes); }
    static HAK_INLINE void* allocate_missed(std::size_t bytes, Origin) { return hak::allocate_missed<RealWorld>(tls_heap, bytes).block; }
    // `site` is for the profile.
    static HAK_INLINE void* allocate_missed_at(std::size_t bytes, const void* site) {
        if (RealWorld::Observer::takes_call()) return RealWorld::Observer::allocate(bytes, site).block;
        return hak::allocate_missed<RealWorld>(tls_heap, bytes).block;
    }
    static HAK_INLINE void* allocate_zeroed(std::size_t bytes) { return hak::allocate_zeroed<RealWorld>(tls_heap, bytes); }
    // Precondition: alignment is a power of two.
    static HAK_INLINE void* allocate_aligned(std::size_t alignment, std::size_t bytes, Origin) {
        return hak::allocate_aligned<RealWorld>(tls_heap, alignment, bytes);
    }
    static HAK_INLINE void* reallocate(void* p, std::size_t bytes) { return hak::reallocate<RealWorld>(tls_heap, p, bytes); }
    static HAK_INLINE void deallocate(void* p, const Claim&) { hak::deallocate<RealWorld>(tls_heap, p); }
    static HAK_INLINE std::size_t usable_size(const void* p) { return hak::usable_size<RealWorld>(p); }
    static bool trim() { return hak::trim<RealWorld>(true); }
    // Looks at all blocks, in the name of `function`; false where there is nothing to look at.
    static bool check_all(const char*) { return false; }
    // Around the heap's own fork handlers.
    static void before_fork() {}
    static void after_fork(bool /*is_child*/) {}
};

}  // namespace hak
