// Forks from worker threads and from the main thread while all threads allocate, free each other's
// blocks, start and die.
//
// The child calls nothing but the allocator under test: it allocates at once, verifies and frees
// the blocks that its thread and the other threads had at the fork, allocates again, may fork once
// more, and exits. A child that does not end within 20 s hangs, and that is a failure.
#include <atomic>
#include <csignal>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"seconds", 3, 1, 86400},    {"min", 1, 1, 1u << 24},       {"max", 200000, 1, 1u << 24},
    {"slots", 400, 8, 1u << 20}, {"seed", 5772, 0, UINT64_MAX}, {"threads", 3, 1, 64},
};
const uint64_t &seconds = parameters[0].value, &min_size = parameters[1].value,
               &max_size = parameters[2].value, &slots = parameters[3].value,
               &threads = parameters[5].value;

std::atomic<bool> stop{false};
std::atomic<uint64_t> forks{0};
std::atomic<uint32_t> next_owner{1};

// Blocks that stay as they are as long as forks happen: a child can verify them whichever thread
// forked.
constexpr size_t kHeirlooms = 256;
stress::Block heirlooms[kHeirlooms];

uint32_t random_size(stress::Random& random) {
    return static_cast<uint32_t>(random.log_between(min_size, max_size));
}

void churn(stress::Random& random, stress::Block* table, size_t n, uint32_t owner, uint64_t steps) {
    for (uint64_t i = 0; i < steps; ++i) {
        stress::Block& b = table[random.below(n)];
        stress::release(b, "churn");
        b = stress::allocate(random_size(random), owner, i);
    }
}

// Returns in the process that called it; the child ends by _exit.
void fork_once(stress::Random& random, stress::Block* table, size_t n, int depth) {
    const uint64_t child_seed = random.next();
    const pid_t child = fork();
    if (child < 0) stress::fail("fork: %s", strerror(errno));
    if (child == 0) {
        alarm(20);
        stress::Random own(child_seed);
        stress::Block first = stress::allocate(random_size(own), 0, 0);
        for (size_t i = 0; i < n; ++i)
            if (own.below(4) != 0) stress::release(table[i], "child, blocks of the forking thread");
        for (size_t i = 0; i < kHeirlooms; ++i)
            if (own.below(4) != 0) stress::release(heirlooms[i], "child, blocks of other threads");
        churn(own, table, n, 0, 200);
        stress::release(first, "child");
        if (depth < 1 && own.below(4) == 0) fork_once(own, table, n, depth + 1);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) stress::fail("waitpid: %s", strerror(errno));
    if (WIFSIGNALED(status))
        stress::fail("a forked child was ended by signal %d%s", WTERMSIG(status),
                     WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
    if (WEXITSTATUS(status) != 0) stress::fail("a forked child ended with %d", WEXITSTATUS(status));
    forks.fetch_add(1, std::memory_order_relaxed);
}

// Blocks travel between workers through this exchange, so that remote frees are in flight at a
// fork.
std::atomic<std::vector<stress::Block>*> exchange_slot{nullptr};

void live(uint64_t seed) {
    stress::Random random(seed);
    const uint32_t owner = next_owner.fetch_add(1, std::memory_order_relaxed);
    std::vector<stress::Block> table(slots);
    const uint64_t rounds = random.between(1, 8);
    for (uint64_t round = 0; round < rounds && !stop.load(std::memory_order_relaxed); ++round) {
        churn(random, table.data(), table.size(), owner, 500);
        stress::Block parcel[64];
        for (stress::Block& b : parcel) b = stress::allocate(random_size(random), owner, round);
        auto* boxed = new std::vector<stress::Block>(parcel, parcel + 64);
        if (auto* other = exchange_slot.exchange(boxed, std::memory_order_acq_rel);
            other != nullptr) {
            for (stress::Block& b : *other) stress::release(b, "parcel");
            delete other;
        }
        fork_once(random, table.data(), table.size(), 0);
    }
    for (stress::Block& b : table) stress::release(b, "end of thread");
}

void keep_alive(uint64_t seed) {
    stress::Random random(seed);
    while (!stop.load(std::memory_order_relaxed)) std::thread(live, random.next()).join();
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    if (min_size > max_size) {
        fprintf(stderr, "%s: min is above max\nusage: %s seconds min max slots seed threads\n",
                argv[0], argv[0]);
        return 2;
    }
    stress::Random random(stress::seed_of_run);
    for (size_t i = 0; i < kHeirlooms; ++i)
        heirlooms[i] = stress::allocate(random_size(random), 0, i);
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> workers;
    for (uint64_t i = 0; i < threads; ++i) workers.emplace_back(keep_alive, random.next());
    std::vector<stress::Block> table(slots);
    while (stress::seconds_since(start) < static_cast<double>(seconds)) {
        churn(random, table.data(), table.size(), 0, 300);
        fork_once(random, table.data(), table.size(), 0);
    }
    stop.store(true, std::memory_order_relaxed);
    for (std::thread& t : workers) t.join();
    stress::audit("all threads joined");
    for (stress::Block& b : table) stress::release(b, "end");
    for (stress::Block& b : heirlooms) stress::release(b, "end");
    if (auto* rest = exchange_slot.load(std::memory_order_acquire); rest != nullptr) {
        for (stress::Block& b : *rest) stress::release(b, "end");
        delete rest;
    }
    stress::audit("all freed");
    stress::check_mapping_count();
    printf("fork_storm: %" PRIu64 " forks, seed %" PRIu64 "\n",
           forks.load(std::memory_order_relaxed), stress::seed_of_run);
    return 0;
}
