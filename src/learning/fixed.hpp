// fixed.hpp: the chooser of a build without ELO: the 2 MiB strategy, whatever the samples say.
#pragma once

#include "base/random.hpp"

#include "learning/samples.hpp"
#include "learning/strategy.hpp"

namespace hak::policy {

class Fixed {
  public:
    Strategy select(Random&) const { return kDefaultStrategy; }
    void record(Strategy s, const Cost& cost) { samples_.record(s, cost); }
    Strategy recompute() { return kDefaultStrategy; }
    bool has_tried_all() const { return true; }
    void reset() { samples_.reset(); }
    Strategy best() const { return kDefaultStrategy; }
    const Samples& samples() const { return samples_; }

  private:
    Samples samples_;
};

}  // namespace hak::policy
