// Threads that allocate and fork one after the other.
//
// Whose turn it is, is told by a relaxed number: nothing in this program orders one turn before the
// next. So ThreadSanitizer sees every datum that the allocator leaves from one thread to another
// without synchronisation of its own, in every run: no two threads have to meet.
#include <atomic>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"rounds", 3, 1, 1000},
    {"threads", 3, 2, 64},
    {"seed", 1409, 0, UINT64_MAX},
};
const uint64_t &rounds = parameters[0].value, &threads = parameters[1].value;

constexpr size_t kBlocks = 64;
constexpr uint64_t kMaxSize = 200000;

// 0 until all threads are there.
std::atomic<uint64_t> turn{0};

void allocate_all(stress::Random& random, stress::Block* blocks, uint32_t owner) {
    for (size_t i = 0; i < kBlocks; ++i) {
        const auto size = static_cast<uint32_t>(random.log_between(1, kMaxSize));
        blocks[i] = stress::allocate(size, owner, i);
    }
}

void release_all(stress::Block* blocks, const char* where) {
    for (size_t i = 0; i < kBlocks; ++i) stress::release(blocks[i], where);
}

void fork_once(stress::Random& random, stress::Block* blocks) {
    const pid_t child = fork();
    if (child < 0) stress::fail("fork: %s", strerror(errno));
    if (child == 0) {
        alarm(20);
        release_all(blocks, "child");
        allocate_all(random, blocks, 0);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR) stress::fail("waitpid: %s", strerror(errno));
    if (status != 0) stress::fail("a forked child ended with wait status %#x", unsigned(status));
}

void live(uint64_t number, uint64_t seed) {
    stress::Random random(seed);
    stress::Block blocks[kBlocks];
    for (uint64_t round = 0; round < rounds; ++round) {
        const uint64_t mine = 1 + round * threads + number;
        while (turn.load(std::memory_order_relaxed) != mine) std::this_thread::yield();
        // First of all: an allocation would take locks, and so order this turn behind the others.
        fork_once(random, blocks);
        release_all(blocks, "turn");
        allocate_all(random, blocks, static_cast<uint32_t>(number + 1));
        turn.store(mine + 1, std::memory_order_relaxed);
    }
    release_all(blocks, "end of thread");
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    stress::Random random(stress::seed_of_run);
    std::vector<std::thread> all;
    for (uint64_t i = 0; i < threads; ++i) all.emplace_back(live, i, random.next());
    turn.store(1, std::memory_order_relaxed);
    for (std::thread& t : all) t.join();
    stress::audit("all threads joined");
    stress::check_mapping_count();
    printf("fork_in_turn: %" PRIu64 " forks, seed %" PRIu64 "\n", rounds * threads,
           stress::seed_of_run);
    return 0;
}
