// sites.hpp: the atomic operations of the source, told apart by where they stand; one of them may
// be given another order.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <source_location>
#include <vector>

#include "props/explorer/options.hpp"

namespace explorer {

class Sites {
  public:
    enum class What : std::uint8_t {
        load,
        store,
        exchange,
        fetch_add,
        fetch_sub,
        cas_weak,
        cas_strong,
        fence
    };
    struct Orders {
        std::memory_order order, failure;
    };

    // A new exploration, with its mutant.
    void begin(const OrderMutant& mutant);
    // Notes that the operation is executed, and returns the orders to execute it with.
    Orders meet(const std::source_location& where, What what, Orders declared) {
        Entry& entry = find(where, what);
        entry.declared = declared;
        entry.met = true;
        if (entry.has_order) declared.order = entry.mutant;
        if (entry.has_failure) declared.failure = entry.mutant;
        return declared;
    }
    std::vector<Site> met() const;  // sorted by id
    bool mutant_met() const;

  private:
    struct Entry {
        std::uintptr_t key = 0;
        std::source_location where{};
        What what = What::load;
        bool met = false, has_order = false, has_failure = false;
        Orders declared{};
        std::memory_order mutant{};
    };
    // A location is a pointer to a constant of the program.
    static_assert(sizeof(std::source_location) == sizeof(std::uintptr_t));
    static constexpr unsigned kBits = 12, kCapacity = 1u << kBits;

    Entry& find(const std::source_location& where, What what) {
        const std::uintptr_t key = std::bit_cast<std::uintptr_t>(where);
        for (std::uint64_t i = (key * 0x9e3779b97f4a7c15u) >> (64 - kBits);;
             i = (i + 1) % kCapacity) {
            Entry& entry = entries_[i];
            if (entry.key == key && entry.what == what) [[likely]]
                return entry;
            if (entry.key == 0) return add(entry, where, what);
        }
    }
    Entry& add(Entry& entry, const std::source_location& where, What what);
    void apply_mutant(Entry& entry) const;
    static Site describe(const Entry& entry);

    std::array<Entry, kCapacity> entries_{};
    unsigned used_ = 0;
    OrderMutant mutant_;
};

// A file name as people know it: from src/ or props/ on, or the last component.
const char* short_name(const char* file);

}  // namespace explorer
