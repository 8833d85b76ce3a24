// audit_real.hpp: Audit of the process's real heap, and its locks, for programs with real threads.
// Link hakmem_core_audited in place of hakmem_core; it also checks the rules of the locks
// (lock_ranks.hpp).
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hak_audit_result {
    const char* invariant;  // the first that does not hold; null if all hold
    const char* what;
    unsigned long long where, have, want;
    unsigned long long client_blocks, large_blocks, big_blocks, listed_blocks, remote_blocks, slabs,
        orphans;
};

// Precondition: no other thread is inside the allocator, nor will be until this returns. 0 if all
// invariants hold.
__attribute__((visibility("default"))) int hak_audit(struct hak_audit_result* out);

// The source of the operators new and delete, which a build without overriding has no names for.
// Alignment 0 and, for delete, size SIZE_MAX: a form without one. *thrown: whether bad_alloc was.
void* hak_operator_new(size_t size, size_t alignment, int is_array, int is_nothrow, int* thrown);
void hak_operator_delete(void* p, size_t size, size_t alignment, int is_array);

// Which locks the calling thread holds: bit r for the lock of rank r (src/sys/lock_rank.hpp). A
// call that returned holds none; those that fork holds from prepare to parent or child do not
// count.
unsigned hak_held_locks(void);
// Takes and gives back one of them from outside, so that a test can hold it while others run.
void hak_lock(unsigned rank);
void hak_unlock(unsigned rank);
// What the allocator does under the rules, from outside: purges a page; sleeps on a word that is no
// lock's and has another value.
void hak_purge_page(void* page);
void hak_await_token(void);
// Unless null, called before each call that changes memory through the system, with its name:
// reserve, expose, commit, decommit or purge.
extern void (*volatile hak_in_system_call)(const char* call);

#ifdef __cplusplus
}
#endif
