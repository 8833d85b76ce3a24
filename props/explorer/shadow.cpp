// shadow.cpp: cells are carved, words begin and end, ranges are mapped and unmapped.
#include "props/explorer/shadow.hpp"

#include <algorithm>
#include <cstring>

namespace explorer {

void Shadow::begin() {
    restore();
    drop_all();
    std::fill(grains_.begin(), grains_.end(), Grain{});
    keeps_journal_ = false;
}

void Shadow::commit() {
    keeps_journal_ = true;
}

void Shadow::restore() {
    ++execution_;
    cells_with_words_.clear();
    if (cells_used_ > kCellsMax / 2) drop_all();
    for (std::size_t i = grain_journal_.size(); i != 0; --i)
        grains_[grain_journal_[i - 1].first] = grain_journal_[i - 1].second;
    grain_journal_.clear();
}

void Shadow::drop(std::uint16_t cell) {
    std::memset(&cell_of_[cells_[cell].begin], 0, cells_[cell].bytes * sizeof(std::uint16_t));
}

void Shadow::drop_all() {
    for (unsigned c = 1; c < cells_used_; ++c) drop(static_cast<std::uint16_t>(c));
    cells_used_ = 1;
}

void Shadow::set_grain(std::size_t grain, Grain value) {
    if (keeps_journal_) grain_journal_.emplace_back(grain, grains_[grain]);
    grains_[grain] = value;
}

Shadow::Cell& Shadow::add_cell(std::uint32_t begin, unsigned bytes, const Cell& history) {
    if (cells_used_ == kCellsMax)
        fail("more cells of memory are accessed than the explorer holds (Shadow::kCellsMax)",
             Kind::limit);
    Cell& cell = cells_[cells_used_];
    cell = history;
    cell.begin = begin;
    cell.bytes = static_cast<std::uint8_t>(bytes);
    cell.word = kNoWord;
    cell.execution = execution_;
    for (unsigned i = 0; i < bytes; ++i)
        cell_of_[begin + i] = static_cast<std::uint16_t>(cells_used_);
    ++cells_used_;
    return cell;
}

Shadow::Cell* Shadow::find_slowly(std::uint32_t flat, unsigned bytes) {
    const std::uint16_t c = cell_of_[flat];
    const Grain& grain = grains_[flat / kGrain];
    if (c == 0 || cells_[c].begin != flat || cells_[c].bytes != bytes || !grain.mapped ||
        flat / kGrain != (flat + bytes - 1) / kGrain) {
        return carve(flat, bytes);
    }
    // Known from an earlier execution; nobody has accessed it in this one.
    Cell& cell = cells_[c];
    cell.word = kNoWord;
    cell.execution = execution_;
    cell.writes = Clock{};
    cell.writes.set(grain.writer, grain.epoch);
    cell.accesses = cell.writes;
    cell.writer = grain.writer;
    cell.written = Where{};
    return &cell;
}

Shadow::Cell* Shadow::carve(std::uint32_t flat, unsigned bytes) {
    if (flat + bytes > Memory::kFlatBytes || bytes > UINT8_MAX)
        fail("an access reaches beyond checked memory", Kind::limit);
    Cell merged;
    for (std::size_t g = flat / kGrain; g <= (flat + bytes - 1) / kGrain; ++g) {
        const Grain& grain = grains_[g];
        if (!grain.mapped) {
            conflict_ = {Kind::lifetime, flat,  "an access to memory that is not mapped",
                         kThreadsMax,    false, {}};
            return nullptr;
        }
        merged.writes.set(grain.writer, std::max(merged.writes[grain.writer], grain.epoch));
        merged.writer = grain.writer;
    }
    merged.accesses = merged.writes;
    for (std::uint32_t at = flat; at < flat + bytes;) {
        const std::uint16_t c = cell_of_[at];
        if (c == 0) {
            ++at;
            continue;
        }
        if (cells_[c].execution != execution_) {
            drop(c);
            continue;
        }
        if (cells_[c].word != kNoWord) retire(cells_[c]);
        const Cell old = cells_[c];
        const std::uint32_t end = old.begin + old.bytes;
        merged.writes.join(old.writes);
        merged.accesses.join(old.accesses);
        merged.writer = old.writer;
        merged.written = old.written;
        for (unsigned t = 0; t < kThreadsMax; ++t) {
            if (old.accesses[t] != 0) merged.accessed[t] = old.accessed[t];
        }
        if (old.begin < flat) add_cell(old.begin, flat - old.begin, old);
        if (end > flat + bytes) add_cell(flat + bytes, end - (flat + bytes), old);
        at = end;
    }
    return &add_cell(flat, bytes, merged);
}

void Shadow::begin_word(Cell& cell) {
    std::uint64_t initial = 0;
    std::memcpy(&initial, memory_.address(cell.begin), cell.bytes);
    // Another life of a word at the same place has another identity: somebody has written the place
    // in between.
    std::uint64_t identity = mix(cell.begin, cell.bytes);
    for (unsigned t = 0; t < kThreadsMax; ++t) {
        if (cell.writes[t] != 0) identity = mix(identity, std::uint64_t{t} << 32 | cell.writes[t]);
    }
    cell.word = static_cast<std::uint16_t>(machine_.new_word(initial, identity));
    cells_with_words_.push_back(static_cast<std::uint16_t>(&cell - cells_.data()));
}

// The place becomes plain memory, which holds the newest value.
void Shadow::retire(Cell& cell) {
    const std::uint64_t value = machine_.value(cell.word, machine_.newest(cell.word));
    void* const p = memory_.address(cell.begin);
    memory_.save(p, cell.bytes);
    std::memcpy(p, &value, cell.bytes);
    cell.word = kNoWord;
}

bool Shadow::conflicts(const Cell& cell, const Clock& clock, const char* what, bool with_writes) {
    const unsigned other = clock.missing(with_writes ? cell.writes : cell.accesses);
    const bool wrote = cell.writes[other] == cell.accesses[other] || with_writes;
    conflict_ = {Kind::data_race, cell.begin, what,
                 other,           wrote,      wrote ? cell.written : cell.accessed[other]};
    return false;
}

// What happened at this place does not matter any more: the next access begins with the grain.
// Returns where to look next.
std::uint32_t Shadow::end_history(std::uint32_t flat) {
    const std::uint16_t c = cell_of_[flat];
    if (c == 0) {
        std::uint64_t four = 0;
        std::memcpy(&four, &cell_of_[flat], sizeof four);
        return flat + (four == 0 && flat % 4 == 0 ? 4 : 1);
    }
    Cell& cell = cells_[c];
    cell.execution = 0;
    cell.word = kNoWord;
    return cell.begin + cell.bytes;
}

bool Shadow::remap(std::uint32_t flat, std::size_t bytes, bool before, bool after, unsigned thread,
                   const char* what) {
    const Clock& clock = machine_.thread(thread).clock;
    for (std::size_t g = flat / kGrain; g < (flat + bytes) / kGrain; ++g) {
        const Grain& grain = grains_[g];
        if (grain.mapped != before) {
            conflict_ = {Kind::lifetime, static_cast<std::uint32_t>(g * kGrain),
                         what,           kThreadsMax,
                         false,          {}};
            return false;
        }
        if (grain.epoch > clock[grain.writer]) {
            conflict_ = {Kind::data_race,
                         static_cast<std::uint32_t>(g * kGrain),
                         what,
                         grain.writer,
                         true,
                         {}};
            return false;
        }
    }
    for (std::uint32_t at = flat; at < flat + bytes;) {
        const std::uint16_t c = cell_of_[at];
        if (c != 0 && cells_[c].execution == execution_ && !clock.covers(cells_[c].accesses))
            return conflicts(cells_[c], clock, what, false);
        at = end_history(at);
    }
    for (std::size_t g = flat / kGrain; g < (flat + bytes) / kGrain; ++g) {
        set_grain(g, {after, static_cast<std::uint8_t>(thread), clock[thread]});
    }
    return true;
}

bool Shadow::remap_alone(std::uint32_t flat, std::size_t bytes, bool before, bool after) {
    for (std::size_t g = flat / kGrain; g < (flat + bytes) / kGrain; ++g) {
        if (grains_[g].mapped != before) {
            conflict_ = {
                Kind::lifetime, static_cast<std::uint32_t>(g * kGrain), "", kThreadsMax, false, {}};
            return false;
        }
        set_grain(g, {after, 0, 0});
    }
    for (std::uint32_t at = flat; at < flat + bytes;) at = end_history(at);
    return true;
}

void Shadow::write_back() {
    for (const std::uint16_t c : cells_with_words_) {
        if (cells_[c].word != kNoWord && cell_of_[cells_[c].begin] == c) retire(cells_[c]);
    }
}

}  // namespace explorer
