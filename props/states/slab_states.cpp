// slab_states.cpp: whose a slab is and how full. After every call of a thread each slab is compared
// with what it was.
#include <iostream>
#include <vector>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

using W = Observed;

// The pool has the unit; or who owns the slab, and whether nothing of it is out, or something and
// there is room, or there is none.
enum State : unsigned char {
    pool,
    owned_empty,
    owned_room,
    owned_full,
    orphan_empty,
    orphan_room,
    orphan_full,
    frozen_empty,
    frozen_room,
    frozen_full
};
constexpr unsigned kOwned = owned_empty, kOrphan = orphan_empty, kFrozen = frozen_empty;

class SlabWatch : public Watch {
  public:
    SlabWatch() {
        const std::vector<unsigned> on_slow_paths{kAllocate, kFree, kEnd, kTrim};
        transitions_.allow({kAllocate}, pool, owned_empty);
        for (const unsigned who : {kOwned, kOrphan}) {
            const unsigned empty = who, room = who + 1, full = who + 2;
            // blocks come back, or were posted and are drained
            transitions_.allow(on_slow_paths, full, room);
            transitions_.allow(on_slow_paths, room, empty);
            transitions_.allow(on_slow_paths, empty, pool);  // released
        }
        // A refill takes all the room at once; other threads' slabs come to the heap that needs
        // room, and whole heaps to a new thread.
        transitions_.allow({kAllocate}, owned_empty, owned_full);
        transitions_.allow({kAllocate}, owned_room, owned_full);
        for (unsigned fill = 0; fill < 3; ++fill) {
            transitions_.allow({kAllocate}, kOrphan + fill, kOwned + fill);
            transitions_.allow({kEnd}, kOwned + fill, kOrphan + fill);
            transitions_.allow({kFork}, kOwned + fill, kFrozen + fill);
        }
        // A thread without a heap of its own borrows an orphan for one call, which leaves it an
        // orphan.
        for (unsigned fill = 0; fill < 3; ++fill)
            transitions_.allow({kAllocate}, kOwned + fill, kOrphan + fill);

        for (const auto& [from, to] :
             {std::pair{pool, owned_full}, {owned_full, owned_room},    {owned_room, owned_full},
              {owned_room, owned_empty},   {owned_full, owned_empty},   {owned_empty, owned_full},
              {owned_empty, pool},         {owned_room, pool},          {owned_full, orphan_full},
              {owned_full, orphan_room},   {owned_full, orphan_empty},  {owned_room, orphan_room},
              {owned_room, orphan_empty},  {owned_empty, orphan_empty}, {orphan_full, orphan_room},
              {orphan_room, orphan_empty}, {orphan_room, pool},         {orphan_empty, pool},
              {orphan_full, owned_full},   {orphan_room, owned_full},   {orphan_empty, owned_full},
              {orphan_room, owned_room},   {orphan_empty, owned_empty}, {owned_full, frozen_full},
              {owned_room, frozen_room},   {owned_empty, frozen_empty}}) {
            transitions_.want(from, to);
        }
    }
    void on_world() override { before_.clear(); }
    void on_step(Operation operation, unsigned, const void*, bool is_whole) override {
        before_.resize(units_ready(), pool);
        for (std::size_t u = 0; u < before_.size(); ++u) {
            const State now = state_of(window.record(u));
            if (is_whole) transitions_.see(operation, before_[u], now, u);
            before_[u] = now;
        }
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        if (is_full) transitions_.require_all_seen();
    }

  private:
    static State state_of(const UnitRecord* slab) {
        if (slab->state.load(hak::order::relaxed) != hak::UnitState::slab ||
            window.head_record(slab) != slab)
            return pool;
        const hak::Token token =
            slab->owner.load(hak::order::relaxed)->token.load(hak::order::relaxed);
        kit::require(token == hak::Token::owned || token == hak::Token::orphan ||
                         token == hak::Token::frozen,
                     "unit ", unit_of(slab), ": the owner is held at rest");
        const unsigned who = token == hak::Token::owned    ? kOwned
                             : token == hak::Token::orphan ? kOrphan
                                                           : kFrozen;
        return static_cast<State>(who + (slab->used.get() == 0 ? 0 : slab->has_room() ? 1 : 2));
    }

    kit::StepTransitions transitions_{
        "slab of unit",
        {"pool", "owned.empty", "owned.room", "owned.full", "orphan.empty", "orphan.room",
         "orphan.full", "frozen.empty", "frozen.room", "frozen.full"},
        {"an allocation", "a free", "an exit", "a trim", "a fork"}};
    std::vector<State> before_;
};

}  // namespace

Watch& slab_watch() {
    static SlabWatch eyes;
    return eyes;
}

}  // namespace states
