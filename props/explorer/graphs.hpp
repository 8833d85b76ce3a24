// graphs.hpp: the execution graphs that a search has seen, as hashes, with how often.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace explorer {

class Graphs {
  public:
    void add(std::uint64_t hash) {
        hash |= hash == 0 ? 1 : 0;
        if (distinct_ * 2 >= table_.size()) grow();
        Entry& entry = find(hash);
        if (entry.hash == 0) {
            entry.hash = hash;
            ++distinct_;
            ++once_;
        } else if (entry.count == 1) {
            --once_;
        }
        entry.count += entry.count < UINT32_MAX ? 1 : 0;
        ++added_;
    }

    std::uint64_t distinct() const { return distinct_; }
    // Good and Turing's estimate of the probability that the next one is new.
    double good_turing() const {
        return added_ == 0 ? 1 : static_cast<double>(once_) / static_cast<double>(added_);
    }
    std::vector<std::uint64_t> sorted() const {
        std::vector<std::uint64_t> hashes;
        for (const Entry& entry : table_) {
            if (entry.hash != 0) hashes.push_back(entry.hash);
        }
        std::sort(hashes.begin(), hashes.end());
        return hashes;
    }

  private:
    struct Entry {
        std::uint64_t hash = 0;
        std::uint32_t count = 0;
    };

    Entry& find(std::uint64_t hash) {
        const std::size_t mask = table_.size() - 1;
        std::size_t i = hash & mask;
        while (table_[i].hash != 0 && table_[i].hash != hash) i = (i + 1) & mask;
        return table_[i];
    }
    void grow() {
        std::vector<Entry> old(table_.empty() ? 1024 : table_.size() * 2);
        old.swap(table_);
        for (const Entry& entry : old) {
            if (entry.hash != 0) find(entry.hash) = entry;
        }
    }

    std::vector<Entry> table_;
    std::uint64_t distinct_ = 0, once_ = 0, added_ = 0;
};

}  // namespace explorer
