// audit_real.hpp: Audit of the process's real heap, for programs with real threads. Link hakmem_core_audited in place of hakmem_core.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hak_audit_result {
    const char* invariant;  // the first that does not hold; null if all hold
    const char* what;
    unsigned long long where, have, want;
    unsigned long long client_blocks, large_blocks, big_blocks, listed_blocks, remote_blocks, slabs, orphans;
};

// Precondition: no other thread is inside the allocator, nor will be until this returns. 0 if all invariants hold.
__attribute__((visibility("default"))) int hak_audit(struct hak_audit_result* out);

#ifdef __cplusplus
}
#endif
