// Many short threads: each allocates and frees a few hundred blocks and ends. What a thread's first
// allocation and its exit cost dominates.
#include <thread>

#include "harness.hpp"

namespace hak::bench {
namespace {

constexpr unsigned kBlocks = 300;

void live(std::uint64_t seed, std::uint64_t* checksum) {
    Random random(seed);
    void* block[kBlocks];
    std::uint32_t size[kBlocks];
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < kBlocks; ++i) {
        size[i] = random.log_uniform(4, 11);
        block[i] = must_malloc(size[i]);
        stamp(block[i], size[i], random.next());
    }
    for (unsigned i = 0; i < kBlocks; ++i) {
        // Forwards in the even places, backwards in the odd ones.
        const unsigned at = (i % 2 == 0) ? i : kBlocks - i;
        sum += scramble(read_stamp(block[at], size[at]) + size[at]);
        std::free(block[at]);
    }
    *checksum += sum;
}

// A line that starts threads one after the other, so that as many of them live at a time as there
// are lines.
void line(std::uint64_t seed, std::uint64_t count, std::uint64_t* checksum) {
    for (std::uint64_t n = 0; n < count; ++n)
        std::thread(live, scramble(seed + n), checksum).join();
}

struct alignas(128) Sum {
    std::uint64_t value;
};

}  // namespace

Outcome short_threads(const Options& options, Measure& measure) {
    const std::uint64_t count = options.work(12'000 / options.threads);
    Table<Sum> sums(options.threads);
    Table<std::thread> lines(options.threads);

    measure.begin();
    for (unsigned t = 0; t < options.threads; ++t) {
        new (&lines[t]) std::thread(line, options.seed + t * 1'000'000'007u, count, &sums[t].value);
    }
    for (std::thread& thread : lines) thread.join();
    measure.end();

    Outcome outcome;
    outcome.ops = count * options.threads * kBlocks;
    for (const Sum& sum : sums) outcome.checksum += sum.value;
    return outcome;
}

}  // namespace hak::bench
