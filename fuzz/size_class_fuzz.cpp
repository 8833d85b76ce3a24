// size_class_fuzz.cpp: any size and alignment against the documented classes: the least class that
// holds the size, aligned, or none.
#include "base/size_class.hpp"

#include "fuzz/history.hpp"
#include "fuzz/wide.hpp"
#include "props/kit/edges.hpp"
#include "props/kit/worlds.hpp"

namespace {

struct Shipped : kit::TinyWorld {
    static constexpr hak::Config kConfig{};
};
using Classes = hak::Classes<Shipped>;

struct Ask {
    fuzz::WideSize n;
    fuzz::WideAlign a;
    KIT_COMMAND(Ask, "ask", 1, n, a)
};
using SizeClass = std::variant<Ask>;

const fuzz::Defect one_byte_over("one_byte_over");

std::string run(const std::vector<SizeClass>& asked) {
    static const std::vector<std::size_t> blocks = kit::documented_blocks();
    for (const SizeClass& command : asked) {
        const std::size_t n = std::get<Ask>(command).n.size(),
                          a = std::get<Ask>(command).a.alignment();
        if (!std::has_single_bit(a)) continue;
        unsigned want = 0;
        while (want < blocks.size() && (blocks[want] < n || blocks[want] % a != 0)) ++want;
        const unsigned got = Classes::class_of_aligned(one_byte_over && n == 1025 ? n - 1 : n, a);
        if (got != want)
            return "class " + std::to_string(got) + " instead of " + std::to_string(want) +
                   " for " + std::to_string(n) + " aligned to " + std::to_string(a);
    }
    return {};
}

}  // namespace

FUZZ_HISTORIES("size_class", SizeClass, run)
