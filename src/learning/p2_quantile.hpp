// p2_quantile.hpp: a quantile of a stream in five markers (R. Jain, I. Chlamtac: The P2 Algorithm
// for Dynamic Calculation of Quantiles and Histograms Without Storing Observations, Communications
// of the ACM 28, 1985).
//
// INV p2.1  heights rise: q[0] <= ... <= q[4]; q[0] is the least and q[4] the largest observation
// INV p2.2  positions rise strictly, from 1 to the number of observations
#pragma once

#include <cstdint>

namespace hak::policy {

class P2Quantile {
  public:
    explicit constexpr P2Quantile(double quantile = 0.99) : quantile_(quantile) {}

    void add(double x) {
        if (count_ < 5) return add_early(x);
        count_ += 1;
        unsigned cell = 0;
        if (x < q_[0]) {
            q_[0] = x;
        } else if (x >= q_[4]) {
            q_[4] = x;
            cell = 3;
        } else {
            while (x >= q_[cell + 1]) ++cell;
        }
        for (unsigned i = cell + 1; i < 5; ++i) position_[i] += 1;
        for (unsigned i = 1; i < 4; ++i) {
            const double wanted = 1 + static_cast<double>(count_ - 1) * fraction(i);
            const double off = wanted - position_[i];
            if (off >= 1 && position_[i + 1] - position_[i] > 1) move(i, 1);
            if (off <= -1 && position_[i - 1] - position_[i] < -1) move(i, -1);
        }
    }

    std::uint64_t count() const { return count_; }
    // Of up to five observations the one of the nearest rank; 0 of none.
    double value() const {
        if (count_ > 5) return q_[2];
        if (count_ == 0) return 0;
        // NOLINTNEXTLINE(bugprone-incorrect-roundings): never negative; lround is in libm
        const auto rank = static_cast<unsigned>(quantile_ * static_cast<double>(count_ - 1) + 0.5);
        return q_[rank];
    }
    double least() const { return q_[0]; }
    double most() const { return count_ == 0 ? 0 : q_[count_ < 5 ? count_ - 1 : 4]; }
    bool holds() const {
        for (unsigned i = 1; i < 5 && i < count_; ++i) {
            if (q_[i] < q_[i - 1]) return false;
            if (count_ >= 5 && position_[i] <= position_[i - 1]) return false;
        }
        return count_ < 5 || (position_[0] == 1 && position_[4] == static_cast<double>(count_));
    }

  private:
    constexpr double fraction(unsigned i) const {
        const double fractions[5] = {0, quantile_ / 2, quantile_, (1 + quantile_) / 2, 1};
        return fractions[i];
    }
    void add_early(double x) {
        unsigned i = static_cast<unsigned>(count_++);
        for (; i > 0 && q_[i - 1] > x; --i) q_[i] = q_[i - 1];
        q_[i] = x;
    }
    // Marker i moves by one place: along a parabola through its neighbours, or on a line where the
    // parabola leaves their order.
    void move(unsigned i, int d) {
        const double left = position_[i] - position_[i - 1],
                     right = position_[i + 1] - position_[i];
        const double parabolic = q_[i] + d / (left + right) *
                                             ((left + d) * (q_[i + 1] - q_[i]) / right +
                                              (right - d) * (q_[i] - q_[i - 1]) / left);
        if (q_[i - 1] < parabolic && parabolic < q_[i + 1]) {
            q_[i] = parabolic;
        } else {
            const auto k = static_cast<unsigned>(static_cast<int>(i) + d);
            q_[i] += d * (q_[k] - q_[i]) / (position_[k] - position_[i]);
        }
        position_[i] += d;
    }

    double quantile_;
    std::uint64_t count_ = 0;
    double q_[5]{};
    double position_[5] = {1, 2, 3, 4, 5};
};

}  // namespace hak::policy
