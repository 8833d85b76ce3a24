// bench_memory: runs one scenario, prints its figures as one line of JSON, ends with 1 when a bound
// breaks.
#include <cerrno>

#include "../workloads/served.hpp"
#include "memory.hpp"

namespace {

using hak::bench::Findings;
using hak::bench::Settings;

struct Scenario {
    const char* name;
    void (*run)(const Settings&, Findings&);
    const char* what;
};

constexpr Scenario kScenarios[] = {
    {"survivor", hak::bench::survivor,
     "64 threads free nine tenths and end, the last one allocates as much again"},
    {"consumer", hak::bench::consumer, "a producer whose consumer frees everything"},
    {"freer", hak::bench::freer, "a thread that only frees what ended threads allocated"},
    {"sleeper", hak::bench::sleeper, "an owner that sleeps while others free its blocks"},
    {"mappings", hak::bench::many_mappings, "every second block of the larger tiers freed"},
};

constexpr double kMappingsLimit = 999;

void usage(std::FILE* to) {
    std::fprintf(to,
                 "usage: bench_memory SCENARIO [--seed N] [--rounds N] [--require-library PATH]\n");
    for (const Scenario& s : kScenarios) std::fprintf(to, "  %-9s %s\n", s.name, s.what);
}

[[noreturn]] void refuse(const char* what, const char* value) {
    std::fprintf(stderr, "bench_memory: %s: %s\n", what, value);
    usage(stderr);
    std::exit(2);
}

std::uint64_t whole(const char* name, const char* text, std::uint64_t low, std::uint64_t high) {
    char* end = nullptr;
    errno = 0;
    const unsigned long long value = text == nullptr ? 0 : std::strtoull(text, &end, 10);
    if (text == nullptr || end == text || *end != '\0' || errno != 0 || value < low ||
        value > high) {
        refuse(name,
               "a whole number in its range is needed (seed 0 to 10^12, rounds 16 to 100000)");
    }
    return value;
}

// Counts the process's mappings every few milliseconds, without a call to malloc.
class MappingsMonitor {
  public:
    MappingsMonitor() : thread_([this] { watch(); }) {}
    ~MappingsMonitor() { stop(); }
    std::uint64_t stop() {
        stop_.store(true, std::memory_order_release);
        if (thread_.joinable()) thread_.join();
        return most_;
    }

  private:
    void watch() {
        bool last = false;
        while (!last) {
            last = stop_.load(std::memory_order_acquire);
            const std::uint64_t count = hak::bench::mappings();
            most_ = count > most_ ? count : most_;
            timespec pause{0, 5'000'000};
            nanosleep(&pause, nullptr);
        }
    }
    std::atomic<bool> stop_{false};
    std::uint64_t most_ = 0;  // the watching thread's until it is joined
    std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (std::strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    const Scenario* chosen = nullptr;
    for (const Scenario& s : kScenarios) {
        if (std::strcmp(argv[1], s.name) == 0) chosen = &s;
    }
    if (chosen == nullptr) refuse("no such scenario", argv[1]);
    Settings settings;
    const char* required = nullptr;
    for (int i = 2; i < argc; i += 2) {
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (std::strcmp(argv[i], "--seed") == 0) {
            settings.seed = whole("--seed", value, 0, 1'000'000'000'000);
        } else if (std::strcmp(argv[i], "--rounds") == 0) {
            settings.rounds = static_cast<unsigned>(whole("--rounds", value, 16, 100'000));
        } else if (std::strcmp(argv[i], "--require-library") == 0 && value != nullptr) {
            required = value;
        } else {
            refuse("no such option, or no value", argv[i]);
        }
    }
    const char* served = hak::bench::defining_library("malloc");
    if (required != nullptr && std::strcmp(served, required) != 0) {
        std::fprintf(stderr, "bench_memory: malloc is served by %s, not by %s\n", served, required);
        return 1;
    }

    Findings findings;
    MappingsMonitor monitor;
    const std::uint64_t start = hak::bench::now_ns();
    chosen->run(settings, findings);
    const std::uint64_t elapsed = hak::bench::now_ns() - start;
    findings.bound("mappings", static_cast<double>(monitor.stop()), kMappingsLimit);

    std::printf("{\"scenario\": \"%s\", \"malloc\": \"%s\", \"seconds\": %.2f", chosen->name,
                served, static_cast<double>(elapsed) * 1e-9);
    for (const Findings::Line& line : findings) {
        std::printf(", \"%s\": %.*f", line.name, line.value == std::floor(line.value) ? 0 : 3,
                    line.value);
    }
    std::printf("}\n");
    if (std::fflush(stdout) != 0) hak::bench::die("the result cannot be written");
    int status = 0;
    for (const Findings::Line& line : findings) {
        if (!line.broken()) continue;
        std::fprintf(stderr,
                     "bench_memory: %s: %s is %.3f, above %.3f; again: LD_PRELOAD=%s %s %s --seed "
                     "%llu --rounds %u\n",
                     chosen->name, line.name, line.value, line.limit, served, argv[0], chosen->name,
                     static_cast<unsigned long long>(settings.seed), settings.rounds);
        status = 1;
    }
    return status;
}
