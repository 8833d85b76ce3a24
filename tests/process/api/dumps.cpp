// What a core dump of a served process holds: a promise of hakmem's; no standard asks for it.
#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "tests/check.hpp"
#include "tests/process/subject.hpp"

// What gdb's gcore writes: each mapping whose flags do not have "dd", whether anybody ever touched
// it or not.
TEST(core_dumps_hold_what_is_in_use_and_little_else) {
    const size_t sizes[] = {100, 5000, 65'536, 3'000'000, 300'000'000};
    std::vector<char*> blocks;
    for (const size_t n : sizes) {
        blocks.push_back(static_cast<char*>(subject::malloc(n)));
        EXPECT(blocks.back() != nullptr);
        blocks.back()[0] = blocks.back()[n - 1] = 1;
    }
    size_t held = 0, dumped = 0;
    std::ifstream maps("/proc/self/smaps");
    uintptr_t begin = 0, end = 0;
    for (std::string line; std::getline(maps, line);) {
        if (uintptr_t first = 0, behind = 0;
            sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &first, &behind) == 2)
            begin = first, end = behind;
        if (line.rfind("VmFlags:", 0) != 0 || (line + " ").find(" dd ") != std::string::npos)
            continue;
        dumped += end - begin;
        for (size_t i = 0; i < blocks.size(); ++i) {
            const uintptr_t first = reinterpret_cast<uintptr_t>(blocks[i]);
            const uintptr_t from = std::max(first, begin), to = std::min(first + sizes[i], end);
            if (from < to) held += to - from;
        }
    }
    size_t in_use = 0;
    for (const size_t n : sizes) in_use += n;
    EXPECT_EQUAL(held, in_use);
    EXPECT(dumped < in_use + (size_t{192} << 20));
    for (char* const b : blocks) subject::free(b);
}
