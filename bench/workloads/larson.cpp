// The server model of Larson and Krishnan ("Memory allocation for long-running server
// applications", ISMM 1998), written from the paper's description: a thread holds an array of
// blocks and replaces randomly chosen ones by blocks of random size; after a while it ends and
// hands the array on to a fresh thread, which so frees what others allocated.
#include <atomic>
#include <latch>
#include <thread>

#include "harness.hpp"

namespace hak::bench {
namespace {

struct Slot {
    void* block;
    std::uint32_t size;
};

struct Shape {
    std::uint32_t min_size;
    std::uint32_t max_size;
    std::uint32_t slots;
    std::uint32_t replacements;  // per thread before it hands on
    std::uint64_t generations;   // threads in one chain
};

struct Chain {
    Chain(const Shape& s, std::uint64_t seed)
        : shape(s), random(seed), slots(s.slots), generations_left(s.generations) {}

    Shape shape;
    Random random;
    Table<Slot> slots;
    std::uint64_t generations_left;
    std::uint64_t checksum = 0;
};

void fill(Slot& slot, Random& random, const Shape& shape) {
    slot.size = random.between(shape.min_size, shape.max_size);
    slot.block = must_malloc(slot.size);
    stamp(slot.block, slot.size, random.next());
}

void empty(Slot& slot, std::uint64_t& checksum) {
    checksum += scramble(read_stamp(slot.block, slot.size) + slot.size);
    std::free(slot.block);
    slot.block = nullptr;
}

// One thread's life. The successor is started by the dying thread, as in the paper; the last one
// counts down.
void generation(Chain* chain, std::latch* done) {
    Random random = chain->random;
    std::uint64_t checksum = 0;
    for (std::uint32_t i = 0; i < chain->shape.replacements; ++i) {
        Slot& slot = chain->slots[random.below(chain->shape.slots)];
        empty(slot, checksum);
        fill(slot, random, chain->shape);
    }
    chain->random = random;
    chain->checksum += checksum;
    if (--chain->generations_left == 0) {
        done->count_down();
    } else {
        std::thread(generation, chain, done).detach();
    }
}

Outcome run(const Options& options, Measure& measure, const Shape& shape) {
    Table<Chain*> chains(options.threads);
    for (unsigned t = 0; t < options.threads; ++t) {
        void* place = mmap(nullptr, sizeof(Chain), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED) die("mmap of a chain failed");
        chains[t] = new (place) Chain(shape, options.seed + t);
    }
    std::latch done(options.threads);

    measure.begin();
    for (Chain* chain : chains) {
        for (Slot& slot : chain->slots) fill(slot, chain->random, shape);
    }
    for (Chain* chain : chains) std::thread(generation, chain, &done).detach();
    done.wait();
    Outcome outcome;
    for (Chain* chain : chains) {
        for (Slot& slot : chain->slots) empty(slot, chain->checksum);
        outcome.checksum += chain->checksum;
        outcome.ops += shape.slots + shape.generations * shape.replacements;
    }
    measure.end();
    return outcome;
}

}  // namespace

Outcome larson(const Options& options, Measure& measure) {
    const Shape shape{8, 1000, 5000, 50'000, options.work(options.threads > 2 ? 100 : 200)};
    return run(options, measure, shape);
}

Outcome larson_mid(const Options& options, Measure& measure) {
    const Shape shape{2048, 32768, 2000, 20'000, options.work(options.threads > 2 ? 60 : 120)};
    return run(options, measure, shape);
}

}  // namespace hak::bench
