// Blocks that one thread allocates and another one frees, through bounded queues, with cookies in
// every block.
//
// Producers allocate and put; they die after a random number of blocks, with blocks in flight, and
// a new one takes the place. Consumers only free and never allocate, so that they never need a
// heap. Relays take a block, free it and put a fresh one into the second queue, so that they own
// blocks and receive others'. Under a plain build the resident memory of the second half of the run
// is compared with that of the first: it must not grow with the number of rounds.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"seconds", 3, 1, 86400},    {"min", 1, 1, 1u << 24},
    {"max", 40000, 1, 1u << 24}, {"seed", 271828, 0, UINT64_MAX},
    {"producers", 2, 1, 64},     {"consumers", 2, 1, 64},
    {"relays", 1, 0, 64},
};
const uint64_t &seconds = parameters[0].value, &min_size = parameters[1].value,
               &max_size = parameters[2].value, &producers = parameters[4].value,
               &consumers = parameters[5].value, &relays = parameters[6].value;

std::atomic<bool> stop{false};
std::atomic<uint32_t> next_owner{1};
std::atomic<uint64_t> consumed{0};

// A bounded queue in static memory. Putting into a full queue and taking from an empty one wait,
// until `closed`.
class Queue {
  public:
    static constexpr size_t kCapacity = 4096;

    bool put(const stress::Block& b) {
        pthread_mutex_lock(&mutex_);
        while (count_ == kCapacity && !closed_) pthread_cond_wait(&changed_, &mutex_);
        const bool open = !closed_;
        if (open) {
            blocks_[(first_ + count_) % kCapacity] = b;
            if (count_++ == 0) pthread_cond_broadcast(&changed_);
        }
        pthread_mutex_unlock(&mutex_);
        return open;
    }
    // Takes up to `most` blocks; 0 only when the queue is closed and empty.
    size_t take(stress::Block* out, size_t most) {
        pthread_mutex_lock(&mutex_);
        while (count_ == 0 && !closed_) pthread_cond_wait(&changed_, &mutex_);
        const bool was_full = count_ == kCapacity;
        size_t n = 0;
        for (; n < most && count_ > 0; ++n, --count_) {
            out[n] = blocks_[first_];
            first_ = (first_ + 1) % kCapacity;
        }
        if (was_full) pthread_cond_broadcast(&changed_);
        pthread_mutex_unlock(&mutex_);
        return n;
    }
    void close() {
        pthread_mutex_lock(&mutex_);
        closed_ = true;
        pthread_cond_broadcast(&changed_);
        pthread_mutex_unlock(&mutex_);
    }

  private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
    stress::Block blocks_[kCapacity];
    size_t first_ = 0;
    size_t count_ = 0;
    bool closed_ = false;
};
Queue first_queue;
Queue second_queue;

uint32_t random_size(stress::Random& random) {
    return static_cast<uint32_t>(random.log_between(min_size, max_size));
}

void produce_until_death(uint64_t seed) {
    stress::Random random(seed);
    const uint32_t owner = next_owner.fetch_add(1, std::memory_order_relaxed);
    const uint64_t life = random.between(1, 20'000);
    for (uint64_t i = 0; i < life && !stop.load(std::memory_order_relaxed); ++i) {
        stress::Block b = stress::allocate(random_size(random), owner, i);
        if (!first_queue.put(b)) {
            stress::release(b, "producer");
            return;
        }
    }
}

// Starts producers one after the other; the loop itself allocates no blocks.
void produce(uint64_t seed) {
    stress::Random random(seed);
    while (!stop.load(std::memory_order_relaxed))
        std::thread(produce_until_death, random.next()).join();
}

void consume(Queue& queue) {
    stress::Block blocks[64];
    while (const size_t n = queue.take(blocks, 64)) {
        for (size_t i = 0; i < n; ++i) stress::release(blocks[i], "consumer");
        consumed.fetch_add(n, std::memory_order_relaxed);
    }
}

void relay(uint64_t seed) {
    stress::Random random(seed);
    const uint32_t owner = next_owner.fetch_add(1, std::memory_order_relaxed);
    stress::Block blocks[64];
    uint64_t sequence = 0;
    while (const size_t n = first_queue.take(blocks, 64)) {
        for (size_t i = 0; i < n; ++i) {
            stress::release(blocks[i], "relay");
            stress::Block b = stress::allocate(random_size(random), owner, sequence++);
            if (!second_queue.put(b)) stress::release(b, "relay's own");
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    if (min_size > max_size) {
        fprintf(stderr,
                "%s: min is above max\nusage: %s seconds min max seed producers consumers relays\n",
                argv[0], argv[0]);
        return 2;
    }
    stress::Random random(stress::seed_of_run);
    std::vector<std::thread> makers, takers, second_takers;
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t i = 0; i < producers; ++i) makers.emplace_back(produce, random.next());
    for (uint64_t i = 0; i < consumers; ++i) takers.emplace_back(consume, std::ref(first_queue));
    for (uint64_t i = 0; i < relays; ++i) takers.emplace_back(relay, random.next());
    second_takers.emplace_back(consume, std::ref(second_queue));

    size_t peak_first_half = 0;
    size_t peak_second_half = 0;
    const double length = static_cast<double>(seconds);
    for (double elapsed; (elapsed = stress::seconds_since(start)) < length;) {
        const size_t resident = stress::resident_bytes();
        size_t& peak = elapsed < length / 2 ? peak_first_half : peak_second_half;
        if (resident > peak) peak = resident;
        usleep(5'000);
    }
    stop.store(true, std::memory_order_relaxed);
    // Producers may wait in put(): consumers keep taking until they have died.
    for (std::thread& t : makers) t.join();
    first_queue.close();
    for (std::thread& t : takers) t.join();
    second_queue.close();
    for (std::thread& t : second_takers) t.join();

    stress::audit("all threads joined, all freed");
    stress::check_mapping_count();
    constexpr size_t kSlack = size_t{16} << 20;
    if (!HAKMEM_STRESS_SANITIZED &&
        peak_second_half > peak_first_half + peak_first_half / 2 + kSlack)
        stress::fail(
            "resident memory grows with time: %zu MiB in the first half, %zu MiB in the second",
            peak_first_half >> 20, peak_second_half >> 20);
    printf("producer_consumer: %.0f blocks/s, %u owners, peaks %zu and %zu MiB, seed %" PRIu64 "\n",
           static_cast<double>(consumed.load(std::memory_order_relaxed)) /
               stress::seconds_since(start),
           next_owner.load(std::memory_order_relaxed) - 1, peak_first_half >> 20,
           peak_second_half >> 20, stress::seed_of_run);
    return 0;
}
