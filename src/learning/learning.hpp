// learning.hpp: the learner of the process, and how the allocator's slow paths meet it. Included
// where a feature is compiled in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/text.hpp"

#include "mem/reclaim.hpp"

#include "learning/decision.hpp"
#include "learning/evolution.hpp"
#include "learning/learner.hpp"
#include "learning/strategy.hpp"
#include "learning/trials.hpp"
#include "options/options.hpp"
#if HAKMEM_WITH_ELO
#    include "learning/elo.hpp"
#else
#    include "learning/fixed.hpp"
#endif

namespace hak {

#if HAKMEM_WITH_ELO
using Chooser = policy::Elo;
#else
using Chooser = policy::Fixed;
#endif
using Decider = policy::Trials<Chooser>;

template <World W>
inline constinit policy::Learner<W, Decider> learner{};

template <class W>
policy::Reading read_process() {
    return {W::Pal::page_faults()};
}

// The line that says what the learner changed, if the user wants to know.
HAK_COLD inline void report(policy::Turn turn, policy::Strategy before,
                            const policy::Decision& after) {
    if (turn == policy::Turn::none || !options.verbose) return;
    constexpr const char* kTurns[] = {"",        "freeze",    "canary",
                                      "promote", "roll back", "learn again"};
    const auto kib = [](policy::Strategy s) {
        return static_cast<std::uint64_t>(policy::threshold_of(s) >> 10);
    };
    Text text;
    text << "hakmem: learning: " << kTurns[static_cast<unsigned>(turn)] << ": threshold "
         << kib(before) << " KiB -> "
         << kib(after.phase == policy::Phase::canary ? after.candidate : after.confirmed)
         << " KiB\n";
    text.print();
}

#if HAKMEM_WITH_ELO
// At exit: what was learned.
template <World W>
HAK_COLD void print_leaderboard() {
    if (!learner<W>.decision().observes) return;
    Text text;
    text << "hakmem: learning: place, threshold in KiB, rating, wins, losses, draws, samples\n";
    learner<W>.with([&](const Decider& decider) {
        for (unsigned place = 0; place < policy::kStrategies; ++place) {
            const policy::Strategy s = decider.chooser().ranked(place);
            const policy::Rating& r = decider.chooser().rating(s);
            const std::int64_t rating = r.millipoints / 1000;
            text << "hakmem: learning: " << std::uint64_t{place + 1} << " "
                 << static_cast<std::uint64_t>(policy::threshold_of(s) >> 10) << " "
                 << (rating < 0 ? "-" : "")
                 << static_cast<std::uint64_t>(rating < 0 ? -rating : rating) << " " << r.wins
                 << " " << r.losses << " " << r.draws << " " << decider.chooser().samples().count(s)
                 << (r.active ? "\n" : " dropped\n");
        }
        return 0;
    });
    text.print();
}
#endif

// The modes in which something is learned start it; called once, before the window opens.
template <World W>
void start_learning() {
    if (!learns(options.mode) || learner<W>.decision().observes) return;
    policy::EvolutionConfig config;
    config.freezes = options.mode == Mode::learning;
    config.freeze_after_ns = options.freeze_after_ms * 1'000'000;
    config.freeze_by_ns = 4 * config.freeze_after_ns;
    // What is free for purge_delay is purged at the first look at the clock after it, which reclaim
    // keeps a quarter of it apart.
    Decider decider(config, (options.tunables.purge_delay_ms * 5 / 4 + 1) * 1'000'000);
    const std::uint64_t now = W::Pal::now_ns();
    decider.begin(now, W::Pal::entropy());
    learner<W>.start(decider, now, read_process<W>());
}

// What both kinds of hooks do. The learner's lock comes last: nobody waits for another one while
// he holds it.
template <class W>
struct PublishedThreshold {
    static std::size_t batch_threshold(std::size_t by_option) {
        const policy::Decision d = learner<W>.decision();
        return d.observes ? policy::threshold_of(d.strategy) : by_option;
    }
    static std::size_t lowest_threshold(std::size_t by_option) {
        return learner<W>.decision().observes ? policy::threshold_of(policy::strategy_at(0))
                                              : by_option;
    }
    static void before_fork() { learner<W>.lock().acquire(); }
    static void after_fork_in_parent() { learner<W>.lock().release(); }
    static void after_fork_in_child() { learner<W>.lock().reset(); }
};

#if HAKMEM_WITH_EVOLUTION
// What RealWorld calls its Hooks: named while that is not complete, so W is not asked to be a
// World.
template <class W>
struct LearningObserver : PublishedThreshold<W> {
    // While something is learned or tried, all calls are measured. A frozen strategy is only asked
    // whether the workload is still the one that it was learned from: of what the kept runs serve,
    // which is most where there are any, one block in 16 tells that.
    static HAK_INLINE bool is_watching(const auto& keeps) {
        const policy::Decision d = learner<W>.decision();
        if (!d.observes) [[likely]]
            return false;
        return d.phase != policy::Phase::frozen || keeps.get() % kFrozenSample == kFrozenSample - 1;
    }
    class Call {
      public:
        HAK_INLINE Call() : began_ns_(learner<W>.decision().observes ? W::Pal::now_ns() : 0) {}
        HAK_INLINE ~Call() {
            if (began_ns_ != 0) [[unlikely]]
                end();
        }
        Call(const Call&) = delete;
        Call& operator=(const Call&) = delete;
        HAK_INLINE void set_bytes(std::size_t bytes) { bytes_ = bytes; }

      private:
        HAK_COLD void end() const {
            const typename W::Probe::template Timed<Activity::learner> timed;
            const policy::Strategy before = learner<W>.decision().confirmed;
            const std::uint64_t now = W::Pal::now_ns();
            const policy::Turn turn = learner<W>.note(now, bytes_, now - began_ns_,
                                                      pool<W>.free_dirty_bytes(), read_process<W>);
            report(turn, before, learner<W>.decision());
        }

        std::uint64_t began_ns_;
        std::size_t bytes_ = 0;
    };

    static HAK_COLD policy::Turn tick_at(std::uint64_t now_ns) {
        const typename W::Probe::template Timed<Activity::tick> timed;
        const policy::Strategy before = learner<W>.decision().confirmed;
        const policy::Turn turn = learner<W>.tick(now_ns, read_process<W>);
        report(turn, before, learner<W>.decision());
        return turn;
    }
    static void tick() {
        if (learner<W>.decision().observes) [[unlikely]]
            tick_at(W::Pal::now_ns());
    }

  private:
    static constexpr std::uint32_t kFrozenSample = 16;
};
#else
// Nothing learns by itself; the caller of hak_elo_* does what it wants with the strategies.
template <class W>
struct LearningObserver : PublishedThreshold<W> {
    using Call = NoHooks::Call;
    static bool is_watching(const auto&) { return false; }
    static void tick() {}
};
#endif

}  // namespace hak
