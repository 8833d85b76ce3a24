// decision.hpp: what the learner publishes: everything that a reader may want to know of it, in one
// word, so that no reader can meet the strategy of one decision with the generation of another.
#pragma once

#include <cstdint>

#include "learning/evolution.hpp"
#include "learning/strategy.hpp"

namespace hak::policy {

struct Decision {
    Strategy strategy = kDefaultStrategy;  // in force
    Strategy confirmed = kDefaultStrategy;
    Strategy candidate = kDefaultStrategy;
    Phase phase = Phase::frozen;
    bool observes = false;         // whether slow paths measure themselves
    std::uint32_t generation = 0;  // counts the decisions

    constexpr std::uint64_t pack() const {
        return index_of(strategy) | std::uint64_t{index_of(confirmed)} << 4 |
               std::uint64_t{index_of(candidate)} << 8 | static_cast<std::uint64_t>(phase) << 12 |
               std::uint64_t{observes} << 14 | std::uint64_t{generation} << 32;
    }
    friend constexpr bool operator==(const Decision&, const Decision&) = default;
    static constexpr Decision unpack(std::uint64_t word) {
        return {strategy_at(word & 15),      strategy_at(word >> 4 & 15),
                strategy_at(word >> 8 & 15), static_cast<Phase>(word >> 12 & 3),
                (word >> 14 & 1) != 0,       static_cast<std::uint32_t>(word >> 32)};
    }
};

static_assert(kStrategies <= 16);

}  // namespace hak::policy
