// pack.hpp: many inputs in one file: a line each, as hexadecimal digits. ci/corpus packs and
// unpacks folders.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace fuzz {

inline std::vector<std::string> unpacked(const std::string& pack) {
    std::vector<std::string> inputs;
    std::istringstream lines(pack);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line.size() % 2 != 0 ||
            line.find_first_not_of("0123456789abcdef") != std::string::npos) {
            throw std::runtime_error("not a line of a pack: " + line.substr(0, 80));
        }
        std::string& bytes = inputs.emplace_back();
        for (std::size_t i = 0; i < line.size(); i += 2)
            bytes += static_cast<char>(std::stoul(line.substr(i, 2), nullptr, 16));
    }
    return inputs;
}

}  // namespace fuzz
