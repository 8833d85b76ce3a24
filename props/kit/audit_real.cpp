// audit_real.cpp: the library with one more name, hak_audit. A build of its own, because what ships
// exports its header's names alone.
#include "props/kit/audit_real.hpp"

#include <sys/mman.h>

// Before the library, whose world it chooses.
// clang-format off
#include "props/kit/lock_ranks.hpp"
#include "api/library.cpp"
#include "api/new_delete.hpp"
#include "audit/invariants.hpp"
// clang-format on

extern "C" int hak_audit(struct hak_audit_result* out) {
    using hak::RealWorld;
    *out = {};
    if (!hak::window<RealWorld>.is_open()) return 0;
    const std::size_t words = hak::Audit<RealWorld>::scratch_words(),
                      bytes = words * sizeof(std::uint32_t);
    void* const scratch = bytes == 0 ? nullptr
                                     : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (scratch == MAP_FAILED) {
        out->invariant = "audit";
        out->what = "no memory for the scratch";
        return 1;
    }
    hak::Audit<RealWorld> audit({static_cast<std::uint32_t*>(scratch), words, true});
    const hak::Violation v = audit.everything();
    const hak::AuditTotals& t = audit.totals();
    *out = {v.invariant,     v.what,          v.where,        v.have,
            v.want,          t.client_blocks, t.large_blocks, t.big_blocks,
            t.listed_blocks, t.remote_blocks, t.slabs,        t.orphans};
    if (scratch != nullptr) ::munmap(scratch, bytes);
    return v ? 1 : 0;
}

extern "C" void* hak_operator_new(std::size_t size, std::size_t alignment, int is_array,
                                  int is_nothrow, int* thrown) {
    using New = hak::api::OperatorNew<hak::FrontEnd>;
    const hak::Origin origin =
        is_array != 0 ? hak::Origin::operator_new_array : hak::Origin::operator_new;
    try {
        *thrown = 0;
        if (alignment == 0) return New::allocate(size, origin, is_nothrow == 0);
        return New::allocate(size, static_cast<std::align_val_t>(alignment), origin,
                             is_nothrow == 0);
    } catch (const std::bad_alloc&) {
        *thrown = 1;
        return nullptr;
    }
}

extern "C" void hak_operator_delete(void* p, std::size_t size, std::size_t alignment,
                                    int is_array) {
    const hak::api::OperatorDelete<hak::FrontEnd> release{
        "operator delete",
        is_array != 0 ? hak::Origin::operator_new_array : hak::Origin::operator_new};
    const auto aligned = static_cast<std::align_val_t>(alignment);
    if (size == SIZE_MAX) return alignment == 0 ? release(p) : release(p, aligned);
    return alignment == 0 ? release(p, size) : release(p, size, aligned);
}
