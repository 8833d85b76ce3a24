// Blocks of every tier above the slabs, of which every second one is freed: an allocator that maps,
// protects or unmaps block by block splits the address space until the kernel's limit on mappings
// stops the program.
#include "memory.hpp"

namespace hak::bench {
namespace {

// `count` blocks between the two sizes, one byte of each written; then every second one freed, then
// all.
void comb(std::uint32_t low, std::uint32_t high, std::size_t count, Random& random,
          Table<unsigned char*>& blocks) {
    for (std::size_t i = 0; i < count; ++i) {
        blocks[i] = static_cast<unsigned char*>(must_malloc(random.between(low, high)));
        blocks[i][0] = static_cast<unsigned char>(i);
    }
    for (std::size_t i = 0; i < count; i += 2) std::free(blocks[i]);
    for (std::size_t i = 1; i < count; i += 2) {
        if (blocks[i][0] != static_cast<unsigned char>(i)) die("a block's contents changed");
    }
    // Long enough for delayed purging to happen in the next comb's calls.
    timespec pause{0, 150'000'000};
    nanosleep(&pause, nullptr);
    for (std::size_t i = 0; i < count; i += 2) std::free(must_malloc(random.between(low, high)));
    for (std::size_t i = 1; i < count; i += 2) std::free(blocks[i]);
}

}  // namespace

void many_mappings(const Settings& settings, Findings& findings) {
    Table<unsigned char*> blocks(4096);
    Random random(settings.seed);
    comb(33 << 10, 200 << 10, 4096, random, blocks);
    comb(200 << 10, 1 << 20, 3000, random, blocks);
    comb(1 << 20, 2 << 20, 2400, random, blocks);
    comb(2 << 20, 5 << 20, 2400, random, blocks);
    // The same from threads that end, and all of it once more on what they leave behind.
    for (unsigned t = 0; t < 8; ++t)
        std::thread([&] { comb(8 << 10, 300 << 10, 512, random, blocks); }).join();
    comb(33 << 10, 3 << 20, 3000, random, blocks);
    findings.figure("blocks", 4096 + 3000 + 2400 + 2400 + 8 * 512 + 3000);
}

}  // namespace hak::bench
