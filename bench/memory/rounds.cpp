// Three programs that free in other threads than they allocate, for many rounds: what the allocator
// holds must settle. A round's batch has one of four shapes, in turn, so that what one round freed
// is of other sizes than the next one needs.
#include <semaphore>

#include "memory.hpp"

namespace hak::bench {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxBlocks = kBatchBytes / 32;
// powers of two: least size, end of sizes
constexpr unsigned kShapes[][2] = {{4, 8}, {5, 10}, {9, 13}, {12, 16}};

struct Batch {
    Batch() : blocks(kMaxBlocks) {}
    Table<Block> blocks;
    std::size_t count = 0;
};

void fill(Batch& batch, unsigned round, Random& random) {
    const auto& shape = kShapes[round % 4];
    batch.count = 0;
    for (std::size_t bytes = 0; bytes < kBatchBytes;) {
        if (batch.count == batch.blocks.size()) die("the table of a batch is too small");
        const std::uint32_t size = random.log_uniform(shape[0], shape[1]);
        batch.blocks[batch.count++] = make_block(size, random.next());
        bytes += size;
    }
}

void free_all(Batch& batch) {
    for (std::size_t i = 0; i < batch.count; ++i) free_block(batch.blocks[i]);
    batch.count = 0;
}

// The peak of each round, net of the program's own memory, and the judgement over all of them.
class Rounds {
  public:
    explicit Rounds(unsigned count) : peaks_(count), count_(count) {
        own_ = static_cast<double>(rss_kib());
        restart_peak();
    }

    void next() {
        if (at_ == count_) die("more rounds than announced");
        peaks_[at_++] = static_cast<double>(peak_rss_kib()) - own_;
        restart_peak();
    }

    // The second quarter of the rounds has seen every shape before; the second half may not need
    // more. A fifth is allowed, because how much free memory waits to be purged depends on how long
    // a round takes; over the distance between the two, which is half of the rounds, a loss of a
    // fiftieth of a batch per round is more than that.
    void judge(Findings& findings, unsigned live_batches, double limit) {
        const double live = static_cast<double>(live_batches * kBatchBytes) / 1024;
        const double early = highest(count_ / 4, count_ / 2);
        const double late = highest(count_ / 2, count_);
        findings.figure("rounds", count_);
        findings.figure("live_kib", live);
        findings.figure("first_rounds_peak_kib", highest(0, count_ / 4));
        findings.figure("early_peak_kib", early);
        findings.figure("late_peak_kib", late);
        findings.figure("end_kib", static_cast<double>(rss_kib()) - own_);
        findings.bound("growth_kib", late - early, 0.20 * early + 2048);
        findings.bound("late_peak_to_live", late / live, limit);
    }

  private:
    double highest(unsigned from, unsigned to) {
        double most = 0;
        for (unsigned i = from; i < to; ++i) most = peaks_[i] > most ? peaks_[i] : most;
        return most;
    }

    Table<double> peaks_;
    unsigned count_;
    unsigned at_ = 0;
    double own_ = 0;
};

}  // namespace

// A producer that never frees and a consumer that frees everything, both alive all the time. The
// consumer frees one batch when the next one is full, so that exactly two live at the peak whatever
// the schedule.
void consumer(const Settings& settings, Findings& findings) {
    Batch batches[2];
    Random random(settings.seed);
    std::binary_semaphore filled{0};
    std::binary_semaphore freed{0};
    Rounds rounds(settings.rounds);
    std::thread other([&] {
        for (unsigned r = 0; r < settings.rounds; ++r) {
            filled.acquire();
            free_all(batches[(r + 1) % 2]);
            freed.release();
        }
    });
    for (unsigned r = 0; r < settings.rounds; ++r) {
        fill(batches[r % 2], r, random);
        filled.release();
        freed.acquire();
        rounds.next();
    }
    other.join();
    free_all(batches[(settings.rounds - 1) % 2]);
    rounds.judge(findings, 2, 1.5);
}

// A thread that only frees: what it frees comes from threads that live for one batch and have ended
// by then.
void freer(const Settings& settings, Findings& findings) {
    Batch batch;
    Random random(settings.seed);
    std::binary_semaphore filled{0};
    std::binary_semaphore freed{0};
    Rounds rounds(settings.rounds);
    std::thread other([&] {
        for (unsigned r = 0; r < settings.rounds; ++r) {
            filled.acquire();
            free_all(batch);
            freed.release();
        }
    });
    for (unsigned r = 0; r < settings.rounds; ++r) {
        std::thread([&] { fill(batch, r, random); }).join();
        filled.release();
        freed.acquire();
        rounds.next();
    }
    other.join();
    rounds.judge(findings, 1, 2.0);
}

// An owner that allocates a batch and sleeps while others free it. A second thread then needs as
// much; what the sleeper holds stays with it, so two batches are held where one lives, but never
// more.
void sleeper(const Settings& settings, Findings& findings) {
    Batch batch;
    Batch second;
    Random owner_random(settings.seed);
    Random worker_random(settings.seed + 1);
    std::binary_semaphore wake{0};
    std::binary_semaphore asleep{0};
    Rounds rounds(settings.rounds);
    std::thread owner([&] {
        for (unsigned r = 0; r < settings.rounds; ++r) {
            wake.acquire();
            fill(batch, r, owner_random);
            asleep.release();
        }
    });
    for (unsigned r = 0; r < settings.rounds; ++r) {
        wake.release();
        asleep.acquire();
        free_all(batch);
        fill(second, r, worker_random);
        free_all(second);
        rounds.next();
    }
    owner.join();
    // docs/memory.md, how much is held: two batches, one more that was freed within the purge
    // delay, 6 MiB for each of 2 threads.
    rounds.judge(findings, 2, 1.9);
}

}  // namespace hak::bench
