// visit_props.cpp: what a thread does with the heaps of others. Threads allocate, free each other's
// blocks and end; the model knows whose heap may be visited when, and how much one call may do to
// it. No block is lost, and after a trim none is stranded.
#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/shadow_heap.hpp"
#include "props/kit/state_coverage.hpp"
#include "props/kit/suite.hpp"

namespace kit {

struct Place : Field<'h', 240, 1> {};
struct Small : Field<'n', 3, 1> {};

struct Take {
    Thread t;
    Place h;
    Count x;
    Small n;
    KIT_COMMAND(Take, "take", 90, t, h, x, n)
};
// by any thread, of blocks that any thread took
struct Give {
    Thread t;
    Place h;
    Count x;
    KIT_COMMAND(Give, "give", 90, t, h, x)
};
struct End {
    Thread t;
    KIT_COMMAND(End, "end", 10, t)
};
struct TrimAll {
    Thread t;
    KIT_COMMAND(TrimAll, "trim", 6, t)
};
using VisitCommand = std::variant<Take, Give, End, TrimAll>;
using VisitCommands = std::vector<VisitCommand>;

}  // namespace kit

namespace {

using namespace kit;
using W = TinyWorld;
using hak::order::relaxed;

// Of one class each: a slab of a unit, and of two.
constexpr std::size_t kSizes[] = {16, 64, 256};

class VisitMachine {
  public:
    explicit VisitMachine(Pairs* pairs) : pairs_(pairs) { reset_world<W>(); }

    void step(const VisitCommand& command) {
        std::visit([this](const auto& c) { this->apply(c); }, command);
        auditor_.check(Auditor<W>::Scope::everything, false);
        shadow_.reconcile(auditor_.audit());
    }
    void finish() {
        for (unsigned h = 0; h < Place::kLimit; ++h) give(h % kThreads, h);
        for (unsigned t = 0; t < kThreads; ++t) apply(End{{t}});
        threads.current = 0;
        hak::trim<W>(true);
        require(hak::pool<W>.counters().used_units == 0, "slabs are left at the end");
    }

  private:
    // What one heap looks like from outside.
    struct Seen {
        hak::Token token = hak::Token::unborn;
        std::uint64_t drained = 0, slabs = 0, visited = 0, looks = 0;
    };
    static unsigned count() { return hak::window<W>.is_open() ? hak::heaps<W>.count() : 0; }
    static Seen look(unsigned i) {
        const hak::Heap<W>& heap = hak::heaps<W>.at(i);
        return {heap.token.load(relaxed), heap.remote_drained.load(relaxed),
                heap.slabs.load(relaxed), heap.slabs_taken_over.load(relaxed),
                heap.idle_looks.load(relaxed)};
    }
    // One call of thread t, which is no trim: what it did to the heaps of others.
    template <class Call>
    void judged(unsigned t, Call call) {
        std::array<Seen, 16> before{};
        const unsigned heaps = count();
        for (unsigned i = 0; i < heaps; ++i) before[i] = look(i);
        threads.current = t;
        call();
        unsigned visited = 0, taken = 0;
        for (unsigned i = 0; i < heaps; ++i) {
            const Seen now = look(i);
            if (&hak::heaps<W>.at(i) == heap_of<W>(t)) {
                taken = static_cast<unsigned>(now.visited - before[i].visited);
                continue;
            }
            require(now.token == before[i].token, "heap ", i, " has another token after a call");
            const std::uint64_t drained = now.drained - before[i].drained;
            require(drained <= W::kConfig.visit_slabs_max, "one call drained ", drained,
                    " slabs of another heap");
            visited += drained != 0;
            // The heap of a living thread is left alone until others looked at it in vain.
            const std::uint64_t patience = W::kConfig.idle_looks_per_heap * count();
            const bool may_visit =
                before[i].token == hak::Token::orphan || before[i].looks >= patience;
            require(may_visit || (drained == 0 && now.slabs == before[i].slabs), "heap ", i,
                    " was visited, and its thread is not away");
            if (drained != 0)
                note(before[i].token == hak::Token::orphan ? "orphan" : "idle", "drained");
            if (now.slabs < before[i].slabs)
                note(before[i].token == hak::Token::orphan ? "orphan" : "idle", "gave a slab");
        }
        require(visited <= W::kConfig.visits_max, "one call visited ", visited, " heaps");
        require(taken <= 1, "one call took over ", taken, " slabs");
    }
    void give(unsigned t, unsigned h) {
        if (!shadow_.is_live(h)) return;
        void* const p = shadow_.remove(h);
        threads.current = t;
        hak::deallocate<W>(heap_of<W>(t), p);
    }

    void apply(const Take& c) {
        for (unsigned i = 0; i < c.x.v / 2; ++i) {
            const unsigned h = (c.h.v + i) % Place::kLimit;
            if (shadow_.is_live(h)) continue;
            const bool has_heap = hak::has_heap<W>(heap_of<W>(c.t.v));
            void* p = nullptr;
            const auto call = [&] { p = hak::allocate<W>(heap_of<W>(c.t.v), kSizes[c.n.v]); };
            // a thread's first call adopts an orphan
            if (!has_heap) threads.current = c.t.v, call();
            if (has_heap) judged(c.t.v, call);
            require(p != nullptr, "no memory");
            shadow_.add(h, p, kSizes[c.n.v], 0, false);
        }
    }
    void apply(const Give& c) {
        for (unsigned i = 0; i < c.x.v; ++i) give(c.t.v, (c.h.v + i) % Place::kLimit);
    }
    void apply(const End& c) {
        threads.current = c.t.v;
        if (!hak::has_heap<W>(heap_of<W>(c.t.v))) return;
        hak::give_up<W>();
        threads.all[c.t.v] = {&hak::empty_heap<W>, true, false};
    }
    // Everything that was posted comes home, but for slabs whose untouched blocks a living thread
    // may have, one for each class.
    void apply(const TrimAll& c) {
        threads.current = c.t.v;
        if (!hak::window<W>.is_open()) return;
        hak::trim<W>(true);
        for (unsigned i = 0; i < count(); ++i) {
            const hak::Heap<W>& heap = hak::heaps<W>.at(i);
            const hak::Token token = heap.token.load(relaxed);
            require(token == hak::Token::owned || token == hak::Token::orphan, "heap ", i,
                    " stays held");
            unsigned pending = 0;
            for (const hak::UnitRecord<W>* s = heap.pending.load(relaxed); s != nullptr;
                 s = s->pending_next.get())
                ++pending;
            const bool is_others = &heap != heap_of<W>(c.t.v);
            require(pending <= (is_others && token == hak::Token::owned ? std::size(kSizes) : 0),
                    "a trim left ", pending, " slabs with posted blocks");
            note("trim", pending != 0 ? "one may be in use" : "nothing posted");
        }
    }
    void note(const char* what, const char* how) {
        if (pairs_ != nullptr) pairs_->note(what, how);
    }

    Pairs* pairs_;
    ShadowHeap<W> shadow_;
    Auditor<W> auditor_;
};

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"orphan", "drained"},   {"orphan", "gave a slab"},  {"idle", "drained"},
    {"idle", "gave a slab"}, {"trim", "nothing posted"},
};

}  // namespace

int main(int argc, char** argv) {
    Suite suite(argc, argv, 400);
    Pairs pairs;
    suite.histories<VisitCommand>(
        "props_visit", history_generator<VisitCommand>(120),
        [&](const VisitCommands& c) { return run_on(VisitMachine(&pairs), c); });
    suite.example("every case that is claimed was met", [&] {
        pairs.print(std::cerr, "heaps of others");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
