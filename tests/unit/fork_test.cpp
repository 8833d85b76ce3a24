// fork_test.cpp: a fork that waits for visitors sleeps, and wakes whenever the last of them ends.
// Real threads on the shipped world.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>
#include <vector>

#include "api/real_world.hpp"
#include "tests/unit/examples.hpp"

namespace {

using W = hak::RealWorld;

double seconds_of(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// How much processor time the waiting takes while one visitor is at work for `length` seconds. A
// fork that does not wait ends the program.
double cost_of_waiting(double length) {
    if (!hak::heaps<W>.begin_visiting()) return length;
    double cost = 0;
    std::atomic<bool> is_prepared{false};
    std::thread forker([&] {
        const double before = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        hak::fork_prepare<W>();
        is_prepared.store(true, std::memory_order_relaxed);
        cost = seconds_of(CLOCK_THREAD_CPUTIME_ID) - before;
        hak::fork_parent<W>();
    });
    std::this_thread::sleep_for(std::chrono::duration<double>(length));
    if (is_prepared.load(std::memory_order_relaxed)) {
        std::fprintf(stderr, "FAILED: a fork was prepared while a visitor was at work\n");
        std::exit(1);
    }
    hak::heaps<W>.end_visiting();
    forker.join();
    return cost;
}

// Visitors come and go while forks are prepared, one after the other. A wake-up that got lost would
// leave the forker asleep for ever.
void prepare_among_visitors(int forks) {
    std::atomic<bool> stop{false};
    std::atomic<unsigned> inside{0};
    std::atomic<unsigned> met{0};
    std::vector<std::thread> visitors;
    for (int i = 0; i < 3; ++i)
        visitors.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                if (!hak::heaps<W>.begin_visiting()) continue;
                inside.fetch_add(1, std::memory_order_relaxed);
                std::this_thread::yield();
                inside.fetch_sub(1, std::memory_order_relaxed);
                hak::heaps<W>.end_visiting();
            }
        });
    for (int i = 0; i < forks; ++i) {
        hak::fork_prepare<W>();
        met.fetch_add(inside.load(std::memory_order_relaxed), std::memory_order_relaxed);
        hak::fork_parent<W>();
    }
    stop.store(true, std::memory_order_relaxed);
    for (std::thread& t : visitors) t.join();
    if (met.load() == 0) return;
    kit::broken("somebody visits although a fork is prepared");
}

void waiting_sleeps() {
    const double length = 0.4, cost = cost_of_waiting(length);
    kit::require(cost <= length / 4, "waiting ", length, " s for a visitor took ", cost,
                 " s of processor time");
}
void forks_among_visitors() {
    prepare_among_visitors(20'000);
}

}  // namespace

int main(int, char** argv) {
    check_test examples[] = {CHECK_TEST(waiting_sleeps), CHECK_TEST(forks_among_visitors)};
    return unit::run(argv, examples);
}
