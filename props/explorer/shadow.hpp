// shadow.hpp: what is known about every byte of checked memory: whether it is mapped, who accessed
// it when, and which atomic word lives there. A cell is a run of bytes that have been accessed as
// one; an access of another shape carves new cells out of the old ones, history included, so that
// memory may be used again as something else.
//
// A plain access must happen after every earlier write, a plain write also after every earlier
// access. Construction of an atomic word, map and unmap count as plain writes; an atomic access
// counts as an access. So an access that comes too late is found in every schedule, also where it
// happened to come first.
#pragma once

#include <array>
#include <cstdint>
#include <source_location>
#include <vector>

#include "props/explorer/explore.hpp"
#include "props/explorer/machine.hpp"
#include "props/explorer/memory.hpp"

namespace explorer {

using Where = std::source_location;

class Shadow {
  public:
    static constexpr unsigned kCellsMax = 8192;
    static constexpr std::uint16_t kNoWord = UINT16_MAX;

    struct Cell {
        std::uint32_t begin = 0;
        std::uint16_t word = kNoWord;
        std::uint8_t bytes = 0;
        std::uint8_t writer = 0;  // the last one
        // per thread the epoch of the last one; an access is any, a write included
        Clock writes, accesses;
        // whose history this is; cells outlive executions, because the next one has the same
        std::uint32_t execution = 0;
        Where written{};
        std::array<Where, kThreadsMax> accessed;  // where `accesses` says so
    };
    // Why an access is wrong.
    struct Conflict {
        Kind kind = Kind::none;
        std::uint32_t flat = 0;
        const char* what = "";
        unsigned other = kThreadsMax;  // the thread that conflicts
        bool other_wrote = false;
        Where where{};  // where it did
    };

    Shadow(Memory& memory, Machine& machine) : memory_(memory), machine_(machine) {}

    void begin();    // a new exploration: everything mapped that is not reserved
    void commit();   // the end of the set-up: its accesses happened before everything
    void restore();  // a new execution

    // Each returns false if `conflict()` says what is wrong.
    bool read(std::uint32_t flat, unsigned bytes, unsigned thread, const Where& where) {
        Cell* const cell = find(flat, bytes);
        if (cell == nullptr) return false;
        if (cell->word != kNoWord) retire(*cell);
        const Clock& clock = machine_.thread(thread).clock;
        if (!clock.covers(cell->writes)) [[unlikely]]
            return conflicts(*cell, clock, "a read races with", true);
        note(*cell, thread, where);
        return true;
    }
    bool write(std::uint32_t flat, unsigned bytes, unsigned thread, const Where& where,
               const char* what) {
        Cell* const cell = find(flat, bytes);
        if (cell == nullptr) return false;
        if (cell->word != kNoWord) retire(*cell);
        const Clock& clock = machine_.thread(thread).clock;
        if (!clock.covers(cell->accesses)) [[unlikely]]
            return conflicts(*cell, clock, what, false);
        note(*cell, thread, where);
        note_write(*cell, thread, where);
        return true;
    }
    // In the child of a fork nothing that the vanished threads did to this place can meet a write
    // of the child.
    void forget(std::uint32_t flat, unsigned bytes) {
        if (Cell* const cell = find(flat, bytes)) cell->writes = cell->accesses = Clock{};
    }
    // The atomic word at this place, which begins with what memory holds if nobody accessed it yet.
    // kNoWord: see conflict().
    unsigned word(std::uint32_t flat, unsigned bytes) {
        Cell* const cell = find(flat, bytes);
        if (cell == nullptr) return kNoWord;
        if (cell->word == kNoWord) begin_word(*cell);
        return cell->word;
    }
    // An atomic access by its thread, at the moment when it is executed.
    bool access(std::uint32_t flat, unsigned bytes, unsigned thread, const Where& where) {
        Cell* const cell = find(flat, bytes);
        if (cell == nullptr) return false;
        const Clock& clock = machine_.thread(thread).clock;
        if (!clock.covers(cell->writes)) [[unlikely]]
            return conflicts(*cell, clock, "an atomic access races with", true);
        note(*cell, thread, where);
        return true;
    }

    // Whole grains. `before` and `after` say whether the range must be mapped, and whether it is
    // then.
    bool remap(std::uint32_t flat, std::size_t bytes, bool before, bool after, unsigned thread,
               const char* what);
    // The same in the set-up, in `finally` and in the child of a fork, where nothing races.
    bool remap_alone(std::uint32_t flat, std::size_t bytes, bool before, bool after);
    bool is_mapped(std::uint32_t flat) const { return grains_[flat / kGrain].mapped; }

    // Every word's newest value goes to memory: the threads have ended.
    void write_back();
    const Conflict& conflict() const { return conflict_; }

  private:
    struct Grain {
        bool mapped = true;
        std::uint8_t writer = 0;  // who mapped or unmapped it in this execution
        std::uint16_t epoch = 0;
    };

    Cell* find(std::uint32_t flat, unsigned bytes) {
        const std::uint16_t c = cell_of_[flat];
        if (c != 0) [[likely]] {
            Cell& cell = cells_[c];
            if (cell.begin == flat && cell.bytes == bytes && cell.execution == execution_)
                [[likely]]
                return &cell;
        }
        return find_slowly(flat, bytes);
    }
    static void note_write(Cell& cell, unsigned thread, const Where& where) {
        cell.writes.set(thread, cell.accesses[thread]);
        cell.writer = static_cast<std::uint8_t>(thread);
        cell.written = where;
    }
    void note(Cell& cell, unsigned thread, const Where& where) {
        cell.accesses.set(thread, machine_.thread(thread).clock[thread]);
        cell.accessed[thread] = where;
    }
    std::uint32_t end_history(std::uint32_t flat);
    Cell* find_slowly(std::uint32_t flat, unsigned bytes);
    Cell* carve(std::uint32_t flat, unsigned bytes);
    Cell& add_cell(std::uint32_t begin, unsigned bytes, const Cell& history);
    void drop(std::uint16_t cell);
    void drop_all();
    void begin_word(Cell& cell);
    void retire(Cell& cell);
    bool conflicts(const Cell& cell, const Clock& clock, const char* what, bool with_writes);
    void set_grain(std::size_t grain, Grain value);

    Memory& memory_;
    Machine& machine_;
    Conflict conflict_;
    std::uint32_t execution_ = 1;
    unsigned cells_used_ = 1;  // cell 0 is none
    std::vector<std::uint16_t> cells_with_words_;
    std::vector<Cell> cells_ = std::vector<Cell>(kCellsMax);
    std::vector<std::uint16_t> cell_of_ = std::vector<std::uint16_t>(Memory::kFlatBytes);
    std::vector<Grain> grains_ = std::vector<Grain>(Memory::kFlatBytes / kGrain);
    std::vector<std::pair<std::size_t, Grain>> grain_journal_;
    bool keeps_journal_ = false;
};

}  // namespace explorer
