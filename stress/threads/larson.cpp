// The server workload of Larson and Krishnan, "Memory allocation for long-running server
// applications" (ISMM 1998), on real threads.
//
// The main thread allocates every block and deals them out at random. Each worker then replaces
// random blocks of its share by new ones of random sizes; after rounds x chunks replacements it
// hands its share to a successor that it starts, and dies. So a block is usually freed by another
// thread than allocated it, and often after that thread's death. Every block carries cookies.
#include <atomic>
#include <vector>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"seconds", 3, 1, 86400},      {"min", 8, 1, 1u << 24},     {"max", 1000, 1, 1u << 24},
    {"chunks", 1000, 1, 1u << 24}, {"rounds", 20, 1, 1u << 24}, {"seed", 4711, 0, UINT64_MAX},
    {"threads", 4, 1, 512},
};
uint64_t argument(size_t i) {
    return parameters[i].value;
}
const uint64_t &seconds = parameters[0].value, &min_size = parameters[1].value,
               &max_size = parameters[2].value, &chunks = parameters[3].value,
               &rounds = parameters[4].value, &threads = parameters[6].value;

std::atomic<bool> stop{false};
std::atomic<uint32_t> next_owner{1};

// One share of blocks and the chain of threads that hold it one after the other.
struct Chain {
    std::vector<stress::Block> blocks;
    uint64_t random_state = 0;
    uint64_t operations = 0;
    uint64_t generations = 0;
    bool has_predecessor = false;
    pthread_t predecessor{};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
    bool has_ended = false;
    pthread_t last{};
};

uint32_t random_size(stress::Random& random) {
    return static_cast<uint32_t>(random.between(min_size, max_size));
}

void* work(void* argument_of_thread) {
    Chain& chain = *static_cast<Chain*>(argument_of_thread);
    stress::Random random(chain.random_state);
    const uint32_t owner = next_owner.fetch_add(1, std::memory_order_relaxed);
    const uint64_t limit = rounds * chain.blocks.size();
    uint64_t done = 0;
    for (; done < limit && !stop.load(std::memory_order_relaxed); ++done) {
        stress::Block& b = chain.blocks[random.below(chain.blocks.size())];
        stress::release(b, "replace");
        b = stress::allocate(random_size(random), owner, done);
    }
    chain.operations += done;
    chain.generations += 1;
    chain.random_state = random.next();

    // The predecessor is joined only here, so that its death overlaps with this thread's work.
    if (chain.has_predecessor && pthread_join(chain.predecessor, nullptr) != 0)
        stress::fail("pthread_join failed");
    chain.has_predecessor = true;
    chain.predecessor = pthread_self();
    if (!stop.load(std::memory_order_relaxed)) {
        pthread_t successor;
        if (const int error = pthread_create(&successor, nullptr, work, &chain); error != 0)
            stress::fail("pthread_create: %s", strerror(error));
        return nullptr;
    }
    pthread_mutex_lock(&chain.mutex);
    chain.has_ended = true;
    chain.last = pthread_self();
    pthread_cond_signal(&chain.ended);
    pthread_mutex_unlock(&chain.mutex);
    return nullptr;
}

// All chains live until `end` seconds after `start`; when this returns, none of their threads does.
void run_until(std::vector<Chain>& chains, std::chrono::steady_clock::time_point start,
               double end) {
    stop.store(false, std::memory_order_relaxed);
    for (Chain& chain : chains) {
        chain.has_predecessor = chain.has_ended = false;
        pthread_t first;
        if (const int error = pthread_create(&first, nullptr, work, &chain); error != 0)
            stress::fail("pthread_create: %s", strerror(error));
    }
    while (stress::seconds_since(start) < end) usleep(10'000);
    stop.store(true, std::memory_order_relaxed);
    for (Chain& chain : chains) {
        pthread_mutex_lock(&chain.mutex);
        while (!chain.has_ended) pthread_cond_wait(&chain.ended, &chain.mutex);
        pthread_mutex_unlock(&chain.mutex);
        pthread_join(chain.last, nullptr);
    }
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    if (min_size > max_size) {
        fprintf(stderr,
                "%s: min is above max\nusage: %s seconds min max chunks rounds seed threads\n",
                argv[0], argv[0]);
        return 2;
    }
    stress::Random random(argument(5));

    std::vector<stress::Block> all(threads * chunks);
    for (size_t i = 0; i < all.size(); ++i) all[i] = stress::allocate(random_size(random), 0, i);
    for (size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[random.below(i)]);

    std::vector<Chain> chains(threads);
    for (size_t t = 0; t < threads; ++t) {
        chains[t].blocks.assign(all.begin() + static_cast<ptrdiff_t>(t * chunks),
                                all.begin() + static_cast<ptrdiff_t>((t + 1) * chunks));
        chains[t].random_state = random.next();
    }
    const auto start = std::chrono::steady_clock::now();
    constexpr int kPhases = 3;
    for (int phase = 1; phase <= kPhases; ++phase) {
        run_until(chains, start, static_cast<double>(seconds) * phase / kPhases);
        stress::audit("all threads joined");
    }
    uint64_t operations = 0;
    uint64_t generations = 0;
    for (const Chain& chain : chains) {
        operations += chain.operations;
        generations += chain.generations;
    }
    const double elapsed = stress::seconds_since(start);
    for (Chain& chain : chains)
        for (stress::Block& b : chain.blocks) stress::release(b, "end");
    stress::audit("all freed");
    stress::check_mapping_count();
    printf("larson: %.0f replacements/s, %" PRIu64 " threads in %zu chains, seed %" PRIu64 "\n",
           static_cast<double>(operations) / elapsed, generations, chains.size(),
           stress::seed_of_run);
    return 0;
}
