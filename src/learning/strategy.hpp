// strategy.hpp: the candidates that the learner chooses from. A strategy is a size: what is freed
// and at least as large goes into the purge batch, what is smaller stays cached until it decays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hak::policy {

enum class Strategy : std::uint8_t {
    k512K,
    k768K,
    k1M,
    k1536K,
    k2M,
    k3M,
    k4M,
    k6M,
    k8M,
    k12M,
    k16M,
    k32M
};

inline constexpr unsigned kStrategies = 12;
inline constexpr Strategy kDefaultStrategy = Strategy::k2M;

inline constexpr std::size_t kThresholds[kStrategies] = {
    std::size_t{512} << 10, std::size_t{768} << 10, std::size_t{1} << 20,  std::size_t{1536} << 10,
    std::size_t{2} << 20,   std::size_t{3} << 20,   std::size_t{4} << 20,  std::size_t{6} << 20,
    std::size_t{8} << 20,   std::size_t{12} << 20,  std::size_t{16} << 20, std::size_t{32} << 20};

constexpr unsigned index_of(Strategy s) {
    return static_cast<unsigned>(s);
}
constexpr Strategy strategy_at(unsigned index) {
    return static_cast<Strategy>(index);
}
constexpr std::size_t threshold_of(Strategy s) {
    return kThresholds[index_of(s)];
}

static_assert(threshold_of(kDefaultStrategy) == std::size_t{2} << 20);

}  // namespace hak::policy
