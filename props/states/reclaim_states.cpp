// reclaim_states.cpp: the way of a free run of slots back to the system, and when it may be taken.
// It is seen whenever the pool's lock is given back and at each call of the system.
#include <algorithm>
#include <iostream>
#include <vector>

#include "props/kit/capacity.hpp"
#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

// away: without access. out: a Big block, or divided. batch: taken off its queue, and nothing asked
// of the system yet.
enum State : unsigned char { away, committing, out, dirty, clean, batch, purging, decommitting };

class ReclaimWatch : public Watch {
  public:
    ReclaimWatch() {
        transitions_.allow<State>({
            {away, committing},
            {committing, out},
            {committing, away},
            {out, dirty},
            {dirty, out},
            {clean, out},
            {committing, clean},  // what an alignment skips is cached
            // two threads committed at once, and one is enough
            {out, clean},
            {clean, dirty},  // joined with a dirty neighbour
            {dirty, clean},  // and what was dirty is taken
            {dirty, batch},
            {clean, batch},
            {batch, purging},
            {purging, clean},
            {purging, dirty},
            {batch, decommitting},
            {decommitting, away},
            {decommitting, clean},
            // the system keeps the charge, and takes the pages
            {decommitting, purging},
        });
        transitions_.allow_rare(committing, dirty);  // and joins a dirty neighbour
        // the system refuses, and meanwhile a neighbour was freed
        transitions_.allow_rare(decommitting, dirty);
    }
    void on_world() override {
        slots_.assign(kit::kTinyConfig.window_bytes / kSlot, {});
        is_disturbed_ = false;
        is_free_ = true;
    }
    void on_pool_unlock() override {
        is_disturbed_ |= !fibers.all_idle_but(fibers.current());
        std::vector<State> now(window.slot_count(), away);
        std::vector<std::uint64_t> since_ms(now.size());
        std::size_t free_dirty = 0, waits_at_most = 0;
        kit::each_slot<Observed>([&](std::size_t first, std::size_t length) {
            for (std::size_t i = first; i < first + length; ++i) {
                now[i] = state_of(first, slots_[i].state);
                since_ms[i] = hak::window<Observed>.superslab(first).since_ms.get();
            }
        });
        for (std::size_t i = 0; i < now.size(); ++i) {
            // it is as old as the run was
            if (slots_[i].state == dirty && now[i] == clean) slots_[i].since_ms = since_ms[i];
            change(i, now[i]);
            free_dirty += now[i] == dirty;
            waits_at_most += now[i] == dirty || now[i] == out;
        }
        const auto tunables = hak::tunables<Observed>.get();
        is_over_ |= free_dirty * kSlot > tunables.cache_bytes_max ||
                    (free_dirty != 0 && waits_at_most * kSlot > tunables.batch_bytes_max);
    }
    // What is asked of the system is asked for memory that nobody else can have meanwhile.
    void on_call(kit::Call call, const void* p, std::size_t bytes) override {
        const hak::Address begin = hak::address_of(p);
        if (!window.is_open() || !window.contains(begin)) return;
        for (std::size_t u = window.unit_index(begin); u < window.unit_index(begin + bytes - 1) + 1;
             ++u) {
            kit::require(
                window.record(u)->state.load(hak::order::relaxed) == hak::UnitState::free ||
                    u >= units_ready(),
                "unit ", u, " is in use and is ", kit::kCallNames[static_cast<unsigned>(call)],
                "ed");
        }
        std::uint64_t oldest_ms = 0;
        bool is_run = false;
        for (std::size_t i = window.slot_of(begin); i < window.slot_of(begin + bytes - 1) + 1;
             ++i) {
            const bool is_divided = slots_[i].state == out;
            kit::require(!is_divided || call == kit::Call::purge, "slot ", i, " is divided and is ",
                         kit::kCallNames[static_cast<unsigned>(call)], "ed");
            if (call == kit::Call::commit) {
                kit::require(slots_[i].state == committing, "slot ", i,
                             " is committed and nobody took it");
                continue;
            }
            if (is_divided) continue;
            oldest_ms = std::max(oldest_ms, kit::os.now_ms() - slots_[i].since_ms);
            is_run = true;
            change(i, call == kit::Call::purge ? purging : decommitting);
        }
        if (is_run) judge_delay(window.slot_of(begin), oldest_ms, call);
    }
    // Memory is known to be zero only after the system said so.
    void on_called(kit::Call call, const void* p, std::size_t bytes, bool works) override {
        if (call != kit::Call::purge) return;
        for (std::size_t i = window.slot_of(hak::address_of(p));
             i < window.slot_of(hak::address_of(p) + bytes - 1) + 1; ++i)
            slots_[i].is_refused = !works;
    }
    // Only where the client asks for it, or an allocation finds no memory, may anything go before
    // its delay.
    void on_begin(Operation operation) override {
        const bool is_alone = fibers.all_idle_but(fibers.current());
        is_free_ = operation == kFree && is_alone;
        is_over_ = is_over_ && !is_alone;
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        std::cerr << "  returned after the delay  " << waited_ << ", before it for a reason  "
                  << hurried_ << "\n";
        if (!is_full) return;
        transitions_.require_all_seen();
        kit::require(waited_ != 0 && hurried_ != 0, "no history waited, or none asked");
    }

  private:
    static constexpr std::size_t kSlot = kit::kTinyConfig.superslab_bytes();
    struct Slot {
        State state = away;
        std::uint64_t since_ms = 0;  // since when it is dirty, or clean
        std::uint64_t batch_ms = 0;
        bool is_refused = false;  // by the last purge
    };

    static State state_of(std::size_t first, State before) {
        const auto& s = hak::window<Observed>.superslab(first);
        switch (s.kind.get()) {
            case hak::SlotKind::reserved:
                return away;
            case hak::SlotKind::cached:
                return s.dirty().is_some() ? dirty : clean;
            case hak::SlotKind::transit:
                return before == away || before == committing ? committing
                       : before == dirty || before == clean   ? batch
                                                              : before;
            default:
                return out;
        }
    }
    void change(std::size_t i, State to) {
        Slot& slot = slots_[i];
        if (slot.state == to) return;
        transitions_.see(slot.state, to, i);
        kit::require(slot.state != purging || to != clean || !slot.is_refused, "slot ", i,
                     " is clean after a purge that failed");
        if (to == batch) slot.batch_ms = kit::os.now_ms();
        // What a pass of reclaim puts back is as old as that pass.
        if (slot.state == purging || slot.state == decommitting) {
            slot.since_ms = slot.batch_ms;
        } else if (to == dirty) {
            slot.since_ms = kit::os.now_ms();
        }
        slot.state = to;
    }
    // No earlier than the delay after the first of its slots became free: a joined run is as old as
    // its slots in the mean (props/reclaim). A divided slot is judged by superslab_states.cpp's
    // machine and by the properties.
    void judge_delay(std::size_t i, std::uint64_t age, kit::Call call) {
        // A pass puts back what it took with the time at which it began, so that a neighbour which
        // was freed meanwhile goes with it.
        if (is_disturbed_) return;
        const auto tunables = hak::tunables<Observed>.get();
        const std::uint64_t delay =
            call == kit::Call::purge ? tunables.purge_delay_ms : tunables.decommit_delay_ms;
        const bool has_waited = age >= delay;
        ++(has_waited ? waited_ : hurried_);
        kit::require(has_waited || is_over_ || !is_free_ || kit::os.failed() != 0, "slot ", i,
                     " goes back ", age, " ms after it was freed, before its delay of ", delay);
    }

    kit::TransitionTable transitions_{
        "run of slot",
        {"away", "committing", "out", "dirty", "clean", "batch", "purging", "decommitting"}};
    std::vector<Slot> slots_;
    bool is_over_ = false, is_free_ = true;
    bool is_disturbed_ = false;  // several calls were under way in this history
    std::uint64_t waited_ = 0, hurried_ = 0;
};

}  // namespace

Watch& reclaim_watch() {
    static ReclaimWatch eyes;
    return eyes;
}

}  // namespace states
