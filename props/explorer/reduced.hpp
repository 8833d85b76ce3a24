// reduced.hpp: exhaustive search with sleep sets over transitions (thread, message): each execution
// graph about once.
//
// When a node has been explored with thread u first, u falls asleep for the node's other branches,
// with the set of messages that it could read there: whatever begins with one of these reads is
// covered. A sleeping thread may run with a message that appeared later. It wakes when an operation
// is executed that does not commute with what is covered. In this machine almost everything
// commutes: a load disturbs no store, and of two stores to one word the second can still be
// inserted before the first. So a pending store that is not seq_cst is executed at once, without a
// branch.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "props/explorer/search.hpp"

namespace explorer {

class Reduced final : public Search {
  public:
    explicit Reduced(const Options& options);

    void begin_execution() override;
    unsigned pick_thread(const Situation& situation) override;
    unsigned pick_message(const Candidates& candidates) override;
    unsigned pick(unsigned n, Choice choice) override;
    void executed(unsigned thread, const Op& op, const Situation& situation) override;
    bool next() override;
    bool restart() override {
        path_.clear();
        return true;
    }

  private:
    // A set of messages of one word; everything, for operations that do not read.
    using Set = std::uint64_t;
    static constexpr Set kEverything = ~Set{0};

    struct Node {
        std::uint8_t count = 0, current = 0;
        // of a branch; unused where no thread is picked
        std::array<std::uint8_t, kThreadsMax> thread;
        std::array<Set, kThreadsMax> covers;  // what the branch's thread could do
    };

    static Set set_of(const Candidates& candidates);
    Set transitions(unsigned thread, const Situation& situation);
    bool commute(const Op& done, const Op& asleep) const;
    void take(const Node& node);
    unsigned run(unsigned thread);

    Orders orders_;
    bool inserts_;
    Defect defect_;
    std::vector<Node> path_;
    std::size_t depth_ = 0;
    std::array<Set, kThreadsMax> asleep_{};
    Set covered_ = 0;  // of the thread that was picked
    Candidates scratch_;
};

}  // namespace explorer
