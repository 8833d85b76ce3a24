// override.hpp: the names of libc's malloc family. Included by library.cpp alone, at global scope.
#pragma once

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>

#include "sys/text.hpp"

#include "api/export.hpp"
#include "api/real_world.hpp"
#include "hakmem/hakmem.h"
#include "statistics/report.hpp"
#include "statistics/statistics.hpp"

extern "C" {

HAK_EXPORT void* malloc(size_t size) noexcept {
    return C::malloc(size);
}
HAK_EXPORT void free(void* p) noexcept {
    C::free(p);
}
HAK_EXPORT void* calloc(size_t count, size_t size) noexcept {
    return C::calloc(count, size);
}
HAK_EXPORT void* realloc(void* p, size_t size) noexcept {
    return C::realloc(p, size);
}
// libc's is realloc behind a test, and so is not among the functions that a program with a malloc
// of its own must define: it calls the program's. What the dynamic linker binds realloc to is read
// from memory, because clang takes the name for the definition it sees.
static void* (*const volatile bound_realloc)(void*, size_t) = ::realloc;
HAK_EXPORT void* reallocarray(void* p, size_t count, size_t size) noexcept {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return C::out_of_memory();
    return bound_realloc(p, bytes);
}
HAK_EXPORT int posix_memalign(void** out, size_t alignment, size_t size) noexcept {
    return C::posix_memalign(out, alignment, size);
}
HAK_EXPORT void* aligned_alloc(size_t alignment, size_t size) noexcept {
    return C::memalign(alignment, size);
}
HAK_EXPORT void* memalign(size_t alignment, size_t size) noexcept {
    return C::memalign(alignment, size);
}
HAK_EXPORT void* valloc(size_t size) noexcept {
    return C::valloc(size);
}
HAK_EXPORT void* pvalloc(size_t size) noexcept {
    return C::pvalloc(size);
}
HAK_EXPORT size_t malloc_usable_size(void* p) noexcept {
    return C::malloc_usable_size(p);
}
HAK_EXPORT int malloc_trim(size_t keep) noexcept {
    return C::malloc_trim(keep);
}
// C23; this libc's headers do not declare them.
HAK_EXPORT void free_sized(void* p, size_t size) noexcept {
    C::free_sized(p, size);
}
HAK_EXPORT void free_aligned_sized(void* p, size_t alignment, size_t size) noexcept {
    C::free_aligned_sized(p, alignment, size);
}

// glibc's parameters describe its own arenas. They are accepted, as by glibc for parameters it does
// not know, and change nothing.
HAK_EXPORT int mallopt(int, int) noexcept {
    return 1;
}

HAK_EXPORT struct mallinfo2 mallinfo2(void) noexcept {
    return hak::info_of<hak::RealWorld>(hak::collect_stats<hak::RealWorld>());
}

HAK_EXPORT struct mallinfo mallinfo(void) noexcept {
    const struct mallinfo2 m = ::mallinfo2();
    const auto cut = [](size_t x) { return static_cast<int>(x > INT_MAX ? INT_MAX : x); };
    struct mallinfo old{};
    old.arena = cut(m.arena);
    old.hblks = cut(m.hblks);
    old.hblkhd = cut(m.hblkhd);
    old.uordblks = cut(m.uordblks);
    old.fordblks = cut(m.fordblks);
    old.keepcost = cut(m.keepcost);
    return old;
}

HAK_EXPORT void malloc_stats(void) noexcept {
    hak::print_report<hak::RealWorld>();
}

// EINVAL for options != 0, as the manual says; else an XML document on `stream`.
HAK_EXPORT int malloc_info(int info_options, FILE* stream) noexcept {
    if (info_options != 0) return EINVAL;
    const struct hak_stats s = hak::collect_stats<hak::RealWorld>();
    const auto u = [](size_t x) { return static_cast<std::uint64_t>(x); };
    hak::Text text;
    text << "<malloc version=\"hakmem-1\">\n"
         << "<heaps count=\"" << u(s.heaps) << "\" orphan=\"" << u(s.heaps_orphan) << "\" frozen=\""
         << u(s.heaps_frozen) << "\"/>\n"
         << "<slabs count=\"" << u(s.slabs) << "\" opened=\"" << s.slab_opens << "\" released=\""
         << s.slab_releases << "\"/>\n"
         << "<units used=\"" << u(s.used_units_bytes) << "\" committed=\"" << u(s.units_bytes)
         << "\"/>\n"
         << "<big bytes=\"" << u(s.big_bytes) << "\"/>\n"
         << "<cached bytes=\"" << u(s.cached_bytes) << "\"/>\n"
         << "<system type=\"current\" size=\"" << u(s.committed_bytes) << "\"/>\n"
         << "</malloc>\n";
    return std::fwrite(text.data(), 1, text.size(), stream) == text.size() ? 0 : -1;
}

}  // extern "C"
