// claim.hpp: what a client says with a call beyond the pointer and the size. The build that ships
// ignores it; the debug build holds it against what the block was made with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hak {

// The family of functions that a block comes from, and must go back to.
enum class Origin : std::uint8_t { malloc, operator_new, operator_new_array };

constexpr const char* name_of(Origin origin) {
    switch (origin) {
        case Origin::malloc:
            return "malloc";
        case Origin::operator_new:
            return "operator new";
        case Origin::operator_new_array:
            return "operator new[]";
    }
    return "unknown";
}

struct Claim {
    static constexpr std::size_t kUnsaid = SIZE_MAX;

    const char* function;  // as the client wrote it
    Origin origin = Origin::malloc;
    std::size_t bytes = kUnsaid;
    // 0: by the form for blocks that were asked for without an alignment
    std::size_t alignment = kUnsaid;
};

}  // namespace hak
