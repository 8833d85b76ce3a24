// What every benchmark program shares: deterministic numbers, tables that do not come from malloc,
// stamps in blocks, the clock and the process's own figures from /proc.
//
// Nothing here calls malloc, so that the allocator under test serves the workload and nothing else.
// Everything that a workload computes depends on its seed alone: its checksum is the same under
// every allocator and on every run.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <utility>

namespace hak::bench {

[[noreturn]] inline void die(const char* what) {
    std::fprintf(stderr, "bench: %s\n", what);
    std::_Exit(1);
}

inline std::uint64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(t.tv_nsec);
}

// The finalizer of SplitMix64: a bijection whose output bits all depend on all input bits.
constexpr std::uint64_t scramble(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() { return scramble(state_ += 0x9e3779b97f4a7c15u); }

    // A value in [0, n); n fits 32 bits. The bias is below n / 2^32, which no workload can notice.
    std::uint32_t below(std::uint32_t n) {
        return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32);
    }

    std::uint32_t between(std::uint32_t low, std::uint32_t high) {
        return low + below(high - low + 1);
    }

    // Log-uniform sizes in [low, high): every doubling is equally likely. Both are powers of two.
    std::uint32_t log_uniform(unsigned low_shift, unsigned high_shift) {
        const unsigned shift = low_shift + below(high_shift - low_shift);
        return (1u << shift) + below(1u << shift);
    }

    // Exponentially distributed with the given mean, at least 1.
    std::uint32_t exponential(double mean) {
        const double u = static_cast<double>((next() >> 11) + 1) * 0x1.0p-53;
        return 1 + static_cast<std::uint32_t>(-std::log(u) * mean);
    }

  private:
    std::uint64_t state_;
};

// A fixed array from mmap with every page present from the start: it belongs to the program's own
// memory, measured before the work begins, and not to the allocator's.
template <class T>
class Table {
  public:
    explicit Table(std::size_t count) : count_(count) {
        void* p = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (p == MAP_FAILED) die("mmap of a table failed");
        data_ = static_cast<T*>(p);
    }
    ~Table() {
        if (data_ != nullptr) munmap(data_, bytes());
    }
    Table(Table&& other) noexcept
        : count_(other.count_), data_(std::exchange(other.data_, nullptr)) {}
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    Table& operator=(Table&&) = delete;

    T& operator[](std::size_t i) { return data_[i]; }
    T* begin() { return data_; }
    T* end() { return data_ + count_; }
    std::size_t size() const { return count_; }

  private:
    std::size_t bytes() const { return count_ * sizeof(T) + (count_ == 0); }

    std::size_t count_;
    T* data_;
};

// The value of one line of /proc/self/status in KiB, for instance "VmHWM:".
inline std::uint64_t status_kib(const char* name) {
    char text[8192];
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("cannot open /proc/self/status");
    const ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    if (got <= 0) die("cannot read /proc/self/status");
    text[got] = '\0';
    const char* line = std::strstr(text, name);
    if (line == nullptr) die("a line is missing from /proc/self/status");
    return std::strtoull(line + std::strlen(name), nullptr, 10);
}

inline std::uint64_t rss_kib() {
    return status_kib("VmRSS:");
}
inline std::uint64_t peak_rss_kib() {
    return status_kib("VmHWM:");
}

// The number of mappings of the process: the lines of /proc/self/maps.
inline std::uint64_t mappings() {
    char text[16384];
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) die("cannot open /proc/self/maps");
    std::uint64_t lines = 0;
    ssize_t got = 0;
    while ((got = read(fd, text, sizeof text)) > 0) {
        for (ssize_t i = 0; i < got; ++i) lines += text[i] == '\n';
    }
    close(fd);
    return lines;
}

// A stamp is a key at a block's start and, where there is room, its complement mixed with the size
// at the end. Reading it back shows that nobody else wrote into the block. Blocks hold at least 8
// bytes.
inline void stamp(void* block, std::size_t size, std::uint64_t key) {
    std::memcpy(block, &key, sizeof key);
    if (size >= 2 * sizeof key) {
        const std::uint64_t tail = ~key ^ size;
        std::memcpy(static_cast<char*>(block) + size - sizeof tail, &tail, sizeof tail);
    }
}

// Returns the key, and ends the process when the block is not as it was stamped.
inline std::uint64_t read_stamp(const void* block, std::size_t size) {
    std::uint64_t key = 0;
    std::memcpy(&key, block, sizeof key);
    if (size >= 2 * sizeof key) {
        std::uint64_t tail = 0;
        std::memcpy(&tail, static_cast<const char*>(block) + size - sizeof tail, sizeof tail);
        if (tail != (~key ^ size)) die("a block's contents changed while it was in use");
    }
    return key;
}

inline void* must_malloc(std::size_t size) {
    void* p = std::malloc(size);
    if (p == nullptr) die("malloc returned null");
    return p;
}

inline void* must_calloc(std::size_t count, std::size_t size) {
    void* p = std::calloc(count, size);
    if (p == nullptr) die("calloc returned null");
    return p;
}

inline void* must_realloc(void* block, std::size_t size) {
    void* p = std::realloc(block, size);
    if (p == nullptr) die("realloc returned null");
    return p;
}

struct Options {
    unsigned threads = 1;
    double scale = 1.0;
    std::uint64_t seed = 0;

    // A quantity of work, scaled; never zero.
    std::uint64_t work(std::uint64_t amount) const {
        const double scaled = static_cast<double>(amount) * scale;
        return scaled < 1.0 ? 1 : static_cast<std::uint64_t>(scaled);
    }
};

// The measured part of a run. A workload builds its tables, calls begin(), works, calls end().
class Measure {
  public:
    void begin() {
        baseline_kib_ = rss_kib();
        start_cpu_ns_ = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        start_ns_ = now_ns();
    }
    void end() {
        elapsed_ns_ = now_ns() - start_ns_;
        cpu_ns_ = now_ns(CLOCK_PROCESS_CPUTIME_ID) - start_cpu_ns_;
        peak_kib_ = peak_rss_kib();
    }
    std::uint64_t baseline_kib() const { return baseline_kib_; }
    std::uint64_t peak_kib() const { return peak_kib_; }
    std::uint64_t elapsed_ns() const { return elapsed_ns_; }
    std::uint64_t cpu_ns() const { return cpu_ns_; }

  private:
    std::uint64_t baseline_kib_ = 0;
    std::uint64_t peak_kib_ = 0;
    std::uint64_t start_ns_ = 0;
    std::uint64_t elapsed_ns_ = 0;
    std::uint64_t start_cpu_ns_ = 0;
    std::uint64_t cpu_ns_ = 0;  // of all threads together
};

struct Outcome {
    // allocations and reallocations, or reads where the workload measures reads
    std::uint64_t ops = 0;
    std::uint64_t checksum = 0;  // a sum, so that the order in which threads finish does not matter
};

Outcome larson(const Options& options, Measure& measure);
Outcome larson_mid(const Options& options, Measure& measure);
Outcome producer_consumer(const Options& options, Measure& measure);
Outcome lifetimes(const Options& options, Measure& measure);
Outcome realloc_growth(const Options& options, Measure& measure);
Outcome large_churn(const Options& options, Measure& measure);
Outcome short_threads(const Options& options, Measure& measure);
Outcome arrays_in_step(const Options& options, Measure& measure);
Outcome tree(const Options& options, Measure& measure);
Outcome strings(const Options& options, Measure& measure);

}  // namespace hak::bench
