// client.hpp: what the threads of a scenario do, through the calls that malloc, free, the exit hook
// and fork are made of; and what must hold when all have ended.
#pragma once

#include <functional>
#include <iterator>
#include <string>

#include "props/explorer/driver.hpp"
#include "props/explorer/protocols/model_world.hpp"

namespace protocols {

// Bytes of a block that a thread has are its own: nobody else touches them, and what it wrote is
// there when it looks again. The third word of a block is not used by the allocator, so only the
// hand-over itself orders its accesses.
class Payload {
  public:
    explicit Payload(void* block) : word_(hak::pointer_to<Word>(hak::address_of(block) + 16)) {}
    void sign() { word_->set(signature()); }
    bool is_signed() const { return word_->get() == signature(); }

  private:
    using Word = hak::Plain<World, std::uint64_t>;
    std::uint64_t signature() const { return hak::address_of(word_) * 31 + 7; }
    Word* word_;
};

inline Heap* my_heap() {
    return static_cast<Heap*>(World::current_heap());
}

// malloc of one block of the largest class; null is a failure.
inline void* take() {
    void* const p = hak::allocate<World>(my_heap(), kBlockBytes);
    explorer::check(p != nullptr, "no memory");
    Payload(p).sign();
    return p;
}
// free
inline void give(void* p) {
    explorer::check(Payload(p).is_signed(), "a block's bytes changed in the client's hands");
    hak::deallocate<World>(my_heap(), p);
}
// The first call of a thread, as far as its heap: adopted or born.
inline void arrive() {
    explorer::check(hak::heap_for_this_call<World>().heap != nullptr, "no heap");
}
// The thread ends.
inline void leave() {
    hak::give_up<World>();
}
inline void trim() {
    hak::trim<World>(true);
}

// A Large block of half a superslab.
inline void* take_large() {
    void* const p = hak::allocate<World>(my_heap(), kLargeBytes);
    explorer::check(p != nullptr, "no memory");
    Payload(p).sign();
    return p;
}

// Walks all that the allocator knows; every invariant (docs/verification.md) holds. Blocks that the
// clients have must be this many.
inline void audit(std::uint64_t client_blocks) {
    static std::uint32_t scratch[64];
    hak::Audit<World> audit({scratch, std::size(scratch)});
    if (const hak::Violation v = audit.everything()) {
        explorer::fail(std::string("INV ") + v.invariant + ": " + v.what + " (where " +
                       std::to_string(v.where) + ", have " + std::to_string(v.have) + ", want " +
                       std::to_string(v.want) + ")");
    }
    const std::uint64_t have = audit.totals().client_blocks;
    if (have != client_blocks)
        explorer::fail("clients have " + std::to_string(have) + " blocks, not " +
                       std::to_string(client_blocks));
}

// Every heap takes what was posted to it and gives back what is empty. With no block out, no slab
// may be left.
inline void come_home(std::uint64_t client_blocks) {
    audit(client_blocks);
    for (unsigned i = 0; i < heaps.count(); ++i) {
        Heap& heap = heaps.at(i);
        if (hak::has_pending(heap)) hak::collect_pending(heap);
        hak::flush_all(heap);
        hak::release_empty_slabs(heap);
    }
    audit(client_blocks);
    if (client_blocks == 0)
        explorer::check(pool.counters().used_units == 0,
                        "all blocks came back, yet a slab is not free");
}

// Nobody was cut off while he visited, and what was posted to heaps that live on will be met.
inline void judge_copy() {
    unsigned orphans = 0;
    for (unsigned i = 0; i < heaps.count(); ++i) {
        const hak::Token token = heaps.at(i).token.load(hak::order::relaxed);
        orphans += token == hak::Token::orphan ? 1 : 0;
        explorer::check(token != hak::Token::visited && token != hak::Token::awaited,
                        "the copy holds a heap half-visited");
    }
    explorer::check(orphans == heaps.orphans(),
                    "the child counts heaps without a thread that are not there");
    for (std::size_t u = 0; u < window.slots_ready() * kModelConfig.units_per_superslab; ++u) {
        const UnitRecord* const slab = window.record(u);
        Heap* const owner = slab->owner.load(hak::order::relaxed);
        if (owner == nullptr || owner->token.load(hak::order::relaxed) == hak::Token::frozen)
            continue;
        if ((slab->remote.load(hak::order::relaxed) & hak::kQueued) == 0) continue;
        const UnitRecord* pending = owner->pending.load(hak::order::relaxed);
        while (pending != nullptr && pending != slab) pending = pending->pending_next.get();
        explorer::check(pending == slab, "a slab with posted blocks is on no pending list");
    }
}

// fork(), as libc calls our handlers around it; `script` is what the child does then.
inline void fork_then(const std::function<void()>& script) {
    explorer::fork(
        [] {
            hak::fork_prepare<World>();
            kernel.begin_copy();
        },
        [] {
            kernel.end_copy();
            hak::fork_parent<World>();
        },
        [&script] {
            kernel.forget_others();
            hak::fork_child<World>();
            if (window.is_open()) judge_copy();
            script();
        });
}

// A thread of the set-up that does not run in the scenario.
inline constexpr unsigned kGone = Kernel::kThreads - 1;

// What an exhaustive scenario may cost: a number of executions for which a processor takes less
// than ten seconds. The bound by the clock is for whatever else does not end, and leaves room for
// one that has half its speed just then.
inline explorer::Options exhaustive() {
    explorer::Options options;
    options.max_executions = 300'000;
    options.max_seconds = 25;
    return options;
}

using Heuristics = std::initializer_list<hak::Heuristic>;

// A scenario, and NAME.any, in which each decision of `open` falls either way wherever it is met.
struct Explored {
    using Body = std::function<void(explorer::Scenario&)>;

    Explored(const char* name, const Body& body) { add(name, 0, body); }
    Explored(const char* name, Heuristics open, const Body& body) : Explored(name, body) {
        add(std::string(name) + ".any", set_of(open), body);
    }

    static unsigned set_of(Heuristics all) {
        unsigned set = 0;
        for (hak::Heuristic h : all) set |= 1u << static_cast<unsigned>(h);
        return set;
    }
    static void add(const std::string& name, unsigned open, const Body& body,
                    const explorer::Options& options = exhaustive()) {
        const auto opened = [open, body](explorer::Scenario& s) {
            open_heuristics = open;
            body(s);
        };
        explorer::Registered(name, opened, options);
    }
};

// A scenario begins with the process and the client's threads; it adds what they do.
struct Case {
    Case(explorer::Scenario& s) : scenario(s), process(s) {}

    // In the set-up: what thread `t` did before.
    template <class Do>
    void before(unsigned t, Do act) {
        explorer::act_as(t);
        act();
        explorer::act_as(0);
    }
    void thread(const char* name, std::function<void()> body) {
        scenario.thread(name, std::move(body));
    }
    // All threads have ended; so many blocks are still out. Nothing is lost, and what came back is
    // free.
    void ends_with(std::uint64_t client_blocks) {
        scenario.finally([client_blocks] { come_home(client_blocks); });
        scenario.run();
    }

    explorer::Scenario& scenario;
    Process process;
};

}  // namespace protocols
