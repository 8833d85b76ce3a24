// shapes.cpp: small known algorithms with loops, right and with the mistake that each is known for.
#include "props/explorer/driver.hpp"

namespace {

using explorer::check;
using explorer::Kind;
using explorer::Options;
using explorer::Registered;
using explorer::Scenario;
using explorer::Stores;
using explorer::Sync;
using Order = std::memory_order;

using Word = Sync::Atomic<unsigned>;
using Data = Sync::Plain<unsigned>;

// --- Spinlock ---

void spinlock(Scenario& s, Order lock, Order unlock) {
    struct Guarded {
        Word lock;
        Data count;
    };
    auto& guarded = s.make<Guarded>();
    for (const char* name : {"first", "second"})
        s.thread(name, [&, lock, unlock] {
            for (Sync::Loop loop;;) {
                unsigned expected = 0;
                if (guarded.lock.cas_strong(expected, 1, lock, Order::relaxed)) break;
                loop.retry();
            }
            guarded.count.set(guarded.count.get() + 1);
            guarded.lock.store(0, unlock);
        });
    s.finally([&] { check(guarded.count.get() == 2, "both counted"); });
    s.run();
}
const Registered lock_right{"spinlock",
                            [](Scenario& s) { spinlock(s, Order::acquire, Order::release); }};
const Registered lock_unlocks{"spinlock.unlock_relaxed",
                              [](Scenario& s) { spinlock(s, Order::acquire, Order::relaxed); },
                              {},
                              Kind::data_race};
const Registered lock_locks{"spinlock.lock_relaxed",
                            [](Scenario& s) { spinlock(s, Order::relaxed, Order::release); },
                            {},
                            Kind::data_race};

// --- Treiber stack of three nodes that are taken and given back; without a tag, `head` may be what
// it was while `next` is not (ABA) ---

struct Stack {
    explicit Stack(bool tagged) : tagged_(tagged) {
        for (unsigned node = kNodes; node >= 1; --node) push(node);
    }

    void push(unsigned node) {
        std::uint64_t head = head_.load(Order::relaxed);
        do next_[node].store(unsigned(head & 0xff), Order::relaxed);
        while (!head_.cas_strong(head, replaced(head, node), Order::release, Order::relaxed));
    }
    // 0: empty.
    unsigned pop() {
        std::uint64_t head = head_.load(Order::acquire);
        for (;;) {
            const unsigned node = head & 0xff;
            if (!node) return 0;
            const unsigned next = next_[node].load(Order::relaxed);
            if (head_.cas_strong(head, replaced(head, next), Order::acquire, Order::acquire))
                return node;
        }
    }

    static constexpr unsigned kNodes = 3;

  private:
    std::uint64_t replaced(std::uint64_t head, unsigned node) const {
        return tagged_ ? ((head >> 8) + 1) << 8 | node : node;
    }

    Sync::Atomic<std::uint64_t> head_;
    Word next_[kNodes + 1];
    bool tagged_;
};

void treiber(Scenario& s, bool tagged) {
    struct Owners {
        unsigned of[Stack::kNodes + 1] = {};
    };
    auto& stack = s.make<Stack>(tagged);
    auto& owners = s.ghost<Owners>();
    auto take = [&] {
        const unsigned node = stack.pop();
        if (node) check(++owners.of[node] == 1, "a node was handed out twice");
        return node;
    };
    s.thread("slow", [take] { take(); });
    s.thread("quick", [&, take] {
        const unsigned first = take();
        take();
        if (first) {
            --owners.of[first];
            stack.push(first);
        }
        take();
    });
    s.run();
}
const Registered untagged{
    "treiber.untagged", [](Scenario& s) { treiber(s, false); }, {}, Kind::check};
const Registered tagged{"treiber.tagged", [](Scenario& s) { treiber(s, true); }};

// --- Queue by exchange (Vyukov; snmalloc): a producer clears its own link, swings `back` to
// itself, and links itself to what was there. With exchange(release) the clearing may come after
// another producer's link in modification order: that message is lost. ---

void exchange_queue(Scenario& s, Order exchange) {
    constexpr unsigned kProducers = 2, kStale = 77;
    struct Queue {
        Word back;
        Word next[kProducers + 1];
    };
    auto& queue = s.make<Queue>();
    for (unsigned node = 1; node <= kProducers; ++node)
        queue.next[node].store(kStale, Order::relaxed);
    for (unsigned node = 1; node <= kProducers; ++node)
        s.thread(node == 1 ? "first" : "second", [&, node, exchange] {
            queue.next[node].store(0, Order::relaxed);
            const unsigned before = queue.back.exchange(node, exchange);
            queue.next[before].store(node, Order::release);
        });
    s.finally([&] {
        unsigned reached = 0;
        for (unsigned node = 0; (node = queue.next[node].load(Order::relaxed)) != 0; ++reached)
            check(node <= kProducers && reached < kProducers, "the queue is no list");
        check(reached == kProducers, "a message is lost");
    });
    s.run();
}
const Registered queue_right{"exchange_queue",
                             [](Scenario& s) { exchange_queue(s, Order::acq_rel); }};
const Registered queue_release{"exchange_queue.release",
                               [](Scenario& s) { exchange_queue(s, Order::release); },
                               {},
                               Kind::check};
const Registered queue_append{"exchange_queue.release_append_only",
                              [](Scenario& s) { exchange_queue(s, Order::release); },
                              Options{.stores = Stores::append}};

// --- Remote list: freers push blocks, the owner takes all. One round of a failed push is cut by
// Loop::retry(). ---

template <bool kRetry>
void remote_list(Scenario& s, unsigned freers, Order push, Order drain) {
    constexpr unsigned kMost = 3;
    struct List {
        Word head;
        Data next[kMost + 1];
        Data payload[kMost + 1];
    };
    struct Seen {
        bool drained[kMost + 1] = {};
    };
    auto& list = s.make<List>();
    auto& seen = s.ghost<Seen>();
    static constexpr const char* kNames[] = {"", "freer 1", "freer 2", "freer 3"};
    for (unsigned block = 1; block <= freers; ++block)
        s.thread(kNames[block], [&, block, push] {
            list.payload[block].set(100 + block);
            Sync::Loop loop;
            unsigned head = list.head.load(Order::relaxed);
            for (;;) {
                list.next[block].set(head);
                if (list.head.cas_weak(head, block, push, Order::relaxed)) break;
                if (kRetry) loop.retry();
            }
        });
    auto take_all = [&, drain] {
        for (unsigned block = list.head.exchange(0, drain); block; block = list.next[block].get()) {
            check(list.payload[block].get() == 100 + block, "a stale payload");
            check(!seen.drained[block], "a block was drained twice");
            seen.drained[block] = true;
        }
    };
    s.thread("owner", [take_all] {
        take_all();
        take_all();
    });
    s.finally([&, take_all, freers] {
        take_all();
        for (unsigned block = 1; block <= freers; ++block)
            check(seen.drained[block], "a block is lost");
    });
    s.run();
}
const Registered list_two{"remote_list.two", [](Scenario& s) {
                              remote_list<true>(s, 2, Order::release, Order::acquire);
                          }};
const Registered list_two_all{"remote_list.two.unpruned", [](Scenario& s) {
                                  remote_list<false>(s, 2, Order::release, Order::acquire);
                              }};
const Registered list_three{"remote_list.three", [](Scenario& s) {
                                remote_list<true>(s, 3, Order::release, Order::acquire);
                            }};
const Registered list_push{
    "remote_list.push_relaxed",
    [](Scenario& s) { remote_list<true>(s, 2, Order::relaxed, Order::acquire); },
    {},
    Kind::data_race};
const Registered list_drain{
    "remote_list.drain_relaxed",
    [](Scenario& s) { remote_list<true>(s, 2, Order::release, Order::relaxed); },
    {},
    Kind::data_race};

}  // namespace
