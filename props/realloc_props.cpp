// realloc_props.cpp: realloc between all tiers. Content stays, a block that fits stays where it is,
// one that shrinks gives back what it does not need, and one that the system refuses is unchanged.
#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/shadow_heap.hpp"
#include "props/kit/state_coverage.hpp"
#include "props/kit/suite.hpp"

namespace kit {

struct Place : Field<'h', 16, 1> {};
struct Log : Field<'a', 14, 1> {};
struct Percent : Field<'x', 250, 1> {};

struct Take {
    Place h;
    Bytes n;
    Log a;
    KIT_COMMAND(Take, "take", 60, h, n, a)
};
struct Resize {
    Place h;
    Bytes n;
    KIT_COMMAND(Resize, "resize", 70, h, n)
};
// to a share of what it has
struct Scale {
    Place h;
    Percent x;
    KIT_COMMAND(Scale, "scale", 80, h, x)
};
struct Give {
    Place h;
    KIT_COMMAND(Give, "give", 30, h)
};
struct Refuse {
    Nth i;
    Flag f;
    KIT_COMMAND(Refuse, "refuse", 8, i, f)
};  // f: lasting
using ReallocCommand = std::variant<Take, Resize, Scale, Give, Refuse, Heal>;
using ReallocCommands = std::vector<ReallocCommand>;

}  // namespace kit

namespace {

using namespace kit;
using W = TinyWorld;

constexpr std::size_t kUnit = kTinyConfig.unit_bytes, kSlot = kTinyConfig.superslab_bytes(),
                      kSmallMost = kTinyConfig.small_bytes_max, kLargeMost = kSlot / 2,
                      kPage = kTinyConfig.page_bytes;

const char* tier_of(std::size_t usable) {
    return usable <= kSmallMost ? "small" : usable <= kLargeMost ? "Large" : "Big";
}

class ReallocMachine {
  public:
    explicit ReallocMachine(Pairs* pairs) : pairs_(pairs) { reset_world<W>(); }

    void step(const ReallocCommand& command) {
        os.begin_step(700);
        std::visit([this](const auto& c) { this->apply(c); }, command);
        auditor_.check(Auditor<W>::Scope::everything, false);
        shadow_.reconcile(auditor_.audit());
        shadow_.verify_all();
    }
    void finish() {
        os.heal();
        os.begin_step(FakeOs::kNoBudget);
        for (unsigned h = 0; h < Place::kLimit; ++h) apply(Give{{h}});
        hak::trim<W>(true);
        const auto counters = hak::pool<W>.counters();
        require(counters.used_units == 0 && counters.big_slots == 0, "memory is lost");
    }

  private:
    static hak::Heap<W>* heap() { return heap_of<W>(0); }

    // Units, or slots, of the run that holds the block.
    static std::size_t run_of(hak::Address p, std::size_t usable, std::size_t granule) {
        return (p % granule + usable + granule - 1) / granule;
    }
    // The most that a block of n bytes may have behind it: as much again, or what its tier is cut
    // into, and the eighth with which a run that moves to grow may grow again. A block may begin up
    // to a unit behind its run's start.
    static std::size_t most_for(std::size_t n) {
        const std::size_t grown = n + n / 8;
        const std::size_t granule = n <= kSmallMost               ? 16 + n / 4
                                    : grown + kUnit <= kLargeMost ? kUnit
                                                                  : kSlot;
        return std::max(2 * n + 1, grown + granule + kPage);
    }

    void resize(unsigned h, std::size_t n) {
        if (!shadow_.is_live(h) || n == 0) return;
        const ShadowBlock was = shadow_.at(h);
        const auto before = hak::pool<W>.counters();
        const std::uint64_t failed = os.failed();
        void* const block = hak::reallocate<W>(heap(), hak::pointer_to<void>(was.p), n);
        const bool refused = os.failed() != failed;
        const bool fits = n <= was.usable && n >= was.usable / 2;
        if (block == nullptr) {
            note(was.usable, "null");
            require(n > was.usable, "null for a block that shrinks");
            require(refused || n > kSlot, "null for ", n, " bytes, and nothing was refused");
            return shadow_.verify(h), shadow_.verify_usable(h);
        }
        const hak::Address p = hak::address_of(block);
        const std::size_t usable = hak::usable_size<W>(block);
        note(was.usable,
             p == was.p ? (usable == was.usable ? "as it is" : "in place") : tier_of(usable));
        // What is above small and fits stays; what needs no other tier shrinks where it is.
        if (was.usable <= kSmallMost || n > kSmallMost)
            require(!fits || p == was.p, "a block of ", was.usable, " bytes moves, and fits ", n);
        const bool stays = was.usable <= kSmallMost   ? false
                           : was.usable <= kLargeMost ? n > kSmallMost
                                                      : was.p % kSlot + n > kLargeMost;
        require(!stays || n > was.usable || p == was.p, "a block of ", was.usable,
                " bytes moves to shrink to ", n);
        require(refused || usable <= most_for(n), "a block of ", n, " bytes keeps ", usable);
        if (p == was.p) judge_in_place(before, was, usable);
        shadow_.replace(h, block, n);
    }
    // What the run does not need any more is free, and what it got is in use.
    static void judge_in_place(const hak::PoolCounters& before, const ShadowBlock& was,
                               std::size_t usable) {
        const auto now = hak::pool<W>.counters();
        std::size_t units = before.used_units, slots = before.big_slots;
        if (was.usable > kLargeMost) {
            slots += run_of(was.p, usable, kSlot) - run_of(was.p, was.usable, kSlot);
        } else if (was.usable > kSmallMost) {
            units += run_of(was.p, usable, kUnit) - run_of(was.p, was.usable, kUnit);
        }
        require(now.used_units == units && now.big_slots == slots, "a block of ", was.usable,
                " bytes has ", usable, " now, and ", now.used_units, " units and ", now.big_slots,
                " slots are in use, not ", units, " and ", slots);
    }

    void apply(const Take& c) {
        if (shadow_.is_live(c.h.v)) apply(Give{c.h});
        const std::size_t alignment = std::size_t{1} << c.a.v;
        void* const p = c.a.v < 5 ? hak::allocate<W>(heap(), c.n.v)
                                  : hak::allocate_aligned<W>(heap(), alignment, c.n.v);
        if (p != nullptr) shadow_.add(c.h.v, p, c.n.v, c.a.v < 5 ? 16 : alignment, false);
    }
    void apply(const Resize& c) { resize(c.h.v, c.n.v); }
    void apply(const Scale& c) {
        if (shadow_.is_live(c.h.v)) resize(c.h.v, shadow_.at(c.h.v).usable * c.x.v / 100);
    }
    void apply(const Give& c) {
        if (shadow_.is_live(c.h.v)) hak::deallocate<W>(heap(), shadow_.remove(c.h.v));
    }
    void apply(const Refuse& c) { os.fail(Call::commit, c.i.v + 1, c.f.v != 0); }
    void apply(const Heal&) { os.heal(); }
    void note(std::size_t usable, const char* how) {
        if (pairs_ != nullptr) pairs_->note(tier_of(usable), how);
    }

    Pairs* pairs_;
    ShadowHeap<W> shadow_;
    Auditor<W> auditor_;
};

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"small", "as it is"}, {"small", "small"}, {"small", "Large"},    {"small", "Big"},
    {"small", "null"},     {"Large", "small"}, {"Large", "as it is"}, {"Large", "in place"},
    {"Large", "Large"},    {"Large", "Big"},   {"Large", "null"},     {"Big", "small"},
    {"Big", "Large"},      {"Big", "Big"},     {"Big", "in place"},   {"Big", "as it is"},
    {"Big", "null"},
};

}  // namespace

int main(int argc, char** argv) {
    Suite suite(argc, argv, 500);
    Pairs pairs;
    suite.histories<ReallocCommand>(
        "props_realloc", history_generator<ReallocCommand>(150),
        [&](const ReallocCommands& c) { return run_on(ReallocMachine(&pairs), c); });
    suite.example("every way that is claimed was met", [&] {
        pairs.print(std::cerr, "tiers");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
