// superslab_states.cpp: what each slot of the window is. It is read whenever the pool's lock is
// given back, so that each change is that of one critical section.
#include <iostream>
#include <vector>

#include "props/kit/capacity.hpp"
#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

// transit: its committer, purger or decommitter works on it without the lock. Of units: whether
// some are free, and some of these dirty.
enum State : unsigned char {
    unused,
    reserved,
    transit,
    big,
    units_full,
    units_clean,
    units_dirty,
    cached_clean,
    cached_dirty
};

class SuperslabWatch : public Watch {
  public:
    SuperslabWatch() {
        transitions_.allow<State>({
            // the top passes it: for a block, or for the sake of alignment
            {unused, transit},
            {unused, reserved},
            // committed; not committed, or decommitted
            {reserved, transit},
            {transit, big},
            {transit, reserved},
            {big, units_clean},
            {big, units_dirty},  // divided
            {units_clean, units_full},
            {units_dirty, units_full},
            {units_full, units_clean},
            {units_full, units_dirty},
            {units_clean, units_dirty},
            {units_dirty, units_clean},
            {units_clean, cached_dirty},
            {units_dirty, cached_dirty},  // the last unit comes back
            // freed; committed by two threads where one is enough
            {big, cached_dirty},
            {big, cached_clean},
            {cached_dirty, big},
            {cached_clean, big},
            // joined with a dirty neighbour
            {cached_clean, cached_dirty},
            // and what was dirty is taken
            {cached_dirty, cached_clean},
            {cached_dirty, transit},
            {cached_clean, transit},
            {transit, cached_dirty},
            {transit, cached_clean},
        });
    }
    void on_world() override { before_.clear(); }
    void on_pool_unlock() override {
        now_.assign(window.slot_count(), unused);
        kit::each_slot<Observed>([&](std::size_t first, std::size_t length) {
            for (std::size_t i = first; i < first + length; ++i)
                now_[i] = state_of(hak::window<Observed>.superslab(first));
        });
        before_.resize(now_.size(), unused);
        for (std::size_t i = 0; i < now_.size(); ++i) {
            if (before_[i] != now_[i]) transitions_.see(before_[i], now_[i], i);
        }
        before_.swap(now_);
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        if (is_full) transitions_.require_all_seen();
    }

  private:
    static State state_of(const hak::SuperSlab<Observed>& s) {
        switch (s.kind.get()) {
            case hak::SlotKind::reserved:
                return reserved;
            case hak::SlotKind::transit:
                return transit;
            case hak::SlotKind::big:
                return big;
            case hak::SlotKind::cached:
                return s.dirty().is_some() ? cached_dirty : cached_clean;
            case hak::SlotKind::units:
                break;
        }
        return s.free_units() == 0        ? units_full
               : s.purgeable_units() != 0 ? units_dirty
                                          : units_clean;
    }

    kit::TransitionTable transitions_{
        "slot",
        {"unused", "reserved", "transit", "big", "units.full", "units.clean", "units.dirty",
         "cached.clean", "cached.dirty"}};
    std::vector<State> before_, now_;
};

}  // namespace

Watch& superslab_watch() {
    static SuperslabWatch eyes;
    return eyes;
}

}  // namespace states
