// realloc: sixteen byte vectors grow at the same time, some by half of their size, some by small
// appends, up to a few megabytes, and start again when they have reached their limit.
#include "harness.hpp"

namespace hak::bench {
namespace {

struct Vector {
    unsigned char* data;
    std::size_t used;
    std::size_t limit;
    std::uint64_t key;
    bool geometric;
};

void restart(Vector& v, Random& random) {
    v.data = nullptr;
    v.used = 0;
    v.key = random.next();
    v.geometric = random.below(4) != 0;
    v.limit = v.geometric ? random.log_uniform(12, 22) : random.log_uniform(9, 17);
}

void grow_to(Vector& v, std::size_t size) {
    v.data = static_cast<unsigned char*>(must_realloc(v.data, size));
    std::memset(v.data + v.used, static_cast<int>(v.key & 0xff), size - v.used);
    v.used = size;
}

// Samples one byte in 509 and the last: a move that loses any page is seen.
std::uint64_t finish(Vector& v) {
    const unsigned char expected = static_cast<unsigned char>(v.key & 0xff);
    bool intact = v.used == 0 || v.data[v.used - 1] == expected;
    for (std::size_t i = 0; i < v.used; i += 509) intact = intact && v.data[i] == expected;
    if (!intact) die("realloc lost a vector's contents");
    std::free(v.data);
    return scramble(v.key + v.used);
}

}  // namespace

Outcome realloc_growth(const Options& options, Measure& measure) {
    const std::uint64_t budget = options.work(2'000'000);
    Table<Vector> vectors(16);
    Random random(options.seed);
    for (Vector& v : vectors) restart(v, random);

    measure.begin();
    Outcome outcome;
    while (outcome.ops < budget) {
        Vector& v = vectors[random.below(16)];
        // A few steps on one vector before the next one has its turn, as programs do that append in
        // bursts.
        for (unsigned step = 0; step < 8 && outcome.ops < budget; ++step) {
            const std::size_t want =
                v.geometric ? v.used + v.used / 2 + 16 : v.used + random.between(8, 64);
            if (want > v.limit) {
                outcome.checksum += finish(v);
                restart(v, random);
                break;
            }
            grow_to(v, want);
            ++outcome.ops;
        }
    }
    for (Vector& v : vectors) outcome.checksum += finish(v);
    measure.end();
    return outcome;
}

}  // namespace hak::bench
