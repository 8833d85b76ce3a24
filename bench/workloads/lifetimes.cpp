// Blocks of log-uniform sizes (16 bytes to 32 KiB) that live for exponentially distributed times:
// what a program looks like whose blocks are neither a stack nor a queue. One in eight comes from
// calloc. With several threads one block in sixteen is swapped through a shared place, so that
// another thread frees it.
#include <atomic>
#include <thread>

#include "harness.hpp"

namespace hak::bench {
namespace {

constexpr std::uint32_t kWheel = 1u << 15;  // steps; a longer life ends at the wheel's rim
constexpr double kMeanLife = 3000.0;
constexpr std::uint32_t kPlaces = 256;
constexpr std::uint32_t kNone = ~0u;

// Lives at the start of each block, so that any thread that meets it can free it.
struct Head {
    std::uint64_t key;
    std::uint32_t size;
    std::uint32_t reserved;
};
static_assert(sizeof(Head) == 16);

struct Shared {
    std::atomic<Head*> place[kPlaces] = {};
    bool swapping = false;
};

Head* make(Random& random) {
    const std::uint32_t size = random.log_uniform(4, 15);
    const std::uint64_t key = random.next();
    char* block = nullptr;
    if ((key & 7) == 0) {
        block = static_cast<char*>(must_calloc(1, size));
        if (block[0] != 0 || block[size / 2] != 0 || block[size - 1] != 0)
            die("calloc returned a block that is not zero");
    } else {
        block = static_cast<char*>(must_malloc(size));
    }
    Head* head = reinterpret_cast<Head*>(block);
    *head = Head{key, size, 0};
    block[size - 1] = size > sizeof(Head) ? static_cast<char>(key) : block[size - 1];
    return head;
}

std::uint64_t destroy(Head* head) {
    const char* block = reinterpret_cast<const char*>(head);
    if (head->size > sizeof(Head) && block[head->size - 1] != static_cast<char>(head->key)) {
        die("a block's contents changed while it was in use");
    }
    const std::uint64_t value = scramble(head->key + head->size);
    std::free(head);
    return value;
}

// The wheel has one list of blocks per future step; nodes come from a table of their own.
struct Node {
    Head* head;
    std::uint32_t next;
};

struct Worker {
    Worker() : wheel(kWheel), nodes(kWheel + 1) {}
    Table<std::uint32_t> wheel;
    Table<Node> nodes;
    std::uint64_t checksum = 0;
};

void work(Worker* worker, Shared* shared, std::uint64_t seed, std::uint64_t steps) {
    Random random(seed);
    std::uint32_t free_node = 0;
    std::uint64_t sum = 0;
    for (std::uint64_t step = 0; step < steps; ++step) {
        std::uint32_t& due = worker->wheel[step % kWheel];
        while (due != kNone) {
            Node& node = worker->nodes[due];
            sum += destroy(node.head);
            const std::uint32_t next = node.next;
            node.next = free_node;
            free_node = due;
            due = next;
        }
        Head* head = make(random);
        // Every number is drawn whatever the swap yields: the blocks that exist depend on the seed,
        // not on the schedule.
        std::uint32_t life = random.exponential(kMeanLife);
        if (life >= kWheel) life = kWheel - 1;
        const std::uint64_t swap = random.next();
        if (shared->swapping && (swap & 15) == 0) {
            head = shared->place[(swap >> 8) % kPlaces].exchange(head, std::memory_order_acq_rel);
            if (head == nullptr) continue;
        }
        const std::uint32_t index = free_node;
        Node& node = worker->nodes[index];
        free_node = node.next;
        std::uint32_t& target = worker->wheel[(step + life) % kWheel];
        node = Node{head, target};
        target = index;
    }
    for (std::uint32_t& list : worker->wheel) {
        for (std::uint32_t i = list; i != kNone; i = worker->nodes[i].next)
            sum += destroy(worker->nodes[i].head);
    }
    worker->checksum = sum;
}

}  // namespace

Outcome lifetimes(const Options& options, Measure& measure) {
    const std::uint64_t steps = options.work(4'000'000 / options.threads);
    Table<Worker> workers(options.threads);
    Table<std::thread> threads(options.threads);
    for (Worker& worker : workers) {
        new (&worker) Worker();
        for (std::uint32_t& list : worker.wheel) list = kNone;
        for (std::uint32_t i = 0; i <= kWheel; ++i) worker.nodes[i].next = i + 1;
    }
    Shared shared;
    shared.swapping = options.threads > 1;

    measure.begin();
    for (unsigned t = 0; t < options.threads; ++t) {
        new (&threads[t]) std::thread(work, &workers[t], &shared, options.seed + t, steps);
    }
    Outcome outcome;
    for (unsigned t = 0; t < options.threads; ++t) {
        threads[t].join();
        outcome.checksum += workers[t].checksum;
    }
    for (std::atomic<Head*>& place : shared.place) {
        Head* head = place.load(std::memory_order_relaxed);
        if (head != nullptr) outcome.checksum += destroy(head);
    }
    measure.end();
    outcome.ops = steps * options.threads;
    return outcome;
}

}  // namespace hak::bench
