// Producers allocate, consumers free: every block is returned by a thread that did not allocate it.
// Blocks travel in packets through one bounded queue, so that the queue's own cost is small beside
// the allocator's.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "harness.hpp"

namespace hak::bench {
namespace {

constexpr std::uint32_t kPacketBlocks = 256;
constexpr std::uint32_t kPackets = 32;

struct Packet {
    void* block[kPacketBlocks];
    std::uint32_t size[kPacketBlocks];
};

// A ring of packet pointers; both ends wait.
class Queue {
  public:
    void put(Packet* packet) {
        std::unique_lock lock(mutex_);
        not_full_.wait(lock, [&] { return count_ < kPackets; });
        ring_[(first_ + count_++) % kPackets] = packet;
        lock.unlock();
        not_empty_.notify_one();
    }
    Packet* take() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [&] { return count_ > 0; });
        Packet* packet = ring_[first_];
        first_ = (first_ + 1) % kPackets;
        --count_;
        lock.unlock();
        not_full_.notify_one();
        return packet;
    }

  private:
    std::mutex mutex_;
    std::condition_variable not_full_;
    std::condition_variable not_empty_;
    Packet* ring_[kPackets] = {};
    std::uint32_t first_ = 0;
    std::uint32_t count_ = 0;
};

struct Shared {
    Queue full;
    Queue empty;
};

void produce(Shared* shared, std::uint64_t seed, std::uint64_t packets) {
    Random random(seed);
    for (std::uint64_t n = 0; n < packets; ++n) {
        Packet* packet = shared->empty.take();
        for (std::uint32_t i = 0; i < kPacketBlocks; ++i) {
            packet->size[i] = random.log_uniform(4, 10);
            packet->block[i] = must_malloc(packet->size[i]);
            stamp(packet->block[i], packet->size[i], random.next());
        }
        shared->full.put(packet);
    }
}

void consume(Shared* shared, std::uint64_t packets, std::uint64_t* checksum) {
    std::uint64_t sum = 0;
    for (std::uint64_t n = 0; n < packets; ++n) {
        Packet* packet = shared->full.take();
        for (std::uint32_t i = 0; i < kPacketBlocks; ++i) {
            sum += scramble(read_stamp(packet->block[i], packet->size[i]) + packet->size[i]);
            std::free(packet->block[i]);
        }
        shared->empty.put(packet);
    }
    *checksum = sum;
}

}  // namespace

// options.threads counts both sides: 2 is one producer and one consumer.
Outcome producer_consumer(const Options& options, Measure& measure) {
    const unsigned pairs = options.threads < 2 ? 1 : options.threads / 2;
    const std::uint64_t packets = options.work(20'000 / pairs);
    Table<Packet> storage(kPackets);
    Table<std::uint64_t> checksums(pairs);
    Table<std::thread> threads(2 * pairs);
    Shared shared;
    for (Packet& packet : storage) shared.empty.put(&packet);

    measure.begin();
    for (unsigned i = 0; i < pairs; ++i) {
        new (&threads[2 * i]) std::thread(produce, &shared, options.seed + i, packets);
        new (&threads[2 * i + 1]) std::thread(consume, &shared, packets, &checksums[i]);
    }
    for (std::thread& thread : threads) thread.join();
    measure.end();

    Outcome outcome;
    outcome.ops = packets * pairs * kPacketBlocks;
    for (std::uint64_t sum : checksums) outcome.checksum += sum;
    return outcome;
}

}  // namespace hak::bench
