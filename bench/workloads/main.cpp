// bench_workloads: runs one workload once and prints one line of JSON. See bench/README.md.
#include <cerrno>

#include "harness.hpp"
#include "served.hpp"

namespace {

using hak::bench::Measure;
using hak::bench::Options;
using hak::bench::Outcome;

struct Workload {
    const char* name;
    unsigned threads;
    Outcome (*run)(const Options&, Measure&);
    const char* what;
};

constexpr Workload kWorkloads[] = {
    {"larson-1", 1, hak::bench::larson, "Larson and Krishnan's server, 8 to 1000 bytes, 1 thread"},
    {"larson-2", 2, hak::bench::larson, "the same with 2 threads"},
    {"larson-4", 4, hak::bench::larson, "the same with 4 threads"},
    {"larson-mid-2", 2, hak::bench::larson_mid, "the same with blocks of 2 to 32 KiB, 2 threads"},
    {"remote-1to1", 2, hak::bench::producer_consumer, "one producer, one consumer"},
    {"remote-2to2", 4, hak::bench::producer_consumer, "two producers, two consumers, one queue"},
    {"lifetimes-1", 1, hak::bench::lifetimes,
     "sizes log-uniform 16 bytes to 32 KiB, exponential lifetimes, 1 thread"},
    {"lifetimes-4", 4, hak::bench::lifetimes,
     "the same with 4 threads that swap one block in sixteen"},
    {"realloc", 1, hak::bench::realloc_growth,
     "sixteen vectors that grow by half or by small appends"},
    {"large", 1, hak::bench::large_churn, "32 KiB to 8 MiB, one byte of every page written"},
    {"short-threads", 2, hak::bench::short_threads,
     "threads that allocate and free 300 blocks and end"},
    {"arrays-16", 1, hak::bench::arrays_in_step, "16 arrays of 16 to 512 KiB read in step"},
    {"tree", 1, hak::bench::tree, "search trees of small nodes built, changed, torn down"},
    {"strings", 1, hak::bench::strings, "short strings appended, joined, copied, replaced"},
};

void usage(std::FILE* to) {
    std::fprintf(to,
                 "usage: bench_workloads NAME [--scale F] [--seed N] [--threads N]\n"
                 "       bench_workloads --list      names and default thread counts\n"
                 "       bench_workloads --help\n"
                 "--scale multiplies the amount of work (0.001 to 1000, default 1). Workloads:\n");
    for (const Workload& w : kWorkloads) std::fprintf(to, "  %-14s %s\n", w.name, w.what);
}

[[noreturn]] void refuse(const char* what, const char* value) {
    std::fprintf(stderr, "bench_workloads: %s: %s\n", what, value);
    usage(stderr);
    std::exit(2);
}

double number(const char* name, const char* text, double low, double high, bool whole) {
    char* end = nullptr;
    errno = 0;
    const double value = text == nullptr ? 0 : std::strtod(text, &end);
    const bool fits = text != nullptr && end != text && *end == '\0' && errno == 0 &&
                      value >= low && value <= high;
    if (!fits || (whole && value != std::floor(value))) {
        std::fprintf(stderr, "bench_workloads: %s needs a%s number from %g to %g\n", name,
                     whole ? " whole" : "", low, high);
        usage(stderr);
        std::exit(2);
    }
    return value;
}

void print(const Workload& w, const Options& options, const Outcome& outcome,
           const Measure& measure) {
    const double seconds = static_cast<double>(measure.elapsed_ns()) * 1e-9;
    std::printf(
        "{\"workload\": \"%s\", \"threads\": %u, \"scale\": %g, \"seed\": %llu, \"ops\": %llu, "
        "\"seconds\": %.6f, "
        "\"cpu_seconds\": %.6f, \"ns_per_op\": %.3f, \"peak_kib\": %llu, \"baseline_kib\": %llu, "
        "\"checksum\": \"%016llx\", "
        "\"malloc\": \"%s\", \"free\": \"%s\", \"realloc\": \"%s\", \"mapped\": [",
        w.name, options.threads, options.scale, static_cast<unsigned long long>(options.seed),
        static_cast<unsigned long long>(outcome.ops), seconds,
        static_cast<double>(measure.cpu_ns()) * 1e-9,
        static_cast<double>(measure.elapsed_ns()) / static_cast<double>(outcome.ops),
        static_cast<unsigned long long>(measure.peak_kib()),
        static_cast<unsigned long long>(measure.baseline_kib()),
        static_cast<unsigned long long>(outcome.checksum), hak::bench::defining_library("malloc"),
        hak::bench::defining_library("free"), hak::bench::defining_library("realloc"));
    const char* separator = "";
    hak::bench::for_each_mapped_allocator([&](const char* name) {
        std::printf("%s\"%s\"", separator, name);
        separator = ", ";
    });
    std::printf("]}\n");
}

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
    if (std::strcmp(argv[1], "--list") == 0) {
        for (const Workload& w : kWorkloads) std::printf("%s %u\n", w.name, w.threads);
        return std::fflush(stdout) == 0 ? 0 : 1;
    }
    const Workload* chosen = nullptr;
    for (const Workload& w : kWorkloads) {
        if (std::strcmp(argv[1], w.name) == 0) chosen = &w;
    }
    if (chosen == nullptr) refuse("no such workload", argv[1]);

    Options options;
    options.threads = chosen->threads;
    options.seed = 20250101;
    for (int i = 2; i < argc; i += 2) {
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (std::strcmp(argv[i], "--scale") == 0) {
            options.scale = number("--scale", value, 0.001, 1000, false);
        } else if (std::strcmp(argv[i], "--seed") == 0) {
            options.seed = static_cast<std::uint64_t>(number("--seed", value, 0, 9e15, true));
        } else if (std::strcmp(argv[i], "--threads") == 0) {
            options.threads = static_cast<unsigned>(number("--threads", value, 1, 64, true));
        } else {
            refuse("no such option", argv[i]);
        }
    }
    Measure measure;
    const Outcome outcome = chosen->run(options, measure);
    print(*chosen, options, outcome, measure);
    if (std::fflush(stdout) != 0) hak::bench::die("the result cannot be written");
    return 0;
}
