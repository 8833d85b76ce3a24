// transition_table.hpp: a state machine as a table written by hand from docs/memory.md. What the
// production source does is seen against it: a change that the table does not have is a failure,
// and so is one that it has and that no history ever made.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "props/kit/broken.hpp"

namespace kit {

// Which of the changes that are demanded were seen, and how often.
class SeenChanges {
  public:
    void print(std::ostream& out) const {
        out << machine_ << ":\n";
        for (const auto& [pair, count] : seen_)
            out << "  " << names_[pair.first] << " -> " << names_[pair.second] << "  " << count
                << "\n";
    }
    void require_all_seen() const {
        std::string missing;
        for (const auto& [pair, count] : seen_) {
            if (count == 0) missing += "\n  " + names_[pair.first] + " -> " + names_[pair.second];
        }
        require(missing.empty(), machine_, ": no history made these changes:", missing);
    }

  protected:
    using Pair = std::pair<unsigned, unsigned>;

    SeenChanges(const char* machine, std::vector<std::string> names)
        : machine_(machine), names_(std::move(names)) {}

    const char* machine_;
    std::vector<std::string> names_;
    std::map<Pair, std::uint64_t> seen_;
};

class TransitionTable : public SeenChanges {
  public:
    // The states' names in the order of their numbers.
    TransitionTable(const char* machine, std::vector<std::string> names)
        : SeenChanges(machine, std::move(names)) {}

    // A change that is seen as it happens.
    void allow(unsigned from, unsigned to) { seen_.emplace(Pair{from, to}, 0); }
    template <class State>
    void allow(std::initializer_list<std::pair<State, State>> changes) {
        for (const auto& [from, to] : changes)
            allow(static_cast<unsigned>(from), static_cast<unsigned>(to));
    }

    // One that only few histories make, so that none is demanded.
    template <class State>
    void allow_rare(State from, State to) {
        rare_.insert({static_cast<unsigned>(from), static_cast<unsigned>(to)});
    }

    void see(unsigned from, unsigned to, std::uint64_t where) {
        if (rare_.contains({from, to})) return;
        const auto found = seen_.find({from, to});
        require(found != seen_.end(), machine_, " ", where, ": illegal change ", names_[from],
                " -> ", names_[to]);
        ++found->second;
    }

  private:
    std::set<Pair> rare_;
};

// The same where only whole steps are seen: a step may make several changes, each of a kind that
// its operation allows.
class StepTransitions : public SeenChanges {
  public:
    StepTransitions(const char* machine, std::vector<std::string> names,
                    std::vector<std::string> operations)
        : SeenChanges(machine, std::move(names)),
          operations_(std::move(operations)),
          ways_(operations_.size(), std::vector<std::vector<bool>>(
                                        names_.size(), std::vector<bool>(names_.size(), false))) {
        for (auto& way : ways_) {
            for (unsigned s = 0; s < names_.size(); ++s) way[s][s] = true;
        }
    }
    void allow(const std::vector<unsigned>& operations, unsigned from, unsigned to) {
        for (const unsigned operation : operations) ways_[operation][from][to] = true;
        closed_ = false;
    }
    // A step from here to there that some history must make.
    void want(unsigned from, unsigned to) { seen_.emplace(Pair{from, to}, 0); }

    void see(unsigned operation, unsigned from, unsigned to, std::uint64_t where) {
        if (from == to) return;
        if (!closed_) close();
        require(ways_[operation][from][to], machine_, " ", where, ": illegal change ", names_[from],
                " -> ", names_[to], " in ", operations_[operation]);
        ++seen_[{from, to}];
    }

  private:
    void close() {
        for (auto& way : ways_) {
            for (unsigned k = 0; k < names_.size(); ++k) {
                for (unsigned i = 0; i < names_.size(); ++i) {
                    for (unsigned j = 0; j < names_.size(); ++j)
                        way[i][j] = way[i][j] || (way[i][k] && way[k][j]);
                }
            }
        }
        closed_ = true;
    }

    std::vector<std::string> operations_;
    std::vector<std::vector<std::vector<bool>>> ways_;
    bool closed_ = false;
};

}  // namespace kit
