/* refuse.h: calls of the allocator to the system, and how to make them fail (refuse.c). */
#pragma once

#include <stddef.h>

// clang-format off: its two passes disagree on this list
#define REFUSE_KINDS(X) \
    X(mmap) X(munmap) X(mprotect) X(madvise) X(key_create) X(setspecific) X(futex) X(getrandom) \
    X(sysinfo) X(getrlimit) X(open) X(read)
// clang-format on

enum RefuseKind {
#define REFUSE_NAME(name) kRefuse_##name,
    REFUSE_KINDS(REFUSE_NAME)
#undef REFUSE_NAME
        kRefuseKinds
};

extern const char* const refuse_names[kRefuseKinds];

/* Calls so far, and how many of them were refused. */
unsigned long refuse_calls(int kind);
unsigned long refuse_count(void);
/* The allocator's clock goes on. */
void refuse_advance(unsigned ms);
/* From here on nothing is refused. */
void refuse_no_more(void);
