// bench_allocators: one of hakmem's four scenarios (json 64 KiB, mir 256 KiB, vm 2 MiB, mixed):
// allocate, write one byte in every page, free. Beside it, in the same process and in turns, the
// physical limit: the same pages of a static buffer are written, and nothing is allocated. Prints
// one line of JSON. See bench/README.md.
#include <algorithm>
#include <cerrno>
#include <iterator>
#include <sys/resource.h>

#include "../workloads/harness.hpp"
#include "../workloads/served.hpp"

namespace {

using hak::bench::die;
using hak::bench::now_ns;
using hak::bench::Random;
using hak::bench::Table;

constexpr std::size_t kPage = 4096, kKiB = 1024;

// How often each size comes; a slice is `repeats` times all of them, in an order that depends on
// the seed alone.
struct Share {
    std::size_t kib;
    unsigned times;
};
struct Scenario {
    const char* name;
    const char* what;
    Share shares[6];
    unsigned repeats;
    unsigned slices;
    unsigned live;  // blocks at a time
};

// In `mixed` every size has the same bytes in all. The four scenarios with `live` blocks are those
// of props/policy/scenarios.cpp: a block of those that are live goes, drawn at random, and another
// comes in its place.
constexpr Scenario kScenarios[] = {
    {"json", "blocks of 64 KiB", {{64, 1}}, 4000, 40, 1},
    {"mir", "blocks of 256 KiB", {{256, 1}}, 1000, 40, 1},
    {"vm", "blocks of 2 MiB", {{2048, 1}}, 200, 40, 1},
    {"mixed",
     "32 blocks of 64 KiB to 8 of 256 KiB to 1 of 2 MiB",
     {{64, 32}, {256, 8}, {2048, 1}},
     30,
     40,
     1},
    {"json-live", "16 live blocks of 64 KiB", {{64, 1}}, 4000, 40, 16},
    {"mir-live", "16 live blocks of 256 KiB", {{256, 1}}, 1000, 40, 16},
    {"vm-live", "64 live blocks of 2 MiB", {{2048, 1}}, 200, 40, 64},
    {"mixed-live",
     "24 live blocks of 64 KiB to 24 MiB",
     {{64, 1}, {256, 1}, {2048, 2}, {5 * 1024, 1}, {12 * 1024, 1}, {24 * 1024, 1}},
     2,
     40,
     24},
};
constexpr std::size_t kLargest = 24 * 1024 * kKiB;
alignas(kPage) char limit_buffer[kLargest];

void touch(char* p, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += kPage) *static_cast<volatile char*>(p + i) = 1;
}

std::uint64_t minor_faults() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::uint64_t>(usage.ru_minflt);
}

struct Slot {
    char* data;
    std::size_t bytes;
};

class Run {
  public:
    Run(const Scenario& scenario, double scale, std::uint64_t seed)
        : random_(seed),
          live_(scenario.live),
          sizes_(count(scenario, scale)),
          slots_(scenario.live) {
        std::size_t n = 0;
        while (n < sizes_.size()) {
            for (const Share& s : scenario.shares) {
                for (unsigned i = 0; i < s.times && n < sizes_.size(); ++i)
                    sizes_[n++] = s.kib * kKiB;
            }
        }
        for (std::size_t i = sizes_.size(); i > 1; --i)
            std::swap(sizes_[i - 1], sizes_[random_.below(static_cast<std::uint32_t>(i))]);
        for (Slot& s : slots_) s = {nullptr, 0};
    }
    std::size_t operations() { return sizes_.size(); }
    std::uint64_t bytes() {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < sizes_.size(); ++i) sum += sizes_[i];
        return sum;
    }

    std::size_t largest() { return *std::max_element(sizes_.begin(), sizes_.end()); }

    // All operations of a slice once.
    void allocate() {
        if (live_ == 1) {
            for (const std::size_t bytes : sizes_) {
                char* const p = block(bytes);
                touch(p, bytes);
                std::free(p);
            }
            return;
        }
        for (const std::size_t bytes : sizes_) {
            Slot& s = slots_[random_.below(live_)];
            std::free(s.data);
            s = {block(bytes), bytes};
            touch(s.data, bytes);
        }
    }
    // The same writes, to memory that is always there.
    void limit() {
        for (const std::size_t bytes : sizes_) touch(limit_buffer, bytes);
    }
    // Shows, outside of all measurements, that every byte of a block is the client's: the last of a
    // page keeps what was written there.
    void check() {
        for (const std::size_t bytes : sizes_) {
            char* const p = block(bytes);
            for (std::size_t i = kPage - 1; i < bytes; i += kPage)
                p[i] = static_cast<char>(i / kPage);
            for (std::size_t i = kPage - 1; i < bytes; i += kPage) {
                if (p[i] != static_cast<char>(i / kPage))
                    die("a block's contents changed while it was in use");
            }
            std::free(p);
        }
    }
    void end() {
        for (Slot& s : slots_) std::free(s.data);
    }

  private:
    static std::size_t count(const Scenario& scenario, double scale) {
        unsigned each = 0;
        for (const Share& s : scenario.shares) each += s.times;
        return std::max<std::size_t>(
            each, static_cast<std::size_t>(scenario.repeats * each * std::min(scale, 1.0)));
    }
    static char* block(std::size_t bytes) {
        return static_cast<char*>(hak::bench::must_malloc(bytes));
    }

    Random random_;
    unsigned live_;
    Table<std::size_t> sizes_;
    Table<Slot> slots_;
};

double median(Table<double>& values) {
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// A learner that shall have decided before anything is measured is asked; there is none in other
// allocators, nor in other modes.
bool is_learning() {
    using Features = unsigned();
    using Ask = int();
    auto* const features =
        reinterpret_cast<Features*>(dlsym(RTLD_DEFAULT, "hak_learning_features"));
    auto* const frozen = reinterpret_cast<Ask*>(dlsym(RTLD_DEFAULT, "hak_evo_is_frozen"));
    return features != nullptr && frozen != nullptr && features() != 0 && frozen() == 0;
}

// The threshold that the learner froze; 0 where there is none.
std::size_t confirmed_threshold() {
    using Ask = int();
    using Threshold = std::size_t(int);
    auto* const confirmed =
        reinterpret_cast<Ask*>(dlsym(RTLD_DEFAULT, "hak_evo_get_confirmed_strategy"));
    auto* const threshold =
        reinterpret_cast<Threshold*>(dlsym(RTLD_DEFAULT, "hak_elo_get_threshold"));
    return confirmed == nullptr || threshold == nullptr ? 0 : threshold(confirmed());
}

void usage(std::FILE* to) {
    std::fprintf(to,
                 "usage: bench_allocators SCENARIO [--scale F] [--seed N] [--only allocate|limit] "
                 "[--frozen yes]\n"
                 "       bench_allocators --list      names and threads\n"
                 "       bench_allocators --help\n"
                 "--scale multiplies the amount of work (0.001 to 1000, default 1). --only leaves "
                 "one half out, for counters of instructions\n"
                 "and system calls, which count the whole process. --frozen measures mode learning "
                 "from when it has frozen on. Scenarios:\n");
    for (const Scenario& s : kScenarios) std::fprintf(to, "  %-11s %s\n", s.name, s.what);
}

[[noreturn]] void refuse(const char* what, const char* value) {
    std::fprintf(stderr, "bench_allocators: %s: %s\n", what,
                 value == nullptr ? "a value is missing" : value);
    usage(stderr);
    std::exit(2);
}

double number(const char* name, const char* text, double low, double high) {
    char* end = nullptr;
    errno = 0;
    const double value = text == nullptr ? 0 : std::strtod(text, &end);
    if (text == nullptr || end == text || *end != '\0' || errno != 0 ||
        !(value >= low && value <= high))
        refuse(name, text);
    return value;
}

unsigned long long whole(std::uint64_t value) {
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (std::strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return std::fflush(stdout) == 0 ? 0 : 1;
    }
    if (std::strcmp(argv[1], "--list") == 0) {
        for (const Scenario& s : kScenarios) std::printf("%s 1\n", s.name);
        return std::fflush(stdout) == 0 ? 0 : 1;
    }
    const auto* const scenario =
        std::find_if(std::begin(kScenarios), std::end(kScenarios),
                     [&](const Scenario& s) { return std::strcmp(s.name, argv[1]) == 0; });
    if (scenario == std::end(kScenarios)) refuse("no such scenario", argv[1]);
    double scale = 1;
    std::uint64_t seed = 20250101;
    bool allocates = true, limits = true, waits = false;
    for (int i = 2; i < argc; i += 2) {
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (std::strcmp(argv[i], "--scale") == 0) {
            scale = number("--scale", value, 0.001, 1000);
        } else if (std::strcmp(argv[i], "--seed") == 0) {
            seed = static_cast<std::uint64_t>(number("--seed", value, 0, 9e15));
        } else if (std::strcmp(argv[i], "--only") == 0) {
            allocates = value != nullptr && std::strcmp(value, "allocate") == 0;
            limits = value != nullptr && std::strcmp(value, "limit") == 0;
            if (allocates == limits) refuse("--only", value);
        } else if (std::strcmp(argv[i], "--frozen") == 0) {
            waits = value != nullptr && std::strcmp(value, "yes") == 0;
            if (!waits) refuse("--frozen", value);
        } else {
            refuse("no such option", argv[i]);
        }
    }

    // Work beyond the scenario's own is more slices, less work shorter ones.
    const auto slices = static_cast<std::size_t>(scenario->slices * std::max(scale, 1.0));
    Table<double> cost(slices), limit(slices), ratio(slices);
    Run run(*scenario, scale, seed);
    const auto operations = static_cast<double>(run.operations());
    touch(limit_buffer, run.largest());
    const std::uint64_t baseline_kib = hak::bench::rss_kib();
    const std::uint64_t first_ns = now_ns();
    run.check();
    while (waits && is_learning()) {
        run.allocate();
        if (now_ns() - first_ns > 900'000'000'000)
            die("the learner has not frozen after 900 seconds");
    }
    run.allocate();
    run.limit();

    std::uint64_t faults = 0, elapsed = 0;
    const std::uint64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (std::size_t i = 0; i < slices; ++i) {
        const auto timed_allocate = [&] {
            if (!allocates) return;
            // a counter is looking: no calls but the allocator's
            if (!limits) return run.allocate();
            const std::uint64_t faults_before = minor_faults(), began = now_ns();
            run.allocate();
            const std::uint64_t ns = now_ns() - began;
            faults += minor_faults() - faults_before;
            elapsed += ns;
            cost[i] = static_cast<double>(ns) / operations;
        };
        // Which half goes first alternates, so that neither always inherits the other's cache.
        if (i % 2 == 0) timed_allocate();
        if (limits) {
            const std::uint64_t began = now_ns();
            run.limit();
            limit[i] = static_cast<double>(now_ns() - began) / operations;
        }
        if (i % 2 == 1) timed_allocate();
        ratio[i] = cost[i] / limit[i];
    }
    const std::uint64_t cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    const std::uint64_t rss = hak::bench::rss_kib(), peak = hak::bench::peak_rss_kib();
    run.end();

    const double total = operations * static_cast<double>(slices);
    std::printf(
        "{\"workload\": \"%s\", \"scale\": %g, \"seed\": %llu, \"ops\": %llu, \"seconds\": %.9f, "
        "\"cpu_seconds\": %.9f, ",
        scenario->name, scale, whole(seed), whole(static_cast<std::uint64_t>(total)),
        static_cast<double>(elapsed) * 1e-9, static_cast<double>(cpu_ns) * 1e-9);
    if (allocates && limits) {
        std::printf("\"ns_per_op\": %.3f, \"limit_ns_per_op\": %.3f, \"ratio_to_limit\": %.5f, ",
                    median(cost), median(limit), median(ratio));
    }
    if (waits) std::printf("\"froze_kib\": %llu, ", whole(confirmed_threshold() / kKiB));
    std::printf(
        "\"faults_per_op\": %.5f, \"rss_kib\": %llu, \"peak_kib\": %llu, \"baseline_kib\": %llu, "
        "\"checksum\": \"%016llx\", "
        "\"malloc\": \"%s\", \"free\": \"%s\", \"realloc\": \"%s\", \"mapped\": [",
        static_cast<double>(faults) / total, whole(rss), whole(peak), whole(baseline_kib),
        whole(run.bytes() * slices), hak::bench::defining_library("malloc"),
        hak::bench::defining_library("free"), hak::bench::defining_library("realloc"));
    const char* separator = "";
    hak::bench::for_each_mapped_allocator([&](const char* name) {
        std::printf("%s\"%s\"", separator, name);
        separator = ", ";
    });
    std::printf("]}\n");
    if (std::fflush(stdout) != 0) die("the result cannot be written");
    return 0;
}
