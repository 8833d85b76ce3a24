// learning_scenarios.cpp: the learner's lock and its word: threads bring what their calls cost, one
// of them ends the trial and publishes the next decision, others read it. What decides is a
// stand-in that counts; its words are watched, so that a thread inside beside another is a data
// race.
#include "learning/learner.hpp"
#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Scenario;
using hak::policy::Decision;
using hak::policy::Stage;
using hak::policy::strategy_at;
using hak::policy::Turn;

// Ends a trial after every call. Each decision names the next strategy, so that a decision's parts
// tell which one it is.
class CountingDecider {
  public:
    void note(std::size_t, double) { notes_.set(notes_.get() + 1); }
    Stage advance(std::uint64_t) const {
        return notes_.get() != 0 ? Stage::over : Stage::carry_over;
    }
    Turn close_trial(std::uint64_t, double, double) {
        notes_.set(0);
        closed_.set(closed_.get() + 1);
        return Turn::none;
    }
    Decision decision() const {
        const auto s = strategy_at(closed_.get() % hak::policy::kStrategies);
        return {s, s, s, static_cast<hak::policy::Phase>(closed_.get() % 3)};
    }
    unsigned closed() const { return closed_.get(); }

  private:
    hak::Plain<World, unsigned> notes_, closed_;
};
using Learner = hak::policy::Learner<World, CountingDecider>;

hak::policy::Reading nothing() {
    return {};
}

void check_whole(const Decision& d) {
    const unsigned closed = d.generation - 1;
    const auto s = strategy_at(closed % hak::policy::kStrategies);
    explorer::check(d.strategy == s && d.confirmed == s && d.candidate == s &&
                        static_cast<unsigned>(d.phase) == closed % 3,
                    "a reader has parts of two decisions");
    explorer::check(d.observes, "a reader has the word of before the start");
}

void publication(Scenario& s, unsigned noters, unsigned readers) {
    Process process(s);
    auto& learner = s.make<Learner>();
    learner.start(CountingDecider{}, 0, {});
    for (unsigned t = 0; t < noters; ++t) {
        s.thread("noter", [&] { learner.note(1, kSlotBytes, 1, 0, nothing); });
    }
    for (unsigned t = 0; t < readers; ++t) {
        s.thread("reader", [&] {
            const Decision first = learner.decision(), second = learner.decision();
            check_whole(first);
            check_whole(second);
            explorer::check(first.generation <= second.generation,
                            "a reader goes back to an older decision");
        });
    }
    s.finally([&, noters] {
        explorer::check(learner.noted() + learner.missed() == noters,
                        "a call was neither noted nor missed");
        explorer::check(learner.noted() != 0, "nobody was noted, though somebody came first");
        explorer::check(learner.decision().generation == 1 + learner.noted(),
                        "a trial ended without a decision of its own");
        explorer::check(!learner.lock().is_held(), "the lock is free at rest");
    });
    s.run();
}
const Explored kNoters("learning.three_noters", [](Scenario& s) { publication(s, 3, 0); });
const Explored kReader("learning.noters_and_reader", [](Scenario& s) { publication(s, 2, 1); });

// A tick that ends no trial changes nothing.
const Explored kTicker("learning.noter_beside_ticker", [](Scenario& s) {
    Process process(s);
    auto& learner = s.make<Learner>();
    learner.start(CountingDecider{}, 0, {});
    s.thread("noter", [&] { learner.note(1, kSlotBytes, 1, 0, nothing); });
    s.thread("ticker", [&] { learner.tick(2, nothing); });
    s.thread("reader", [&] { check_whole(learner.decision()); });
    s.finally([&] {
        explorer::check(learner.decision().generation == 1 + learner.noted(),
                        "a tick ended a trial that was not over");
    });
    s.run();
});

// A caller's call that changes the decision waits for its turn, and publishes what it changed.
const Explored kCaller("learning.noter_beside_caller", [](Scenario& s) {
    Process process(s);
    auto& learner = s.make<Learner>();
    learner.start(CountingDecider{}, 0, {});
    s.thread("noter", [&] { learner.note(1, kSlotBytes, 1, 0, nothing); });
    s.thread("caller", [&] {
        learner.with([](CountingDecider& decider) { return decider.close_trial(1, 0, 0); });
    });
    s.thread("reader", [&] { check_whole(learner.decision()); });
    s.finally([&] {
        const unsigned closed =
            learner.with([](CountingDecider& decider) { return decider.closed(); });
        explorer::check(closed == 1 + learner.noted(), "a decision got lost");
        explorer::check(learner.decision().generation == 1 + closed,
                        "a decision was not published");
    });
    s.run();
});

}  // namespace
}  // namespace protocols
