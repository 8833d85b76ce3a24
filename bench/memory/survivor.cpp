// 64 threads fill memory; each frees a random nine tenths of its blocks, and all but one end. The
// one that is left allocates as much as all of them had. What the dead threads' slabs have free
// must serve it.
#include <barrier>

#include "memory.hpp"

namespace hak::bench {
namespace {

constexpr unsigned kThreads = 64;
constexpr std::size_t kBytesPerThread = std::size_t{4} << 20;
constexpr std::size_t kMaxBlocks = kBytesPerThread / 64;  // the mean size is above 200 bytes

struct Share {
    explicit Share(std::uint64_t s) : random(s), blocks(kMaxBlocks) {}
    Random random;
    Table<Block> blocks;
    std::size_t count = 0;
};

void fill(Share& share, std::size_t target) {
    std::size_t bytes = 0;
    share.count = 0;
    while (bytes < target) {
        if (share.count == share.blocks.size()) die("the table of a share is too small");
        const std::uint32_t size = share.random.log_uniform(4, 10);
        share.blocks[share.count++] = make_block(size, share.random.next());
        bytes += size;
    }
}

void free_most(Share& share) {
    for (std::size_t i = share.count; i > 1; --i) {
        std::swap(share.blocks[i - 1],
                  share.blocks[share.random.below(static_cast<std::uint32_t>(i))]);
    }
    const std::size_t kept = share.count / 10;
    while (share.count > kept) free_block(share.blocks[--share.count]);
}

void free_rest(Share& share) {
    while (share.count > 0) free_block(share.blocks[--share.count]);
}

}  // namespace

void survivor(const Settings& settings, Findings& findings) {
    // Two sets of shares: the threads' own and, of the same sizes, what the survivor allocates.
    Table<Share> first(kThreads);
    Table<Share> again(kThreads);
    for (unsigned t = 0; t < kThreads; ++t) {
        new (&first[t]) Share(settings.seed * 1000 + t);
        new (&again[t]) Share(settings.seed * 2000 + t);
    }
    Table<std::thread> threads(kThreads);
    const double own = static_cast<double>(rss_kib());
    restart_peak();

    std::barrier all_full(kThreads + 1);
    std::barrier measured(kThreads + 1);
    std::atomic<unsigned> running{kThreads};
    double after_exit = 0;
    double refilled = 0;
    for (unsigned t = 0; t < kThreads; ++t) {
        new (&threads[t]) std::thread([&, t] {
            fill(first[t], kBytesPerThread);
            all_full.arrive_and_wait();
            measured.arrive_and_wait();
            free_most(first[t]);
            running.fetch_sub(1, std::memory_order_acq_rel);
            if (t != 0) return;
            while (running.load(std::memory_order_acquire) != 0) std::this_thread::yield();
            for (unsigned other = 1; other < kThreads; ++other) threads[other].join();
            after_exit = static_cast<double>(rss_kib()) - own;
            for (unsigned n = 0; n < kThreads; ++n) {
                fill(again[n], kBytesPerThread);
                if (n + 1 == kThreads * 9 / 10)
                    refilled = static_cast<double>(peak_rss_kib()) - own;
            }
        });
    }
    all_full.arrive_and_wait();
    const double first_peak = static_cast<double>(peak_rss_kib()) - own;
    restart_peak();
    measured.arrive_and_wait();
    threads[0].join();
    const double second_peak = static_cast<double>(peak_rss_kib()) - own;

    findings.figure("requested_kib", static_cast<double>(kThreads * kBytesPerThread) / 1024);
    findings.figure("first_peak_kib", first_peak);
    findings.figure("after_exit_kib", after_exit);
    findings.figure("refilled_ratio", refilled / first_peak);
    findings.figure("second_peak_kib", second_peak);
    findings.bound("peak_ratio", second_peak / first_peak, 1.25);
    for (unsigned t = 0; t < kThreads; ++t) {
        free_rest(first[t]);
        free_rest(again[t]);
        first[t].~Share();
        again[t].~Share();
    }
    findings.figure("end_kib", static_cast<double>(rss_kib()) - own);
}

}  // namespace hak::bench
