// finding.hpp: what the debug build found, with all that it knows; the api makes a line of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/check.hpp"
#include "base/types.hpp"

#include "checked/block_table.hpp"

namespace hak {

enum class Misuse : std::uint8_t {
    foreign,
    misaligned,
    interior,
    not_allocated,
    double_free,
    overwritten,  // as Fault
    behind,
    before,
    wrong_function,
    wrong_size,
    wrong_alignment,
    bad_alignment
};

constexpr const char* text_of(Misuse misuse) {
    switch (misuse) {
        case Misuse::foreign:
            return text_of(Fault::foreign);
        case Misuse::misaligned:
            return text_of(Fault::misaligned);
        case Misuse::interior:
            return text_of(Fault::interior);
        case Misuse::not_allocated:
            return text_of(Fault::not_allocated);
        case Misuse::double_free:
            return text_of(Fault::double_free);
        case Misuse::overwritten:
            return text_of(Fault::overwritten);
        case Misuse::behind:
            return "written behind its end";
        case Misuse::before:
            return "written before its start";
        case Misuse::wrong_function:
            return "given back by the wrong function";
        case Misuse::wrong_size:
            return "given back with a wrong size";
        case Misuse::wrong_alignment:
            return "given back with a wrong alignment";
        case Misuse::bad_alignment:
            return "an alignment that is no power of two";
    }
    return "unknown";
}

struct Finding {
    Misuse what;
    const char* function;
    Address p;
    Record block{};             // the block in question; kind none if there is none
    std::ptrdiff_t offset = 0;  // of p, or of the damage, in that block
    std::size_t said = 0;       // the wrong size or alignment
};

}  // namespace hak
