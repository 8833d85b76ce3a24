// trace.cpp: lines and their layout.
#include "props/explorer/trace.hpp"

#include <algorithm>

#include "props/explorer/machine.hpp"
#include "props/explorer/sites.hpp"

namespace explorer {

std::string place_of(const std::source_location& where) {
    if (where.line() == 0) return "?";
    const std::string file = short_name(where.file_name());
    return file.substr(file.rfind('/') + 1) + ":" + std::to_string(where.line());
}

void Trace::add(unsigned thread, const std::source_location& where, std::string text,
                std::uint64_t place, std::uint64_t what) {
    hash_ = mix(mix(mix(mix(hash_, thread), where.line()), place), what);
    lines_.push_back({thread, where, std::move(text)});
}

std::string Trace::render(const std::vector<std::string>& threads) const {
    std::size_t widest = 5;
    for (const Line& line : lines_) widest = std::max(widest, place_of(line.where).size());
    // Lines overlap the columns to their right: there is one thread to a line.
    constexpr std::size_t kColumn = 22;
    const auto pad = [](std::string text, std::size_t width) {
        if (text.size() < width) text.append(width - text.size(), ' ');
        return text;
    };
    std::string out = "   #  " + pad("where", widest + 2);
    for (const std::string& name : threads) out += pad(name, kColumn - 1) + " ";
    while (out.back() == ' ') out.pop_back();
    out += "\n";
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        const std::string number = std::to_string(i + 1);
        out += std::string(number.size() < 4 ? 4 - number.size() : 0, ' ') + number + "  ";
        out += pad(place_of(lines_[i].where), widest + 2) +
               std::string(lines_[i].thread * kColumn, ' ') + lines_[i].text + "\n";
    }
    return out;
}

}  // namespace explorer
