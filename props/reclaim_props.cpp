// reclaim_props.cpp: what is free goes back to the system, not before its time and not much later:
// the two delays, the cache limit and the purge batch. The model is a ledger of every unit, kept
// from what the client does and from what the system is asked, without the pool's tables.
#include <optional>

#include "props/kit/commands.hpp"
#include "props/kit/run.hpp"
#include "props/kit/state_coverage.hpp"
#include "props/kit/suite.hpp"

namespace kit {

struct Place : Field<'h', 24, 1> {};
struct Units : Field<'u', 7, 1> {};  // + 1
struct Slots : Field<'q', 6, 1> {};  // + 1
struct Delay : Field<'m', 256, 1> {};

struct TakeUnits {
    Place h;
    Units u;
    KIT_COMMAND(TakeUnits, "units", 40, h, u)
};
struct TakeSlots {
    Place h;
    Slots q;
    KIT_COMMAND(TakeSlots, "slots", 50, h, q)
};
// f: it is at the threshold. The client then looks at the clock, as each free of a Large or Big
// block does.
struct Give {
    Place h;
    Flag f;
    KIT_COMMAND(Give, "give", 70, h, f)
};
// without a look at the clock
struct GiveUnseen {
    Place h;
    KIT_COMMAND(GiveUnseen, "give_unseen", 15, h)
};
// to half its slots
struct Halve {
    Place h;
    KIT_COMMAND(Halve, "halve", 10, h)
};
struct Wait {
    Delay m;
    KIT_COMMAND(Wait, "wait", 30, m)
};
struct Look {
    Flag f;
    KIT_COMMAND(Look, "look", 20, f)
};
// f: the commit charge as well
struct ReturnAll {
    Flag f;
    KIT_COMMAND(ReturnAll, "return", 3, f)
};
// The i-th next purge fails, or with f each one until it is healed.
struct RefusePurge {
    Nth i;
    Flag f;
    KIT_COMMAND(RefusePurge, "refuse_purge", 4, i, f)
};
struct RefuseDecommit {
    Nth i;
    Flag f;
    KIT_COMMAND(RefuseDecommit, "refuse_decommit", 3, i, f)
};

using ReclaimCommand = std::variant<TakeUnits, TakeSlots, Give, GiveUnseen, Halve, Wait, Look,
                                    ReturnAll, RefusePurge, RefuseDecommit, Heal>;
using ReclaimCommands = std::vector<ReclaimCommand>;

}  // namespace kit

namespace {

using kit::require;
using namespace kit;

// Told of each purge and decommit, and whether the system did it.
class Ledger;
Ledger* ledger = nullptr;
bool enter_purge(void* p, std::size_t bytes, bool done);
bool enter_decommit(void* p, std::size_t bytes, bool done);

struct W : TinyWorld {
    struct Pal : TinyWorld::Pal {
        static bool purge(void* p, std::size_t n, Where where = Where::current()) {
            return enter_purge(p, n, FakePal::purge(p, n, where));
        }
        static bool decommit(void* p, std::size_t n, Where where = Where::current()) {
            return enter_decommit(p, n, FakePal::decommit(p, n, where));
        }
    };
    // No end of mappings, or a free run may have to stay committed for the want of one.
    static constexpr hak::Config kConfig = [] {
        hak::Config c = kTinyConfig;
        c.committed_runs_max = 64;
        return c;
    }();
};
static_assert(hak::World<W>);

constexpr std::size_t kUnit = kTinyConfig.unit_bytes, kSlot = kTinyConfig.superslab_bytes();
constexpr unsigned kUnitsOfSlot = kTinyConfig.units_per_superslab;

class Ledger {
  public:
    explicit Ledger(Pairs* pairs) : pairs_(pairs) {
        ledger = this;
        base_ = hak::window<W>.base();
        units_.resize(hak::window<W>.slot_count() * kUnitsOfSlot);
        slots_.resize(hak::window<W>.slot_count());
    }

    // ---- the client

    void take(hak::Address p, std::size_t bytes) {
        touch_around(p, bytes);
        // What is left of a superslab that is divided now waits for its delay, as slabs do.
        // A run has one age, the mean of its slots', and so does each part of it that stays free.
        for (std::size_t s = slot_of(p); s <= slot_of(p + bytes - 1); ++s) {
            if (!is_whole(s)) continue;
            Unit eldest = units_[s * kUnitsOfSlot];
            for_stretch(s, [&](std::size_t i) {
                each_of(i, [&](const Unit& u) {
                    eldest.since = std::min(eldest.since, u.since);
                    eldest.cleaned = std::min(eldest.cleaned, u.cleaned);
                });
            });
            for_stretch(s, [&](std::size_t i) {
                each_of(i, [&](Unit& u) { u.since = eldest.since, u.cleaned = eldest.cleaned; });
            });
            each_of(s, [](Unit& u) { u.batched = false; });
        }
        each(p, bytes, [](Unit& u) {
            require(!u.out, "a unit is handed out twice");
            u = {.out = true, .committed = true, .dirty = true};
        });
        for (std::size_t s = slot_of(p); s <= slot_of(p + bytes - 1); ++s) {
            for (std::size_t u = s * kUnitsOfSlot; u < (s + 1) * kUnitsOfSlot; ++u)
                units_[u].committed = true;
        }
        touch_around(p, bytes);
    }
    void give(hak::Address p, std::size_t bytes, bool batched, bool is_big) {
        const std::uint64_t now = os.now_ms();
        each(p, bytes, [&](Unit& u) {
            require(u.out, "a unit is given that is not out");
            u.out = false, u.since = now, u.batched = batched;
        });
        touch_around(p, bytes);
        // Whoever came last decides for all that it joins.
        for_stretch(slot_of(p), [&](std::size_t s) {
            slots_[s].may_wait_in_batch |= batched;
            each_of(s, [&](Unit& u) { u.batched &= batched || !is_whole(s); });
        });
        if (is_big) last_big_ = {slot_of(p), bytes / kSlot};
    }

    // ---- the system

    void purged(hak::Address p, std::size_t bytes, bool done) {
        note(done ? "purge" : "refused purge");
        const std::uint64_t now = os.now_ms();
        each(p, bytes, [](const Unit& u) { require(!u.out, "what is out is purged"); });
        if (is_due_only_) {
            // A divided superslab waits since its first free unit did, which may be out again.
            std::uint64_t since = UINT64_MAX;
            for (std::size_t s = slot_of(p); s <= slot_of(p + bytes - 1); ++s)
                since = std::min(since, is_whole(s) ? oldest_of_stretch(s) : 0);
            require(since + options_.purge_delay_ms <= now, "purged after ", now - since,
                    " ms, the delay is ", options_.purge_delay_ms);
        }
        each(p, bytes, [&](Unit& u) {
            u.batched = false;
            if (done) u.dirty = false, u.cleaned = now;
            if (!done) u.since = now;
        });
        for (std::size_t s = slot_of(p); s <= slot_of(p + bytes - 1); ++s)
            slots_[s].may_wait_in_batch = false;
        touch_around(p, bytes);
    }
    void decommitted(hak::Address p, std::size_t bytes, bool done) {
        note(done ? "decommit" : "refused decommit");
        const std::uint64_t now = os.now_ms();
        std::uint64_t clean = UINT64_MAX;
        for_stretch(slot_of(p), [&](std::size_t s) {
            each_of(s,
                    [&](const Unit& u) { clean = std::min(clean, std::max(u.since, u.cleaned)); });
        });
        each(p, bytes, [&](Unit& u) {
            require(!u.out, "what is out is decommitted");
            require(!u.dirty || is_asked_, "what is dirty is decommitted, and was not purged");
            if (done) u = {.since = now, .cleaned = now};
            if (!done) u.cleaned = now;
        });
        require(is_asked_ || clean + options_.decommit_delay_ms <= now, "decommitted after ",
                now - clean, " ms, the delay is ", options_.decommit_delay_ms);
        touch_around(p, bytes);
    }

    // ---- judgements

    // Before the clock is looked at; `asked`: everything shall go.
    void begin_look(bool asked) {
        is_asked_ = asked;
        std::size_t free_slots = 0, divided = 0;
        for (std::size_t s = 0; s < slots_.size(); ++s) {
            free_slots += is_whole(s);
            // One whose units were taken again leaves the batch when it is next looked at.
            divided += !is_whole(s) && (is_waiting(s) || slots_[s].may_wait_in_batch);
        }
        is_due_only_ = !asked && free_slots * kSlot <= options_.cache_bytes_max &&
                       (free_slots + divided) * kSlot <= options_.batch_bytes_max;
        name_ = asked ? "asked" : is_due_only_ ? "due" : "full";
    }
    // After it, when the system refused nothing.
    void judge_limits() {
        std::size_t dirty = 0, batched = 0;
        bool may_batch = false;
        for (std::size_t s = 0; s < slots_.size(); ++s) {
            dirty += is_whole(s) && is_waiting(s);
            batched += is_waiting(s) && is_batched_alone(s);
            may_batch |= slots_[s].may_wait_in_batch;
        }
        require(dirty * kSlot <= options_.cache_bytes_max, dirty,
                " dirty superslabs are free, more than the cache may hold");
        const std::size_t says = hak::pool<W>.batch_slots();
        require(says * kSlot <= options_.batch_bytes_max, "the batch holds ", says,
                " superslabs, more than its limit");
        require(batched <= says, batched, " superslabs went to the batch, it says ", says);
        require(may_batch || says == 0, "nothing went to the batch, and it holds ", says);
    }
    // What is first in its queue goes after its delay. It may be behind what is younger, but waits
    // no longer than the delay once more after it was seen to be due. Reclaim works off what is due
    // at most once in a quarter of the delay.
    void judge_delays() {
        const std::uint64_t delay = options_.purge_delay_ms, grain = delay / 4 + 1,
                            now = os.now_ms();
        std::uint64_t first = UINT64_MAX;
        for (std::size_t s = 0; s < slots_.size(); ++s) {
            SlotTimes& times = slots_[s];
            const auto [touched, pushed] = times_of(s);
            if (!is_waiting(s) || touched + delay > now)
                times.seen_dirty = 0;
            else if (times.seen_dirty <= touched)
                times.seen_dirty = now;
            if (!is_whole(s) || touched + options_.decommit_delay_ms > now)
                times.seen_whole = 0;
            else if (times.seen_whole <= touched)
                times.seen_whole = now;
            if (is_waiting(s)) first = std::min(first, pushed);
            require(times.seen_dirty == 0 || now < times.seen_dirty + delay + 2 * grain, "slot ", s,
                    " is dirty and free since ", now - touched, " ms, and no purge came");
            require(times.seen_whole == 0 ||
                        now < times.seen_whole + options_.decommit_delay_ms + 2 * grain,
                    "slot ", s, " is free since ", now - touched, " ms, and no decommit came");
        }
        require(first == UINT64_MAX || now < first + delay + grain,
                "what waits longest is dirty and free since ", now - first,
                " ms, and no purge came");
    }
    void judge_all_returned(bool decommit) {
        for (std::size_t s = 0; s < slots_.size(); ++s) {
            require(!is_waiting(s), "slot ", s, " is dirty after a return");
            require(!decommit || !is_whole(s), "slot ", s, " is committed after a return");
        }
    }

  private:
    struct Unit {
        bool out = false, committed = false, dirty = false;
        bool batched = false;  // by its last free
        std::uint64_t since = 0, cleaned = 0;
    };
    struct SlotTimes {
        std::uint64_t touched = 0;  // when something beside it or in it changed last
        std::uint64_t pushed = 0;   // when it joined its queue, at the latest
        std::uint64_t seen_dirty = 0, seen_whole = 0;  // the first look when it was due; 0: none
        bool may_wait_in_batch = false;
    };

    static std::size_t slot_of(hak::Address p) { return hak::window<W>.slot_of(p); }
    template <class Visit>
    void each(hak::Address p, std::size_t bytes, Visit visit) {
        for (std::size_t u = (p - base_) / kUnit; u < (p - base_ + bytes) / kUnit; ++u)
            visit(units_[u]);
    }
    template <class Visit>
    void each_of(std::size_t s, Visit visit) {
        for (std::size_t u = s * kUnitsOfSlot; u < (s + 1) * kUnitsOfSlot; ++u) visit(units_[u]);
    }
    // Committed, and nothing of it is out.
    bool is_whole(std::size_t s) {
        bool whole = true;
        each_of(s, [&](const Unit& u) { whole &= u.committed && !u.out; });
        return whole;
    }
    bool is_waiting(std::size_t s) {
        bool some = false;
        each_of(s, [&](const Unit& u) { some |= u.committed && !u.out && u.dirty; });
        return some;
    }
    // The slots that are free as a whole and lie side by side with s, and s itself.
    template <class Visit>
    void for_stretch(std::size_t s, Visit visit) {
        std::size_t begin = s, end = s + 1;
        if (is_whole(s)) {
            while (begin > 0 && is_whole(begin - 1)) --begin;
            while (end < slots_.size() && is_whole(end)) ++end;
        }
        for (std::size_t i = begin; i < end; ++i) visit(i);
    }
    std::uint64_t oldest(std::size_t begin, std::size_t end) {
        std::uint64_t since = UINT64_MAX;
        for (std::size_t s = begin; s < end; ++s)
            each_of(s, [&](const Unit& u) {
                if (!u.out) since = std::min(since, u.since);
            });
        return since;
    }
    std::uint64_t oldest_of_stretch(std::size_t s) {
        std::uint64_t since = UINT64_MAX;
        for_stretch(s, [&](std::size_t i) { since = std::min(since, oldest(i, i + 1)); });
        return since;
    }
    // All that it was joined with came to the batch.
    bool is_batched_alone(std::size_t s) {
        bool all = true;
        const bool whole = is_whole(s);
        for_stretch(s, [&](std::size_t i) {
            each_of(i, [&](const Unit& u) { all &= u.batched || (!whole && (u.out || !u.dirty)); });
        });
        return all;
    }
    std::pair<std::uint64_t, std::uint64_t> times_of(std::size_t s) {
        std::uint64_t touched = 0, pushed = 0;
        for_stretch(s, [&](std::size_t i) {
            touched = std::max(touched, slots_[i].touched);
            pushed = std::max(pushed, slots_[i].pushed);
        });
        return {touched, pushed};
    }
    void touch_around(hak::Address p, std::size_t bytes) {
        const std::uint64_t now = os.now_ms();
        const auto touch = [&](std::size_t s) { slots_[s].touched = slots_[s].pushed = now; };
        for_stretch(slot_of(p), touch);
        for_stretch(slot_of(p + bytes - 1), touch);
        for (std::size_t s = slot_of(p); s <= slot_of(p + bytes - 1); ++s) touch(s);
        // The Big run that was freed last joins its queue, and its neighbours, when somebody looks
        // for other slots.
        if (last_big_.second != 0)
            for_stretch(last_big_.first, [&](std::size_t s) { slots_[s].pushed = now; });
    }
    void note(const char* what) {
        if (pairs_ != nullptr) pairs_->note(name_, what);
    }

    Pairs* pairs_;
    hak::Address base_;
    std::vector<Unit> units_;
    std::vector<SlotTimes> slots_;
    std::pair<std::size_t, std::size_t> last_big_{};
    bool is_asked_ = false, is_due_only_ = false;
    const char* name_ = "";
    hak::Tunables options_ = options;
};

bool enter_purge(void* p, std::size_t bytes, bool done) {
    ledger->purged(hak::address_of(p), bytes, done);
    return done;
}
bool enter_decommit(void* p, std::size_t bytes, bool done) {
    ledger->decommitted(hak::address_of(p), bytes, done);
    return done;
}

class ReclaimMachine {
  public:
    ReclaimMachine(const hak::Tunables& tunables, Pairs* pairs) {
        reset_world<W>();
        options = tunables;
        require(hak::start<W>(), "the window does not open");
        ledger_.emplace(pairs);
    }
    void step(const ReclaimCommand& command) {
        os.begin_step(700);
        std::visit([this](const auto& c) { this->apply(c); }, command);
        auditor_.check(Auditor<W>::Scope::pool, ++steps_ % 8 == 0);
    }
    // Time alone returns everything.
    void finish() {
        os.heal();
        for (unsigned round = 0; round < 12; ++round) {
            os.advance(options.purge_delay_ms);
            look();
        }
        for (unsigned round = 0; round < 3; ++round) {
            os.advance(options.decommit_delay_ms);
            look();
        }
        ledger_->judge_all_returned(true);
    }

  private:
    using Pool = hak::Pool<W>;
    struct Have {
        hak::Address p = 0;
        std::size_t bytes = 0;
        bool is_big = false;
    };

    void look() {
        const std::uint64_t now = os.now_ms(), failed = os.failed_in_step();
        ledger_->begin_look(false);
        hak::reclaim<W>.tick(now);
        if (os.failed_in_step() != failed) return;
        ledger_->judge_limits();
        ledger_->judge_delays();
    }
    void take(unsigned h, hak::FreshRun range, std::size_t bytes, bool is_big) {
        require(range.address != 0 || os.failed() != 0 || bytes != 0, "no memory");
        if (range.address == 0) return;
        if (range.zero) {
            for (std::size_t i = 0; i < bytes; ++i)
                require(*hak::pointer_to<unsigned char>(range.address + i) == 0,
                        "a range that is said to be zero is not, at byte ", i);
        }
        std::memset(hak::pointer_to<void>(range.address), 0x5a, bytes);
        have_[h] = {range.address, bytes, is_big};
        ledger_->take(range.address, bytes);
    }
    void give(unsigned h, bool batched) {
        const Have block = std::exchange(have_[h], {});
        for (std::size_t i = 0; i < block.bytes; ++i)
            require(*hak::pointer_to<unsigned char>(block.p + i) == 0x5a, "content has changed");
        const auto wait = batched ? Pool::Wait::batch : Pool::Wait::decay;
        ledger_->give(block.p, block.bytes, batched, block.is_big);
        if (block.is_big) return hak::pool<W>.release_slots(block.p, wait);
        hak::pool<W>.release_units(block.p, static_cast<unsigned>(block.bytes / kUnit), wait);
    }

    void apply(const TakeUnits& c) {
        if (have_[c.h.v].p != 0) give(c.h.v, false);
        take(c.h.v, hak::pool<W>.acquire_units(c.u.v + 1, Pool::Use::slab), (c.u.v + 1) * kUnit,
             false);
    }
    void apply(const TakeSlots& c) {
        if (have_[c.h.v].p != 0) give(c.h.v, false);
        take(c.h.v, hak::pool<W>.acquire_slots(c.q.v + 1, kSlot, Pool::Use::block),
             (c.q.v + 1) * kSlot, true);
    }
    void apply(const Give& c) {
        if (have_[c.h.v].p == 0) return;
        give(c.h.v, c.f.v != 0);
        look();
    }
    void apply(const GiveUnseen& c) {
        if (have_[c.h.v].p != 0) give(c.h.v, false);
    }
    void apply(const Halve& c) {
        Have& block = have_[c.h.v];
        if (!block.is_big || block.bytes < 2 * kSlot) return;
        const std::size_t bytes = block.bytes / kSlot / 2 * kSlot;
        ledger_->give(block.p + bytes, block.bytes - bytes, false, false);
        hak::pool<W>.shrink_slots(block.p, static_cast<std::uint32_t>(bytes / kSlot));
        block.bytes = bytes;
    }
    void apply(const Wait& c) { os.advance(c.m.v); }
    void apply(const Look&) { look(); }
    void apply(const ReturnAll& c) {
        ledger_->begin_look(true);
        hak::reclaim<W>.everything(c.f.v != 0);
        if (os.failed_in_step() == 0) ledger_->judge_all_returned(c.f.v != 0);
    }
    void apply(const RefusePurge& c) { os.fail(Call::purge, c.i.v + 1, c.f.v != 0); }
    void apply(const RefuseDecommit& c) { os.fail(Call::decommit, c.i.v + 1, c.f.v != 0); }
    void apply(const Heal&) { os.heal(); }

    std::optional<Ledger> ledger_;
    Auditor<W> auditor_;
    std::array<Have, Place::kLimit> have_{};
    std::uint64_t steps_ = 0;
};

// Small limits, a small batch alone, and no limits but the delays.
constexpr std::pair<std::size_t, std::size_t> kLimits[] = {
    {6 * kSlot, 3 * kSlot}, {SIZE_MAX, 4 * kSlot}, {SIZE_MAX, SIZE_MAX}};

std::string run_reclaim_history(const ReclaimCommands& commands, Pairs* pairs) {
    for (const auto& [cache, batch] : kLimits) {
        hak::Tunables tunables = kTinyTunables;
        tunables.cache_bytes_max = cache;
        tunables.batch_bytes_max = batch;
        if (const std::string text = run_on(ReclaimMachine(tunables, pairs), commands);
            !text.empty())
            return text + " with a cache of " + std::to_string(cache) + " and a batch of " +
                   std::to_string(batch);
    }
    return {};
}

constexpr std::pair<const char*, const char*> kWanted[] = {
    {"due", "purge"},          {"due", "decommit"},
    {"due", "refused purge"},  {"due", "refused decommit"},
    {"full", "purge"},         {"full", "decommit"},
    {"full", "refused purge"}, {"asked", "purge"},
    {"asked", "decommit"},
};

}  // namespace

int main(int argc, char** argv) {
    Suite suite(argc, argv, 600);
    Pairs pairs;
    suite.histories<ReclaimCommand>(
        "props_reclaim", history_generator<ReclaimCommand>(250),
        [&](const ReclaimCommands& c) { return run_reclaim_history(c, &pairs); });
    suite.example("every way back that is claimed was met", [&] {
        pairs.print(std::cerr, "looks at the clock");
        if (suite.is_full()) pairs.require_met(kWanted);
    });
    return suite.finish();
}
