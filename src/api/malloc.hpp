// malloc.hpp: the C family, as functions of namespace hak::api with the semantics of glibc 2.36. What is exported under which name
// is said once, in library.cpp.
#pragma once

#include <cerrno>
#include <cstdint>

#include "api/statistics.hpp"

namespace hak::api {

HAK_COLD inline void* out_of_memory() {
    errno = ENOMEM;
    return nullptr;
}

HAK_NOINLINE inline void* malloc_missed(std::size_t size) {
    void* const p = hak::allocate_missed<RealWorld>(tls_heap, size).block;
    if (p == nullptr) [[unlikely]] return out_of_memory();
    return p;
}

HAK_INLINE void* malloc(std::size_t size) {
    void* const p = hak::allocate_hit<RealWorld>(tls_heap, size);
    if (p != nullptr) [[likely]] return p;
    return malloc_missed(size);
}

HAK_INLINE void free(void* p) { hak::deallocate<RealWorld>(tls_heap, p); }

HAK_INLINE void* calloc(std::size_t count, std::size_t size) {
    std::size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) [[unlikely]] return out_of_memory();
    void* const p = hak::allocate_zeroed<RealWorld>(tls_heap, bytes);
    if (p == nullptr) [[unlikely]] return out_of_memory();
    return p;
}

HAK_INLINE void* realloc(void* p, std::size_t size) {
    if (p == nullptr) [[unlikely]] return malloc(size);
    if (size == 0) [[unlikely]] {
        free(p);
        return nullptr;
    }
    void* const q = hak::reallocate<RealWorld>(tls_heap, p, size);
    if (q == nullptr) [[unlikely]] return out_of_memory();
    return q;
}

inline void* reallocarray(void* p, std::size_t count, std::size_t size) {
    std::size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return out_of_memory();
    return realloc(p, bytes);
}

// memalign and aligned_alloc: an alignment that is no power of two is rounded up to one, as glibc does.
HAK_INLINE void* memalign(std::size_t alignment, std::size_t size) {
    if (!is_power_of_two(alignment)) [[unlikely]] {
        if (alignment > SIZE_MAX / 2 + 1) {
            errno = EINVAL;
            return nullptr;
        }
        alignment = std::bit_ceil(alignment);
    }
    void* const p = hak::allocate_aligned<RealWorld>(tls_heap, alignment, size);
    if (p == nullptr) [[unlikely]] return out_of_memory();
    return p;
}

inline int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
    if (!is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
    void* const p = hak::allocate_aligned<RealWorld>(tls_heap, alignment, size);
    if (p == nullptr) return ENOMEM;
    *out = p;
    return 0;
}

inline void* valloc(std::size_t size) { return memalign(LinuxPal::page_bytes(), size); }

inline void* pvalloc(std::size_t size) {
    const std::size_t page = LinuxPal::page_bytes();
    if (size > SIZE_MAX - page) return out_of_memory();
    return memalign(page, align_up(size, page));
}

inline std::size_t malloc_usable_size(void* p) { return p == nullptr ? 0 : hak::usable_size<RealWorld>(p); }

inline int malloc_trim(std::size_t /*keep*/) { return hak::trim<RealWorld>(true) ? 1 : 0; }

inline int stats(struct hak_stats* out, std::size_t bytes) {
    if (out == nullptr) return EINVAL;
    const struct hak_stats s = collect_stats();
    std::memcpy(out, &s, bytes < sizeof s ? bytes : sizeof s);
    return 0;
}

}  // namespace hak::api
