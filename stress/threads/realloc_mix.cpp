// Every way to get, resize and give back a block, of every size from 1 B to 64 MiB and every
// alignment to 4 MiB, on several threads. A block is filled from its own key: completely up to 256
// KiB, above that one word in 512 bytes and the very end. All that was filled is checked at every
// step that touches the block, and a resize must keep the shorter of the two lengths.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/process/support.hpp"

namespace {

stress::Parameter parameters[] = {
    {"seconds", 3, 1, 86400},    {"min", 1, 1, 1u << 30},       {"max", 64u << 20, 1, 1u << 30},
    {"slots", 200, 1, 1u << 20}, {"live_mb", 128, 1, 1u << 20}, {"seed", 31415, 0, UINT64_MAX},
    {"threads", 2, 1, 256},
};
const uint64_t &seconds = parameters[0].value, &min_size = parameters[1].value,
               &max_size = parameters[2].value, &slots = parameters[3].value,
               &live_mb = parameters[4].value, &threads = parameters[6].value;

std::atomic<uint64_t> operations{0};

struct Slot {
    unsigned char* p = nullptr;
    size_t size = 0;
    uint64_t key = 0;
};

constexpr size_t kDenseWords = (256u << 10) / 8;
constexpr size_t kSparseStep = 64;

// Which words are filled depends on the index alone, so that a resize does not change it.
size_t next_word(size_t i) {
    return i < kDenseWords ? i + 1 : i + kSparseStep;
}

uint64_t word_at(uint64_t key, size_t index) {
    return key + index * 0x9e3779b97f4a7c15u;
}

void fill(const Slot& s) {
    const size_t words = s.size / 8;
    for (size_t i = 0; i < words; i = next_word(i)) {
        const uint64_t w = word_at(s.key, i);
        memcpy(s.p + 8 * i, &w, 8);
    }
    const uint64_t last = word_at(s.key, words);
    memcpy(s.p + 8 * words, &last, s.size - 8 * words);
}

// `length` bytes of a block that was filled to `filled` bytes and may have moved since.
void check(const Slot& s, size_t length, size_t filled, const char* where) {
    const size_t words = length / 8;
    for (size_t i = 0; i < words; i = next_word(i)) {
        uint64_t w;
        memcpy(&w, s.p + 8 * i, 8);
        if (w != word_at(s.key, i)) [[unlikely]]
            stress::fail("%s: block %p of %zu bytes differs in the word at %zu", where,
                         static_cast<void*>(s.p), filled, 8 * i);
    }
    if (length != filled && words >= kDenseWords) return;
    const uint64_t last = word_at(s.key, words);
    if (memcmp(s.p + 8 * words, &last, length - 8 * words) != 0)
        stress::fail("%s: block %p of %zu bytes differs in its last bytes", where,
                     static_cast<void*>(s.p), filled);
}
void check(const Slot& s, const char* where) {
    check(s, s.size, s.size, where);
}

void check_zero(const unsigned char* p, size_t n, const char* where) {
    for (size_t i = 0; i < n; ++i)
        if (p[i] != 0) [[unlikely]]
            stress::fail("%s: byte %zu of %zu is not zero", where, i, n);
}

void expect(const Slot& s, size_t align, const char* what) {
    if (s.p == nullptr) stress::fail("%s(%zu) returned null", what, s.size);
    if ((reinterpret_cast<uintptr_t>(s.p) & (align - 1)) != 0)
        stress::fail("%s(%zu) returned %p, not aligned to %zu", what, s.size,
                     static_cast<void*>(s.p), align);
    if (subject::malloc_usable_size(s.p) < s.size)
        stress::fail("%s(%zu): usable size %zu", what, s.size, subject::malloc_usable_size(s.p));
}

void make(Slot& s, size_t size, stress::Random& random) {
    s.size = size;
    s.key = random.next();
    // A request below the alignment of a block of 16 may be aligned to the largest power of two
    // that fits it.
    const size_t natural = size >= 16 ? 16 : size >= 8 ? 8 : 1;
    switch (random.below(5)) {
        case 0: {
            const size_t align = size_t{1} << random.between(3, 22);
            void* p = nullptr;
            if (subject::posix_memalign(&p, align, size) != 0)
                stress::fail("posix_memalign(%zu, %zu) failed", align, size);
            s.p = static_cast<unsigned char*>(p);
            expect(s, align, "posix_memalign");
            break;
        }
        case 1: {
            const size_t align = size_t{1} << random.between(0, 16);
            s.p = static_cast<unsigned char*>(subject::memalign(align, size));
            expect(s, align, "memalign");
            break;
        }
        case 2:
            s.p = static_cast<unsigned char*>(subject::calloc(1, size));
            expect(s, natural, "calloc");
            check_zero(s.p, size, "calloc");
            break;
        default:
            s.p = static_cast<unsigned char*>(subject::malloc(size));
            expect(s, natural, "malloc");
            break;
    }
    fill(s);
}

void resize(Slot& s, size_t size) {
    check(s, "before realloc");
    const size_t filled = s.size;
    s.p = static_cast<unsigned char*>(subject::realloc(s.p, size));
    s.size = size;
    expect(s, size >= 16 ? 16 : 1, "realloc");
    check(s, size < filled ? size : filled, filled, "after realloc");
    fill(s);
}

// Large blocks cost their page faults: most of the draws above 1 MiB are drawn again.
size_t random_size(stress::Random& random) {
    const size_t size = random.log_between(min_size, max_size);
    if (size <= (1u << 20) || random.below(16) == 0) return size;
    return random.log_between(min_size, min_size < (1u << 20) ? 1u << 20 : min_size);
}

void work(uint64_t seed, std::chrono::steady_clock::time_point end) {
    stress::Random random(seed);
    std::vector<Slot> table(slots);
    const size_t limit = (live_mb << 20) / threads;
    size_t live = 0;
    uint64_t done = 0;
    while (std::chrono::steady_clock::now() < end) {
        Slot& s = table[random.below(table.size())];
        size_t size = random_size(random);
        // Around the powers of two lie the borders between classes and between tiers.
        if (random.below(4) == 0) {
            size = size_t{1} << (63 - __builtin_clzll(size));
            size =
                size + random.below(33) < 17 + min_size ? min_size : size + random.below(33) - 16;
            if (size > max_size) size = max_size;
        }
        const size_t other = live - s.size;
        if (other + size > limit) size = random.log_between(min_size, min_size + 1000);
        if (s.p == nullptr) {
            make(s, size, random);
            live += size;
        } else if (random.below(3) == 0) {
            check(s, "free");
            subject::free(s.p);
            live -= s.size;
            s = Slot{};
        } else {
            // Half of the resizes stay near the old size, where growing and shrinking in place
            // happens.
            if (random.below(2) == 0) size = s.size / 2 + random.below(s.size + 2) + 1;
            if (other + size > limit || size > max_size) size = s.size;
            if (size < min_size) size = min_size;
            live = other + size;
            resize(s, size);
        }
        ++done;
    }
    for (Slot& s : table)
        if (s.p != nullptr) {
            check(s, "end");
            subject::free(s.p);
        }
    operations.fetch_add(done, std::memory_order_relaxed);
}

}  // namespace

int main(int argc, char** argv) {
    stress::parse(argc, argv, parameters);
    if (min_size > max_size) {
        fprintf(stderr,
                "%s: min is above max\nusage: %s seconds min max slots live_mb seed threads\n",
                argv[0], argv[0]);
        return 2;
    }
    stress::Random random(stress::seed_of_run);
    const auto start = std::chrono::steady_clock::now();
    constexpr int kPhases = 3;
    for (int phase = 1; phase <= kPhases; ++phase) {
        const auto end = start + std::chrono::milliseconds(seconds * 1000 *
                                                           static_cast<uint64_t>(phase) / kPhases);
        std::vector<std::thread> workers;
        for (uint64_t i = 0; i < threads; ++i) workers.emplace_back(work, random.next(), end);
        for (std::thread& t : workers) t.join();
        stress::audit("all threads joined, all freed");
    }
    stress::check_mapping_count();
    printf("realloc_mix: %.0f operations/s, seed %" PRIu64 "\n",
           static_cast<double>(operations.load(std::memory_order_relaxed)) /
               stress::seconds_since(start),
           stress::seed_of_run);
    return 0;
}
