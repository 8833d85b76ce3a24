// pool_machine.hpp: the pool and reclaim alone, without heaps and slab records: units and slots are
// acquired, extended, shrunk and released, time passes, calls fail. The model is a list of ranges
// that the client has; from it each answer can be foretold or judged.
#pragma once

#include <map>

#include "props/kit/capacity.hpp"
#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/shadow_heap.hpp"
#include "props/kit/state_coverage.hpp"

namespace kit {

struct Range48 : Field<'h', 48, 1> {};
struct Units : Field<'u', 8, 1> {};   // + 1
struct Slots : Field<'q', 24, 1> {};  // + 1
struct Align : Field<'a', 4, 1> {};   // log2 of an alignment in slots

struct AcquireUnits {
    Range48 h;
    Units u;
    KIT_COMMAND(AcquireUnits, "units", 50, h, u)
};
struct ExtendUnits {
    Range48 h;
    Units u;
    KIT_COMMAND(ExtendUnits, "extend_units", 20, h, u)
};
struct ShrinkUnits {
    Range48 h;
    Units u;
    KIT_COMMAND(ShrinkUnits, "shrink_units", 8, h, u)
};
struct AcquireSlots {
    Range48 h;
    Slots q;
    Align a;
    KIT_COMMAND(AcquireSlots, "slots", 40, h, q, a)
};
struct ExtendSlots {
    Range48 h;
    Slots q;
    KIT_COMMAND(ExtendSlots, "extend_slots", 20, h, q)
};
struct ShrinkSlots {
    Range48 h;
    Slots q;
    KIT_COMMAND(ShrinkSlots, "shrink_slots", 10, h, q)
};
struct Release {
    Range48 h;
    KIT_COMMAND(Release, "release", 50, h)
};
struct Tick {
    Flag f;
    KIT_COMMAND(Tick, "tick", 12, f)
};
struct Return {
    Flag f;
    KIT_COMMAND(Return, "return", 6, f)
};  // f: decommit too

// The next x+1 commands happen while some later command is inside a system call: another thread's
// work, in the middle of this one's.
struct Meanwhile {
    Nth x;
    KIT_COMMAND(Meanwhile, "meanwhile", 14, x)
};

using PoolCommand =
    std::variant<AcquireUnits, ExtendUnits, ShrinkUnits, AcquireSlots, ExtendSlots, ShrinkSlots,
                 Release, Tick, Return, Advance, FailNext, FailAll, Heal, Meanwhile>;
using PoolCommands = std::vector<PoolCommand>;

template <hak::World W>
class PoolMachine {
  public:
    explicit PoolMachine(Pairs* pairs = nullptr) : pairs_(pairs) {
        reset_world<W>();
        require(hak::start<W>(), "the window does not open");
    }

    void step(const PoolCommand& command) {
        if (defer_ != 0 && !std::holds_alternative<Meanwhile>(command)) {
            deferred_.push_back(command);
            if (--defer_ == 0) {
                os.set_meanwhile([this] { run_deferred(); });
            }
            return;
        }
        os.begin_step(700);
        interrupted_ = false;
        const std::uint64_t committed_runs = auditor_.audit().totals().committed_runs;
        busy_ = handle_of(command);
        std::visit([this](const auto& c) { this->apply(c); }, command);
        busy_ = Range48::kLimit;
        ++steps_;
        auditor_.check(Auditor<W>::Scope::pool, steps_ % 4 == 0);
        look();
        // Returning memory makes committed runs only up to the limit; what is acquired may need one
        // more.
        const bool returns =
            std::holds_alternative<Tick>(command) || std::holds_alternative<Return>(command);
        const std::uint64_t now = auditor_.audit().totals().committed_runs;
        require(!returns || interrupted_ ||
                    now <= std::max<std::uint64_t>(committed_runs, kTinyConfig.committed_runs_max),
                "committed runs rose from ", committed_runs, " to ", now);
    }
    void finish() {
        os.heal();
        os.begin_step(FakeOs::kNoBudget);
        os.set_meanwhile(nullptr);
        run_deferred();
        judge_decay();
        for (unsigned h = 0; h < Range48::kLimit; ++h) {
            if (have(h)) release(h);
        }
        hak::reclaim<W>.everything(true);
        auditor_.check(Auditor<W>::Scope::pool, true);
        look();
        const auto counters = hak::pool<W>.counters();
        require(counters.committed_slots == 0, counters.committed_slots,
                " slots stay committed at the end");
        require(!hak::reclaim<W>.everything(true), "nothing is left, and something was returned");
    }

  private:
    static constexpr std::size_t kUnit = kTinyConfig.unit_bytes,
                                 kSlot = kTinyConfig.superslab_bytes();
    using Pool = hak::Pool<W>;

    struct Have {
        hak::Address p = 0;
        std::size_t bytes = 0;
        bool slots = false;
        std::uint32_t seed = 0;
    };

    bool have(unsigned h) const { return have_[h].p != 0; }

    static unsigned handle_of(const PoolCommand& command) {
        return std::visit(
            [](const auto& c) {
                if constexpr (requires { c.h.v; }) return static_cast<unsigned>(c.h.v);
                return static_cast<unsigned>(Range48::kLimit);
            },
            command);
    }
    // The range that the interrupted command works on is not touched, and reclaim's one place is
    // taken.
    void run_deferred() {
        interrupted_ = true;
        for (const PoolCommand& command : std::exchange(deferred_, {})) {
            if (handle_of(command) == busy_ || std::holds_alternative<Return>(command)) continue;
            std::visit([this](const auto& c) { this->apply(c); }, command);
        }
    }
    bool may_refuse() const { return interrupted_ || os.failed_in_step() != 0; }

    // Time alone gives back what is free: purged after one delay, decommitted after the other. An
    // entry that was split off an older one may wait one delay more, and a batch returns a bounded
    // number of ranges.
    void judge_decay() {
        for (unsigned round = 0; round < 12; ++round) {
            os.advance(410);
            hak::reclaim<W>.tick();
        }
        auditor_.check(Auditor<W>::Scope::pool, true);
        require(hak::pool<W>.cached_dirty_slots() == 0, "dirty free runs outlast the purge delay");
        require(auditor_.audit().totals().spare_slots == 0,
                "committed free slots outlast the decommit delay");
        each_slot<W>([](std::size_t i, std::size_t) {
            const auto& s = hak::window<W>.superslab(i);
            require(s.kind.get() != hak::SlotKind::units || s.purgeable_units() == 0,
                    "dirty free units outlast the purge delay, slot ", i);
        });
    }

    void add(unsigned h, hak::FreshRun range, std::size_t bytes, std::size_t alignment,
             bool slots) {
        const hak::Address p = range.address;
        require(p % alignment == 0, "a range is not aligned to ", alignment);
        require(os.is_committed(hak::pointer_to<void>(p), bytes), "a range without access");
        require_free(p, bytes);
        if (range.zero) {
            for (std::size_t i = 0; i < bytes; ++i)
                require(*hak::pointer_to<unsigned char>(p + i) == 0,
                        "a range that is said to be zero is not, at byte ", i);
        }
        have_[h] = {p, bytes, slots, ++seed_};
        by_address_[p] = h;
        Pattern::write(p, bytes, seed_);
    }
    bool is_free(hak::Address p, std::size_t bytes) const {
        for (const auto& [q, h] : by_address_) {
            if (p < q + have_[h].bytes && q < p + bytes) return false;
        }
        return true;
    }
    void require_free(hak::Address p, std::size_t bytes) const {
        require(is_free(p, bytes), "a range overlaps one that is out");
    }
    void verify(unsigned h) const {
        require(Pattern::holds(have_[h].p, have_[h].bytes, have_[h].seed), "content of range ", h,
                " has changed");
    }
    void set_bytes(unsigned h, std::size_t bytes) {
        have_[h].bytes = bytes;
        have_[h].seed = ++seed_;
        require(os.is_committed(hak::pointer_to<void>(have_[h].p), bytes),
                "a range was extended into memory without access");
        Pattern::write(have_[h].p, bytes, seed_);
    }
    void release(unsigned h) {
        verify(h);
        const Have range = have_[h];
        by_address_.erase(range.p);
        have_[h] = {};
        const auto wait = h % 2 == 0 ? Pool::Wait::batch : Pool::Wait::decay;
        if (range.slots) return hak::pool<W>.release_slots(range.p, wait);
        hak::pool<W>.release_units(range.p, static_cast<unsigned>(range.bytes / kUnit), wait);
    }

    void apply(const AcquireUnits& c) {
        if (have(c.h.v)) release(c.h.v);
        const unsigned count = c.u.v + 1;
        const bool room = has_units<W>(count);
        const hak::FreshRun range = hak::pool<W>.acquire_units(count, Pool::Use::slab);
        if (range.address != 0) return add(c.h.v, range, count * kUnit, kUnit, false);
        require(!room || may_refuse(), "no range of ", count, " units though there is room");
    }
    void apply(const AcquireSlots& c) {
        if (have(c.h.v)) release(c.h.v);
        const unsigned count = c.q.v + 1;
        const std::size_t alignment = kSlot << c.a.v;
        const bool room = has_slots<W>(count, alignment);
        const hak::FreshRun range = hak::pool<W>.acquire_slots(count, alignment, Pool::Use::block);
        if (range.address != 0) return add(c.h.v, range, count * kSlot, alignment, true);
        require(!room || may_refuse(), "no run of ", count, " slots though there is room");
    }
    void apply(const ExtendUnits& c) {
        if (!have(c.h.v) || have_[c.h.v].slots) return;
        const Have range = have_[c.h.v];
        const std::size_t old = range.bytes / kUnit, now = old + c.u.v + 1;
        const bool fits = range.p % kSlot + now * kUnit <= kSlot;
        const bool want = fits && is_free(range.p + range.bytes, (now - old) * kUnit);
        verify(c.h.v);
        const bool got = hak::pool<W>.extend_units(range.p, static_cast<unsigned>(old),
                                                   static_cast<unsigned>(now));
        require(got == want || (!got && interrupted_), "extend_units from ", old, " to ", now, ": ",
                got, ", the model says ", want);
        verify(c.h.v);
        if (got) set_bytes(c.h.v, now * kUnit);
    }
    void apply(const ShrinkUnits& c) {
        if (!have(c.h.v) || have_[c.h.v].slots || have_[c.h.v].bytes / kUnit <= c.u.v + 1) return;
        verify(c.h.v);
        const std::size_t now = c.u.v + 1;
        hak::pool<W>.release_units(have_[c.h.v].p + now * kUnit,
                                   static_cast<unsigned>(have_[c.h.v].bytes / kUnit - now));
        set_bytes(c.h.v, now * kUnit);
    }
    // A run of free slots of one kind right behind, or the untouched slots, long enough.
    static bool can_extend(std::size_t next, std::size_t more) {
        bool found = false;
        std::size_t open = next;
        const std::size_t top = each_slot<W>([&](std::size_t i, std::size_t length) {
            const auto kind = hak::window<W>.superslab(i).kind.get();
            found |= i == next &&
                     (kind == hak::SlotKind::reserved || kind == hak::SlotKind::cached) &&
                     joined_length<W>(i) >= more;
            if (i == next && kind == hak::SlotKind::reserved) open = i + length;
        });
        return found || (open == top && next + more <= hak::window<W>.slot_count());
    }
    void apply(const ExtendSlots& c) {
        if (!have(c.h.v) || !have_[c.h.v].slots) return;
        const Have range = have_[c.h.v];
        const std::size_t old = range.bytes / kSlot, more = c.q.v + 1,
                          next = hak::window<W>.slot_of(range.p) + old;
        const bool want = next + more <= hak::window<W>.slot_count() && can_extend(next, more);
        verify(c.h.v);
        const bool got = hak::pool<W>.extend_slots(range.p, static_cast<std::uint32_t>(old),
                                                   static_cast<std::uint32_t>(old + more));
        require(got == want || interrupted_ || (!got && os.failed_in_step() != 0),
                "extend_slots by ", more, ": ", got, ", the table says ", want);
        verify(c.h.v);
        if (!got) return;
        require_free(range.p + range.bytes, more * kSlot);
        set_bytes(c.h.v, (old + more) * kSlot);
    }
    void apply(const ShrinkSlots& c) {
        if (!have(c.h.v) || !have_[c.h.v].slots || have_[c.h.v].bytes / kSlot <= c.q.v + 1) return;
        verify(c.h.v);
        hak::pool<W>.shrink_slots(have_[c.h.v].p, c.q.v + 1);
        set_bytes(c.h.v, (c.q.v + 1) * kSlot);
    }
    void apply(const Release& c) {
        if (have(c.h.v)) release(c.h.v);
    }
    void apply(const Tick&) { hak::reclaim<W>.tick(); }
    void apply(const Return& c) {
        hak::reclaim<W>.everything(c.f.v != 0);
        if (may_refuse()) return;
        auditor_.check(Auditor<W>::Scope::pool, true);
        require(hak::pool<W>.cached_dirty_slots() == 0, "dirty free runs are left after a return");
        require(c.f.v == 0 || auditor_.audit().totals().spare_slots == 0,
                "free slots stay committed without need after a return");
    }
    void apply(const Advance& c) { os.advance(c.m.v); }
    void apply(const FailNext& c) { os.fail(static_cast<Call>(c.k.v), c.i.v + 1, false); }
    void apply(const FailAll& c) { os.fail(static_cast<Call>(c.k.v), 1, true); }
    void apply(const Heal&) { os.heal(); }
    void apply(const Meanwhile& c) { defer_ = c.x.v + 1; }

    // What became of each slot since the last step.
    void look() {
        if (pairs_ == nullptr) return;
        std::vector<std::string> now(hak::window<W>.slot_count(), "untouched");
        each_slot<W>([&](std::size_t i, std::size_t length) {
            const auto& s = hak::window<W>.superslab(i);
            const auto kind = s.kind.get();
            const std::string name = kind == hak::SlotKind::units
                                         ? (s.free_units() == 0        ? "units.full"
                                            : s.purgeable_units() != 0 ? "units.dirty"
                                                                       : "units.clean")
                                     : kind == hak::SlotKind::big ? "big"
                                     : kind == hak::SlotKind::cached
                                         ? (s.dirty().is_some() ? "cached.dirty" : "cached.clean")
                                         : "reserved";
            for (std::size_t k = i; k < i + length; ++k) now[k] = name;
        });
        before_.resize(now.size(), "untouched");
        for (std::size_t i = 0; i < now.size(); ++i) {
            if (before_[i] != now[i]) pairs_->note(before_[i], now[i]);
        }
        before_ = std::move(now);
    }

    Pairs* pairs_;
    Auditor<W> auditor_;
    std::array<Have, Range48::kLimit> have_{};
    std::map<hak::Address, unsigned> by_address_;
    std::vector<std::string> before_;
    std::uint32_t seed_ = 0;
    std::uint64_t steps_ = 0;
    PoolCommands deferred_;
    unsigned defer_ = 0, busy_ = Range48::kLimit;
    bool interrupted_ = false;  // other commands ran inside this one
};

template <hak::World W>
std::string run_pool_history(const PoolCommands& commands, Pairs* pairs = nullptr) {
    return run_on(PoolMachine<W>(pairs), commands);
}

}  // namespace kit
