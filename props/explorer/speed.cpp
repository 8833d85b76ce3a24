// speed.cpp: how fast the explorer is, on a list to which three freers post two blocks each and which an owner takes twice. The number of
// executions and of graphs is part of the test; the rates are printed, because they are the machine's as well.
#include <array>
#include <cstdio>
#include <ctime>

#include "props/explorer/explore.hpp"

namespace {

using explorer::Scenario;
using Order = std::memory_order;

constexpr unsigned kFreers = 3, kBlocksEach = 2, kTakes = 2, kBlocks = kFreers * kBlocksEach;

struct Block {
    explorer::Sync::Plain<unsigned> next, payload;
};

// Blocks are numbered from 1; 0 ends the list.
struct List {
    explorer::Sync::Atomic<unsigned> head;
    std::array<Block, kBlocks + 1> block;

    void post(unsigned b) {
        explorer::Sync::Loop loop;
        unsigned seen = head.load(Order::relaxed);
        for (;; loop.retry()) {
            block[b].next.set(seen);
            // release: pairs with take(): the link and the payload are visible to the owner.
            if (head.cas_weak(seen, b, Order::release, Order::relaxed)) return;
        }
    }
    unsigned take() { return head.exchange(0, Order::acquire); }  // acquire: pairs with post()
};

void posts_and_takes(Scenario& s) {
    auto& list = s.make<List>();
    auto& taken = s.ghost<std::array<bool, kBlocks + 1>>();
    for (unsigned f = 0; f < kFreers; ++f) {
        s.thread("freer", [&list, f] {
            for (unsigned b = f * kBlocksEach + 1; b <= (f + 1) * kBlocksEach; ++b) {
                list.block[b].payload.set(b);
                list.post(b);
            }
        });
    }
    s.thread("owner", [&] {
        for (unsigned i = 0; i < kTakes; ++i) {
            for (unsigned b = list.take(); b != 0; b = list.block[b].next.get()) {
                explorer::check(!taken[b], "a block was taken twice");
                explorer::check(list.block[b].payload.get() == b, "a block came without its payload");
                taken[b] = true;
            }
        }
    });
    s.run();
}

}  // namespace

int main() {
    constexpr std::uint64_t kGraphs = 6390;
    explorer::Options options;
    options.max_seconds = 0;
    const std::clock_t start = std::clock();
    const explorer::Result r = explorer::explore(options, posts_and_takes);
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    std::printf("%llu executions, %llu graphs, %llu steps in %.2f s of processor time: %.2f M executions/s, %.2f M steps/s\n",
                static_cast<unsigned long long>(r.executions), static_cast<unsigned long long>(r.graphs),
                static_cast<unsigned long long>(r.steps), seconds, static_cast<double>(r.executions) / seconds / 1e6,
                static_cast<double>(r.steps) / seconds / 1e6);
    if (r.ok() && r.exhaustive && r.graphs == kGraphs) return 0;
    std::printf("wrong: %llu graphs expected, everything covered, nothing broken; found: %s %s\n", static_cast<unsigned long long>(kGraphs),
                explorer::name_of(r.kind), r.message.c_str());
    return 1;
}
