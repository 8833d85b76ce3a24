// scenarios.cpp: the shipped allocator with its learner under a virtual clock, on the four
// scenarios of hakmem's benchmark, json (64 KiB blocks), mir (256 KiB), vm (2 MiB) and mixed, and
// on bursts. Nothing is measured: a system call, a page fault and the client's own work take as
// long as is written here, and which pages are resident is kept in a table. So the cost of each
// fixed threshold, and of what mode learning froze, are the same numbers in every run.
//
//   policy_scenarios      fails if what mode learning froze costs, as a fixed threshold, more than
//                         5 % above the best one; or if the process that froze it costs so much
//                         that the threshold cannot be in force
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "sys/pal_linux.hpp"
#include "sys/pal_linux_statm.hpp"

#include "heap/fork.hpp"
#include "heap/resize.hpp"

#include "learning/learning.hpp"

namespace hak {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "assertion failed: %s at %s:%d\n", condition, file, line);
    std::abort();
}
}  // namespace hak

namespace {

using hak::Random;
using hak::policy::Cost;
using hak::policy::kStrategies;

// Linux, with a clock, a table of resident pages, and counts.
struct Machine {
    static constexpr std::size_t kPage = 4096, kWindow = std::size_t{8} << 30;
    static constexpr std::uint64_t kWorkNs = 20'000, kOperationNs = 300, kCallNs = 1'500,
                                   kPurgedPageNs = 60, kFaultNs = 500;

    std::uint64_t now_ns = 1'000'000'000, calls = 0, faults = 0;
    hak::Address base = 0;
    std::vector<bool> resident = std::vector<bool>(2 * kWindow / kPage);

    // Pages of a range lose their contents; returns how many had any.
    std::uint64_t drop(const void* p, std::size_t bytes) {
        std::uint64_t had = 0;
        each(p, bytes, [&](std::vector<bool>::reference page) {
            had += page;
            page = false;
        });
        return had;
    }
    void touch(const void* p, std::size_t bytes) {
        each(p, bytes, [&](std::vector<bool>::reference page) {
            if (page) return;
            page = true;
            faults += 1;
            now_ns += kFaultNs;
        });
    }
    void call() {
        calls += 1;
        now_ns += kCallNs;
    }

  private:
    template <class Visit>
    void each(const void* p, std::size_t bytes, Visit visit) {
        const std::size_t first = (hak::address_of(p) - base) / kPage,
                          last = (hak::address_of(p) - base + bytes - 1) / kPage;
        for (std::size_t i = first; i <= last && i < resident.size(); ++i) visit(resident[i]);
    }
};
Machine machine;

struct MachinePal : hak::LinuxPal {
    static void* reserve(std::size_t bytes, std::size_t alignment) {
        void* const p = hak::LinuxPal::reserve(bytes, alignment);
        machine.base = hak::address_of(p);
        return p;
    }
    static bool commit(void* p, std::size_t bytes) {
        machine.call();
        return hak::LinuxPal::commit(p, bytes);
    }
    static bool decommit(void* p, std::size_t bytes) {
        machine.call();
        machine.now_ns += machine.drop(p, bytes) * Machine::kPurgedPageNs;
        return hak::LinuxPal::decommit(p, bytes);
    }
    static bool purge(void* p, std::size_t bytes) {
        machine.call();
        machine.now_ns += machine.drop(p, bytes) * Machine::kPurgedPageNs;
        return hak::LinuxPal::purge(p, bytes);
    }
    static std::uint64_t now_ms() { return machine.now_ns / 1'000'000; }
    static std::uint64_t now_ns() { return machine.now_ns; }
    static std::uint64_t page_faults() { return machine.faults; }
    static std::uint64_t entropy() { return 0x9e3779b97f4a7c15u; }
};

hak::Tunables chosen;

struct World {
    using Sync = hak::StdSync;
    using Pal = MachinePal;
    using Probe = hak::NoProbe;
    using Hooks = hak::LearningObserver<World>;
    static constexpr hak::Config kConfig{};

    static inline void* heap = nullptr;
    static void* current_heap() { return heap; }
    static void set_current_heap(void* h) { heap = h; }
    static bool arm_exit_hook(void*) { return true; }
    static hak::Tunables read_tunables() { return chosen; }
    [[noreturn]] static void fault(hak::Fault fault, hak::Entry, const void*) {
        std::fprintf(stderr, "a client is accused: %s\n", hak::text_of(fault));
        std::abort();
    }
};
static_assert(hak::World<World>);

struct Scenario {
    const char* name;
    std::vector<std::size_t> kib;  // sizes, each as likely as the others
    unsigned live;                 // blocks at a time
    // if not zero all blocks go at once, and come again after a pause
    unsigned pause_ms = 0;
};
const Scenario kScenarios[] = {{"json", {64}, 16},
                               {"mir", {256}, 16},
                               {"vm", {2048}, 64},
                               {"mixed", {64, 256, 2048, 2048, 5 * 1024, 12 * 1024, 24 * 1024}, 24},
                               {"bursts", {5 * 1024}, 32, 16}};

// A block of those that are live goes and another comes in its place, every page of which is
// written; or all go, and all come again.
class Client {
  public:
    explicit Client(const Scenario& scenario) : scenario_(scenario), blocks_(scenario.live) {}

    Cost run(unsigned operations) {
        cost_ = Cost{};
        const std::uint64_t faults = machine.faults;
        while (cost_.operations < operations)
            scenario_.pause_ms == 0 ? replace(blocks_[random_.below(scenario_.live)]) : burst();
        cost_.faults = static_cast<double>(machine.faults - faults);
        return cost_;
    }
    // So that what is measured does not depend on what came before.
    void reseed() { random_ = Random(4711); }

  private:
    std::size_t draw() {
        return scenario_.kib[random_.below(static_cast<unsigned>(scenario_.kib.size()))] << 10;
    }

    // free and malloc, either of which may be none.
    void replace(void*& p) { call(p, draw(), Machine::kWorkNs); }
    void burst() {
        for (void*& p : blocks_) call(p, draw(), Machine::kWorkNs);
        for (void*& p : blocks_) call(p, 0, 0);
        // Meanwhile the client works on something small.
        void* small = nullptr;
        for (unsigned i = 0; i < 40; ++i)
            call(small, i % 2 == 0 ? std::size_t{64} << 10 : 0,
                 scenario_.pause_ms * std::uint64_t{1'000'000} / 40);
    }
    void call(void*& p, std::size_t bytes, std::uint64_t work_ns) {
        const auto heap = [] { return static_cast<hak::Heap<World>*>(World::current_heap()); };
        const std::uint64_t began = machine.now_ns;
        machine.now_ns += 2 * Machine::kOperationNs;
        hak::deallocate<World>(heap(), p);
        p = bytes == 0 ? nullptr : hak::allocate<World>(heap(), bytes);
        if (bytes != 0 && p == nullptr) std::abort();
        cost_.nanoseconds += static_cast<double>(machine.now_ns - began);
        if (p != nullptr) machine.touch(p, bytes);
        machine.now_ns += work_ns;
        cost_.held += static_cast<double>(hak::pool<World>.free_dirty_bytes()) *
                      static_cast<double>(machine.now_ns - began) * 1e-6;
        cost_.operations += 1;
    }

    const Scenario& scenario_;
    std::vector<void*> blocks_;
    Random random_{42};
    Cost cost_;
};

struct Result {
    Cost cost;
    std::uint64_t calls = 0;
    double seconds = 0;
    std::size_t threshold = 0;
};

constexpr unsigned kMeasured = 20'000, kLearnMost = 2'000'000;

// One process: with a fixed threshold, or with the learner if it is 0, measured once that has
// frozen.
Result run(const Scenario& scenario, std::size_t threshold) {
    chosen.window_bytes = Machine::kWindow;
    chosen.batch_bytes_max = std::size_t{64} << 20;
    chosen.batch_threshold = threshold;
    // as much shorter than usual as the pauses, and so the trials are
    chosen.purge_delay_ms = hak::options.tunables.purge_delay_ms = 4;
    World::heap = &hak::empty_heap<World>;
    Client client(scenario);
    if (threshold == 0) {
        hak::options.mode = hak::Mode::learning;
        hak::options.freeze_after_ms = 5'000;
        hak::start_learning<World>();
        unsigned operations = 0;
        while (hak::learner<World>.decision().phase != hak::policy::Phase::frozen &&
               operations < kLearnMost) {
            client.run(1'000);
            operations += 1'000;
        }
        threshold = threshold_of(hak::learner<World>.decision().confirmed);
        if (operations == kLearnMost) threshold = 0;
    }
    client.reseed();
    client.run(kMeasured / 2);
    const std::uint64_t calls = machine.calls, began = machine.now_ns;
    Result result;
    result.cost = client.run(kMeasured);
    result.calls = machine.calls - calls;
    result.seconds = static_cast<double>(machine.now_ns - began) * 1e-9;
    result.threshold = threshold;
    return result;
}

Result run_apart(const Scenario& scenario, std::size_t threshold) {
    int ends[2];
    Result result;
    if (pipe(ends) != 0) std::abort();
    const pid_t child = fork();
    if (child == 0) {
        result = run(scenario, threshold);
        _exit(write(ends[1], &result, sizeof result) == static_cast<ssize_t>(sizeof result) ? 0
                                                                                            : 1);
    }
    close(ends[1]);
    const bool whole = read(ends[0], &result, sizeof result) == static_cast<ssize_t>(sizeof result);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (!whole || status != 0) {
        std::printf(
            "FAILED: %s with threshold %zu ended with status %d\nreproduce: policy_scenarios\n",
            scenario.name, threshold, status);
        std::exit(1);
    }
    return result;
}

}  // namespace

int main() {
    unsigned wrong = 0;
    std::printf("%-6s %10s %8s %12s %10s %12s %10s\n", "", "threshold", "score", "ns/operation",
                "faults", "KiB x ms", "calls");
    for (const Scenario& scenario : kScenarios) {
        Result results[kStrategies + 1];
        Cost sum;
        for (unsigned i = 0; i <= kStrategies; ++i) {
            results[i] = run_apart(scenario, i < kStrategies ? hak::policy::kThresholds[i] : 0);
            if (i < kStrategies) sum.add(results[i].cost, 1.0 / kStrategies);
        }
        // The learner's own score, from the scenario's own figures.
        const auto part = [](double share, double value, double mean) {
            return mean == 0 ? 0 : share * value / mean;
        };
        const auto score = [&](const Cost& c) {
            return part(0.4, c.nanoseconds, sum.nanoseconds) + part(0.3, c.faults, sum.faults) +
                   part(0.3, c.held, sum.held);
        };
        double best = 1e300;
        for (unsigned i = 0; i <= kStrategies; ++i) {
            const Result& r = results[i];
            if (i < kStrategies && score(r.cost) < best) best = score(r.cost);
            std::printf("%-6s %7zu KiB %8.3f %12.0f %10.2f %12.0f %10llu%s\n", scenario.name,
                        r.threshold >> 10, score(r.cost), r.cost.nanoseconds / kMeasured,
                        r.cost.faults / kMeasured, r.cost.held / 1024 / kMeasured,
                        static_cast<unsigned long long>(r.calls),
                        i == kStrategies ? "   what mode learning froze" : "");
        }
        double chosen_score = 1e300;
        for (unsigned i = 0; i < kStrategies; ++i) {
            if (results[i].threshold == results[kStrategies].threshold)
                chosen_score = score(results[i].cost);
        }
        // Where free runs lie depends on what the process did before, and in mixed one threshold
        // so costs up to a quarter more or less, however long it is measured.
        const double chosen = chosen_score / best - 1,
                     frozen = score(results[kStrategies].cost) / chosen_score - 1;
        if (chosen <= 0.05 && frozen <= 0.35) continue;
        wrong += 1;
        std::printf(
            "FAILED: %s: the threshold that mode learning froze costs %.1f %% more than the best, "
            "and the process that froze it %.1f %% more than that\nreproduce: policy_scenarios\n",
            scenario.name, 100 * chosen, 100 * frozen);
    }
    std::printf("%s\n", wrong == 0 ? "OK" : "FAILED");
    if (std::fflush(stdout) != 0) return std::perror("policy_scenarios: standard output"), 1;
    return wrong == 0 ? 0 : 1;
}
