// malloc.hpp: the C family with the semantics of glibc 2.36, on any front end. What is exported
// under which name is said once, in library.cpp.
#pragma once

#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/attrs.hpp"
#include "base/bits.hpp"
#include "base/claim.hpp"
#include "base/give.hpp"

#include "sys/probe.hpp"

#include "hakmem/hakmem.h"
#include "statistics/statistics.hpp"

namespace hak::api {

template <class FrontEnd>
struct CFamily {
    static HAK_COLD void* out_of_memory() {
        errno = ENOMEM;
        return nullptr;
    }

    static HAK_NOINLINE void* malloc_missed(std::size_t size) {
        void* const p = FrontEnd::allocate_missed(size, Origin::malloc);
        if (p == nullptr) [[unlikely]]
            return out_of_memory();
        return p;
    }

    static HAK_INLINE void* malloc(std::size_t size) {
        const typename FrontEnd::template Timed<Activity::allocate> timed;
        void* const p = FrontEnd::allocate_hit(size);
        if (p != nullptr) [[likely]]
            return p;
        return malloc_missed(size);
    }

    static HAK_NOINLINE void* alloc_at_missed(std::size_t size, const void* site) {
        void* const p = FrontEnd::allocate_missed_at(size, site);
        if (p == nullptr) [[unlikely]]
            return out_of_memory();
        return p;
    }

    static HAK_INLINE void* alloc_at(std::size_t size, const void* site) {
        const typename FrontEnd::template Timed<Activity::allocate> timed;
        void* const p = FrontEnd::allocate_hit(size);
        if (p != nullptr) [[likely]]
            return p;
        return alloc_at_missed(size, site);
    }

    static HAK_INLINE void free(void* p, const Claim& claim = {"free"}) {
        FrontEnd::deallocate(p, claim);
    }

    // An alignment that is no power of two is rounded up to one, as glibc does. Precondition: at
    // most SIZE_MAX / 2 + 1.
    static std::size_t rounded(std::size_t alignment) {
        return is_power_of_two(alignment) ? alignment : std::bit_ceil(alignment);
    }

    static void free_sized(void* p, std::size_t size) {
        free(p, {"free_sized", Origin::malloc, size, 0});
    }
    static void free_aligned_sized(void* p, std::size_t alignment, std::size_t size) {
        free(p, {"free_aligned_sized", Origin::malloc, size,
                 alignment > SIZE_MAX / 2 + 1 ? alignment : rounded(alignment)});
    }

    static HAK_INLINE void* calloc(std::size_t count, std::size_t size) {
        std::size_t bytes;
        if (__builtin_mul_overflow(count, size, &bytes)) [[unlikely]]
            return out_of_memory();
        void* const p = FrontEnd::allocate_zeroed(bytes);
        if (p == nullptr) [[unlikely]]
            return out_of_memory();
        return p;
    }

    static HAK_INLINE void* realloc(void* p, std::size_t size) {
        if (p == nullptr) [[unlikely]]
            return malloc(size);
        if (size == 0) [[unlikely]] {
            free(p, {"realloc"});
            return nullptr;
        }
        void* const q = FrontEnd::reallocate(p, size);
        if (q == nullptr) [[unlikely]]
            return out_of_memory();
        return q;
    }

    static void* reallocarray(void* p, std::size_t count, std::size_t size) {
        std::size_t bytes;
        if (__builtin_mul_overflow(count, size, &bytes)) return out_of_memory();
        return realloc(p, bytes);
    }

    // memalign and aligned_alloc.
    static HAK_INLINE void* memalign(std::size_t alignment, std::size_t size) {
        if (!is_power_of_two(alignment)) [[unlikely]] {
            if (alignment > SIZE_MAX / 2 + 1) {
                errno = EINVAL;
                return nullptr;
            }
            alignment = std::bit_ceil(alignment);
        }
        void* const p = FrontEnd::allocate_aligned(alignment, size, Origin::malloc);
        if (p == nullptr) [[unlikely]]
            return out_of_memory();
        return p;
    }

    static int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
        if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
        void* const p = FrontEnd::allocate_aligned(alignment, size, Origin::malloc);
        if (p == nullptr) return ENOMEM;
        *out = p;
        return 0;
    }

    static void* valloc(std::size_t size) {
        return memalign(FrontEnd::World::Pal::page_bytes(), size);
    }

    static void* pvalloc(std::size_t size) {
        const std::size_t page = FrontEnd::World::Pal::page_bytes();
        if (size > SIZE_MAX - page) return out_of_memory();
        return memalign(page, align_up(size, page));
    }

    static std::size_t malloc_usable_size(void* p) {
        return p == nullptr ? 0 : FrontEnd::usable_size(p);
    }

    static int malloc_trim(std::size_t /*keep*/) { return FrontEnd::trim() ? 1 : 0; }

    static int stats(struct hak_stats* out, std::size_t bytes) {
        if (out == nullptr) return EINVAL;
        return give(collect_stats<typename FrontEnd::World>(), out, bytes);
    }
};

}  // namespace hak::api
