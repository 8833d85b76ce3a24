// The allocator under test, by one set of names.
//
// With HAKMEM_STRESS_CORE the calls go to the hak_* names of hakmem_core, so that a sanitizer keeps
// the process's malloc. Without it they go to the process's malloc family, which is glibc's (the
// oracle), a preloaded libhakmem.so, or a linked libhakmem.a.
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>

#if HAKMEM_STRESS_CORE
#    include <hakmem/hakmem.h>
#    define SUBJECT(name) ::hak_##name
#    if HAKMEM_STRESS_AUDIT
#        include "props/kit/audit_real.hpp"
#    endif
#else
#    define SUBJECT(name) ::name
#endif

namespace subject {

// The compiler may neither pair a call with its free and delete both, nor reason about what the
// pointer points to.
template <class T>
inline T* opaque(T* p) {
    asm volatile("" : "+r"(p) : : "memory");
    return p;
}
inline size_t opaque(size_t n) {
    asm volatile("" : "+r"(n));
    return n;
}

// Declared at the head of a call: when it returns, the calling thread holds no lock of the
// allocator. In builds that can tell.
struct AtRest {
#if HAKMEM_STRESS_AUDIT
    AtRest(const char* call) : call_(call) {}
    ~AtRest() {
        if (hak_held_locks() == 0) [[likely]]
            return;
        fprintf(stderr, "FAIL hak_%s returned and holds the locks %#x\n", call_, hak_held_locks());
        abort();
    }
    AtRest(const AtRest&) = delete;
    AtRest& operator=(const AtRest&) = delete;

  private:
    const char* call_;
#else
    AtRest(const char*) {}
#endif
};

inline void* malloc(size_t n) {
    const AtRest rest("malloc");
    return opaque(SUBJECT(malloc)(opaque(n)));
}
inline void free(void* p) {
    const AtRest rest("free");
    SUBJECT(free)(opaque(p));
}
inline void* calloc(size_t count, size_t n) {
    const AtRest rest("calloc");
    return opaque(SUBJECT(calloc)(opaque(count), opaque(n)));
}
inline void* realloc(void* p, size_t n) {
    const AtRest rest("realloc");
    return opaque(SUBJECT(realloc)(opaque(p), opaque(n)));
}
inline void* reallocarray(void* p, size_t count, size_t n) {
    const AtRest rest("reallocarray");
    return opaque(SUBJECT(reallocarray)(opaque(p), opaque(count), opaque(n)));
}
inline int posix_memalign(void** out, size_t align, size_t n) {
    const AtRest rest("posix_memalign");
    return SUBJECT(posix_memalign)(opaque(out), opaque(align), opaque(n));
}
// Through pointers, because the attributes of the declarations let a sanitizer object to an
// alignment of 0, which glibc accepts.
inline void* aligned_alloc(size_t align, size_t n) {
    const AtRest rest("aligned_alloc");
    void* (*volatile call)(size_t, size_t) = &SUBJECT(aligned_alloc);
    return opaque(call(align, n));
}
inline void* memalign(size_t align, size_t n) {
    const AtRest rest("memalign");
    void* (*volatile call)(size_t, size_t) = &SUBJECT(memalign);
    return opaque(call(align, n));
}
inline void* valloc(size_t n) {
    const AtRest rest("valloc");
    return opaque(SUBJECT(valloc)(opaque(n)));
}
inline void* pvalloc(size_t n) {
    const AtRest rest("pvalloc");
    return opaque(SUBJECT(pvalloc)(opaque(n)));
}
inline size_t malloc_usable_size(void* p) {
    const AtRest rest("malloc_usable_size");
    return SUBJECT(malloc_usable_size)(opaque(p));
}

}  // namespace subject
