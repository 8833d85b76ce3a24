// aligned_matrix_fuzz.cpp: every alignment with every size, among blocks of any alignment that come
// and go.
#include "fuzz/history.hpp"
#include "fuzz/subject.hpp"

namespace {

struct AlignedAlways {
    kit::Thread t;
    kit::Handle h;
    kit::Log2 a;
    kit::Bytes n;
    KIT_COMMAND(AlignedAlways, "aligned", 90, t, h, a, n)
    kit::Aligned meaning() const { return {t, h, a, n}; }
};

using AlignedMatrix = std::variant<AlignedAlways, kit::Calloc, kit::Realloc, kit::Free, kit::Usable,
                                   kit::Trim, kit::Advance, kit::FailNext, kit::Heal>;

}  // namespace

FUZZ_PART("aligned_matrix", AlignedMatrix, kit::Command, fuzz::run_heap)
