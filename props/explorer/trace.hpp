// trace.hpp: what an execution did, line by line, a column for each thread.
#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace explorer {

class Trace {
  public:
    void begin() {
        lines_.clear();
        hash_ = 0;
    }
    // `place` and `what` identify the step beside its line: they are the same wherever the program
    // is loaded.
    void add(unsigned thread, const std::source_location& where, std::string text,
             std::uint64_t place, std::uint64_t what);
    // More about the last line.
    void extend(const std::string& text) { lines_.back().text += text; }
    std::uint64_t hash() const { return hash_; }
    std::string render(const std::vector<std::string>& threads) const;

  private:
    struct Line {
        unsigned thread;
        std::source_location where;
        std::string text;
    };

    std::vector<Line> lines_;
    std::uint64_t hash_ = 0;
};

// "remote_list.hpp:57"
std::string place_of(const std::source_location& where);

}  // namespace explorer
