// state_coverage.hpp: which states the units of a window have been seen in, and which changes from
// one command to the next. A suite prints it, and fails when a change that it claims to test has
// not been met.
#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "props/kit/worlds.hpp"

namespace kit {

// Counts pairs of named states.
class Pairs {
  public:
    void note(const std::string& from, const std::string& to) { ++counts_[from][to]; }
    std::uint64_t count(const std::string& from, const std::string& to) const {
        const auto f = counts_.find(from);
        if (f == counts_.end()) return 0;
        const auto t = f->second.find(to);
        return t == f->second.end() ? 0 : t->second;
    }
    template <std::size_t N>
    void require_met(const std::pair<const char*, const char*> (&wanted)[N]) const {
        for (const auto& [from, to] : wanted)
            require(count(from, to) != 0, "no history met: ", from, " -> ", to);
    }
    void print(std::ostream& out, const char* title) const {
        std::size_t pairs = 0;
        for (const auto& [from, row] : counts_) pairs += row.size();
        out << title << ": " << pairs << " pairs of states reached\n";
        for (const auto& [from, row] : counts_) {
            out << "  " << from << " ->";
            for (const auto& [to, n] : row) out << "  " << to << ": " << n;
            out << "\n";
        }
    }

  private:
    std::map<std::string, std::map<std::string, std::uint64_t>> counts_;
};

template <hak::World W>
class UnitStateCoverage {
  public:
    explicit UnitStateCoverage(Pairs& pairs) : pairs_(pairs) {}

    void look() {
        if (!hak::window<W>.is_open()) return;
        const std::size_t units = hak::Audit<W>::scratch_words();
        before_.resize(units, 0);
        for (std::size_t u = 0; u < units; ++u) {
            const unsigned now = state_of(hak::window<W>.record(u));
            if (now != before_[u]) pairs_.note(name_of(before_[u]), name_of(now));
            before_[u] = static_cast<unsigned char>(now);
        }
    }

    // Another process begins.
    void forget() { before_.clear(); }

  private:
    static unsigned state_of(const hak::UnitRecord<W>* record) {
        using hak::order::relaxed;
        const hak::UnitState state = record->state.load(relaxed);
        if (state != hak::UnitState::slab) return static_cast<unsigned>(state);
        const hak::UnitRecord<W>* const slab = hak::window<W>.head_record(record);
        const hak::Token token = slab->owner.load(relaxed)->token.load(relaxed);
        const unsigned who = token == hak::Token::owned ? 0 : token == hak::Token::orphan ? 1 : 2;
        const unsigned fill = slab->used.get() == 0 ? 0 : slab->has_room() ? 1 : 2;
        const unsigned queued = (slab->remote.load(relaxed) & hak::kQueued) != 0 ? 1 : 0;
        return 5 + who * 6 + fill * 2 + queued;
    }
    static std::string name_of(unsigned state) {
        constexpr const char *kPlain[] = {"free", "slab", "large", "big", "kept"},
                             *kWho[] = {"owned", "orphan", "frozen"},
                             *kFill[] = {"empty", "room", "full"};
        if (state < 5) return kPlain[state];
        state -= 5;
        return std::string(kWho[state / 6]) + "." + kFill[state / 2 % 3] +
               (state % 2 != 0 ? ".queued" : "");
    }

    Pairs& pairs_;
    std::vector<unsigned char> before_;
};

}  // namespace kit
