// Thousands of short threads. Each takes blocks that dead threads left behind, frees some of them,
// allocates its own, leaves some and dies. Some threads only free, some only allocate, some do
// their last work in a thread_local destructor: every role of a heap's birth, death and adoption,
// many times over. Every block carries cookies.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"seconds", 3, 1, 86400},     {"min", 1, 1, 1u << 24},       {"max", 100000, 1, 1u << 24},
    {"blocks", 300, 1, 1u << 20}, {"seed", 1618, 0, UINT64_MAX}, {"threads", 4, 1, 512},
};
const uint64_t &seconds = parameters[0].value, &min_size = parameters[1].value,
               &max_size = parameters[2].value, &blocks_per_thread = parameters[3].value,
               &threads = parameters[5].value;

std::atomic<uint32_t> next_owner{1};

// Blocks whose threads may be dead, in static memory.
class Estate {
  public:
    static constexpr size_t kCapacity = 1u << 15;

    bool leave(const stress::Block& b) {
        pthread_mutex_lock(&mutex_);
        const bool fits = count_ < kCapacity;
        if (fits) blocks_[count_++] = b;
        pthread_mutex_unlock(&mutex_);
        return fits;
    }
    bool inherit(stress::Random& random, stress::Block& out) {
        pthread_mutex_lock(&mutex_);
        const bool found = count_ > 0;
        if (found) {
            stress::Block& b = blocks_[random.below(count_)];
            out = b;
            b = blocks_[--count_];
        }
        pthread_mutex_unlock(&mutex_);
        return found;
    }
    void release_all() {
        for (size_t i = 0; i < count_; ++i) stress::release(blocks_[i], "end");
        count_ = 0;
    }

  private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    stress::Block blocks_[kCapacity];
    size_t count_ = 0;
};
Estate estate;

uint32_t random_size(stress::Random& random) {
    return static_cast<uint32_t>(random.log_between(min_size, max_size));
}

void allocate_some(stress::Random& random, uint32_t owner) {
    const uint64_t n = random.below(blocks_per_thread);
    for (uint64_t i = 0; i < n; ++i) {
        stress::Block b = stress::allocate(random_size(random), owner, i);
        if (random.below(3) == 0 || !estate.leave(b)) stress::release(b, "own");
    }
}

void free_some(stress::Random& random) {
    const uint64_t n = random.below(blocks_per_thread);
    stress::Block b;
    for (uint64_t i = 0; i < n && estate.inherit(random, b); ++i) stress::release(b, "inherited");
}

// Its destructor runs among the thread's last acts, possibly after the allocator's own exit hook.
struct LastAct {
    bool armed = false;
    stress::Block kept;
    uint64_t seed = 0;
    ~LastAct() {
        if (!armed) return;
        stress::release(kept, "thread_local destructor");
        stress::Random random(seed);
        allocate_some(random, 0);
        free_some(random);
    }
};
thread_local LastAct last_act;

void live_and_die(uint64_t seed) {
    stress::Random random(seed);
    const uint32_t owner = next_owner.fetch_add(1, std::memory_order_relaxed);
    switch (random.below(5)) {
        case 0:
            free_some(random);
            break;
        case 1:
            allocate_some(random, owner);
            break;
        case 2:
            break;
        case 3:
            last_act.kept = stress::allocate(random_size(random), owner, 0);
            last_act.seed = random.next();
            last_act.armed = true;
            [[fallthrough]];
        default:
            allocate_some(random, owner);
            free_some(random);
            break;
    }
}

void churn(uint64_t seed, std::chrono::steady_clock::time_point end) {
    stress::Random random(seed);
    while (std::chrono::steady_clock::now() < end) std::thread(live_and_die, random.next()).join();
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    if (min_size > max_size) {
        fprintf(stderr, "%s: min is above max\nusage: %s seconds min max blocks seed threads\n",
                argv[0], argv[0]);
        return 2;
    }
    stress::Random random(stress::seed_of_run);
    const auto start = std::chrono::steady_clock::now();
    constexpr int kPhases = 3;
    for (int phase = 1; phase <= kPhases; ++phase) {
        const auto end = start + std::chrono::milliseconds(seconds * 1000 *
                                                           static_cast<uint64_t>(phase) / kPhases);
        std::vector<std::thread> chains;
        for (uint64_t i = 0; i < threads; ++i) chains.emplace_back(churn, random.next(), end);
        for (std::thread& t : chains) t.join();
        stress::audit("all threads joined");
    }
    estate.release_all();
    stress::audit("all freed");
    stress::check_mapping_count();
    const uint32_t count = next_owner.load(std::memory_order_relaxed) - 1;
    printf("thread_churn: %u threads, %.0f/s, seed %" PRIu64 "\n", count,
           count / stress::seconds_since(start), stress::seed_of_run);
    return 0;
}
