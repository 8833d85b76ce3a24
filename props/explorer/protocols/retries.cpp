// retries.cpp: Loop::retry() lets the explorer leave out failed rounds. That is sound if such a
// round leaves no trace: each loop of src/ that says so is explored with and without, and ends in
// the same states.
#include <cstdio>
#include <set>

#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Scenario;

std::set<std::uint64_t> outcomes;  // of all executions

constexpr hak::Address kSecret = 0x123456789abcdef1;

struct Posts {
    UnitRecord slab;
    hak::Atomic<World, UnitRecord*> pending;
    alignas(16) Block blocks[3];

    // The blocks that a drain gave, as digits, the first drained the lowest.
    std::uint64_t digits(hak::Address chain) const {
        std::uint64_t all = 0, place = 1;
        for (; chain != 0; chain = hak::block_at<World>(chain)->link.get(), place *= 4) {
            all += place * static_cast<std::uint64_t>(hak::block_at<World>(chain) - blocks + 1);
        }
        return all;
    }
};

// post() and push_pending(): who is drained in which order, early or late.
void posts(Scenario& s) {
    Posts& p = s.make<Posts>();
    auto& early = s.ghost<std::uint64_t>(0u);
    for (int i = 0; i < 2; ++i) {
        s.thread("freer", [&p, i] {
            if (hak::post<World>(p.slab, &p.blocks[i], kSecret))
                hak::push_pending<World>(p.pending, &p.slab);
        });
    }
    s.thread("owner", [&] {
        if (hak::pop_pending<World>(p.pending) != nullptr) early = p.digits(hak::drain(p.slab));
    });
    s.finally([&] {
        outcomes.insert(early * 64 +
                        p.digits(p.slab.remote.load(hak::order::relaxed) & ~hak::kQueued));
    });
    s.run();
}

// push_pending() alone, of two slabs onto one list.
void pushes(Scenario& s) {
    Posts* const p = s.make_array<Posts>(2);
    auto& pending = s.make<hak::Atomic<World, UnitRecord*>>();
    for (int i = 0; i < 2; ++i) {
        s.thread("freer", [&, i] { hak::push_pending<World>(pending, &p[i].slab); });
    }
    s.finally([&] {
        const UnitRecord* const first = pending.load(hak::order::relaxed);
        outcomes.insert(first == &p[0].slab ? 0 : 1);
        explorer::check(first->pending_next.get() == &p[first == &p[0].slab ? 1 : 0].slab,
                        "both are on the list");
    });
    s.run();
}

// pop_one_pending() beside push_pending(): the slab below is not lost.
void pops(Scenario& s) {
    Posts* const p = s.make_array<Posts>(2);
    auto& pending = s.make<hak::Atomic<World, UnitRecord*>>();
    auto& popped = s.ghost<std::uint64_t>(0u);
    for (int i = 0; i < 2; ++i) {
        s.thread("freer", [&, i] { hak::push_pending<World>(pending, &p[i].slab); });
    }
    s.thread("visitor", [&] {
        if (const UnitRecord* const slab = hak::pop_one_pending<World>(pending))
            popped = slab == &p[0].slab ? 1 : 2;
    });
    s.finally([&] {
        std::uint64_t left = 0;
        for (const UnitRecord* slab = pending.load(hak::order::relaxed); slab != nullptr;
             slab = slab->pending_next.get()) {
            left = left * 4 + (slab == &p[0].slab ? 1 : 2);
        }
        outcomes.insert(popped * 64 + left);
    });
    s.run();
}

// try_claim() beside post().
void claims(Scenario& s) {
    Posts& p = s.make<Posts>();
    auto& claimed = s.ghost<std::uint64_t>(0u);
    auto& notifies = s.ghost<std::uint64_t>(0u);
    s.thread("freer", [&] { notifies = hak::post<World>(p.slab, &p.blocks[0], kSecret); });
    s.thread("visitor", [&] {
        if (hak::try_claim<World>(p.slab)) claimed = 1 + p.digits(hak::drain(p.slab));
    });
    s.finally([&] {
        outcomes.insert(claimed * 8 + notifies * 4 +
                        p.digits(p.slab.remote.load(hak::order::relaxed) & ~hak::kQueued));
    });
    s.run();
}

// make_ready() by two threads: the larger count stays.
void readies(Scenario& s) {
    Process process(s);
    hak::start<World>();
    for (std::size_t slots = 1; slots <= 2; ++slots) {
        s.thread("taker", [slots] { window.make_ready(slots); });
    }
    s.finally([] { outcomes.insert(window.slots_ready()); });
    s.run();
}

bool is_sound(const char* name, void (*body)(Scenario&)) {
    explorer::Options options = exhaustive();
    std::set<std::uint64_t> found[2];
    std::uint64_t executions[2];
    for (const bool prunes : {false, true}) {
        outcomes.clear();
        options.prune_retries = prunes;
        const explorer::Result result = explorer::explore(options, body);
        if (!result.ok()) {
            std::printf("WRONG %s, %s failed rounds: %s\n", name, prunes ? "without" : "with",
                        result.message.c_str());
            return false;
        }
        found[prunes] = outcomes;
        executions[prunes] = result.executions;
    }
    const bool is_same = found[0] == found[1] && !found[0].empty();
    std::printf(
        "%-5s %-10s %zu and %zu final states, %llu executions with failed rounds, %llu without\n",
        is_same ? "ok" : "WRONG", name, found[0].size(), found[1].size(),
        static_cast<unsigned long long>(executions[0]),
        static_cast<unsigned long long>(executions[1]));
    return is_same;
}

}  // namespace
}  // namespace protocols

int main() {
    using namespace protocols;
    return is_sound("posts", posts) && is_sound("pushes", pushes) && is_sound("pops", pops) &&
                   is_sound("claims", claims) && is_sound("readies", readies)
               ? 0
               : 1;
}
