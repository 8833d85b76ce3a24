// audit_real.cpp: the library with one more name, hak_audit. A build of its own, because what ships exports its header's names alone.
#include "props/kit/audit_real.hpp"
#include "props/kit/lock_ranks.hpp"

#include <sys/mman.h>

#include "api/library.cpp"
#include "debug/invariants.hpp"

extern "C" int hak_audit(struct hak_audit_result* out) {
    using hak::RealWorld;
    *out = {};
    if (!hak::window<RealWorld>.is_open()) return 0;
    const std::size_t words = hak::Audit<RealWorld>::scratch_words(), bytes = words * sizeof(std::uint32_t);
    void* const scratch = bytes == 0 ? nullptr : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (scratch == MAP_FAILED) {
        out->invariant = "audit";
        out->what = "no memory for the scratch";
        return 1;
    }
    hak::Audit<RealWorld> audit({static_cast<std::uint32_t*>(scratch), words, true});
    const hak::Violation v = audit.everything();
    const hak::AuditTotals& t = audit.totals();
    *out = {v.invariant, v.what, v.where, v.have, v.want, t.client_blocks, t.large_blocks, t.big_blocks, t.listed_blocks, t.remote_blocks, t.slabs, t.orphans};
    if (scratch != nullptr) ::munmap(scratch, bytes);
    return v ? 1 : 0;
}
