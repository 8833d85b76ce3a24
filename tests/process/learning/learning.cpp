// learning.cpp: the learner in a real process, through the functions of hakmem_learn.h.
//
//   learning CASE     exit code 0: what the case promises holds. HAKMEM_OPTIONS says the mode.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "hakmem/hakmem.h"
#include "hakmem/hakmem_learn.h"
#include "tests/check.hpp"

namespace {

constexpr size_t kBlock = size_t{2} << 20;

void expect(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "FAILED: %s\n", what);
    check_say(check_line);
    std::exit(1);
}

// Eight blocks of a superslab each are allocated, touched in one page and freed, again and again:
// twice what the purge batch may hold under the options of these tests, so that a strategy that
// sends them to the batch pays for them, and one that caches them does not.
void work(unsigned rounds) {
    void* blocks[8];
    for (unsigned r = 0; r < rounds; ++r) {
        for (void*& p : blocks) {
            p = hak_malloc(kBlock);
            expect(p != nullptr, "no memory");
            *static_cast<volatile char*>(p) = 1;
        }
        for (void* p : blocks) hak_free(p);
        // And one that the thread keeps, and takes again without the pool.
        void* const kept = hak_malloc(size_t{64} << 10);
        expect(kept != nullptr, "no memory");
        hak_free(kept);
    }
}

uint64_t above_small() {
    struct hak_stats s;
    hak_stats(&s, sizeof s);
    return s.above_small;
}
struct hak_evo_stats evolution() {
    struct hak_evo_stats s;
    expect(hak_evo_get_stats(&s, sizeof s) == 0, "hak_evo_get_stats");
    return s;
}
struct hak_elo_entry place(unsigned rank) {
    struct hak_elo_entry e;
    expect(hak_elo_get_entry(rank, &e, sizeof e) == 0, "hak_elo_get_entry");
    return e;
}
// Every call for a Large or Big block was measured, or counted as missed. Only when all blocks are
// free again, and before anything is frozen.
void check_equation() {
    const struct hak_evo_stats s = evolution();
    expect(s.noted + s.missed == 2 * above_small(),
           "noted + missed is not the number of allocations and frees");
}

// hakmem's own learner never moved a rating (its samples took no time, and nothing compared them).
void learns() {
    expect(hak_init() == 0, "hak_init");
    expect(
        HAK_ENABLED_LEARNING(HAKMEM_FEATURE_EVOLUTION) && HAK_ENABLED_LEARNING(HAKMEM_FEATURE_ELO),
        "the features do not act in this mode");
    expect(hak_elo_is_initialized() && !hak_evo_is_frozen() && !hak_evo_is_canary(),
           "the learner does not learn");
    for (unsigned rank = 0; rank < 12; ++rank)
        expect(place(rank).rating == 1500 && place(rank).samples == 0,
               "ratings before anything happened");
    const auto fewest = [] {
        uint64_t samples = UINT64_MAX;
        for (unsigned rank = 0; rank < 12; ++rank)
            samples = place(rank).samples < samples ? place(rank).samples : samples;
        return samples;
    };
    const uint64_t began = get_time_ns();
    while (fewest() < 50 || evolution().windows < 15) {
        work(200);
        expect(get_time_ns() - began < uint64_t{30} * 1'000'000'000, "windows do not close");
    }
    check_equation();
    const uint64_t before = evolution().generation;
    for (unsigned rank = 0; rank < 12; ++rank) place(rank);
    expect(evolution().generation == before, "who only asks makes a decision");
    work(10'000);
    expect(evolution().generation > before, "decisions are not published");
    double sum = 0, lowest_cached = 1e9, highest_batched = 0;
    for (unsigned rank = 0; rank < 12; ++rank) {
        const struct hak_elo_entry e = place(rank);
        expect(e.wins + e.losses + e.draws > 0 && e.samples >= 50, "a strategy was never compared");
        expect(e.threshold == hak_elo_get_threshold(e.strategy), "thresholds differ");
        sum += e.rating;
        if (e.threshold > kBlock)
            lowest_cached = e.rating < lowest_cached ? e.rating : lowest_cached;
        if (e.threshold <= kBlock)
            highest_batched = e.rating > highest_batched ? e.rating : highest_batched;
    }
    expect(sum > 12 * 1500 - 0.1 && sum < 12 * 1500 + 0.1, "ratings were made or lost");
    std::printf("best %zu KiB, %.0f points; best of those that purge these blocks %.0f\n",
                place(0).threshold >> 10, place(0).rating, highest_batched);
    expect(place(0).threshold > kBlock,
           "the best strategy is one that purges what is used again at once");
    expect(place(0).rating > 1600 && place(0).rating > highest_batched + 100,
           "ratings did not converge");
    expect(hak_evo_get_confirmed_strategy() == 4,
           "something was confirmed before anything was frozen");
}

// LEARN, CANARY, FROZEN, in the time that the options leave.
void freeze() {
    hak_init();
    uint64_t began = get_time_ns();
    unsigned canaries = 0;
    while (!hak_evo_is_frozen()) {
        expect(hak_evo_get_candidate_strategy() == hak_evo_get_confirmed_strategy() ||
                   hak_evo_is_canary(),
               "a candidate without a canary");
        work(100);
        if (hak_evo_is_canary() && ++canaries == 1) {
            expect(hak_evo_get_candidate_strategy() != hak_evo_get_confirmed_strategy(),
                   "the candidate is the confirmed strategy");
            unsigned chosen = 0;
            for (int i = 0; i < 4000; ++i) chosen += hak_evo_should_use_candidate() != 0;
            expect(chosen > 100 && chosen < 300, "not one decision in twenty is the candidate's");
        }
        expect(get_time_ns() - began < uint64_t{100} * 1'000'000'000, "nothing was frozen");
    }
    const struct hak_evo_stats s = evolution();
    // From here on one in 16 of the blocks that the thread keeps is measured, and all others: 16
    // calls in each round.
    work(1600);
    const uint64_t measured = evolution().noted + evolution().missed - s.noted - s.missed;
    expect(hak_evo_is_frozen() && measured >= 1600 * 16 + 200 && measured < 1600 * 16 + 300,
           "a frozen learner measures more or less than it says");
    expect(s.freezes == 1 && s.promotions + s.rollbacks <= (canaries != 0 ? 1 : 0), "freezes");
    const int confirmed = hak_evo_get_confirmed_strategy();
    expect(s.promotions == 1 ? hak_elo_get_threshold(confirmed) > kBlock : confirmed == 4,
           "what was promoted purges what is used again at once");
    std::printf("frozen with %zu KiB after %.1f s, %s\n", hak_elo_get_threshold(confirmed) >> 10,
                static_cast<double>(get_time_ns() - began) * 1e-9,
                s.promotions != 0 ? "promoted" : "not promoted");
}

// The same in a child, whose words are read: each turn is a line with what was confirmed and what
// is, or is tried, and what was learned is printed at exit.
void freezes() {
    int ends[2];
    expect(pipe(ends) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        freeze();
        std::exit(0);
    }
    close(ends[1]);
    FILE* const said = fdopen(ends[0], "r");
    unsigned long confirmed = 2048, candidate = 0, kib = 0;
    long points = 0;
    unsigned places = 0;
    bool is_frozen = false;
    for (char line[256]; std::fgets(line, sizeof line, said) != nullptr;) {
        unsigned long from = 0, to = 0;
        unsigned place = 0;
        long rating = 0;
        char turn[16];
        if (std::sscanf(line, "hakmem: learning: %15[a-z ]: threshold %lu KiB -> %lu KiB", turn,
                        &from, &to) == 3) {
            const bool tries = std::strcmp(turn, "canary") == 0,
                       promotes = std::strcmp(turn, "promote") == 0;
            expect(from == confirmed &&
                       (tries ? to != confirmed : to == (promotes ? candidate : confirmed)),
                   line);
            (tries ? candidate : confirmed) = to;
            is_frozen = !tries && std::strcmp(turn, "learn again") != 0;
        } else if (std::sscanf(line, "hakmem: learning: %u %lu %ld ", &place, &from, &rating) ==
                   3) {
            expect(place == ++places, line);
            kib += from;
            points += rating;
        } else {
            expect(std::strstr(line, "hakmem: served ") == line ||
                       std::strstr(line, "hakmem: learning: place, ") == line,
                   line);
        }
    }
    int status = 0;
    expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "the child failed");
    expect(is_frozen, "the last turn that was printed is no freeze");
    // All twelve thresholds, and their points but for the fraction of each that is cut off.
    expect(places == 12 && kib == 88832 && points > 12 * 1500 - 12 && points < 12 * 1500 + 12,
           "the table at exit");
}

// In the modes without a learner nothing is measured, whatever is called.
void rests() {
    work(200);
    expect(!HAK_ENABLED_LEARNING(HAKMEM_FEATURE_EVOLUTION) &&
               !HAK_ENABLED_LEARNING(HAKMEM_FEATURE_ELO),
           "a feature acts");
    expect(hak_evo_is_frozen() && !hak_evo_is_canary() && !hak_elo_is_initialized(), "phase");
    for (int i = 0; i < 1000; ++i) hak_elo_record_alloc(7, kBlock, 1);
    expect(hak_elo_async_recompute() == 4 && hak_elo_get_cached_strategy() == 4 &&
               hak_elo_select_strategy() == 4,
           "strategy");
    expect(hak_elo_get_threshold(4) == size_t{2} << 20 &&
               hak_elo_get_threshold(-1) == size_t{2} << 20 &&
               hak_elo_get_threshold(12) == size_t{2} << 20,
           "threshold");
    expect(hak_evo_tick(get_time_ns()) == 0 && hak_evo_should_use_candidate() == 0, "tick");
    const struct hak_evo_stats s = evolution();
    expect(s.noted == 0 && s.missed == 0 && s.windows == 0 && s.generation == 0,
           "something was measured");
    expect(place(0).samples == 0 && place(0).rating == 1500, "something was rated");
    expect(hak_elo_get_entry(12, nullptr, 0) != 0 && hak_evo_get_stats(nullptr, 0) != 0,
           "wrong arguments");
}

// A caller that compares all the time takes nothing from the trials: each strategy gets its own.
void compares() {
    hak_init();
    const auto fewest = [] {
        uint64_t samples = UINT64_MAX;
        for (unsigned rank = 0; rank < 12; ++rank)
            samples = place(rank).samples < samples ? place(rank).samples : samples;
        return samples;
    };
    const uint64_t began = get_time_ns();
    while (fewest() < 50) {
        work(1);
        hak_elo_async_recompute();
        expect(get_time_ns() - began < uint64_t{60} * 1'000'000'000, "some strategy gets no trial");
    }
    double sum = 0;
    for (unsigned rank = 0; rank < 12; ++rank) sum += place(rank).rating;
    expect(sum > 12 * 1500 - 0.1 && sum < 12 * 1500 + 0.1, "ratings were made or lost");
    expect(place(0).threshold > kBlock,
           "the best strategy is one that purges what is used again at once");
}

// A caller's samples count as those of the slow paths do.
void records() {
    hak_init();
    for (int i = 0; i < 200; ++i) {
        for (int s = 0; s < 12; ++s)
            hak_elo_record_alloc(s, kBlock, s == 9 ? 1000 : 5000 + 100 * static_cast<uint64_t>(s));
    }
    hak_elo_async_recompute();
    const double rating = place(0).rating;
    for (int i = 0; i < 1000; ++i) hak_elo_async_recompute();
    expect(place(0).rating == rating, "what was compared once is compared again");
    expect(place(0).strategy == 9 && hak_elo_get_cached_strategy() == 9,
           "the cheapest strategy does not lead");
    unsigned other = 0;
    for (int i = 0; i < 4000; ++i) other += hak_elo_select_strategy() != 9;
    expect(other > 200 && other < 500, "not one selection in ten explores");
}

// Threads meet in the learner; none waits, and every call is accounted for. A process that forks
// meanwhile leaves children that work.
void threads() {
    // The threads work until the last child has ended, however fast they are: each child is forked
    // among threads that are at it. (And ThreadSanitizer reports in a child each thread that had
    // come to its end before the fork, for nobody joins it there.)
    std::atomic<bool> stop{false};
    std::vector<std::thread> all;
    for (int t = 0; t < 4; ++t) {
        all.emplace_back([&stop] {
            work(1500);
            while (!stop.load(std::memory_order_relaxed)) work(1);
        });
    }
    for (int i = 0; i < 8; ++i) {
        const pid_t child = fork();
        expect(child >= 0, "fork");
        if (child == 0) {
            work(100);
            const uint64_t before = evolution().noted;
            work(10);
            expect(evolution().noted == before + 180, "a child does not learn on");
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a child failed");
    }
    stop.store(true, std::memory_order_relaxed);
    for (std::thread& t : all) t.join();
    check_equation();
}

// Ticks until one of them closes a window; returns a time before that tick.
uint64_t tick_to_next_window() {
    for (;;) {
        const uint64_t windows = evolution().windows, before = get_time_ns();
        usleep(20'000);
        hak_evo_tick(get_time_ns());
        const uint64_t now = evolution().windows;
        expect(now == windows || now == windows + 1, "one tick closed several windows");
        if (now != windows) return before;
    }
}

// Nothing misses, and the clock goes on: the caller's ticks end the halves of the trials, and so
// each window, which lasts two seconds or longer. The test's own limit of time ends a run whose
// windows do not close.
void ticks() {
    constexpr uint64_t kSecond = 1'000'000'000, kWindow = 2 * kSecond;
    uint64_t began, windows;
    do {
        began = tick_to_next_window();
        work(20);
        windows = evolution().windows;
        // A caller whose clock is wrong ends nothing, and the others' time goes on: he may be late,
        // or bring another clock's time.
        for (const uint64_t wrong : {uint64_t{0}, began - kWindow, began + 3 * kSecond,
                                     began + 4 * kSecond, UINT64_MAX, UINT64_MAX})
            hak_evo_tick(wrong);
        // On a machine so busy that the window's own time is over meanwhile this says nothing, and
        // the next window is asked.
    } while (get_time_ns() - began >= kWindow);
    expect(evolution().windows == windows && !hak_evo_is_frozen(),
           "a time in the past, or in the future, ended a window");
    tick_to_next_window();
    expect(get_time_ns() - began >= kWindow, "a tick closed a window whose time was not over");
}

}  // namespace

int main(int, char** argv) {
    check_test cases[] = {CHECK_TEST(learns),  CHECK_TEST(freezes),  CHECK_TEST(rests),
                          CHECK_TEST(records), CHECK_TEST(compares), CHECK_TEST(threads),
                          CHECK_TEST(ticks)};
    return check_main(argv, check_chain(cases, std::size(cases)), CHECK_ALONE, 110, nullptr);
}
