// remote_states.cpp: a slab's remote list and the notification of its owner. Every change of every
// remote word and pending list is seen.
#include <iostream>
#include <vector>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

// idle: nothing is posted. owed: the poster that set `queued` owes the push. pending: on the
// owner's list. popped: the owner's holder has taken it off and not drained it. claimed: `queued`
// is set by who takes the slab over.
enum class Notice : unsigned { idle, owed, pending, popped, claimed };

class RemoteWatch : public Watch {
  public:
    RemoteWatch() {
        using enum Notice;
        transitions_.allow<Notice>({
            {idle, owed},
            {owed, pending},
            {pending, popped},
            {popped, idle},
            {idle, claimed},
            {claimed, idle},
            {popped, pending},  // a visitor leaves it to the heap's thread
            {pending, owed},    // a fork's child forgets the lists, and makes them anew
        });
    }
    void on_world() override { notices_.clear(); }
    void on_remote(const UnitRecord* slab, hak::Address from, hak::Address to) override {
        const bool was_queued = (from & hak::kQueued) != 0, is_queued = (to & hak::kQueued) != 0;
        kit::require(to == 0 || is_queued, "the remote word of unit ", unit_of(slab),
                     " has blocks that nobody is told of");
        if (was_queued && is_queued) {
            kit::require(to != hak::kQueued && to != from, "posted blocks of unit ", unit_of(slab),
                         " are lost");
            return;
        }
        if (is_queued) return change(slab, to == hak::kQueued ? Notice::claimed : Notice::owed);
        change(slab, Notice::idle);
    }
    void on_pending(const Heap* heap, const UnitRecord* from, const UnitRecord* to) override {
        // A visitor takes the first slab alone; a push of one that is on the list already would be
        // wrong by itself.
        if (from != nullptr && from->pending_next.get() == to && !in_fork_child)
            return change(from, Notice::popped);
        if (to != nullptr) {
            kit::require(to->pending_next.get() == from, "a push loses the slabs before it");
            kit::require(to->owner.load(hak::order::relaxed) == heap,
                         "a slab is pushed to a heap that does not own it");
            return change(to, Notice::pending);
        }
        for (const UnitRecord* slab = from; slab != nullptr; slab = slab->pending_next.get())
            change(slab, in_fork_child ? Notice::owed : Notice::popped);
    }
    void on_owner(const UnitRecord* record, const Heap* from, const Heap* to) override {
        const bool is_handed_over =
            from != nullptr && to != nullptr && window.head_record(record) == record;
        kit::require(!is_handed_over || notice_of(record) == Notice::claimed, "unit ",
                     unit_of(record), " changes its owner and nobody has claimed it");
    }
    void on_unit(const UnitRecord* record, hak::UnitState from, hak::UnitState) override {
        if (from != hak::UnitState::slab || window.head_record(record) != record) return;
        kit::require(notice_of(record) == Notice::idle, "unit ", unit_of(record),
                     " is released while its slab is ", static_cast<unsigned>(notice_of(record)));
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        if (is_full) transitions_.require_all_seen();
    }

  private:
    Notice& notice_of(const UnitRecord* slab) {
        const std::size_t unit = unit_of(slab);
        if (notices_.size() <= unit) notices_.resize(unit + 1, Notice::idle);
        return notices_[unit];
    }
    void change(const UnitRecord* slab, Notice to) {
        Notice& notice = notice_of(slab);
        transitions_.see(static_cast<unsigned>(notice), static_cast<unsigned>(to), unit_of(slab));
        notice = to;
    }

    kit::TransitionTable transitions_{"notice of slab",
                                      {"idle", "owed", "pending", "popped", "claimed"}};
    std::vector<Notice> notices_;
};

}  // namespace

Watch& remote_watch() {
    static RemoteWatch eyes;
    return eyes;
}

}  // namespace states
