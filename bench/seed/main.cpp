// bench_seed: cycles of hak_alloc_at() before and after the change that the seed page asked for
// (policies.hpp), in one process and in turns. Prints one line of JSON; bench/before_after runs it
// and says what the samples mean. See bench/README.md.
#include <algorithm>
#include <cerrno>
#include <pthread.h>
#include <vector>

#include "../workloads/harness.hpp"
#include "policies.hpp"

namespace hak {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "assertion failed: %s at %s:%d\n", condition, file, line);
    std::abort();
}
}  // namespace hak

namespace {

using namespace hak::bench;

std::uint64_t cycles() {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return now_ns();
#endif
}

// A slice of several threads is long enough that they meet although they wake one after the other.
constexpr unsigned kTogether = 40;

// `small` times hak_alloc_at alone, in batches; `json` a pair of it and free, because a block of 64
// KiB is freed before the next one is made.
struct Size {
    const char* name;
    std::size_t low, high;
    unsigned batch, batches;
    bool pairs;
};
constexpr Size kSizes[] = {{"small", 16, 1024, 64, 400, false},
                           {"json", 64 * 1024, 64 * 1024, 16, 100, true}};
constexpr unsigned kBatchMost = 64;

struct Policy {
    const char* name;
    void* (*allocate)(std::size_t, const void*);
    void (*free)(void*);
    void (*start)();
    std::uint64_t (*samples)();
};
template <class P>
constexpr Policy policy_of() {
    return {P::kName, hak_alloc_at<P>, hak_free<P>, start_learner<P>, samples_of<P>};
}
constexpr Policy kPolicies[] = {policy_of<Before>(), policy_of<P01>(), policy_of<P02>(),
                                policy_of<Shipped>()};
constexpr std::size_t kPolicyCount = std::size(kPolicies);

// Cycles for each allocation of a slice, in the mean. A batch that took a hundred times the median
// was preempted, and does not count.
double slice(const Policy& policy, const Size& size, unsigned batches, Random& random) {
    std::vector<double> took(batches);
    for (double& t : took) {
        std::size_t bytes[kBatchMost];
        void* blocks[kBatchMost];
        for (unsigned i = 0; i < size.batch; ++i)
            bytes[i] = random.between(static_cast<std::uint32_t>(size.low),
                                      static_cast<std::uint32_t>(size.high));
        const std::uint64_t began = cycles();
        for (unsigned i = 0; i < size.batch; ++i) {
            blocks[i] = policy.allocate(bytes[i], &policy);
            if (size.pairs) policy.free(blocks[i]);
        }
        t = static_cast<double>(cycles() - began) / size.batch;
        for (unsigned i = 0; i < size.batch && !size.pairs; ++i) {
            if (blocks[i] == nullptr) die("no memory");
            std::memset(blocks[i], 1, 8);
            policy.free(blocks[i]);
        }
    }
    std::vector<double> sorted = took;
    std::nth_element(sorted.begin(),
                     sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    const double most = 100 * sorted[sorted.size() / 2];
    double sum = 0;
    std::size_t count = 0;
    for (const double t : took) {
        if (t > most) continue;
        sum += t;
        count += 1;
    }
    return sum / static_cast<double>(count);
}

// Threads that live as long as the process and run every slice together.
class Team {
  public:
    Team(unsigned threads, std::uint64_t seed) : results_(threads), arguments_(threads) {
        pthread_barrier_init(&barrier_, nullptr, threads + 1);
        for (unsigned i = 0; i < threads; ++i) {
            arguments_[i] = {this, i, seed + i};
            pthread_t thread;
            if (pthread_create(&thread, nullptr, work, &arguments_[i]) != 0)
                die("pthread_create failed");
            pthread_detach(thread);
        }
    }
    double run(const Policy& policy, const Size& size, unsigned batches) {
        policy_ = &policy;
        size_ = &size;
        batches_ = batches;
        pthread_barrier_wait(&barrier_);
        pthread_barrier_wait(&barrier_);
        double sum = 0;
        for (const double r : results_) sum += r;
        return sum / static_cast<double>(results_.size());
    }

  private:
    struct Argument {
        Team* team;
        unsigned index;
        std::uint64_t seed;
    };
    static void* work(void* argument) {
        const auto [team, index, seed] = *static_cast<Argument*>(argument);
        Random random(seed);
        for (;;) {
            pthread_barrier_wait(&team->barrier_);
            team->results_[index] = slice(*team->policy_, *team->size_, team->batches_, random);
            pthread_barrier_wait(&team->barrier_);
        }
    }

    pthread_barrier_t barrier_{};
    const Policy* policy_ = nullptr;
    const Size* size_ = nullptr;
    unsigned batches_ = 0;
    std::vector<double> results_;
    std::vector<Argument> arguments_;
};

void measure(unsigned threads, const Size& size, unsigned rounds, std::uint64_t seed, bool first) {
    Team& team = *new Team(threads, seed);  // its threads use it until the process ends
    Random random(seed);
    std::vector<double> samples[kPolicyCount];
    const unsigned batches = threads == 1 ? size.batches : size.batches * kTogether;
    // heaps, first slabs, warm caches
    for (const Policy& p : kPolicies) team.run(p, size, batches);
    for (unsigned round = 0; round < rounds; ++round) {
        std::size_t order[kPolicyCount];
        for (std::size_t i = 0; i < kPolicyCount; ++i) order[i] = i;
        for (std::size_t i = kPolicyCount; i > 1; --i)
            std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
        for (const std::size_t i : order)
            samples[i].push_back(team.run(kPolicies[i], size, batches));
    }
    for (std::size_t i = 0; i < kPolicyCount; ++i) {
        std::printf("%s{\"policy\": \"%s\", \"size\": \"%s\", \"threads\": %u, \"cycles\": [",
                    first && i == 0 ? "" : ", ", kPolicies[i].name, size.name, threads);
        for (std::size_t k = 0; k < samples[i].size(); ++k)
            std::printf("%s%.3f", k == 0 ? "" : ", ", samples[i][k]);
        std::printf("]}");
    }
}

void usage(std::FILE* to) {
    std::fprintf(
        to,
        "usage: bench_seed [--rounds N] [--seed N]                   times all policies, with 1 "
        "and 4 threads\n"
        "       bench_seed --count POLICY SIZE [--batches N]         allocates and frees with one "
        "policy, for callgrind\n"
        "       bench_seed --list                                    policies and sizes\n"
        "--rounds is from 1 to 10000 (default 101), --batches from 1 to 1000000 (default 400).\n");
}

[[noreturn]] void refuse(const char* what) {
    std::fprintf(stderr, "bench_seed: %s\n", what);
    usage(stderr);
    std::exit(2);
}

std::uint64_t number(const char* text, std::uint64_t low, std::uint64_t high) {
    char* end = nullptr;
    errno = 0;
    const std::uint64_t value = text == nullptr ? 0 : std::strtoull(text, &end, 10);
    if (text == nullptr || end == text || *end != '\0' || errno != 0 || *text == '-' ||
        value < low || value > high)
        refuse("a number is missing, or out of its range");
    return value;
}

template <class T, std::size_t N>
const T& find(const T (&table)[N], const char* name) {
    for (const T& row : table) {
        if (name != nullptr && std::strcmp(row.name, name) == 0) return row;
    }
    refuse("no such policy or size");
}

}  // namespace

int main(int argc, char** argv) {
    unsigned rounds = 101, batches = 400;
    std::uint64_t seed = 1;
    const Policy* counted = nullptr;
    const Size* counted_size = nullptr;
    for (int i = 1; i < argc; i += 2) {
        const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
        if (std::strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        }
        if (std::strcmp(argv[i], "--list") == 0) {
            for (const Policy& p : kPolicies) std::printf("policy %s\n", p.name);
            for (const Size& s : kSizes) std::printf("size %s\n", s.name);
            if (std::fflush(stdout) != 0) die("the list cannot be written");
            return 0;
        }
        if (std::strcmp(argv[i], "--rounds") == 0) {
            rounds = static_cast<unsigned>(number(value, 1, 10'000));
        } else if (std::strcmp(argv[i], "--batches") == 0) {
            batches = static_cast<unsigned>(number(value, 1, 1'000'000));
        } else if (std::strcmp(argv[i], "--seed") == 0) {
            seed = number(value, 0, UINT64_MAX);
        } else if (std::strcmp(argv[i], "--count") == 0) {
            counted = &find(kPolicies, value);
            counted_size = &find(kSizes, i + 2 < argc ? argv[i + 2] : nullptr);
            i += 1;
        } else {
            refuse("no such option");
        }
    }
    for (const Policy& p : kPolicies) p.start();
    if (counted != nullptr) {
        Random random(seed);
        slice(*counted, *counted_size, batches, random);
        std::printf("{\"allocations\": %llu, \"learner_samples\": %llu}\n",
                    static_cast<unsigned long long>(batches) * counted_size->batch,
                    static_cast<unsigned long long>(counted->samples()));
    } else {
        std::printf("{\"rounds\": %u, \"seed\": %llu, \"samples\": [", rounds,
                    static_cast<unsigned long long>(seed));
        bool first = true;
        for (const Size& size : kSizes) {
            for (const unsigned threads : {1u, 4u}) {
                measure(threads, size, rounds, seed, first);
                first = false;
            }
        }
        std::printf("]}\n");
    }
    if (std::fflush(stdout) != 0) die("the result cannot be written");
    return 0;
}
