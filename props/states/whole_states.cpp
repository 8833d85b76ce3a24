// whole_states.cpp: the whole heap: every machine at once, in one history, and the life of each
// thread.
#include <array>
#include <iostream>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

// fresh: the thread has made no call that needs a heap. settled: it has one. ended: its hook has
// run or cannot be armed; it borrows.
enum Life : unsigned { fresh, settled, ended };

class WholeWatch : public Watch {
  public:
    WholeWatch() {
        lives_.allow({kAllocate}, fresh, settled);
        lives_.allow({kAllocate}, fresh, ended);  // no hook
        lives_.allow({kEnd}, settled, ended);
        // of the child's new threads, in the place of those that are gone
        lives_.allow({kFork}, settled, fresh);
        lives_.allow({kFork}, ended, fresh);
        for (const auto& [from, to] : {std::pair{fresh, settled},
                                       {fresh, ended},
                                       {settled, ended},
                                       {settled, fresh},
                                       {ended, fresh}})
            lives_.want(from, to);
    }
    void on_world() override {
        life_.fill(fresh);
        each([](Watch& w) { w.on_world(); });
    }
    void on_token(const Heap* heap, hak::Token from, hak::Token to) override {
        each([&](Watch& w) { w.on_token(heap, from, to); });
    }
    void on_remote(const UnitRecord* slab, hak::Address from, hak::Address to) override {
        each([&](Watch& w) { w.on_remote(slab, from, to); });
    }
    void on_pending(const Heap* heap, const UnitRecord* from, const UnitRecord* to) override {
        each([&](Watch& w) { w.on_pending(heap, from, to); });
    }
    void on_owner(const UnitRecord* record, const Heap* from, const Heap* to) override {
        each([&](Watch& w) { w.on_owner(record, from, to); });
    }
    void on_unit(const UnitRecord* record, hak::UnitState from, hak::UnitState to) override {
        each([&](Watch& w) { w.on_unit(record, from, to); });
    }
    void on_pool_unlock() override {
        each([](Watch& w) { w.on_pool_unlock(); });
    }
    void on_call(kit::Call call, const void* p, std::size_t bytes) override {
        each([&](Watch& w) { w.on_call(call, p, bytes); });
    }
    void on_called(kit::Call call, const void* p, std::size_t bytes, bool works) override {
        each([&](Watch& w) { w.on_called(call, p, bytes, works); });
    }
    void on_unreserve() override {
        each([](Watch& w) { w.on_unreserve(); });
    }
    void on_begin(Operation operation) override {
        each([&](Watch& w) { w.on_begin(operation); });
    }
    void on_birth(unsigned thread) override { life_[thread] = fresh; }
    void on_step(Operation operation, unsigned thread, const void* block, bool is_whole) override {
        each([&](Watch& w) { w.on_step(operation, thread, block, is_whole); });
        for (unsigned t = 0; t < kit::kThreads; ++t) {
            const Heap* const heap = kit::heap_of<Observed>(t);
            const Life now = heap == &hak::empty_heap<Observed>    ? fresh
                             : heap == &hak::exited_heap<Observed> ? ended
                                                                   : settled;
            if (is_whole) lives_.see(operation, life_[t], now, t);
            life_[t] = now;
        }
    }
    void require_all_seen(bool is_full) override {
        lives_.print(std::cerr);
        if (is_full) lives_.require_all_seen();
    }

  private:
    template <class Call>
    void each(Call call) {
        for (Watch* const w : parts_) call(*w);
    }

    std::array<Watch*, 7> parts_{&token_watch(), &remote_watch(),    &block_watch(),
                                 &slab_watch(),  &superslab_watch(), &reclaim_watch(),
                                 &window_watch()};
    kit::StepTransitions lives_{"thread",
                                {"fresh", "settled", "ended"},
                                {"an allocation", "a free", "an exit", "a trim", "a fork"}};
    std::array<Life, kit::kThreads> life_{};
};

}  // namespace

Watch& whole_watch() {
    static WholeWatch eyes;
    return eyes;
}

}  // namespace states
