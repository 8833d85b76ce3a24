// Blocks that are larger than any slab's: churn that touches one byte of every page, and sixteen
// arrays read in step, which is slow when an allocator lets all of them begin at the same offset of
// a page (one set of the first-level cache).
#include "harness.hpp"

namespace hak::bench {
namespace {

constexpr std::size_t kPage = 4096;

struct Area {
    unsigned char* data;
    std::size_t size;
    unsigned char key;
};

void make(Area& area, Random& random) {
    area.size = random.log_uniform(15, 23);
    area.key = static_cast<unsigned char>(random.next());
    area.data = static_cast<unsigned char*>(must_malloc(area.size));
    for (std::size_t i = 0; i < area.size; i += kPage) area.data[i] = area.key;
    area.data[area.size - 1] = area.key;
}

std::uint64_t destroy(Area& area) {
    for (std::size_t i = 0; i < area.size; i += 16 * kPage) {
        if (area.data[i] != area.key) die("a large block's contents changed while it was in use");
    }
    if (area.data[area.size - 1] != area.key)
        die("a large block's contents changed while it was in use");
    const std::uint64_t value = scramble(area.size * 256 + area.key);
    std::free(area.data);
    return value;
}

constexpr unsigned kArrays = 16;

// One set of arrays of n words each: written in step once, read in step `passes` times.
std::uint64_t read_in_step(std::size_t n, unsigned passes, std::uint64_t seed) {
    std::uint64_t* array[kArrays];
    for (unsigned a = 0; a < kArrays; ++a) {
        array[a] = static_cast<std::uint64_t*>(must_malloc(n * sizeof(std::uint64_t)));
    }
    for (std::size_t i = 0; i < n; ++i) {
        for (unsigned a = 0; a < kArrays; ++a) array[a][i] = seed + i * kArrays + a;
    }
    std::uint64_t sum = 0;
    for (unsigned pass = 0; pass < passes; ++pass) {
        for (std::size_t i = 0; i < n; ++i) {
            for (unsigned a = 0; a < kArrays; ++a) sum += array[a][i] ^ pass;
        }
    }
    for (unsigned a = 0; a < kArrays; ++a) std::free(array[a]);
    return sum;
}

}  // namespace

Outcome large_churn(const Options& options, Measure& measure) {
    const std::uint64_t replacements = options.work(6'000);
    Table<Area> areas(32);
    Random random(options.seed);

    measure.begin();
    Outcome outcome;
    for (Area& area : areas) make(area, random);
    for (std::uint64_t n = 0; n < replacements; ++n) {
        Area& area = areas[random.below(32)];
        outcome.checksum += destroy(area);
        make(area, random);
    }
    for (Area& area : areas) outcome.checksum += destroy(area);
    measure.end();
    outcome.ops = replacements + 32;
    return outcome;
}

Outcome arrays_in_step(const Options& options, Measure& measure) {
    const std::uint64_t rounds = options.work(12);
    constexpr unsigned kPasses = 12;

    measure.begin();
    Outcome outcome;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        for (unsigned shift = 11; shift <= 16; ++shift) {  // 16 KiB to 512 KiB each
            const std::size_t n = std::size_t{1} << shift;
            outcome.checksum += scramble(read_in_step(n, kPasses, options.seed + round));
            outcome.ops += n * kArrays * kPasses;
        }
    }
    measure.end();
    return outcome;
}

}  // namespace hak::bench
