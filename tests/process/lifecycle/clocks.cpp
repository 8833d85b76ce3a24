// A program whose clock_gettime allocates and stands still (own_clock.c). The allocator looks at
// the clock in its slow paths, where it holds a heap or a lock: nothing may hang there, and free
// memory goes back to the system after its real delay. One scenario per run.
#include <atomic>
#include <ctime>
#include <sys/wait.h>
#include <thread>

#include "hakmem/hakmem.h"
#include "scenarios.hpp"

extern "C" int hak_stats(struct hak_stats* out, size_t bytes) __attribute__((weak));

namespace {

// The clock of own_clock.c is the one that this process sees.
void expect_own_clock() {
    timespec time{};
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0 || time.tv_sec != 1000)
        stress::fail("the program's own clock is not in force");
}

uint64_t purges() {
    struct hak_stats s;
    if (hak_stats == nullptr || hak_stats(&s, sizeof s) != 0) stress::fail("no statistics");
    return s.purges;
}

// Many refills of every class, each 64th of which looks at the clock.
void refills() {
    for (uint32_t round = 0; round < 3; ++round) lifecycle::mixed_work(round, 3000);
}

// Runs of units and of superslabs: taken, resized in both directions, freed, and all given back.
void large_blocks() {
    for (uint32_t round = 0; round < 10; ++round) {
        for (const uint32_t size : {70'000u, 300'000u, 1'500'000u, 5'000'000u, 40'000'000u}) {
            stress::Block b = stress::allocate(size, 1, round);
            void* const larger = subject::realloc(b.p, size + size / 2);
            void* const smaller = larger == nullptr ? nullptr : subject::realloc(larger, size / 2);
            if (smaller == nullptr) stress::fail("realloc(%u) returned null", size);
            subject::free(smaller);
        }
        if (round % 5 == 0) {
            lifecycle::mixed_work(2, 500);
            malloc_trim(0);
        }
    }
}

// Heaps that are born, given up, visited and adopted.
void threads() {
    for (int round = 0; round < 3; ++round) {
        std::vector<std::thread> all;
        for (uint32_t t = 0; t < 4; ++t) all.emplace_back([t] { lifecycle::mixed_work(t, 1000); });
        for (std::thread& t : all) t.join();
    }
}

void forks() {
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop.load(std::memory_order_relaxed)) lifecycle::mixed_work(1, 500);
    });
    for (int i = 0; i < 4; ++i) {
        const pid_t child = fork();
        if (child < 0) stress::fail("fork: %s", strerror(errno));
        if (child == 0) {
            alarm(20);
            lifecycle::mixed_work(2, 1000);
            malloc_trim(0);
            _exit(0);
        }
        int status = 0;
        while (waitpid(child, &status, 0) < 0)
            if (errno != EINTR) stress::fail("waitpid: %s", strerror(errno));
        if (status != 0)
            stress::fail("a child ended with status 0x%x", static_cast<unsigned>(status));
    }
    stop.store(true, std::memory_order_relaxed);
    busy.join();
}

// What is free is purged when purge_delay is over (run.py sets one of a millisecond), by the
// system's time. Where that does not happen the alarm ends the run.
void time_passes() {
    stress::Block garbage = stress::allocate(16'000'000, 1, 1),
                  behind = stress::allocate(16'000'000, 2, 2);
    memset(garbage.p + 16, 1, garbage.size - 32);
    const uint64_t before = purges();
    stress::release(garbage, "garbage");
    while (purges() == before) {
        usleep(1000);
        stress::Block b = stress::allocate(2'500'000, 3, 3);
        stress::release(b, "what looks at the clock");
    }
    stress::release(behind, "behind the garbage");
}

check_test scenarios[] = {
    CHECK_TEST(refills), CHECK_TEST(large_blocks), CHECK_TEST(threads),
    CHECK_TEST(forks),   CHECK_TEST(time_passes),
};

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && argv[1][0] != '-') expect_own_clock();
    return lifecycle::run(argv, scenarios);
}
