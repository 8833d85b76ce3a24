// learner.hpp: the learner of a process: any thread's slow path brings what a call cost, and one of
// them ends the trial and publishes the next decision.
//
// Nobody waits for the learner: who finds it busy goes on, and the call counts as missed. It calls
// nothing that allocates or takes another lock, so that its lock comes behind all others, and fork
// can take it last.
//
// INV learner.1  the word changes under the lock alone; its generation counts the decisions
// INV learner.2  every call that was offered was noted, or counts as missed
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/lock.hpp"

#include "learning/decision.hpp"
#include "learning/evolution.hpp"
#include "learning/trials.hpp"

namespace hak::policy {

// What is read of the process twice in a trial.
struct Reading {
    std::uint64_t faults = 0;  // since the process began
};

// `Decider` decides; it is touched under the lock alone. Trials<Elo> ships.
template <World W, class Decider>
class Learner {
  public:
    constexpr Learner() = default;

    // relaxed: the word is all that is published; nothing else is read because of what it says.
    HAK_INLINE Decision decision() const { return Decision::unpack(word_.load(order::relaxed)); }

    // Before the process's second thread. `decider` has begun.
    void start(const Decider& decider, std::uint64_t now_ns, const Reading& reading) {
        decider_ = decider;
        held_since_ns_.set(now_ns);
        faults_before_.set(reading.faults);
        observes_.set(true);
        publish();
    }

    // One call for a Large or Big block that took `ns`, under the strategy in force; `held` are the
    // free dirty bytes after it. `read` is asked for a Reading when the trial begins to count, and
    // when it is over. Returns what the end of a window led to.
    template <class Read>
    Turn note(std::uint64_t now_ns, std::size_t bytes, std::uint64_t ns, std::size_t held,
              Read read) {
        if (!lock_.try_acquire()) {
            missed_.fetch_add(1, order::relaxed);  // relaxed: a count of its own
            return Turn::none;
        }
        hold(now_ns, held);
        noted_.set(noted_.get() + 1);
        decider_.note(bytes, static_cast<double>(ns));
        const Turn turn = advance(now_ns, read);
        lock_.release();
        return turn;
    }

    // Ends a trial, and a window, that only time has ended.
    template <class Read>
    Turn tick(std::uint64_t now_ns, Read read) {
        if (!lock_.try_acquire()) return Turn::none;
        const Turn turn = advance(now_ns, read);
        lock_.release();
        return turn;
    }

    // Calls `work(decider)` with nobody else inside, and publishes what it changed.
    template <class Work>
    auto with(Work work) {
        const LockGuard<W> guard(lock_);
        const Decision before = decider_.decision();  // who only asks makes none
        const auto result = work(decider_);
        if (observes_.get() && !(decider_.decision() == before)) publish();
        return result;
    }

    std::uint64_t missed() const { return missed_.load(order::relaxed); }  // relaxed: as in note()
    std::uint64_t noted() {
        const LockGuard<W> guard(lock_);
        return noted_.get();
    }
    Lock<W>& lock() { return lock_; }

  private:
    // What was held since the last look counts for as long as it was.
    void hold(std::uint64_t now_ns, std::size_t held) {
        if (const std::uint64_t since = held_since_ns_.get(); now_ns > since) {
            held_.set(held_.get() + static_cast<double>(held_bytes_.get()) *
                                        (static_cast<double>(now_ns - since) * 1e-6));
            held_since_ns_.set(now_ns);
        }
        held_bytes_.set(held);
    }
    template <class Read>
    Turn advance(std::uint64_t now_ns, Read read) {
        switch (decider_.advance(now_ns)) {
            case Stage::carry_over:
            case Stage::measured:
                return Turn::none;
            case Stage::counts:
                count_from(now_ns, read());
                return Turn::none;
            case Stage::over:
                break;
        }
        return close_trial(now_ns, read());
    }
    void count_from(std::uint64_t now_ns, const Reading& reading) {
        hold(now_ns, held_bytes_.get());
        faults_before_.set(reading.faults);
        held_.set(0);
    }
    Turn close_trial(std::uint64_t now_ns, const Reading& reading) {
        hold(now_ns, held_bytes_.get());
        // A forked child's faults are counted from zero: those before the fork are the parent's.
        const std::uint64_t before =
            reading.faults < faults_before_.get() ? 0 : faults_before_.get();
        const Turn turn =
            decider_.close_trial(now_ns, static_cast<double>(reading.faults - before), held_.get());
        publish();
        return turn;
    }
    void publish() {
        Decision d = decider_.decision();
        d.observes = true;
        generation_.set(generation_.get() + 1);
        d.generation = generation_.get();
        word_.store(d.pack(), order::relaxed);  // relaxed: as in decision()
    }

    Atomic<W, std::uint64_t> word_{Decision{}.pack()};
    Atomic<W, std::uint64_t> missed_{};
    Lock<W> lock_;
    Decider decider_{};
    Plain<W, bool> observes_;
    Plain<W, std::uint32_t> generation_;
    Plain<W, std::uint64_t> noted_;
    Plain<W, std::uint64_t> faults_before_, held_since_ns_;
    Plain<W, std::size_t> held_bytes_;  // at the last look
    Plain<W, double> held_;             // bytes x milliseconds, since the trial counts
};

}  // namespace hak::policy
