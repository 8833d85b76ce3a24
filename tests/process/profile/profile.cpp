// profile.cpp: the heap profile in a real process, through the functions of hakmem_profile.h.
//
//   profile CASE     exit code 0: what the case promises holds. HAKMEM_OPTIONS says the interval.
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "hakmem/hakmem.h"
#include "hakmem/hakmem_profile.h"
#include "tests/check.hpp"

namespace {

void expect(bool holds, const std::string& what) {
    if (holds) return;
    std::fprintf(stderr, "FAILED: %s\n", what.c_str());
    check_say(check_line);
    std::exit(1);
}
void expect_near(const char* what, double found, double wanted) {
    expect(std::abs(found - wanted) <= wanted / 10,
           std::string(what) + ": " + std::to_string(found) + " is not within 10 % of " +
               std::to_string(wanted));
}

struct hak_profile_stats stats() {
    struct hak_profile_stats s;
    expect(hak_profile_get_stats(&s, sizeof s) == 0, "hak_profile_get_stats");
    return s;
}
struct hak_site site_of(const void* site) {
    struct hak_site s;
    for (size_t i = 0; hak_site_get(i, &s, sizeof s) == 0; ++i) {
        if (s.site == site) return s;
    }
    std::memset(&s, 0, sizeof s);
    return s;
}

// Of all sites.
double live_bytes() {
    struct hak_site s;
    double sum = 0;
    for (size_t i = 0; hak_site_get(i, &s, sizeof s) == 0; ++i)
        sum += static_cast<double>(s.live_bytes);
    return sum;
}

// Eight mebibytes of each size from a site of its own, 64 KiB and more from the tier above; every
// other block is freed. At an interval of 2 KiB these are four thousand samples a site: ten per
// cent is six standard deviations.
void estimates() {
    static const char sites[6] = {};
    const size_t sizes[6] = {1, 24, 200, 1000, 20'000, 100'000};
    std::vector<void*> kept;
    for (unsigned i = 0; i < 6; ++i) {
        const size_t bytes = i == 0 ? size_t{2} << 20 : size_t{8} << 20;
        size_t count = 0;
        for (size_t sum = 0; sum < bytes; sum += sizes[i], ++count) {
            void* const p = hak_alloc_at(sizes[i], &sites[i]);
            expect(p != nullptr, "no memory");
            if (count % 2 == 0)
                hak_free_at(p, &sites[i]);
            else
                kept.push_back(p);
        }
        const struct hak_site s = site_of(&sites[i]);
        const auto blocks = static_cast<double>(count),
                   bytes_allocated = blocks * static_cast<double>(sizes[i]);
        if (i == 0) continue;  // below a thousandth of the interval; its samples are few
        expect_near("allocations", static_cast<double>(s.allocations), blocks);
        expect_near("bytes", static_cast<double>(s.bytes), bytes_allocated);
        expect_near("live blocks", static_cast<double>(s.live_blocks), blocks / 2);
        expect_near("live bytes", static_cast<double>(s.live_bytes), bytes_allocated / 2);
        unsigned bucket = 0;
        while (sizes[i] >> bucket != 0) ++bucket;
        expect_near("blocks of that size", static_cast<double>(s.sizes[bucket]), blocks);
    }
    for (void* p : kept) hak_free(p);
    for (const char& site : sites) expect(site_of(&site).live_blocks == 0, "freed blocks live");
    expect(stats().overflowed_blocks == 0, "samples were lost");
}

// What a thread allocates after its exit hook, when it has no heap to count in: eight mebibytes, as
// in `estimates`.
void late() {
    static const char site = 0;
    constexpr unsigned kCount = (8u << 20) / 200;
    pthread_key_t key;
    expect(pthread_key_create(&key,
                              [](void*) {
                                  for (unsigned i = 0; i < kCount; ++i) {
                                      void* const p = hak_alloc_at(200, &site);
                                      expect(p != nullptr, "no memory");
                                      hak_free(p);
                                  }
                              }) == 0,
           "a key");
    std::thread([&] {
        hak_free(hak_malloc(40));
        pthread_setspecific(key, &key);
    }).join();
    expect_near("allocations of a thread that ends",
                static_cast<double>(site_of(&site).allocations), kCount);
}

// Blocks that realloc leaves in place, moves within their size, and grows, as often as there are
// samples in `estimates`: whoever is resized lives on.
void resizes() {
    static const char sites[5] = {};
    const struct {
        size_t from, to, alignment;
    } cases[] = {
        {100, 97, 0}, {33, 48, 0}, {1000, 600, 0}, {300, 900, 1024}, {100'000, 300'000, 0}};
    const char* site = sites;
    for (const auto& c : cases) {
        std::vector<void*> blocks((size_t{8} << 20) / c.from);
        for (void*& p : blocks)
            p = c.alignment == 0 ? hak_alloc_at(c.from, site)
                                 : hak_aligned_alloc(c.alignment, c.from);
        const auto bytes_before = live_bytes();
        for (void*& p : blocks) expect((p = hak_realloc(p, c.to)) != nullptr, "no memory");
        const auto count = static_cast<double>(blocks.size());
        const std::string what =
            std::to_string(c.from) + " bytes resized to " + std::to_string(c.to) + ": ";
        expect_near((what + "more live bytes").c_str(),
                    live_bytes() - bytes_before + count * static_cast<double>(c.from),
                    count * static_cast<double>(c.to));
        if (c.alignment == 0) {
            const struct hak_site s = site_of(site);
            expect_near((what + "live blocks").c_str(), static_cast<double>(s.live_blocks), count);
            expect_near((what + "live bytes").c_str(), static_cast<double>(s.live_bytes),
                        count * static_cast<double>(c.to));
        }
        for (void* p : blocks) hak_free(p);
        expect(site_of(site).live_bytes == 0, what + "freed bytes live");
        site += 1;
    }
    expect(stats().overflowed_blocks == 0, "samples were lost");
}

// With profile=1 each block is a sample: their ages are those of the clock, and stand in the
// buckets that the header says.
void lifetimes() {
    using std::chrono::steady_clock;
    static const char brief = 0, lasting = 0;
    const auto ms_since = [](steady_clock::time_point start) {
        return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
    };
    constexpr double kTick = 20;  // the clock of the profile ticks at least each ten milliseconds
    const auto first = steady_clock::now();
    for (unsigned i = 0; i < 100; ++i) hak_free(hak_alloc_at(40, &brief));
    const double brief_ms = ms_since(first);
    std::vector<void*> blocks(100);
    const auto second = steady_clock::now();
    for (void*& p : blocks) p = hak_alloc_at(40, &lasting);
    expect(site_of(&lasting).mean_lifetime_ms == 0, "a lifetime of what lives");
    std::this_thread::sleep_for(std::chrono::milliseconds(140));
    for (void* p : blocks) hak_free(p);
    const double ms = ms_since(second);
    const struct hak_site a = site_of(&brief), b = site_of(&lasting);
    // Of the brief ones one lives at a time: together they are as old as the loop is long.
    expect(a.mean_lifetime_ms < (brief_ms + kTick) / 10 && b.mean_lifetime_ms > 120 &&
               b.mean_lifetime_ms < ms + kTick,
           "mean lifetimes: " + std::to_string(a.mean_lifetime_ms) + ", and " +
               std::to_string(b.mean_lifetime_ms) + " of " + std::to_string(ms) + " ms");
    uint64_t as_long = 0, shorter = 0, of_size = 0;
    for (unsigned bucket = 0; bucket < HAK_SITE_BUCKETS; ++bucket) {
        (bucket < 7 ? shorter : as_long) += b.lifetimes_ms[bucket];  // 7: 64 to 127 ms
        of_size += bucket == 6 ? a.sizes[bucket] : 0;                // 32 to 63 bytes
    }
    expect(as_long == 100 && shorter == 0 && of_size == 100,
           "a block stands in another bucket than that of its age or size");
}

// A window that holds fewer samples than blocks: what is not taken is counted.
void narrow() {
    static const char site = 0;
    // One byte in three is missed: then there is a slab for what finds no room as a sample.
    for (unsigned i = 0; i < 100; ++i) expect(hak_alloc_at(1, &site) != nullptr, "no memory");
    const struct hak_profile_stats before = stats();
    for (unsigned i = 0; i < 2000; ++i) expect(hak_alloc_at(16, &site) != nullptr, "no memory");
    const struct hak_profile_stats after = stats();
    const uint64_t taken = after.samples - before.samples,
                   lost = after.overflowed_blocks - before.overflowed_blocks;
    // Of 16 bytes one in nine million is missed.
    expect(lost > 900 && taken + lost + 1 >= 2000,
           std::to_string(taken) + " samples were taken, and " + std::to_string(lost) +
               " counted as lost, of 2000");
}

// The table of sites on stderr: a HAK_CALLSITE by its text, whatever folder its source lies in, and
// another site by its address.
void printed() {
    static const char address = 0;
    const std::string deep =
        "/home/someone/my sources/\xc3\xa9/" + std::string(300, 'd') + "/file.c:12";
    const void* const here = HAK_CALLSITE;
    const std::string there = std::string(__FILE__ ":") + std::to_string(__LINE__ - 1);
    for (const void* site :
         {here, static_cast<const void*>(&address), static_cast<const void*>(deep.c_str())})
        hak_free(hak_alloc_at(100, site));
    std::FILE* const file = std::tmpfile();
    expect(file != nullptr, "a file");
    const int before = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    hak_site_print();
    dup2(before, STDERR_FILENO);
    close(before);
    std::rewind(file);
    std::string text;
    for (int c = 0; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
    std::fclose(file);
    char number[32];
    std::snprintf(number, sizeof number, "%p", static_cast<const void*>(&address));
    for (const std::string& name : {there, std::string(number), deep}) {
        expect(text.find("hakmem: site " + name +
                         ": 1 allocations, 100 bytes; live 0 blocks, 0 bytes; mean lifetime ") !=
                   std::string::npos,
               "no line for site " + name + ":\n" + text);
    }
}

// Blocks of one thread, freed by another, resized by a third, and freed by a thread whose exit hook
// ran: with profile=1 a block of 40 bytes is missed once in e^40, so that nothing is an estimate.
void threads() {
    static const char site = 0;
    static std::vector<void*> blocks;
    std::thread([&] {
        for (unsigned i = 0; i < 1000; ++i)
            blocks.push_back(hak_alloc_at(i % 3 == 0 ? 100'000 : 40, &site));
    }).join();
    expect(site_of(&site).live_blocks == 1000, "every block is sampled");
    std::thread([&] {
        for (unsigned i = 0; i < 1000; i += 2) hak_free(blocks[i]);
    }).join();
    expect(site_of(&site).live_blocks == 500, "another thread's free was not seen");
    std::thread([&] {
        for (unsigned i = 1; i < 1000; i += 2) {
            blocks[i] = hak_realloc(blocks[i], i % 4 == 1 ? 300'000 : 80);
            expect(blocks[i] != nullptr, "no memory");
        }
    }).join();
    const struct hak_site s = site_of(&site);
    // Every third block was above 32 KiB, and keeps its site; another one that moves is the
    // caller's of realloc.
    expect(s.live_blocks == 167 && s.allocations == 1000 + 167,
           "realloc left a sample of the old block, or lost one of the new");
    // A key that is made after hakmem's: its destructor runs when the thread has no heap any more.
    static std::vector<void*>& late = blocks;
    pthread_key_t key;
    expect(pthread_key_create(&key,
                              [](void*) {
                                  for (unsigned i = 1; i < 1000; i += 2) hak_free(late[i]);
                                  hak_free(hak_alloc_at(40, &site));
                              }) == 0,
           "a key");
    const uint64_t live = stats().live_samples;
    std::thread([&] {
        hak_free(hak_malloc(40));
        pthread_setspecific(key, &key);
    }).join();
    expect(stats().live_samples == live - 500, "the frees of a thread that ends were not seen");
    expect(site_of(&site).allocations == s.allocations + 1,
           "the allocation of a thread that ends was not seen");
}

// Calls that fail change nothing; what every function of the family allocates is seen.
void calls() {
    const uint64_t before = stats().samples;
    auto seen = [n = before](const char* what, void* p) mutable {
        expect(p != nullptr, what);
        expect(stats().samples == n + 1, std::string(what) + " is not sampled");
        n += 1;
        return p;
    };
    expect(hak_malloc(SIZE_MAX / 2) == nullptr && errno == ENOMEM, "an impossible size");
    void* p = seen("malloc", hak_malloc(40));
    void* q = seen("calloc", hak_calloc(3, 15));
    for (unsigned i = 0; i < 45; ++i) expect(static_cast<char*>(q)[i] == 0, "calloc is not zero");
    void* r = seen("aligned_alloc", hak_aligned_alloc(256, 512));
    expect(reinterpret_cast<uintptr_t>(r) % 256 == 0, "alignment");
    void* t = seen("memalign above small", hak_memalign(size_t{1} << 22, 100));
    expect(reinterpret_cast<uintptr_t>(t) % (size_t{1} << 22) == 0, "alignment");
    void* u = nullptr;
    expect(hak_posix_memalign(&u, 4096, 100) == 0, "posix_memalign");
    seen("posix_memalign", u);
    expect(reinterpret_cast<uintptr_t>(u) % 4096 == 0, "alignment");
    expect(hak_malloc_usable_size(p) == 48 && hak_malloc_usable_size(r) == 512 &&
               hak_malloc_usable_size(t) >= 100,
           "what a sample can hold");
    p = seen("realloc", hak_realloc(p, 50'000));
    void* w = seen("alloc_at", hak_alloc_at(60'000, HAK_CALLSITE));
    expect(hak_realloc(p, SIZE_MAX / 2) == nullptr, "an impossible size");
    const uint64_t live = stats().live_samples;
    for (void* x : {p, q, r, t, u, w}) hak_free(x);
    expect(stats().live_samples == live - 6, "frees");
}

// Forks, and does `free_it` in the child, which goes on with the profile: one block of the site was
// live.
template <class Free>
void fork_and(const void* site, Free free_it) {
    const pid_t child = fork();
    if (child == 0) {
        free_it();
        void* const q = hak_alloc_at(100, site);
        expect(q != nullptr && site_of(site).live_blocks == 1 && site_of(site).allocations == 2,
               "the child's profile");
        expect(hak_profile_dump("/dev/null") == 0, "the child's file");
        std::_Exit(0);
    }
    int status = 0;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

// A forked child goes on with the profile; errors of the file are told.
void processes() {
    static const char site = 0;
    void* const p = hak_alloc_at(100, &site);
    // The profile's lock is taken in a process of several threads alone. (TSan lets no child of
    // those start threads.)
    fork_and(&site, [&] { std::thread([&] { hak_free(p); }).join(); });
    std::mutex end_of_second;
    end_of_second.lock();
    std::thread second([&] { const std::lock_guard waits(end_of_second); });
    fork_and(&site, [&] { hak_free(p); });
    end_of_second.unlock();
    second.join();
    expect(site_of(&site).allocations == 1, "the parent counts what the child did");
    expect(hak_profile_dump("/dev/full") == ENOSPC, "a full disk");
    expect(hak_profile_dump("/nowhere/at/all") == ENOENT, "no folder");
    expect(hak_profile_dump(nullptr) == EINVAL, "no path");
    hak_free(p);
}

// What the children of one process estimate, each of the same work, are as many estimates and not
// one of them so many times.
void siblings() {
    static const char site = 0;
    for (const bool is_alone : {true, false}) {
        std::mutex end_of_second;
        end_of_second.lock();
        std::thread second;
        if (!is_alone) second = std::thread([&] { const std::lock_guard waits(end_of_second); });
        std::set<uint64_t> estimates;
        for (int i = 0; i < 4; ++i) {
            int ends[2];
            expect(pipe(ends) == 0, "pipe");
            const pid_t child = fork();
            if (child == 0) {
                for (int n = 0; n < 20'000; ++n)
                    expect(hak_alloc_at(100, &site) != nullptr, "no memory");
                const uint64_t estimate = site_of(&site).allocations;
                std::_Exit(write(ends[1], &estimate, sizeof estimate) == sizeof estimate ? 0 : 1);
            }
            uint64_t estimate = 0;
            int status = 0;
            expect(read(ends[0], &estimate, sizeof estimate) == sizeof estimate &&
                       waitpid(child, &status, 0) == child && status == 0,
                   "the child failed");
            expect(estimate > 15'000 && estimate < 25'000, "a child's estimate is wrong");
            estimates.insert(estimate);
            close(ends[0]);
            close(ends[1]);
        }
        expect(estimates.size() > 1,
               is_alone ? "four children sampled the same allocations"
                        : "four children of two threads sampled the same allocations");
        end_of_second.unlock();
        if (!is_alone) second.join();
    }
}

// A block says the site that it was asked for at.
void sites_of_blocks() {
    static const char site = 0;
    for (const size_t n : {size_t{100}, size_t{100'000}, size_t{5'000'000}}) {
        void* p = hak_alloc_at(n, &site);
        const bool is_said = n > 32 * 1024 || stats().interval == 1;
        expect(hak_site_of(p) == (is_said ? &site : nullptr), "a block does not say its site");
        expect(hak_site_of(static_cast<char*>(p) + 8) == nullptr,
               "an address inside a block says a site");
        for (const size_t bytes : {n + n / 2, n + n / 2 - 1, n}) {
            p = hak_realloc(p, bytes);
            expect(p != nullptr, "no memory");
            if (n <= 32 * 1024) continue;
            expect(hak_site_of(p) == &site, "realloc lost a block's site");
            if (stats().interval == 1)
                expect(site_of(&site).live_blocks == 1,
                       "what realloc gave is counted for another site");
        }
        hak_free(p);
        p = hak_malloc(n);
        expect(hak_site_of(p) != &site, "a block says the site of the one before");
        hak_free(p);
    }
    int local = 0;
    expect(hak_site_of(nullptr) == nullptr && hak_site_of(&local) == nullptr,
           "what is no block says a site");
}

// Without the option nothing is there.
void rests() {
    struct hak_site s;
    hak_free(hak_alloc_at(100, HAK_CALLSITE));
    expect(stats().interval == 0 && stats().samples == 0 && hak_site_count() == 0,
           "a profile that nobody asked for");
    expect(hak_profile_dump("/dev/null") == ENODATA, "a dump of nothing");
    expect(hak_site_get(0, &s, sizeof s) == EINVAL, "a site of nothing");
}

// More live samples and more sites than there is room for: blocks are still served, and what was
// lost is counted.
void overflow() {
    std::vector<void*> blocks;
    static const char sites[2000] = {};
    for (unsigned i = 0; i < 26'000; ++i) {
        blocks.push_back(hak_alloc_at(40, &sites[i % 2000]));
        expect(blocks.back() != nullptr, "no memory");
    }
    expect(stats().overflowed_blocks >= 26'000 - 24'576 && stats().overflowed_sites > 0 &&
               hak_site_count() == 1024,
           "overflow is not counted");
    for (void* p : blocks) hak_free(p);
    expect(site_of(nullptr).live_blocks == 0, "freed blocks live");
}

}  // namespace

int main(int, char** argv) {
    check_test cases[] = {CHECK_TEST(estimates),       CHECK_TEST(threads), CHECK_TEST(calls),
                          CHECK_TEST(processes),       CHECK_TEST(rests),   CHECK_TEST(overflow),
                          CHECK_TEST(sites_of_blocks), CHECK_TEST(resizes), CHECK_TEST(lifetimes),
                          CHECK_TEST(printed),         CHECK_TEST(narrow),  CHECK_TEST(late),
                          CHECK_TEST(siblings)};
    return check_main(argv, check_chain(cases, std::size(cases)), CHECK_ALONE, 110, nullptr);
}
